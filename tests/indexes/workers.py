"""Starting, asking and killing the processes of index_worker.py, and others for whom the rights of files count."""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn


class Worker:
    """One process; :meth:`send` and :meth:`receive` may be apart, so that several are at work at once."""

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


def bound_by_rights(code: str, *arguments: object, absent: Callable[[str], NoReturn]) -> list[str]:
    """The command that runs Python code as a user for whom the rights of files count, as they do not for root."""
    if not hasattr(os, "geteuid"):
        absent("rights of files are POSIX")
    command = [sys.executable, "-c", code, *map(str, arguments)]
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            absent("tests that run as root need setpriv (util-linux)")
        command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *command]
    return command


def without_rights(code: str, *arguments: object, absent: Callable[[str], NoReturn]) -> str:
    """What Python code prints that runs so."""
    here = str(Path(__file__).parent)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([here, os.environ.get("PYTHONPATH", "")])}
    command = bound_by_rights(code, *arguments, absent=absent)
    process = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert process.returncode == 0, process.stderr[-2000:]
    return process.stdout
