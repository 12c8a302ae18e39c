"""The files of speech data, as the loaders of FaceFormer and CodeTalker take them."""

from __future__ import annotations

import io
import json
import pickle
import wave
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from backend.export.speech.plan import SAMPLE_RATE, SPLITS
from backend.head_model.model import HeadModel

F32 = NDArray[np.float32]


class _PlainPickler(pickle.Pickler):
    """Writes arrays by nothing but ``numpy.ndarray``, which every numpy has: the name that numpy 2 writes itself is
    unknown to numpy 1, which these projects use."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, np.ndarray):
            return np.ndarray, (obj.shape, "<f4", np.ascontiguousarray(obj, "<f4").tobytes())
        return NotImplemented


def templates_file(templates: Mapping[str, F32]) -> bytes:
    """``templates.pkl``: a pickled dictionary of each speaker's neutral head (V,3), metres. Python 3.4 and later."""
    file = io.BytesIO()
    _PlainPickler(file, protocol=4).dump(dict(templates))
    return file.getvalue()


class VerticesFile:
    """A ``.npy`` (T, V·3) float32 that is written bit by bit: a minute of a head is more than fits into memory easily.

    A context manager, which closes the file. Raises OSError.
    """

    def __init__(self, path: Path, frames: int, numbers: int) -> None:
        self._file = path.open("wb")
        header = {"descr": "<f4", "fortran_order": False, "shape": (frames, numbers)}
        np.lib.format.write_array_header_1_0(self._file, header)  # type: ignore[no-untyped-call]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, vertices: F32) -> None:
        """Write the next frames (n,V,3)."""
        self._file.write(np.ascontiguousarray(vertices, "<f4").tobytes())


def write_wav(path: Path, samples: NDArray[np.int16]) -> None:
    """Write sound of one channel at ``SAMPLE_RATE``. Raises OSError."""
    with path.open("wb") as file, wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(SAMPLE_RATE)
        sound.writeframes(samples.astype("<i2").tobytes())


def lip_vertices(head: HeadModel) -> NDArray[np.intp]:
    """The vertices by which the lip vertex error is measured: the head's lips, or its mouth where it has none."""
    return np.flatnonzero(head.regions.get("lips", head.regions["mouth"]))


def upper_face_vertices(head: HeadModel) -> NDArray[np.intp]:
    """The vertices by which the upper face's dynamics are measured: forehead, brows and lids.

    Of the face, less mouth and nose, what lies higher than the lowest vertex of the lids; without lids, of the eyes.
    """
    regions = head.regions
    eyes = regions.get("lids", regions["eyes"])
    height = head.template[:, 1]
    above = height >= height[eyes].min()
    return np.flatnonzero(regions["face"] & ~regions["mouth"] & ~regions["nose"] & above)


def region_file(vertices: NDArray[np.intp]) -> bytes:
    """Indices as those evaluators read them: in one line, with a comma and a space between."""
    return ", ".join(map(str, vertices.tolist())).encode()


def faceformer_arguments(splits: Mapping[str, Sequence[str]], vertex_count: int) -> bytes:
    """The options of FaceFormer's main.py in one line; the folder is to lie beside it and to be called “vocaset”."""
    subjects = " ".join(f'--{split}_subjects "{" ".join(splits[split])}"' for split in SPLITS)
    return (
        f"--dataset vocaset --vertice_dim {vertex_count * 3} --feature_dim 64 --period 30 --wav_path wav "
        f"--vertices_path vertices_npy --template_file templates.pkl {subjects}\n"
    ).encode()


def codetalker_settings(splits: Mapping[str, Sequence[str]], vertex_count: int) -> bytes:
    """What differs from CodeTalker's config/vocaset/stage1.yaml and stage2.yaml."""
    subjects = "".join(f"  {split}_subjects: {' '.join(splits[split])}\n" for split in SPLITS)
    return (
        "DATA:\n  dataset: vocaset\n  data_root: ./vocaset/\n  wav_path: wav\n  vertices_path: vertices_npy\n"
        f"  template_file: templates.pkl\n{subjects}"
        f"NETWORK:\n  in_dim: {vertex_count * 3}\nPREDICTOR:\n  vertice_dim: {vertex_count * 3}\n"
    ).encode()


def template_mesh(template: F32, triangles: NDArray[np.integer[Any]]) -> bytes:
    """A head as an ASCII PLY, which their renderers take the triangles from."""
    lines = [
        *("ply", "format ascii 1.0", f"element vertex {len(template)}"),
        *("property float x", "property float y", "property float z"),
        *(f"element face {len(triangles)}", "property list uchar int vertex_indices", "end_header"),
        *(f"{x:.7f} {y:.7f} {z:.7f}" for x, y, z in template.tolist()),
        *(f"3 {a} {b} {c}" for a, b, c in triangles.tolist()),
    ]
    return ("\n".join(lines) + "\n").encode()


def as_json(document: Mapping[str, Any]) -> bytes:
    """A file of JSON for people to read, too."""
    return json.dumps(document, ensure_ascii=False, indent=1).encode() + b"\n"
