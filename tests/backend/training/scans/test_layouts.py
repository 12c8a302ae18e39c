"""Folders as the public data sets have them, made by hand, and what is said where something is missing."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from backend.errors import UserError
from backend.training.scans.cli import app
from backend.training.scans.layouts.famos import read_tka
from backend.training.scans.layouts.registry import read_layout
from backend.training.scans.layouts.types import Photograph, from_the_front

PINHOLE = {
    "K": [[1000, 0, 500, 0], [0, 1010, 400, 0], [0, 0, 1, 0], [0, 0, 0, 1]],
    "Rt": [[1, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1, 2]],
    "distortion": [0.1, 0, 0, 0, 0],
    "width": 1000,
    "height": 800,
    "valid": True,
}
TKA = (
    "TKA\n1 0 0 \n0 -1 0 \n0 0 -1 \nX: 0\nY: 0\nZ: 2000\nf: 8.0\nK: 0.001\nK2: 0.0\nS: 1.0\n"
    "x: 0.004\ny: 0.004\na: 800\nb: 600\nIS: 1600 1200\nc: 1\n"
)


def touched(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def facescape(folder: Path) -> tuple[Path, Path]:
    images, meshes = folder / "images", folder / "meshes"
    for person, expressions in (("10", ["1_neutral"]), ("2", ["1_neutral", "2_smile"])):
        for expression in expressions:
            views = {"0": PINHOLE, "1": PINHOLE, "2": {**PINHOLE, "valid": False}}
            table = {f"{view}_{key}": value for view, camera in views.items() for key, value in camera.items()}
            touched(images / person / expression / "params.json", json.dumps(table))
            for view in views:
                touched(images / person / expression / f"{view}.jpg")
            touched(meshes / person / f"{expression}.ply")
    return images, meshes


def test_facescape_is_read_and_its_cameras_project(tmp_path: Path) -> None:
    images, meshes = facescape(tmp_path)
    (images / "2" / "2_smile" / "1.jpg").unlink()
    found = read_layout("facescape", [images, meshes])
    assert found.people == ("2", "10")
    assert [(take.name, take.neutral, len(take.photographs)) for take in found.takes] == [
        ("1_neutral", True, 2), ("2_smile", False, 1), ("1_neutral", True, 2),
    ]  # fmt: skip
    assert any("1.jpg" in line for line in found.missing) and any("3, 4, 5" in line for line in found.missing)
    # a point 0.2 to the right and 0.1 up, a metre before the camera: (0.2, −0.1), bent by 1 + 0.1·0.05
    pixels, depth = found.takes[0].photographs[0].project(np.array([[0.2, 0.1, 1.0]]))
    assert depth[0] == 1.0
    assert np.allclose(pixels[0], [500.5 + 1000 * 0.2 * 1.005, 400.5 - 1010 * 0.1 * 1.005])


def test_facescape_with_broken_cameras_is_refused(tmp_path: Path) -> None:
    images, meshes = facescape(tmp_path)
    touched(images / "2" / "1_neutral" / "params.json", json.dumps({"0_K": [[1]], "0_valid": True}))
    with pytest.raises(UserError) as caught:
        read_layout("facescape", [images, meshes])
    assert caught.value.code == "bad_file" and "params.json" in caught.value.message
    with pytest.raises(UserError) as caught:
        read_layout("facescape", [meshes, images])
    assert "1_neutral" in caught.value.message


def test_stirling_is_read_by_its_names(tmp_path: Path) -> None:
    for name in ("M1000_N.obj", "M1000_N.bmp", "m1000_A.obj", "F1008_A.obj", "F1008_A.jpg", "notes.obj"):
        touched(tmp_path / name)
    found = read_layout("stirling", [tmp_path])
    assert [(take.person, take.name, take.texture is None) for take in found.takes] == [
        ("F1008", "A", False), ("M1000", "N", False), ("M1000", "A", True),
    ]  # fmt: skip
    said = "\n".join(found.missing)
    assert "m1000_A.obj" in said and "the neutral F1008_N.obj" in said and "6 of M1000's 8" in said
    shown = CliRunner().invoke(app, ["check", "stirling", str(tmp_path)])
    assert shown.exit_code == 0 and "the neutral F1008_N.obj" in shown.output


def test_facescapes_models_are_read(tmp_path: Path) -> None:
    for name in ("1_neutral.obj", "1_neutral.jpg", "2_smile.obj"):
        touched(tmp_path / "7" / "models_reg" / name)
    (tmp_path / "8").mkdir()
    found = read_layout("facescape-models", [tmp_path])
    assert [(take.person, take.name) for take in found.takes] == [("7", "1_neutral"), ("7", "2_smile")]
    said = "\n".join(found.missing)
    assert "2_smile.jpg" in said and str(tmp_path / "8" / "models_reg") in said


def test_of_famos_every_tenth_frame_is_kept(tmp_path: Path) -> None:
    images, calibrations, registrations = (tmp_path / name for name in ("images", "calibrations", "registrations"))
    sequence = Path("FaMoS_subject_001") / "smile"
    views = [f"{number:02d}_C" for number in range(1, 6)]  # the sixth is missing
    for view in [*views, "01_A"]:
        touched(calibrations / sequence / f"{view}.tka", TKA)
    for frame in range(1, 23):
        touched(registrations / sequence / f"smile.{frame:06d}.ply")
        for view in views[1:]:
            touched(images / sequence / f"{frame:06d}" / f"smile.{frame:06d}.{view}.png")
    found = read_layout("famos", [images, calibrations, registrations])
    assert [take.name for take in found.takes] == ["smile.000001", "smile.000011", "smile.000021"]
    assert found.unit == 1.0 and all(len(take.photographs) == 4 for take in found.takes)
    assert any("1 of 6 colour" in line for line in found.missing)
    assert any("smile.000011.01_C.png" in line for line in found.missing)
    with pytest.raises(UserError, match="2 were given"):
        read_layout("famos", [images, calibrations])


def test_a_camera_in_tsais_form_bends_as_it_says(tmp_path: Path) -> None:
    touched(tmp_path / "a.tka", TKA)
    camera = read_tka(tmp_path / "a.tka")
    assert camera.size == (1600, 1200) and camera.lens.focal_px == 2000
    pixels, depth = camera.project(np.array([[0.2, 0.1, 1.0]]))
    assert np.isclose(depth[0], 1.0)
    # the calibration undoes it: r_u = r_d (1 + K f² r_d²), with f in millimetres
    bent = (pixels[0] - [800, 600]) / 2000
    assert np.allclose(bent * (1 + 0.001 * 64 * (bent @ bent)), [0.2, -0.1])
    touched(tmp_path / "b.tka", TKA.replace("f: 8.0", "f: -8.0"))
    with pytest.raises(UserError, match=r"b\.tka"):
        read_tka(tmp_path / "b.tka")


def test_views_are_chosen_by_their_angle_to_the_face(tmp_path: Path) -> None:
    touched(tmp_path / "a.tka", TKA)
    lens = read_tka(tmp_path / "a.tka").lens

    def camera_at(place: list[float]) -> Photograph:
        pose = np.column_stack([np.eye(3), -np.array(place)])  # where it looks does not matter
        return Photograph(tmp_path / "a.png", lens, pose, (1600, 1200))

    places = [[0, 0, 1], [1, 0, 0.01], [1, 0, -0.2], [0, 0.9, 1], [0, 1.2, 1], [-0.5, -0.5, 1]]
    photographs = [camera_at(place) for place in places]
    kept = from_the_front(photographs, np.eye(3), np.zeros(3))
    assert [photographs.index(one) for one in kept] == [0, 1, 3, 5]
    yaw, pitch = photographs[1].angles(np.eye(3), np.zeros(3))
    assert yaw == pytest.approx(89.427, abs=1e-3) and pitch == pytest.approx(0)
