"""Every door by which a named file comes in, and everything that a name may stand for: a sentence, and soon."""

from __future__ import annotations

import io
import json
import os
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from backend.alignment.flowface.weights import find_weights, weights_digest
from backend.alignment.flowface.weights_file import load_weights
from backend.cameras.calibration import load_calibration
from backend.client.export import ExportRequest, export_to_file
from backend.client.refine import read_corrections
from backend.errors import UserError
from backend.evaluation.meaning.glb import read_glb
from backend.evaluation.scan import read_scan
from backend.evaluation.speech import read_truth, read_vertices
from backend.evaluation.trackers.results_folder import load_meshes
from backend.footage import open_footage
from backend.footage.sound import has_sound
from backend.head_model.converters.flame_file import read_flame_file
from backend.head_model.converters.gnm import read_gnm
from backend.head_model.converters.ict import read_ict
from backend.head_model.io import read_head, save_head
from backend.head_model.mica.model import read_checkpoint
from backend.observations.io import load_alignments, save_alignment
from backend.pipeline.neutral_prior import predictor_for
from backend.pipeline.refine_source import read_source
from backend.pipeline.transfer_job import read_mesh
from backend.server.jobs import read_spec
from backend.track.io import load_track, save_track
from backend.training.config import read_config
from protocol.codec import ProtocolError
from protocol.transfer import TransferJob
from tests.backend.heads import small_head
from tests.backend.observations.test_io import frame, stacked
from tests.backend.track.test_io import small_track

DOORS: dict[str, Callable[[Path], object]] = {
    "track.npz": load_track,
    "alignments.npz": load_alignments,
    "head.npz": read_head,
    "mesh.npz": lambda path: read_mesh(TransferJob(str(path))),
    "mesh.obj": lambda path: read_mesh(TransferJob(str(path))),
    "neutral.npz": lambda path: predictor_for(str(path)).neutrals(small_head(), ()),
    "neutral.obj": lambda path: predictor_for(str(path)).neutrals(small_head(), ()),
    "ict.npz": read_ict,
    "gnm.npz": read_gnm,
    "mica.tar": read_checkpoint,
    "flame.pkl": read_flame_file,
    "flame.npz": read_flame_file,
    "weights.safetensors": load_weights,
    "named.safetensors": lambda path: (weights_digest(find_weights(path)), load_weights(path)),
    "corrections.json": read_corrections,
    "cameras.json": lambda path: load_calibration([path]),
    "cameras.yml": lambda path: load_calibration([path]),
    "cameras.bin": lambda path: load_calibration([path]),
    "cameras.txt": lambda path: load_calibration([path]),
    "train.toml": read_config,
    "export": lambda path: export_to_file(ExportRequest([str(path)], "csv", path.with_name("out.csv"))),
    "face.glb": read_glb,
    "clip.mp4": open_footage,
    "plate.png": open_footage,
    "plate.exr": open_footage,
    "list.txt": open_footage,
    "spec.json": lambda path: read_spec(path.parent),
    "results/meta.json": lambda path: load_meshes(path.parent),
    "scan/lee_perry_smith.obj": lambda path: read_scan(path.parent),
    "take/track.npz": lambda path: read_source(path.parent),
    "talking.mp4": has_sound,
    "vertices.npy": lambda path: read_vertices(path, 4),
    "data/templates.pkl": lambda path: read_truth(path.parent),
}


def _bomb() -> bytes:
    held, data = io.BytesIO(), io.BytesIO()
    np.save(held, np.zeros(65 << 20, np.uint8))
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("header", "vertices", "neutral", "v_template", "numbers"):
            archive.writestr(f"{name}.npy", held.getvalue() if name == "header" else b"")
    return data.getvalue()


BYTES = {
    "empty": b"",
    "noise": np.random.default_rng(0).bytes(4000),
    "bomb": _bomb(),
    "deep": b"[" * 100_000,
    "digits": b'{"version": ' + b"9" * 5000 + b"}",
    "not a number": b'{"frames": [NaN, Infinity], "pins": NaN}',
    "null": b"null",
    "text": "v 1 1e999 nan\nf 1 2 99999999999999999999\nä".encode(),
}


FINE = {("train.toml", "empty"), ("corrections.json", "digits")}
"""A configuration that changes nothing; corrections with a field that nobody knows."""


@pytest.mark.parametrize("name", DOORS)
def test_what_is_no_such_file_is_refused_in_words(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    for kind, content in BYTES.items():
        if (name, kind) not in FINE:
            path.write_bytes(content)
            _refused(name, path)
    path.unlink()
    path.symlink_to(path)
    _refused(name, path)
    path.unlink()
    path.symlink_to(tmp_path / "nothing")
    _refused(name, path)
    path.unlink()
    for odd in ("n" * 300 + path.suffix, "a\0b" + path.suffix, "\ud800" + path.suffix):
        if path.parent == tmp_path and name != "spec.json":
            _refused(name, path.with_name(odd))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("name", DOORS)
def test_what_may_never_end_is_not_begun(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    os.mkfifo(path)
    _refused(name, path)
    path.unlink()
    path.symlink_to("/dev/zero")
    _refused(name, path)
    path.unlink()
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))
        _refused(name, path)
    path.unlink()
    path.mkdir()
    _refused(name, path)


def _refused(name: str, path: Path) -> None:
    with pytest.raises((UserError, ProtocolError)) as caught:
        DOORS[name](path)
    said = str(caught.value)
    assert said and len(said) < 1200 and "\0" not in said
    said.encode()


VALUES = st.sampled_from([np.nan, np.inf, -np.inf, 1e308, -1e30, 1e-308, -1.0, 0.0, 3.0])
WRONG_SHAPES = st.sampled_from([(0,), (1,), (0, 3), (3, 0), (2, 3), (1 << 20, 0), (5, 5, 5)])
MUTATIONS = st.one_of(
    st.tuples(st.just("fill"), VALUES),
    st.tuples(st.just("one"), VALUES),
    st.tuples(st.just("shape"), WRONG_SHAPES),
    st.tuples(st.just("type"), st.sampled_from(["<f2", "<f4", "<f8", "<i4", "<i8", "|u1", "|b1", ">f4"])),
    st.tuples(st.just("drop"), st.none()),
    st.tuples(st.just("text"), st.sampled_from([b"{}", b"[]", b"\xff", b"[" * 9999, b'{"version": 1e400}'])),
    st.tuples(st.just("word"), st.sampled_from([None, [], {}, -1, 1e308, 10**30, "x", ["a"] * 3, {"a": 1}])),
)


def _mutated(array: NDArray[Any], how: str, what: Any, pick: float) -> NDArray[Any] | None:
    if how == "drop":
        return None
    if how == "text":
        return np.frombuffer(what, np.uint8)
    if how == "shape":
        return np.zeros(what, array.dtype)
    with np.errstate(all="ignore"):
        if how == "type":
            return array.astype(what)
        changed = array.copy()
        if changed.size and changed.dtype.kind == "f":
            changed.flat[int(pick * changed.size) if how == "one" else slice(None)] = what
        return changed


def _written(kind: str, path: Path) -> Callable[[Path], object]:
    if kind == "track":
        save_track(small_track(3, 2), path)
        return load_track
    if kind == "alignment":
        save_alignment(stacked([frame(1), frame(2), frame(3)]), path)  # type: ignore[no-untyped-call]
        return load_alignments
    save_head(small_head(), path)
    return read_head


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["track", "alignment", "head"]),
    mutations=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), MUTATIONS), min_size=1, max_size=3),
    pick=st.floats(0, 1, exclude_max=True),
)
def test_any_mutated_archive_is_read_or_refused_in_words(
    tmp_path: Path, kind: str, mutations: list[tuple[float, tuple[str, Any]]], pick: float
) -> None:
    path = tmp_path / "a.npz"
    read = _written(kind, path)
    with np.load(path) as data:
        arrays = dict(data)
    header = json.loads(arrays["header"].tobytes()) if "header" in arrays else {}
    for where, (how, what) in mutations:
        name = sorted(arrays)[int(where * len(arrays))] if arrays else ""
        if how == "word" and header:
            header[sorted(header)[int(where * len(header))]] = what
            arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
        elif name and how != "word" and (how != "text" or name == "header"):
            changed = _mutated(arrays[name], how, what, pick)
            arrays = {key: array for key, array in arrays.items() if key != name}
            arrays |= {} if changed is None else {name: changed}
    np.savez(path, **arrays)
    try:
        read(path)
    except UserError as error:
        assert len(error.message) < 1000
