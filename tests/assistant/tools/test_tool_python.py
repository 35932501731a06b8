"""Python in namespaces: what it computes, and attacks on files, network, processes, memory and time."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from assistant.tools import python_code
from assistant.tools.python_code import SECONDS, python_tool


@pytest.fixture(scope="module")
def run(absent):
    if "cannot be confined" in python_tool.invoke({"code": "print(1)"}):
        absent("this machine has no namespaces for the Python tool")
    return lambda code: python_tool.invoke({"code": code})


def test_it_computes(run):
    assert run("from fractions import Fraction\nprint(Fraction(1, 3) + Fraction(1, 6), '茶')") == "1/2 茶"
    assert run("x = 1") == "The program printed nothing; use print to see a result."
    assert "ZeroDivisionError" in run("1 / 0")
    assert "SyntaxError" in run("print(")
    assert run("import sys; print(len(sys.stdin.read()))") == "0"


def test_it_sees_no_file_of_the_user(run, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("xyzzy", encoding="utf-8")
    home = str(Path("~/.bashrc").expanduser())
    for path in (str(secret), "/etc/passwd", "/proc/self/environ", "/proc/1/root", __file__, home):
        assert "xyzzy" not in run(f"print(open({path!r}).read())")
        assert run(f"import os\nprint(os.path.exists({path!r}))") == "False"
    assert run("import os; print(sorted(os.environ))") == "['LC_CTYPE']"
    assert run("import os; print(os.listdir('.'), os.listdir('/old'))") == "[] []"
    assert "ModuleNotFoundError" in run("import numpy")


def test_it_writes_only_into_its_own_folder(run):
    code = "for path in ['a', '/a', '/usr/a', '/dev/a', '/lib/a', '/dev/null']:\n"
    code += "    try:\n        open(path, 'w').write('x'); print(path)\n    except OSError: pass"
    assert run(code) == "a\n/dev/null"
    assert "MemoryError" in run("x = bytearray(2_000_000_000)")
    assert "File too large" in run("open('a', 'wb').write(bytes(8_000_000))")
    assert "No space left" in run("for n in range(9): open(str(n), 'wb').write(bytes(3_000_000))")


def test_it_reaches_no_network(run):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.5)
        port = server.getsockname()[1]
        for address in (f"('127.0.0.1', {port})", "('10.0.0.1', 80)"):
            assert "unreachable" in run(f"import socket\nsocket.create_connection({address}, 2)")
        with pytest.raises(TimeoutError):
            server.accept()


def test_it_starts_no_processes_and_gains_no_rights(run):
    assert "Resource temporarily unavailable" in run("import os\nwhile True: os.fork()")
    assert "Resource temporarily unavailable" in run("import subprocess\nsubprocess.run(['/usr/bin/id'])")
    call = "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nprint("
    assert run(f"{call}libc.unshare(0x10000000))") == "-1", "no user namespace, in which it would have capabilities"
    assert run(f"{call}libc.mount(b'none', b'/work', b'tmpfs', 0, None))") == "-1"
    assert run(f"{call}libc.chroot(b'/work'))") == "-1"
    assert run(f"{call}libc.shmget(0, 10**9, 0o1600))") == "-1", "such memory would not be limited"
    assert run("import resource\nprint(resource.getrlimit(resource.RLIMIT_NPROC))") == "(0, 0)"
    assert "ValueError" in run("import resource\nresource.setrlimit(resource.RLIMIT_AS, (10**12, 10**12))")


def test_it_ends_in_time_even_if_it_resists(run):
    resisting = "import os, ctypes, signal, time\nos.setsid()\nctypes.CDLL(None).prctl(1, 0)\n"
    resisting += "signal.signal(15, signal.SIG_IGN)\nprint('started', flush=True)\ntime.sleep(100)  # resists-the-end"
    said = run(resisting)
    assert f"stopped after {SECONDS:g} seconds. It printed:\nstarted" in said
    listed = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
    assert "resists-the-end" not in listed.replace(said, "")


def test_its_output_is_bounded(run):
    said = run("while True: print('茶' * 1000)")
    assert said.startswith("The program printed too much and was stopped.")
    assert len(said) < 4200


def test_programs_that_are_no_text(run):
    assert run("print('\ud800')").startswith(("The program is not valid text", "Wrong argument code"))
    assert "not valid text" in run("a\0b")
    assert "Wrong argument code" in run("#" * 5000)


def test_where_it_cannot_be_confined_it_does_not_run(monkeypatch, tmp_path):
    monkeypatch.setattr(python_code, "PATH", str(tmp_path))
    said = python_tool.invoke({"code": "print(6 * 7)"})
    assert "cannot be confined on this machine, so the program was not run" in said
    assert "42" not in said
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "this is not Linux" in python_tool.invoke({"code": "print(6 * 7)"})
