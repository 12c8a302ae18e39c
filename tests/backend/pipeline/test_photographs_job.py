"""From photographs to a take: a frame at rest, a frame and a camera for each; what is left out is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from skimage import data
from skimage.io import imsave

from backend.errors import UserError
from backend.footage.encode import encode_evenly
from backend.footage.exif import lens_of_tags
from backend.pipeline.open_stills import open_stills
from backend.pipeline.refine_source import read_source
from backend.pipeline.runners import run_job
from protocol.codec import ProtocolError
from protocol.messages import JOBS, FaceChoice, PhotographsJob, SolveOptions, ViewSpec

PLAIN = SolveOptions(match_skin=False, texture=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A woman's face twice, once mirrored; a cup; a copy of the first, and a film."""
    folder = tmp_path_factory.mktemp("photographs")
    face = data.astronaut()[:300, 80:380]
    for name, picture in (("me_1", face), ("me_2", face[20:, ::-1]), ("cup", data.coffee()), ("copy", face)):
        imsave(folder / f"{name}.png", np.ascontiguousarray(picture), check_contrast=False)
    encode_evenly(folder / "film.mp4", [face] * 3, 25)
    return folder


def head_of(folder: Path, *names: str, job: Path, options: SolveOptions = PLAIN) -> tuple[object, dict[str, object]]:
    job.mkdir()
    spec = PhotographsJob(tuple(ViewSpec(str(folder / name), Path(name).stem) for name in names), options=options)
    return run_job(spec, job, on_progress=lambda _: None, should_cancel=lambda: False)  # type: ignore[return-value]


@pytest.mark.slow
def test_two_photographs_of_four_files(folder: Path, tmp_path: Path) -> None:
    track, report = head_of(folder, "me_1.png", "cup.png", "me_2.png", "copy.png", job=tmp_path / "job")
    said = " ".join(report["warnings"])
    assert "No face was found in “cup”" in said and "“copy.png” is the same picture as “me_1.png”" in said
    assert "do not tell the depth of a face" in said and report["photographs"] == 2
    assert [camera.name for camera in track.cameras] == ["me_1", "me_2"]
    assert track.frames.tolist() == track.scene_frames.tolist() == [1, 2, 3]
    assert track.tracked.tolist() == [False, True, True]
    assert not track.expression[0].any() and not track.actions[0].any() and not track.gaze[0].any()
    np.testing.assert_allclose(track.head_rotation, np.tile([np.pi, 0, 0], (3, 1)), atol=1e-9)
    assert not track.head_translation.any()
    assert [camera.footage_frames.tolist() for camera in track.cameras] == [[-1, 1, -1], [-1, -1, 1]]
    middles = [-camera.world_to_camera[0, :, :3].T @ camera.world_to_camera[0, :, 3] for camera in track.cameras]
    assert all(middle[2] < -0.2 for middle in middles) and middles[0][0] * middles[1][0] < 0  # one from either side
    source = read_source(tmp_path / "job")  # what was seen in them belongs to the take, as corrections need it
    assert [view.found.tolist() for view in source.seen] == [[False, True, False], [False, False, True]]
    written = json.loads((tmp_path / "job" / "report.json").read_text())
    assert written["frames"] == 3 and not (tmp_path / "job" / "steps").exists()


def test_what_is_no_photograph_of_a_face_is_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^No face was found in the photograph\."):
        head_of(folder, "cup.png", job=tmp_path / "a")
    with pytest.raises(UserError, match=r"film\.mp4 is no photograph: it holds several pictures\."):
        head_of(folder, "me_1.png", "film.mp4", job=tmp_path / "b")
    with pytest.raises(UserError, match="gone"):
        head_of(folder, "gone.png", job=tmp_path / "c")


def test_a_job_has_one_to_ten_stills_and_nothing_of_footage() -> None:
    view = ViewSpec("face.png")
    assert JOBS["photographs"].from_plain(PhotographsJob((view,)).to_plain()) == PhotographsJob((view,))
    with pytest.raises(ProtocolError, match="A head is made of 1 to 10 photographs, not of 11"):
        PhotographsJob((view,) * 11)
    for wrong in ({"frames": (1, 2)}, {"all_faces": True}, {"faces": (FaceChoice(),)}, {"neutral_from": "mica"}):
        with pytest.raises(ProtocolError):
            PhotographsJob((view,), **wrong)


@pytest.mark.parametrize(
    ("tags", "name"),
    [
        ({271: "Canon", 272: "EOS R6\0", 37386: 85.0}, "Canon EOS R6 at 85 mm"),
        ({272: "Pixel 7", 41989: 24}, "Pixel 7 at 24 mm"),
        ({272: "Pixel 7"}, None),
        ({37386: 85.0}, None),
    ],
)
def test_a_lens_is_known_by_its_cameras_name_and_focal_length(tags: dict[int, object], name: str | None) -> None:
    assert lens_of_tags(tags) == name


def test_a_folder_is_no_photograph_and_named_as_it_was_given(tmp_path: Path) -> None:
    for number in (1, 2):
        imsave(tmp_path / f"a_{number}.png", np.full((8, 8, 3), number, np.uint8), check_contrast=False)
    with pytest.raises(UserError, match="is no photograph: it holds several pictures") as refused:
        open_stills(PhotographsJob(views=(ViewSpec(str(tmp_path), "a"),)))
    assert refused.value.message.startswith(f"{tmp_path} is")
