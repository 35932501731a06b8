"""Starts, queries and kills processes of index_worker.py."""

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any


class Worker:
    """One process; separate :meth:`send` and :meth:`receive` calls let several processes work at once."""

    def __init__(self, domain: Path) -> None:
        environment = os.environ | {"HF_HUB_OFFLINE": "1"}
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("index_worker.py")), str(domain)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )

    def send(self, **request: Any) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()

    def receive(self, seconds: float = 120) -> dict[str, Any]:
        assert self.process.stdout
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        line = self.process.stdout.readline() if ready else b""
        if not line:
            self.kill()
            assert self.process.stderr
            raise AssertionError(f"no answer: {self.process.stderr.read().decode()[-2000:]}")
        return json.loads(line)

    def ask(self, **request: Any) -> dict[str, Any]:
        self.send(**request)
        reply = self.receive()
        assert "error" not in reply, reply
        return reply

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
