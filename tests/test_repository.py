"""What holds for the whole repository, file by file; the arrows between the rooms are import-linter's."""

import ast
import importlib
import re
import shutil
import socket
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from pytest_socket import SocketConnectBlockedError

ROOT = Path(__file__).parents[1]
ROOMS = [pattern.rstrip("*") for pattern in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
         ["tool"]["setuptools"]["packages"]["find"]["include"]]  # fmt: skip
LONGEST = 300
"""Lines of a file in the packages."""
MOST_NAMES = 15
"""Names at the front door of a room."""
PEERS = {"langchain_peer"}
"""Benchmarks that run in an environment of their own."""


@pytest.fixture(scope="module")
def texts(absent: Callable[[str], NoReturn]) -> dict[str, str]:
    """Every text file that git tracks, or would track, by its path."""
    if not shutil.which("git") or not (ROOT / ".git").exists():
        absent("this is no git clone")
    listing = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    result = {}
    for name in names:
        data = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b"\0"
        if b"\0" not in data:
            result[name] = data.decode("utf-8")
    assert "pyproject.toml" in result
    assert len(result) > 100
    return result


def found(texts: dict[str, str], pattern: str) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()}"
        for name, text in texts.items()
        for number, line in enumerate(text.splitlines(), start=1)
        if re.search(pattern, line, re.IGNORECASE)
    ]


def test_no_file_holds_a_path_of_one_machine(texts: dict[str, str]) -> None:
    assert found(texts, r"(?<![\w.:-])/(?:work|root|tmp|home|Users|mnt)/") == []


def test_no_file_holds_the_address_of_a_package_index(texts: dict[str, str]) -> None:
    hosts = r"pypi[.]\w|pythonhosted[.]|download[.]pytorch|npmjs[.]|anaconda[.]org|conda-forge[.]org|proxy[.]golang"
    assert found(texts, hosts) == []
    assert found(texts, r"https?://(?!127[.]0[.]0[.]1|localhost|\{)[^\s\"')]*/(?:simple|whl)\b") == []


def test_no_file_holds_anything_that_looks_like_a_secret(texts: dict[str, str]) -> None:
    assert found(texts, r"\bhf_[A-Za-z]{30}|\bsk-[A-Za-z0-9]{20}|\bgh[pousr]_\w{30}|BEGIN [A-Z ]*PRIVATE") == []


def trees(texts: dict[str, str]) -> Iterator[tuple[str, ast.AST]]:
    for name, text in texts.items():
        if name.endswith(".py"):
            for node in ast.walk(ast.parse(text, name)):
                yield name, node


UNSAFE_MODULES = {"pickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
MUST_BE_FALSE = {"trust_remote_code", "allow_pickle", "allow_dangerous_deserialization"}
MUST_BE_TRUE = {"weights_only", "use_safetensors"}


def unsafe(node: ast.AST) -> str:
    """What is wrong with a node of a program; empty where nothing is."""
    settings: list[tuple[object, ast.expr]] = []
    if isinstance(node, ast.Import | ast.ImportFrom):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        if wrong := UNSAFE_MODULES & {name.partition(".")[0] for name in names}:
            return f"imports {min(wrong)}"
    if isinstance(node, ast.Call):
        settings = [(keyword.arg, keyword.value) for keyword in node.keywords]
        if ast.unparse(node.func) == "torch.load" and "weights_only" not in dict(settings):
            return "torch.load without weights_only"
    if isinstance(node, ast.Dict):
        settings = [(key.value, value) for key, value in zip(node.keys, node.values, strict=True)
                    if isinstance(key, ast.Constant)]  # fmt: skip
    for name, value in settings:
        for names, right in ((MUST_BE_FALSE, False), (MUST_BE_TRUE, True)):
            if name in names and not (isinstance(value, ast.Constant) and value.value is right):
                return f"sets {name} to {ast.unparse(value)}"
    return ""


def test_no_program_runs_what_a_file_brings(texts: dict[str, str]) -> None:
    """No pickle, no code of a model's repository, safetensors only."""
    assert [f"{name}: {why}" for name, node in trees(texts) if (why := unsafe(node))] == []


@pytest.mark.parametrize(
    "program",
    [
        "import pickle",
        "from joblib import load",
        "torch.load('x')",
        "torch.load('x', weights_only=False)",
        "load('x', trust_remote_code=True)",
        "load('x', trust_remote_code=wanted)",
        "load('x', **{'trust_remote_code': True})",
        "numpy.load('x', allow_pickle=True)",
    ],
)
def test_such_a_program_would_be_found(program: str) -> None:
    assert any(unsafe(node) for node in ast.walk(ast.parse(program)))


def test_no_file_of_the_packages_is_too_long(texts: dict[str, str]) -> None:
    lengths = {name: text.count("\n") for name, text in texts.items() if name.endswith(".py")}
    assert {name: length for name, length in lengths.items() if name.split("/")[0] in ROOMS and length > LONGEST} == {}


def test_names_of_test_files_are_unique(texts: dict[str, str]) -> None:
    names = [Path(name).name for name in texts if name.startswith("tests/") and name.endswith(".py")]
    assert sorted(name for name in names if name != "conftest.py") == sorted({*names} - {"conftest.py"})
    assert "__init__.py" not in names


@pytest.mark.parametrize("room", ROOMS)
def test_the_front_door_of_a_room_opens(room: str) -> None:
    module = importlib.import_module(room)
    names = getattr(module, "__all__", [])
    assert names or room == "ui", "ui is started, not imported"
    assert sorted(set(names)) == sorted(names)
    assert len(names) <= MOST_NAMES
    for name in names:
        assert getattr(module, name) is not None, name
    assert len((module.__doc__ or "").split()) >= 10


def test_the_rooms_are_those_of_the_plan() -> None:
    assert sorted(ROOMS) == ["assistant", "base_models", "domain", "finetune", "indexes", "ui"]


def test_a_test_that_needs_what_is_absent_is_skipped_and_in_ci_fails(
    absent: Callable[[str], NoReturn], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LOREWRIGHT_ALL_TESTS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no moon"):
        absent("no moon")
    monkeypatch.setenv("LOREWRIGHT_ALL_TESTS", "1")
    with pytest.raises(pytest.fail.Exception, match="no moon"):
        absent("no moon")


def test_tests_reach_this_machine_and_no_other() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()
    with pytest.raises(SocketConnectBlockedError), pytest.warns():
        socket.create_connection(("192.0.2.1", 80), timeout=1)


@pytest.mark.parametrize("name", sorted({path.stem for path in (ROOT / "benchmarks").glob("*.py")} - PEERS))
def test_every_benchmark_still_finds_what_it_uses(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    assert importlib.import_module(name).__doc__
