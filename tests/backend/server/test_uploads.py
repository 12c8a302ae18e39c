"""Footage sent by clients on other machines: taken in parts, checked, bounded, and named by nothing but its content."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from backend.client.upload import send_files
from backend.errors import UserError
from backend.server.uploads import KEPT_SECONDS, Uploads
from protocol import messages as m
from protocol.codec import ProtocolError
from protocol.upload import CHUNK_BYTES, Uploaded, checksum, digest_of_file


def job(*paths, **fields):
    return m.TrackJob(tuple(m.ViewSpec(str(path)) for path in paths), **fields)


def asked(uploads, owner="anna"):
    """What a client's requests are answered."""
    return lambda message: (uploads.start if isinstance(message, m.UploadStart) else uploads.take)(owner, message)


def chunk(path, number):
    data = path.read_bytes()[number * CHUNK_BYTES :][:CHUNK_BYTES]
    return m.UploadChunk(digest_of_file(path), number * CHUNK_BYTES, checksum(data), np.frombuffer(data, np.uint8))


SYNC_CHUNKS = 2


@pytest.fixture
def clip(tmp_path, monkeypatch):
    monkeypatch.setattr("backend.server.uploads.SYNC_CHUNKS", SYNC_CHUNKS)
    path = tmp_path / "clip: 1.mp4"
    path.write_bytes(np.random.default_rng(3).bytes((SYNC_CHUNKS + 2) * CHUNK_BYTES + 77))
    return path


def test_a_file_arrives_whole_under_its_own_name_and_travels_once(tmp_path, clip):
    uploads, sizes = Uploads(tmp_path / "jobs"), []

    def ask(message):
        sizes.append(message.data.size if isinstance(message, m.UploadChunk) else 0)
        return asked(uploads)(message)

    sent = send_files(m.TransferJob(str(clip)), ask, lambda *_: None)
    assert sum(sizes) == clip.stat().st_size
    mesh = Path(uploads.placed("anna", sent.job).mesh)
    assert mesh.name == "clip_ 1.mp4" and mesh.read_bytes() == clip.read_bytes()
    assert list(sent.local.values()) == [clip]
    send_files(m.TransferJob(str(clip)), ask, lambda *_: None)
    assert sum(sizes) == clip.stat().st_size


def test_an_upload_goes_on_after_the_backend_was_killed(tmp_path, clip):
    first = Uploads(tmp_path / "jobs")
    start = m.UploadStart(digest_of_file(clip), clip.stat().st_size)
    first.start("anna", start)
    for number in range(SYNC_CHUNKS + 1):
        first.take("anna", chunk(clip, number))
    later = Uploads(tmp_path / "jobs")
    assert later.start("anna", start).received == SYNC_CHUNKS * CHUNK_BYTES
    for number in range(SYNC_CHUNKS, SYNC_CHUNKS + 3):
        state = later.take("anna", chunk(clip, number))
    assert state.complete and Uploads(tmp_path / "jobs").start("anna", start).complete


def test_a_file_arrives_although_the_backend_was_killed_before_its_first_part(tmp_path, clip):
    backends = [Uploads(tmp_path / "jobs"), Uploads(tmp_path / "jobs")]

    def ask(message):
        answer = asked(backends[0])(message)
        if isinstance(message, m.UploadStart) and len(backends) > 1:
            del backends[0]
        return answer

    sent = send_files(m.TransferJob(str(clip)), ask, lambda *_: None)
    assert Path(backends[0].placed("anna", sent.job).mesh).read_bytes() == clip.read_bytes()


def test_a_file_that_changes_while_it_is_sent_is_told_as_that(tmp_path, clip):
    uploads = Uploads(tmp_path / "jobs")

    def ask(message):
        if isinstance(message, m.UploadStart):
            clip.write_bytes(bytes(clip.stat().st_size))
        return asked(uploads)(message)

    with pytest.raises(UserError, match="not the one that was announced"):
        send_files(m.TransferJob(str(clip)), ask, lambda *_: None)


def test_a_damaged_part_is_not_taken_and_one_that_is_there_is_not_taken_twice(tmp_path, clip):
    uploads = Uploads(tmp_path / "jobs")
    good = chunk(clip, 0)
    with pytest.raises(UserError, match="nobody began"):
        uploads.take("anna", good)
    uploads.start("anna", m.UploadStart(good.digest, clip.stat().st_size))
    with pytest.raises(UserError, match="damaged"):
        uploads.take("anna", m.UploadChunk(good.digest, 0, "0" * 64, good.data))
    assert uploads.take("anna", good).received == uploads.take("anna", good).received == CHUNK_BYTES


def test_other_content_than_was_announced_is_deleted(tmp_path):
    uploads, data = Uploads(tmp_path), np.arange(9, dtype=np.uint8)
    uploads.start("anna", m.UploadStart("0" * 64, 9))
    with pytest.raises(UserError, match="not the one"):
        uploads.take("anna", m.UploadChunk("0" * 64, 0, checksum(data.tobytes()), data))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_what_one_client_sent_is_nothing_to_another(tmp_path, clip):
    uploads = Uploads(tmp_path / "jobs")
    sent = send_files(m.TransferJob(str(clip)), asked(uploads), lambda *_: None)
    with pytest.raises(UserError, match="not been sent"):
        uploads.placed("bert", sent.job)


def test_a_predictor_of_the_neutral_is_named_and_not_sent(tmp_path):
    Image.new("RGB", (32, 32)).save(tmp_path / "still.png")
    uploads = Uploads(tmp_path / "jobs")
    sent = send_files(job(tmp_path / "still.png", neutral_from="mica"), asked(uploads), lambda *_: None)
    assert uploads.placed("anna", sent.job).neutral_from == "mica"


@pytest.mark.parametrize(
    "refused",
    [
        job("/etc/passwd"),
        job("clip.mp4"),
        job(f"upload:{'0' * 64}/a.mp4", neutral_from="/etc/passwd"),
        job(f"upload:{'0' * 64}/list.TXT"),
        job(f"upload:{'0' * 64}/a.mp4", options=m.SolveOptions(weights="/etc/passwd")),
        m.TransferJob("/etc/passwd"),
    ],
)
def test_no_path_of_the_backends_machine_is_read(tmp_path, refused):
    with pytest.raises(UserError, match=r"reads no paths|not been sent|names footage by paths"):
        Uploads(tmp_path).placed("anna", refused)


@given(st.text(max_size=12))
def test_no_name_leads_out_of_its_folder(name):
    try:
        parsed = Uploaded.parse(f"upload:{'0' * 64}/{name}")
    except ProtocolError:
        return
    assert Path(parsed.name).name == parsed.name and parsed.name not in ("", ".", "..")
    assert str(parsed) == f"upload:{'0' * 64}/{name}"


def test_a_quota_is_kept_before_a_byte_is_taken_and_the_oldest_makes_room(tmp_path):
    uploads = Uploads(tmp_path, quota=10)
    data = np.arange(6, dtype=np.uint8)
    path = tmp_path / "six"
    path.write_bytes(data.tobytes())
    asked(uploads)(m.UploadStart(digest_of_file(path), 6))
    uploads.take("anna", chunk(path, 0))
    with pytest.raises(UserError, match="used up") as caught:
        uploads.start("anna", m.UploadStart("1" * 64, 5))
    assert caught.value.code == "quota"
    uploads.start("anna", m.UploadStart("1" * 64, 4))
    uploads.start("anna", m.UploadStart("2" * 64, 4))  # as nothing came of the other
    with pytest.raises(UserError, match="used up"):
        uploads.start("anna", m.UploadStart("2" * 64, 5))  # nor in two steps
    uploads.start("bert", m.UploadStart("1" * 64, 5))  # has a quota of his own
    (kept,) = tmp_path.glob(f"uploads/*/{digest_of_file(path)}")
    os.utime(kept, (time.time() - KEPT_SECONDS - 9,) * 2)
    uploads.start("anna", m.UploadStart("1" * 64, 5))
    assert not kept.exists()
