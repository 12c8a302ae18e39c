"""ICT-FaceKit's folder of OBJ files: what is read is what is written there, and damaged folders are refused."""

import numpy as np
import pytest

from backend.errors import UserError
from backend.head_model.converters.ict import arkit_name, read_ict
from backend.head_model.converters.obj import read_obj

VERTICES = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 2]], float)
FACES = "f 1/1/1 2/2/1 3/3/1 4/4/1\nf 1//2 2//2 5//2\nf -1 -2 -3\n"


def write_obj(path, vertices, faces=FACES):
    lines = "".join(f"v {x} {y} {z}\n" for x, y, z in vertices)
    path.write_text(f"# made in a test\no head\n{lines}vt 0 0\nvn 0 0 1\n{faces}", encoding="utf-8")


@pytest.fixture
def folder(tmp_path):
    write_obj(tmp_path / "generic_neutral_mesh.obj", VERTICES)
    for n in range(3):
        write_obj(tmp_path / f"identity{n:03d}.obj", VERTICES + np.array([n, 0, 0]))
    for name, up in (("browInnerUp_L", 1), ("browInnerUp_R", 2), ("jawOpen", 3), ("PupilDilate_L", 9)):
        write_obj(tmp_path / f"{name}.obj", VERTICES + np.array([0, up, 0]))
    return tmp_path


def test_shapes_are_offsets_in_metres_in_the_files_order(folder):
    head = read_ict(folder, name="mine")
    assert head.id == "mine" and "MIT" in head.licence
    assert np.allclose(head.template, VERTICES * 0.01)
    assert np.allclose(head.shape_basis[:, :, 0], np.array([0, 1, 2])[:, None] * 0.01)
    offsets = dict(zip(head.expression_names, head.expression_basis[:, 0, 1], strict=True))
    assert offsets == pytest.approx({"browInnerUpLeft": 0.01, "browInnerUpRight": 0.02, "jawOpen": 0.03})
    assert np.allclose(head.actions["browInnerUp"][:, 1], 0.03)


def test_quads_and_every_way_to_write_a_face_become_triangles(folder):
    mesh = read_obj(folder / "generic_neutral_mesh.obj")
    assert mesh.triangles.tolist() == [[0, 1, 2], [0, 2, 3], [0, 1, 4], [4, 3, 2]]
    assert mesh.quads.tolist() == [[0, 1]]
    assert read_ict(folder).quads.tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("name", "arkit"),
    [
        ("browDown_L", "browDownLeft"),
        ("mouthSmile_R", "mouthSmileRight"),
        ("jawLeft", "jawLeft"),
        ("jawOpen", "jawOpen"),
    ],
)
def test_names(name, arkit):
    assert arkit_name(name) == arkit


def damage(folder, what):
    if what == "no neutral":
        (folder / "generic_neutral_mesh.obj").unlink()
    elif what == "no identities":
        for path in folder.glob("identity*.obj"):
            path.unlink()
    elif what == "other count":
        write_obj(folder / "identity001.obj", VERTICES[:4], "f 1 2 3\n")
    elif what == "nan":
        write_obj(folder / "jawOpen.obj", VERTICES * np.nan)
    elif what == "text":
        (folder / "identity002.obj").write_text("v a b c\n", encoding="utf-8")
    elif what == "short":
        (folder / "identity002.obj").write_text("v 1 2\nv 1 2 3\n", encoding="utf-8")
    elif what == "outside":
        write_obj(folder / "generic_neutral_mesh.obj", VERTICES, "f 1 2 9\n")


@pytest.mark.parametrize(
    ("what", "code", "says"),
    [
        ("no neutral", "ict_missing", "generic_neutral_mesh.obj"),
        ("no identities", "ict_missing", "identity000.obj"),
        ("other count", "ict_inconsistent", "identity001.obj"),
        ("nan", "bad_mesh", "jawOpen.obj"),
        ("text", "bad_mesh", "identity002.obj"),
        ("short", "bad_mesh", "identity002.obj"),
        ("outside", "bad_mesh", "generic_neutral_mesh.obj"),
    ],
)
def test_a_damaged_folder_is_refused_by_the_files_name(what, code, says, folder):
    damage(folder, what)
    with pytest.raises(UserError) as caught:
        read_ict(folder)
    assert caught.value.code == code and says in str(caught.value)


def archive(path, **changes):
    arrays = {
        "neutral": VERTICES,
        "triangles": np.array([[0, 1, 2]]),
        "identity_deltas": np.zeros((2, 5, 3)),
        "expression_deltas": np.ones((1, 5, 3)),
        "expression_names": np.array(["jawOpen"]),
    }
    np.savez(path, **{key: value for key, value in (arrays | changes).items() if value is not None})
    return path


def test_an_archive_holds_the_same(tmp_path):
    head = read_ict(archive(tmp_path / "ict.npz"))
    assert head.expression_names == ("jawOpen",) and np.allclose(head.expression_basis, 0.01)
    assert head.quads.shape == (0, 2)
    halves, faces = np.array([[0, 1, 2], [0, 2, 3]]), np.array([[0, 1, 2, 3]])
    assert read_ict(archive(tmp_path / "quads.npz", triangles=halves, faces=faces)).quads.tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"neutral": None}, "ict_unreadable"),
        ({"neutral": np.array([{}], dtype=object)}, "ict_unreadable"),
        ({"neutral": np.full_like(VERTICES, np.inf)}, "ict_inconsistent"),
        ({"faces": np.zeros((3, 5), int)}, "ict_unreadable"),
        ({"identity_deltas": np.zeros((2, 4, 3))}, "ict_inconsistent"),
        ({"expression_names": np.array(["a", "b"])}, "ict_inconsistent"),
        ({"triangles": np.array([[0, 1, 5]])}, "ict_inconsistent"),
    ],
)
def test_a_damaged_archive_is_refused(changes, code, tmp_path):
    with pytest.raises(UserError) as caught:
        read_ict(archive(tmp_path / "ict.npz", **changes))
    assert caught.value.code == code and "ict.npz" in caught.value.message


def test_what_is_not_there_or_no_archive(tmp_path):
    with pytest.raises(UserError) as caught:
        read_ict(tmp_path / "nowhere")
    assert caught.value.code == "ict_missing"
    (tmp_path / "text.npz").write_text("hello", encoding="utf-8")
    with pytest.raises(UserError) as caught:
        read_ict(tmp_path / "text.npz")
    assert caught.value.code == "ict_unreadable"
