import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from base_models.errors import ModelError
from base_models.tensors import read_tensors, tensor_names


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    tensors = {"a": torch.arange(6.0).reshape(2, 3).bfloat16(), "b": torch.ones(4, dtype=torch.float16)}
    save_file(tensors, tmp_path / "t.safetensors", metadata={"format": "pt"})
    return tmp_path / "t.safetensors"


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_what_torch_saved_is_read_without_it(dtype: torch.dtype, tmp_path: Path) -> None:
    tensors = {"a": torch.randn(3, 4, dtype=dtype), "b": torch.zeros(2, dtype=dtype)}
    save_file(tensors, tmp_path / "t.safetensors", {"format": "pt"})
    assert tensor_names(tmp_path / "t.safetensors") == sorted(tensors)
    for name, tensor in read_tensors(tmp_path / "t.safetensors"):
        assert torch.equal(torch.from_numpy(tensor), tensors.pop(name).float())
    assert not tensors


def header(**tensors: object) -> bytes:
    written = json.dumps(tensors).encode()
    return len(written).to_bytes(8, "little") + written + bytes(8)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"abc",
        b"\xff" * 16,
        header(),
        header(a=1),
        header(a={"dtype": "F32"}),
        header(a={"dtype": "F8", "shape": [1], "data_offsets": [0, 4]}),
        header(a={"dtype": "F32", "shape": [3], "data_offsets": [0, 4]}),
        header(a={"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}),
        header(a={"dtype": "F32", "shape": ["4"], "data_offsets": [0, 16]}),
        header(a={"dtype": "F32", "shape": [1], "data_offsets": ["0", 4]}),
    ],
)
def test_a_damaged_file_is_one_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "t.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match=r"t\.safetensors is missing or damaged \(.+\); train it again"):
        tensor_names(tmp_path / "t.safetensors")


def test_every_cut_is_seen(saved: Path) -> None:
    whole = saved.read_bytes()
    for length in range(len(whole)):
        saved.write_bytes(whole[:length])
        with pytest.raises(ModelError, match="missing or damaged"):
            tensor_names(saved)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="missing or damaged"):
        tensor_names(tmp_path / "t.safetensors")
