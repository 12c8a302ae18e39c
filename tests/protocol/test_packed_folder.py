"""Folders as one file: what is packed comes back, and nothing is written elsewhere."""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.codec import ProtocolError
from protocol.packed_folder import pack_folder, unpack_folder

NAMES = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=20).map(lambda name: f"f_{name.casefold()}")


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.tuples(st.sampled_from(["", "a", "a/b"]), NAMES), st.binary(max_size=300), max_size=6))
def test_a_folder_comes_back_as_it_was(files: dict[tuple[str, str], bytes]) -> None:
    with tempfile.TemporaryDirectory() as name:
        source, back = Path(name) / "source", Path(name) / "back"
        back.mkdir()
        for (folder, file), data in files.items():
            (source / folder).mkdir(parents=True, exist_ok=True)
            (source / folder / file).write_bytes(data)
        pack_folder(source, Path(name) / "packed.zip")
        assert unpack_folder((Path(name) / "packed.zip").read_bytes(), back) == len(files)
        found = {path.relative_to(back).as_posix(): path.read_bytes() for path in back.rglob("*") if path.is_file()}
    assert found == {f"{folder}/{file}".lstrip("/"): data for (folder, file), data in files.items()}


def archive(name: str, kind: int = zipfile.ZIP_STORED, data: bytes = b"x" * 1000) -> bytes:
    """A zip of one file."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", kind) as packed:
        packed.writestr(zipfile.ZipInfo(name), data, kind)
    return made.getvalue()


def locked() -> bytes:
    """A zip whose file is marked as encrypted, in its header and in the zip's list."""
    data = bytearray(archive("locked"))
    data[6] |= 1
    data[data.rindex(b"PK\1\2") + 8] |= 1
    return bytes(data)


@pytest.mark.parametrize(
    "data",
    [
        archive(".. /escaped"),
        archive("a./same"),
        locked(),
        archive("../escaped"),
        archive("/escaped"),
        archive("a/../../escaped"),
        archive("a\\escaped"),
        archive("C:escaped"),
        archive("folder/"),
        archive("bomb", zipfile.ZIP_DEFLATED, bytes(1 << 20)),
        archive("cut")[:-30],
        b"no zip",
        b"",
    ],
)
def test_what_leads_elsewhere_or_is_damaged_is_refused(data: bytes, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    with pytest.raises(ProtocolError, match="packed folder"):
        unpack_folder(data, inside)
    assert [path for path in tmp_path.rglob("*") if path != inside] == []
