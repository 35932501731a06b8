"""What every room's tests share: no network, real models from the user's cache, and skips that CI does not forgive."""

import ctypes
import gc
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

os.environ["HF_HUB_OFFLINE"] = "1"
if (processes := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))) > 1:  # else each takes all cores, and waits
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))

import pytest

from base_models import fetch
from base_models.acquire.fetch import cache_folder, is_fetched

if TYPE_CHECKING:
    from base_models.loaded_model import LoadedModel

Absent = Callable[[str], NoReturn]
HANDBOOK = Path(__file__).parents[1] / "examples" / "peft-handbook"


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file goes to one process; all files of the assistant to one, since they share domains that take a minute."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::")[0]
            return "assistant" if "/assistant/" in file else file

    return ByFile(config, log)


@pytest.fixture(scope="module", autouse=True)
def _forget_models() -> Iterator[None]:
    """Models in reference cycles wait for the collector, which does not know that they are large; and glibc keeps what
    was freed, up to 1.5 GB a module."""
    yield
    gc.collect()
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


@pytest.fixture(scope="session", autouse=True)
def _no_export_of_a_tests_model_stays(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Of models that tests make; those of the catalogue's are kept, they take a minute."""
    yield
    for facts in (cache_folder() / "openvino").glob("*/export.json"):
        with suppress(FileNotFoundError):  # another process of the tests removes its own
            model = json.loads(facts.read_text(encoding="utf-8")).get("model", "")
            if Path(model).is_relative_to(tmp_path_factory.getbasetemp()):
                shutil.rmtree(facts.parent, ignore_errors=True)


@pytest.fixture(scope="session")
def absent() -> Absent:
    """Say that a test needs what is not here: it is skipped, or fails where LOREWRIGHT_ALL_TESTS is set, as in CI."""

    def say(reason: str) -> NoReturn:
        if os.environ.get("LOREWRIGHT_ALL_TESTS"):
            pytest.fail(f"{reason} (LOREWRIGHT_ALL_TESTS is set, so this test may not be skipped)")
        pytest.skip(reason)

    return say


@pytest.fixture(scope="session")
def rounds_of() -> Callable[[int], int]:
    """How many of a long test's rounds are run: all, or the share LOREWRIGHT_ROUNDS, as in CI, but at least 4."""
    share = float(os.environ.get("LOREWRIGHT_ROUNDS", "1"))
    return lambda rounds: max(min(rounds, 4), round(rounds * share))


@pytest.fixture(scope="session")
def openvino_is_here(absent: Absent) -> None:
    """For tests of the engine OpenVINO."""
    if importlib.util.find_spec("openvino") is None:
        absent('OpenVINO is not installed: pip install "lorewright[openvino]"')


@pytest.fixture(scope="session")
def without_rights(absent: Absent) -> Callable[..., "subprocess.Popen[str]"]:
    """Start Python code, with arguments, as a user whom the rights of files bind, as they do not bind root."""

    def start(code: str, *arguments: object) -> "subprocess.Popen[str]":
        if os.name != "posix":
            absent("rights of files are POSIX")
        command = [sys.executable, "-c", code, *map(str, arguments)]
        if os.geteuid() == 0:
            if not shutil.which("setpriv"):
                absent("tests that run as root need setpriv (util-linux)")
            command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *command]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        pipes = dict.fromkeys(["stdin", "stdout", "stderr"], subprocess.PIPE)
        return subprocess.Popen(command, **pipes, text=True, env=environment)

    return start


@pytest.fixture(scope="session")
def real_model(absent: Absent) -> Callable[[str], Path]:
    """The folder of a real model of the catalogue; tests never download, `make test` does before them."""

    def get(name: str) -> Path:
        if not is_fetched(name):
            absent(f"{name} is not in the cache; get it with: lorewright pull {name}")
        return fetch(name, progress=False)

    return get


@pytest.fixture(scope="session")
def tiny_folder(real_model: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of two layers, for where only the code matters; its tokenizer is smollm2's with 4,000 words."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("tiny")
    texts = (page.read_text(encoding="utf-8") for page in sorted(HANDBOOK.glob("documents/*/*.md")))
    of_smollm2 = AutoTokenizer.from_pretrained(real_model("smollm2-135m-instruct"))
    tokenizer = of_smollm2.train_new_from_iterator(texts, 4000)  # the whole vocabulary takes most of a test's time
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def shared_chatglm(absent: Absent) -> Path:
    """The folder with ``assets/``, the released tokenizer and configuration of ChatGLM-6B, and ``golden/``.

    The tokenizer has a licence of its own and is not part of the project.
    """
    beside = Path(__file__).parents[2] / "shared" / "chatglm-6b"
    folder = Path(os.environ.get("LOREWRIGHT_CHATGLM_ASSETS", beside))
    if not (folder / "assets" / "ice_text.model").is_file():
        absent(f"the released tokenizer is not in {folder}; set LOREWRIGHT_CHATGLM_ASSETS")
    return folder


@pytest.fixture(scope="session")
def released(shared_chatglm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the configuration and tokenizer that users of ChatGLM-6B have, without weights."""
    folder = tmp_path_factory.mktemp("released") / "chatglm-6b"
    folder.mkdir()
    for name in ("config.json", "tokenizer_config.json", "ice_text.model"):
        shutil.copyfile(shared_chatglm / "assets" / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def smollm2_once(real_model: Callable[[str], Path]) -> "LoadedModel":
    from base_models import load

    real_model("smollm2-135m-instruct")
    return load("smollm2-135m-instruct", dtype="float32")


@pytest.fixture(scope="session")
def tiny_once(tiny_folder: Path) -> "LoadedModel":
    from base_models import load

    return load(tiny_folder, dtype="float32")


@pytest.fixture
def smollm2(smollm2_once: "LoadedModel") -> "Iterator[LoadedModel]":
    """SmolLM2-135M-Instruct in float32, loaded once; each test gets it without adapters."""
    yield smollm2_once
    take_off_adapters(smollm2_once)


@pytest.fixture
def tiny(tiny_once: "LoadedModel") -> "Iterator[LoadedModel]":
    """The model of ``tiny_folder`` in float32, loaded once; each test gets it without adapters."""
    yield tiny_once
    take_off_adapters(tiny_once)


def take_off_adapters(loaded: "LoadedModel") -> None:
    loaded.unload_adapters()
