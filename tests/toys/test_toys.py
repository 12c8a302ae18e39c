"""An aligner and an export that are one file and one line each work through a job, a socket and the command line."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from skimage.data import astronaut
from skimage.io import imsave
from typer.testing import CliRunner

from backend.cli import app
from backend.client.connection import Client
from backend.client.through_blender import take_of_job
from backend.errors import UserError
from backend.head_model.library import load_head
from backend.server.app import Server
from backend.track.io import load_track, save_track
from protocol.messages import ExportJob, SolveOptions, TrackJob, ViewSpec
from tests.backend.server.conftest import REPOSITORY, running
from tests.blender.runners import performance
from tests.toys.known import RUNNER, known_toys

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def portrait(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("portrait") / "astronaut.png"
    imsave(path, astronaut(), check_contrast=False)
    return path


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of a backend that has the toys, in its worker process, too."""
    with pytest.MonkeyPatch.context() as patch, known_toys():
        patch.setenv("PYTHONPATH", str(REPOSITORY))
        server = Server(tmp_path_factory.mktemp("jobs"), "tcp://127.0.0.1:*", runner=RUNNER)
        with running(server), Client(server.endpoint) as connected:
            yield connected


@pytest.fixture(scope="module")
def tracked(client: Client, portrait: Path) -> str:
    """The id of a job that the toy aligner has done."""
    options = SolveOptions(texture=False)
    reply = client.track(TrackJob((ViewSpec(str(portrait)),), aligner="toy", options=options))
    assert reply.take is not None and reply.take.report["aligner"] == "toy"
    assert reply.take.tracked.all()
    return reply.job.job_id


def flowface(*arguments: object) -> str:
    """The command line's output; its errors are raised."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_toys_are_offered(client: Client) -> None:
    offered = client.heads()
    (aligner,) = [info for info in offered.aligner_infos if info.name == "toy"]
    assert (aligner.title, aligner.good_at) == ("Toy Aligner", "faces that look like everybody's")
    assert "toy" in offered.aligners
    exports = [(info.name, info.suffix) for info in offered.exports]
    assert exports[0] == ("csv", ".csv") and exports[-2:] == [("toy", ".jaw"), ("toy_folder", ".zip")]


def test_a_job_exports_what_another_has_tracked(client: Client, tracked: str) -> None:
    reply = client.run(ExportJob(tracked, "toy"), all_files=True)
    assert reply.take is None and list(reply.files) == ["export.jaw"]
    first, second = reply.files["export.jaw"].tobytes().decode().splitlines()
    assert first == "open" and re.fullmatch(r"\d+ \d\.\d{3}", second)
    assert (reply.job.kind, reply.job.name) == ("export", "astronaut"), "it is called as what it exports"
    assert reply.job.footage.endswith("astronaut.png")


@pytest.mark.parametrize("focal_px", [None, 900.0])
def test_the_report_says_whose_focal_length_it_is(client: Client, portrait: Path, focal_px: float | None) -> None:
    views = tuple(ViewSpec(str(portrait), name) for name in ("a", "b"))
    options = SolveOptions(focal_px=focal_px, match_skin=False, texture=False)
    reply = client.track(TrackJob(views, aligner="toy", options=options))
    assert [view["focal_known"] for view in reply.take.report["views"]] == [focal_px is not None] * 2
    assert {camera.focal_px[0] == focal_px for camera in reply.take.cameras} == {focal_px is not None}


def test_the_command_line_tracks_and_exports_with_the_toys(client: Client, portrait: Path, tmp_path: Path) -> None:
    plain = ("--no-blend", "--no-overlay", "--endpoint", client.endpoint)
    flowface("track", portrait, "--out", tmp_path, "--aligner", "toy", *plain)
    track = load_track(tmp_path / "track.npz")
    assert track.provenance["aligner"] == "toy"
    for number, source in enumerate((client.jobs()[0].job_id, tmp_path, tmp_path / "track.npz")):
        out = tmp_path / f"{number}.jaw"
        said = flowface("export", source, "--format", "toy", "--out", out, "--endpoint", client.endpoint)
        assert said.strip().replace("\n", "") == str(out)
    written = {(tmp_path / f"{number}.jaw").read_bytes() for number in range(3)}
    assert len(written) == 1, "by a job and from the file it is the same"
    jaw = float(written.pop().split()[-1])
    assert jaw == pytest.approx(track.expression[0, load_head().expression_names.index("jawOpen")], abs=1e-3)


def files_in(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def test_an_export_of_several_files_is_a_new_folder(client: Client, tracked: str, tmp_path: Path) -> None:
    reply = client.run(ExportJob(tracked, "toy"), all_files=True)
    number, jaw = reply.files["export.jaw"].tobytes().decode().splitlines()[1].split()
    out, at = tmp_path / "new", ("--endpoint", client.endpoint)
    said = flowface("export", "toy_folder", tracked, "--out", out, *at)
    assert said.strip().replace("\n", "").endswith(str(out))
    assert files_in(out) == {"heads.txt": "open", f"take 1/{number}.jaw": jaw}
    assert take_of_job(client, tracked, 1).name == "astronaut", "from which Blender writes what it writes"
    with pytest.raises(UserError, match=r"left no head 2 that could"):
        take_of_job(client, tracked, 2)
    with pytest.raises(UserError, match=r"There is something at .*new already") as caught:
        flowface("export", "toy_folder", tracked, "--out", out, *at)
    assert caught.value.code == "bad_output"
    for wrong in ("toy_folder", "toy"):
        with pytest.raises(UserError, match=r"is a job of a backend; several takes are exported from folders"):
            flowface("export", wrong, tracked, tracked, "--out", tmp_path / "two", *at)


@pytest.mark.usefixtures("client")
def test_takes_in_one_folder_and_one_that_cannot_be_exported(tmp_path: Path) -> None:
    speaks, silent = tmp_path / "speaks", tmp_path / "silent"
    track = performance("/clip.mp4")
    for folder in (speaks, silent):
        folder.mkdir()
        save_track(track, folder / "track.npz")
    flowface("export", "toy_folder", speaks, speaks / "track.npz", "--out", tmp_path / "both")
    assert len(files_in(tmp_path / "both")) == 1 + 2 * len(track.frames)
    with pytest.raises(UserError, match="says nothing"):
        flowface("export", "toy_folder", speaks, silent, "--out", tmp_path / "half")
    for one in ("obj", "csv", "alembic"):
        with pytest.raises(UserError, match=r"is of one take; 2 were named"):
            flowface("export", one, speaks, speaks, "--out", tmp_path / "half")
    assert {path.name for path in tmp_path.iterdir()} == {"speaks", "silent", "both"}, "nothing that is half there"


def test_the_command_lines_help_tells_of_them(repo_root: Path) -> None:
    code = "import sys, tests.toys.registered\nfrom backend.cli import app\napp(sys.argv[1:])"
    folder = "toy_folder: how far the jaw is open, a file for each frame (folder)"
    for command, words in (("track", "toy: faces that look like everybody's"), ("export", folder)):
        run = [sys.executable, "-c", code, command, "--help"]
        shown = subprocess.run(run, cwd=repo_root, capture_output=True, text=True, encoding="utf-8", check=True).stdout
        assert words in re.sub(r"[│\s]+", " ", shown)


@pytest.mark.parametrize(
    ("source", "name", "code"),
    [
        ("", "dance", "unknown_export"),
        ("20200101-000000-00000000", "toy", "unknown_job"),
        ("../../etc/track.npz", "toy", "file_missing"),
        ("a" * 100, "toy", "unknown_job"),
    ],
)
def test_what_cannot_be_exported_is_a_sentence(
    client: Client, tracked: str, tmp_path: Path, source: str, name: str, code: str
) -> None:
    with pytest.raises(UserError) as caught:
        flowface("export", source or tracked, "--format", name, "--out", tmp_path / "x", "--endpoint", client.endpoint)
    assert caught.value.code == code and not (tmp_path / "x").exists()


@pytest.mark.parametrize("out", ["", ".", "/"])
def test_what_no_file_can_be_called_is_a_sentence(client: Client, tracked: str, out: str) -> None:
    with pytest.raises(UserError, match="cannot be written: Is a directory") as caught:
        flowface("export", tracked, "--format", "toy", "--out", out, "--endpoint", client.endpoint)
    assert caught.value.code == "output_unwritable"


def test_an_export_of_an_export_is_a_sentence(client: Client, tracked: str) -> None:
    exported = client.run(ExportJob(tracked, "csv")).job.job_id
    with pytest.raises(UserError) as caught:
        client.run(ExportJob(exported, "csv"))
    assert caught.value.code == "no_result" and exported in caught.value.message
    assert "jobs" not in caught.value.message, "where the backend keeps its jobs is nobody's business"
