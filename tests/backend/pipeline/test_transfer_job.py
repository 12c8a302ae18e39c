"""The job's mesh file, and the job on its way."""

import numpy as np
import pytest

from backend.errors import UserError
from backend.pipeline.transfer_job import read_mesh
from protocol.codec import ProtocolError
from protocol.job import Job
from protocol.transfer import FacePoint, TransferJob


def test_a_job_comes_back_from_the_wire():
    job = TransferJob("/somewhere/face.npz", (FacePoint("chin", (1.0, 2.0, 3.0)),), (0.0, 0.0, 1.0), name="Ann")
    assert Job.from_plain(job.to_plain()) == job


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mesh": ""}, "mesh"),
        ({"points": [{"name": "ear", "at": [0, 0, 0]}]}, "no point of a face"),
        ({"up": [0, 0, 0]}, "direction"),
    ],
)
def test_a_job_that_cannot_be_is_refused(change, said):
    with pytest.raises(ProtocolError, match=said):
        Job.from_plain({"kind": "transfer", "mesh": "/a.obj", **change})


def test_a_mesh_is_read_from_arrays_and_from_an_obj(tmp_path):
    vertices, triangles = (
        np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32),
        np.array([[0, 1, 2], [2, 3, 4]]),
    )
    np.savez(tmp_path / "a.npz", vertices=vertices, triangles=triangles)
    lines = [f"v {x} {y} {z}" for x, y, z in vertices] + ["f 1 2 3", "f 3 4 5"]
    (tmp_path / "a.obj").write_text("\n".join(lines))
    for name in ("a.npz", "a.obj"):
        mesh = read_mesh(TransferJob(str(tmp_path / name), (FacePoint("chin", (1, 2, 3)),), up=(0, 0, 1)))
        assert np.allclose(mesh.vertices, vertices, atol=1e-6) and np.array_equal(mesh.triangles, triangles)
        assert mesh.points["chin"].tolist() == [1, 2, 3] and mesh.up.tolist() == [0, 0, 1] and mesh.forward is None


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("none.npz", None, "no mesh file at"),
        ("text.npz", b"hello", "is not a mesh file"),
        ("text.obj", b"hello", "no vertices"),
    ],
)
def test_a_file_that_holds_no_mesh_is_named(tmp_path, name, data, said):
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=said):
        read_mesh(TransferJob(str(tmp_path / name)))


def test_a_path_that_depends_on_the_folder_is_refused():
    with pytest.raises(UserError, match="full path"):
        read_mesh(TransferJob("face.npz"))
