"""``flowface transfer`` with a backend whose answer is known."""

import numpy as np
import pytest

from backend.client.transfer import transfer_to_folder
from backend.errors import UserError
from backend.head_model.converters.obj import read_obj
from backend.head_model.library import load_head
from backend.server.app import Server
from tests.backend.server.conftest import REPOSITORY, running


@pytest.fixture
def endpoint(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    server = Server(tmp_path / "jobs", "tcp://127.0.0.1:*", runner="tests.backend.transfer.runners:transfer")
    with running(server):
        yield server.endpoint


def test_an_obj_gets_a_sheet_and_an_obj_of_each_action(tmp_path, endpoint):
    head, mesh, out = load_head("open"), tmp_path / "face.obj", tmp_path / "out"
    lines = [f"v {x:.7g} {y:.7g} {z:.7g}" for x, y, z in head.template]
    mesh.write_text("\n".join(["# Ann", *lines, "g skin", *(f"f {a} {b} {c}" for a, b, c in head.triangles + 1)]))
    assert transfer_to_folder(mesh, out, endpoint)["lid_gap_mm"] == 0
    assert sorted(path.stem for path in out.glob("*.obj")) == sorted(head.expression_names)
    assert (out / "sheet.png").read_bytes().startswith(b"\x89PNG") and "g skin" in (out / "jawOpen.obj").read_text()
    jaw = head.expression_basis[head.expression_names.index("jawOpen")]
    assert np.abs(read_obj(out / "jawOpen.obj").vertices - head.template - jaw).max() < 3e-5


def test_a_mesh_that_is_not_there_is_named(tmp_path, endpoint):
    with pytest.raises(UserError, match=r"no mesh file at .*none\.obj"):
        transfer_to_folder(tmp_path / "none.obj", tmp_path, endpoint)
