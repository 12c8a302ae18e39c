"""Tensors of a file that ``torch.save`` wrote, read as plain arrays: nothing in it is run, and only what is asked for
is ever read.

The file is a zip: ``<root>/data.pkl`` tells the structure, ``<root>/data/<name>`` holds a storage's bytes. The pickle
is read by ``restricted_pickle``; torch's own reader, even with ``weights_only``, refuses the numpy numbers that
training leaves beside weights, and reads all of a file, the optimiser's state too.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.files import opened_archive
from backend.head_model.converters.restricted_pickle import TENSOR, Global, Record, read_pickle
from backend.reading import MAX_SHOWN, FileFault, open_ordinary

MAX_PICKLE = 64 << 20
"""Bytes of the structure; MICA's own is below 5 MB."""
MAX_OPCODES = 2_000_000
"""Operations of the structure. A network of 1000 tensors takes 40,000; what validation kept beside it, some more."""

_DTYPES: dict[str, np.dtype[Any]] = {"torch.FloatStorage": np.dtype("<f4"), "torch.LongStorage": np.dtype("<i8")}


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """A tensor in the file: its shape and type are known, its numbers not read yet."""

    shape: tuple[int, ...]
    dtype: str  # as torch calls its storage: "torch.FloatStorage"
    contiguous: bool
    member: str
    offset: int  # in numbers
    stored: int  # numbers in the storage, as the structure claims


@dataclass(frozen=True, eq=False)
class TorchFile:
    """An opened file; ``content`` is what was saved, tensors as ``StoredTensor``."""

    content: Mapping[str, Any]
    archive: zipfile.ZipFile

    def read(self, tensor: StoredTensor) -> NDArray[Any]:
        """The numbers, in native byte order. Raises FileFault where the file does not hold them, or in a form that no
        checkpoint has: neither float32 nor int64, or not row by row."""
        with _faults_told():
            dtype = _DTYPES.get(tensor.dtype)
            if dtype is None or not tensor.contiguous:
                raise ValueError(f"it is stored as {tensor.dtype}, expected float32 or int64, row by row")
            count = math.prod(tensor.shape)
            size = self.archive.getinfo(tensor.member).file_size
            if size != tensor.stored * dtype.itemsize or tensor.offset + count > tensor.stored:
                raise ValueError("the file does not hold as many numbers as it claims")
            data = self.archive.read(tensor.member)
            array = np.frombuffer(data, dtype, count, tensor.offset * dtype.itemsize)
            return array.astype(dtype.newbyteorder("="), copy=False).reshape(tensor.shape)


@contextmanager
def opened_torch_file(path: Path, max_bytes: int) -> Iterator[TorchFile]:
    """The file, once its structure was read and is not absurd; raises FileFault where it cannot be."""
    with open_ordinary(path) as file, ExitStack() as stack:
        with _faults_told():
            archive = stack.enter_context(opened_archive(file, max_bytes))
            opened = TorchFile(_structure(archive), archive)
        yield opened


@contextmanager
def _faults_told() -> Iterator[None]:
    try:
        yield
    except (FileFault, MemoryError):
        raise
    except Exception as error:  # zipfile and zlib raise many unrelated types on bad bytes
        raise FileFault(str(error)[:MAX_SHOWN], damaged=True) from error


def _structure(archive: zipfile.ZipFile) -> Mapping[str, Any]:
    found = [member for member in archive.infolist() if member.filename.endswith("/data.pkl")]
    if len(found) != 1:
        raise ValueError("it is not a file of torch.save")
    if found[0].file_size > MAX_PICKLE:
        raise ValueError("its structure is larger than any checkpoint's")
    root = found[0].filename.removesuffix("data.pkl")
    if f"{root}byteorder" in archive.namelist() and archive.read(f"{root}byteorder") != b"little":
        raise ValueError("its numbers are in the byte order of another kind of machine")
    content = read_pickle(archive.read(found[0]), torch=True, max_opcodes=MAX_OPCODES)
    if not isinstance(content, dict):
        raise ValueError(f"it holds a {type(content).__name__} where named parts were expected")
    return {name: _with_tensors(value, root) for name, value in content.items()}


def _with_tensors(value: Any, root: str) -> Any:
    """One level of a part: a dictionary's tensors as ``StoredTensor``, all else as it is."""
    if not isinstance(value, dict):
        return value
    return {name: _stored(item, root) if _is_tensor(item) else item for name, item in value.items()}


def _is_tensor(item: object) -> bool:
    return isinstance(item, Record) and item.kind == TENSOR


def _stored(record: Record, root: str) -> StoredTensor:
    storage, offset, shape, stride, *_ = record.arguments
    _, kind, name, _, count = storage.arguments
    numbers = (offset, count, *shape, *stride)
    if not all(type(number) is int and number >= 0 for number in numbers) or len(shape) != len(stride):
        raise ValueError("a tensor has a shape that none can have")
    if not isinstance(kind, Global) or not isinstance(name, str):
        raise ValueError("a tensor has no storage")
    row_by_row = [math.prod(shape[k + 1 :]) for k in range(len(shape))]
    contiguous = all(size == 1 or step == full for size, step, full in zip(shape, stride, row_by_row, strict=True))
    return StoredTensor(tuple(shape), kind.name, contiguous, f"{root}data/{name}", offset, count)
