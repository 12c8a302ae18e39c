"""Files of torch.save come back as torch itself reads them, and what is absurd or hostile in one is refused unread."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from backend.head_model.mica.torch_file import StoredTensor, opened_torch_file
from backend.reading import FileFault

MOST = 1 << 20


def saved(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def numbers(path: Path, part: str, name: str) -> np.ndarray[Any, Any]:
    with opened_torch_file(path, MOST) as file:
        return file.read(file.content[part][name])


def test_tensors_are_those_that_torch_reads(tmp_path: Path) -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    both = torch.arange(20.0)
    state = {"net": network.state_dict(), "views": {"first": both[:8].reshape(2, 4), "last": both[8:]}}
    path = saved(tmp_path / "a.tar", state)
    read = torch.load(path, weights_only=True)
    with opened_torch_file(path, MOST) as file:
        assert file.content["net"].keys() == read["net"].keys()
        for part, tensors in read.items():
            for name, tensor in tensors.items():
                found = file.read(file.content[part][name])
                np.testing.assert_array_equal(found, tensor.numpy())
                assert found.dtype == tensor.numpy().dtype


def test_numpy_numbers_beside_the_weights_do_no_harm(tmp_path: Path) -> None:
    """torch's own safe reader refuses such files."""
    state = {"net": {"w": torch.ones(3)}, "best": {"average": np.float64(0.5), "codes": [np.ones(4, np.float32)]}}
    path = saved(tmp_path / "a.tar", state)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)
    np.testing.assert_array_equal(numbers(path, "net", "w"), [1, 1, 1])


class Call:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.marker}",)


def test_code_is_refused_and_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    path = saved(tmp_path / "a.tar", {"net": {"w": torch.ones(3)}, "notes": Call(marker)})
    with pytest.raises(FileFault, match=r"asks for .*system"), opened_torch_file(path, MOST):
        pass
    assert not marker.exists()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused(tmp_path: Path, share: float) -> None:
    path = saved(tmp_path / "a.tar", {"net": {"w": torch.ones(999)}})
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(FileFault), opened_torch_file(path, MOST):
        pass


def rewritten(path: Path, change: Any) -> Path:
    """The file with its members changed by ``change(name, bytes)``."""
    held = io.BytesIO(path.read_bytes())
    with zipfile.ZipFile(held) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return path


def test_a_storage_that_is_shorter_than_the_structure_says_is_not_read(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.tar", {"net": {"w": torch.ones(999)}})
    rewritten(path, lambda name, data: data[:400] if name.endswith("data/0") else data)
    with pytest.raises(FileFault, match="as many numbers"):
        numbers(path, "net", "w")


def test_damaged_numbers_are_found_by_their_checksum(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.tar", {"net": {"w": torch.ones(999)}})
    data = path.read_bytes()
    path.write_bytes(data.replace(np.ones(8, "<f4").tobytes(), np.full(8, 1.5, "<f4").tobytes(), 1))
    with pytest.raises(FileFault, match="CRC"):
        numbers(path, "net", "w")


@pytest.mark.parametrize("tensor", [torch.ones(4, 3).T, torch.ones(1).expand(9), torch.ones(3, dtype=torch.float16)])
def test_forms_that_no_checkpoint_has_are_refused(tmp_path: Path, tensor: torch.Tensor) -> None:
    path = saved(tmp_path / "a.tar", {"net": {"w": tensor}})
    with pytest.raises(FileFault, match="row by row"):
        numbers(path, "net", "w")


def test_the_limit_is_the_files(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.tar", {"net": {"w": torch.ones(MOST)}})
    with pytest.raises(FileFault) as caught, opened_torch_file(path, MOST):
        pass
    assert caught.value.too_large


def test_a_tensor_within_a_part_tells_its_shape_unread(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.tar", {"net": {"w": torch.ones(5, 2, 7)}, "epoch": 3})
    with opened_torch_file(path, MOST) as file:
        tensor = file.content["net"]["w"]
        assert isinstance(tensor, StoredTensor) and tensor.shape == (5, 2, 7) and file.content["epoch"] == 3
