"""Files take the place of others whole, also where readers hold those; of others' files nothing is believed."""

from __future__ import annotations

import io
import os
import socket
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from backend import files, reading
from backend.errors import UserError


def test_a_file_that_windows_readers_hold_is_tried_again_and_others_are_not() -> None:
    assert files.waits_for_readers("linux") == files.waits_for_readers("darwin") == ()
    assert 0.5 < sum(files.waits_for_readers("win32")) < 5


def test_a_finished_file_takes_the_place_of_another(tmp_path: Path) -> None:
    whole, place = tmp_path / "whole", tmp_path / "place"
    whole.write_text("new")
    place.write_text("old")
    files.put_in_place(whole, place)
    assert place.read_text() == "new" and not whole.exists()


def test_what_is_no_ordinary_file_is_refused_at_once_and_by_what_it_is(tmp_path: Path) -> None:
    """A pipe or a device would be waited for, or read, for ever."""
    pipe, there, loop, long = tmp_path / "pipe", tmp_path / "socket", tmp_path / "loop", tmp_path / ("n" * 300)
    os.mkfifo(pipe)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(there))
    loop.symlink_to(loop)
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    for path, code, words in (
        (pipe, "bad_file", "it is a pipe"),
        (there, "bad_file", "it is a socket"),
        (Path("/dev/zero"), "bad_file", "it is a device"),
        (tmp_path, "bad_file", "it is a folder"),
        (loop, "bad_file", "a link that leads back to itself"),
        (long, "bad_file", "name is longer than the system allows"),
        (tmp_path / "dangling", "file_missing", "There is no track file"),
        (pipe / "track.npz", "file_missing", "There is no track file"),
        (Path("a\0b"), "file_missing", "There is no track file at a?b"),
        (Path("\ud800"), "file_missing", "There is no track file at ?"),
    ):
        for read in (lambda path: reading.read_bounded(path, "track", 10), lambda path: files.read_npz(path, "track")):
            with pytest.raises(UserError) as caught:
                read(path)
            assert (caught.value.code, words in caught.value.message) == (code, True), caught.value
            caught.value.message.encode()  # it can travel, whatever the name


def test_a_file_that_grows_while_it_is_read_is_read_under_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "growing"
    path.write_bytes(b"1234567890")
    assert reading.read_ordinary(path, 10) == b"1234567890"
    with reading.open_ordinary(path) as file, path.open("ab") as growing:
        assert os.fstat(file.fileno()).st_size == 10
        growing.write(b"!")
    with pytest.raises(reading.FileFault, match="larger than 10 bytes") as caught:
        reading.read_ordinary(path, 10)
    assert caught.value.too_large
    if Path("/proc/self/maps").exists():  # its size says 0, and it has more
        with pytest.raises(reading.FileFault, match="larger than 10 bytes"):
            reading.read_ordinary(Path("/proc/self/maps"), 10)


def _archive(path: Path, data: bytes, method: int = zipfile.ZIP_DEFLATED, name: str = "a.npy") -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr(name, data)
    return path


def _npy(array: NDArray[Any]) -> bytes:
    held = io.BytesIO()
    np.save(held, array)
    return held.getvalue()


def _patched(path: Path, field: int, value: bytes) -> Path:
    """The archive with another claim in its list of members, whose entry has it at byte ``field``."""
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\1\2") + field
    data[at : at + len(value)] = value
    path.write_bytes(bytes(data))
    return path


def test_archives_that_would_unpack_to_far_more_than_they_are_are_refused_before_that(tmp_path: Path) -> None:
    bomb = _archive(tmp_path / "bomb.npz", _npy(np.zeros(65 << 20, np.uint8)))
    assert bomb.stat().st_size < 1 << 20
    squeezed = _archive(tmp_path / "squeezed.npz", _npy(np.zeros(65 << 20, np.uint8)), zipfile.ZIP_BZIP2)
    real = _npy(np.arange(12.0))
    claims_more = _patched(_archive(tmp_path / "more.npz", real), 24, struct.pack("<I", 1 << 31))
    claims_less = _patched(_archive(tmp_path / "less.npz", real), 24, struct.pack("<I", 150))
    long_list = tmp_path / "list.npz"
    long_list.write_bytes(b"\0" * (5 << 20) + b"PK\5\6" + struct.pack("<4H2IH", 0, 0, 9, 9, 5 << 20, 0, 0))
    claims_shape = real.replace(b"(12,), ", b"(0, 9999999999), ")
    tracemalloc.start()
    for path, code, words in (
        (bomb, "too_large", "which nothing real does"),
        (squeezed, "bad_file", "packed in a way that is not read"),
        (claims_more, "too_large", "unpack to more than"),
        (claims_less, "bad_file", "is not a track file"),
        (long_list, "bad_file", "its list of members is larger than any"),
        (_archive(tmp_path / "shape.npz", claims_shape), "bad_file", "is not a track file"),
        (_archive(tmp_path / "many.npz", b"no array"), "bad_file", "is not a track file"),
    ):
        with pytest.raises(UserError) as caught:
            files.read_npz(path, "track")
        assert (caught.value.code, words in caught.value.message) == (code, True), caught.value
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 << 20


def test_arrays_and_texts_come_back_as_they_were_written(tmp_path: Path) -> None:
    path, wanted = tmp_path / "a.npz", {"a": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "b": np.float64(3)}
    files.write_npz(path, wanted)
    found = files.read_npz(path, "track")
    assert all(np.array_equal(found[name], wanted[name]) for name in wanted) and found["a"].flags.c_contiguous
    np.savez(path, names=np.array(["jawOpen", "ä"]))
    assert files.read_npz(path, "track", texts=True)["names"].tolist() == ["jawOpen", "ä"]
    with pytest.raises(UserError, match="not numbers"):
        files.read_npz(path, "track")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    edits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=12),
    cut=st.floats(0.2, 1),
    method=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
)
def test_any_damage_to_an_archive_is_a_sentence_or_numbers(
    tmp_path: Path, edits: list[tuple[float, int]], cut: float, method: int
) -> None:
    path = _archive(tmp_path / "a.npz", _npy(np.arange(40.0)), method)
    data = bytearray(path.read_bytes())
    for where, value in edits:
        data[int(where * len(data))] = value
    path.write_bytes(bytes(data[: int(cut * len(data))]))
    try:
        arrays = files.read_npz(path, "track", 1 << 20)
    except UserError as error:
        assert error.code in ("bad_file", "too_large")
    else:
        assert all(array.dtype.kind in "biuf" and array.nbytes <= 1 << 20 for array in arrays.values())


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5000, '{"a":', "\ud800", b"\xff\xfe", ""])
def test_json_that_python_cannot_read_is_a_value_error_or_a_number(text: str | bytes) -> None:
    try:
        assert reading.parse_json(text) == float("inf")
    except ValueError:
        assert text != "9" * 5000
