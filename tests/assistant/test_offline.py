"""Nothing leaves the machine: a domain is indexed, asked and evaluated where no other machine can be reached.

Where Linux allows it, the commands run in a network namespace that holds no interface but a loopback that is down. On
other systems they run with a watch over Python's sockets. The watch is there both times: what tries to reach another
machine is stopped, and written down, so that a try fails the test even where its failure would have been swallowed.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMESPACE = ["unshare", "--map-root-user", "--net"]
WATCH = """
import json, os, sys

def watch(event, arguments):
    if event == "socket.connect" or event == "socket.sendto":
        address = arguments[1]
    elif event == "socket.getaddrinfo":
        address = arguments[:2]
    else:
        return
    if isinstance(address, tuple) and address[0] not in (None, "", "127.0.0.1", "::1", "localhost"):
        with open(os.environ["TRIED"], "a") as file:
            file.write(json.dumps([event, str(address)]) + "\\n")
        raise ConnectionRefusedError(f"{event} to {address} is not allowed here")

sys.addaudithook(watch)
"""
COMMANDS = """
import os, sys
import socket
from assistant.cli import main
shop = sys.argv[1]
for arguments in (
    ["index", shop, "--rebuild"],
    ["ask", shop, "How hot should the water be?", "--adapter", "base"],
    ["evaluate", shop, "--again"],
    ["agent", shop, "What is 6 * 7?"],
):
    sys.argv = ["lorewright", *arguments]
    try:
        main()
    except SystemExit as ended:
        assert not ended.code, (arguments, ended.code)
print("INTERFACES", [name for _, name in socket.if_nameindex()])
"""


def namespace_is_allowed() -> bool:
    if not shutil.which("unshare"):
        return False
    return subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode == 0


def run_watched(tmp_path: Path, script: str, *arguments: str, prefix: tuple[str, ...] = ()) -> tuple[list, str]:
    """Run a script under the watch, without any switch that our tests set; return what it tried, and its output."""
    (tmp_path / "sitecustomize.py").write_text(WATCH, encoding="utf-8")
    tried = tmp_path / "tried.jsonl"
    switches = ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "LANGSMITH_TRACING", "TRANSFORMERS_OFFLINE")
    environment = {name: value for name, value in os.environ.items() if name not in switches}
    environment |= {"PYTHONPATH": str(tmp_path), "TRIED": str(tried)}
    done = subprocess.run(
        [*prefix, sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    lines = tried.read_text(encoding="utf-8").splitlines() if tried.exists() else []
    return [json.loads(line) for line in lines], done.stdout


def test_nothing_leaves_the_machine(copy_of, tea_shop, tmp_path, record_property):
    in_namespace = namespace_is_allowed()
    record_property("how", "network namespace" if in_namespace else "watched sockets")
    prefix = tuple(NAMESPACE) if in_namespace else ()
    tried, out = run_watched(tmp_path, COMMANDS, str(copy_of(tea_shop)), prefix=prefix)
    assert tried == []
    assert "the answerable of 1 held-out questions" in out
    assert "[1] tea.md, Green tea › " in out
    if in_namespace:
        assert "INTERFACES ['lo']" in out
    print("nothing left the machine, as seen in", "a network namespace" if in_namespace else "watched sockets")


def test_the_watch_sees_who_tries_to_leave(tmp_path):
    script = """
import socket, urllib.request
for address in ("http://192.0.2.1/", "http://huggingface.invalid/"):
    try:
        urllib.request.urlopen(address, timeout=5)
    except OSError:
        pass
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
    try:
        udp.sendto(b"x", ("192.0.2.1", 9))
    except OSError:
        pass
with socket.socket() as server, socket.socket() as client:
    server.bind(("127.0.0.1", 0))
    server.listen()
    client.connect(server.getsockname())
"""
    tried, _ = run_watched(tmp_path, script)
    assert [event for event, _ in tried] == ["socket.getaddrinfo", "socket.getaddrinfo", "socket.sendto"]
