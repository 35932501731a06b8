"""The front door: few names, all of them there, and torch only where it is needed."""

import subprocess
import sys

import base_models


def test_every_public_name_is_there_and_they_are_few() -> None:
    assert all(getattr(base_models, name) is not None for name in base_models.__all__)
    assert len(base_models.__all__) <= 15


def test_importing_it_and_the_catalogue_brings_neither_torch_nor_transformers() -> None:
    program = (
        "import sys, base_models; base_models.fingerprint('multilingual-e5-small')\n"
        "from base_models import generate, load_embedder, load_openvino\n"
        "print([name for name in ('torch', 'transformers', 'httpx') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"
