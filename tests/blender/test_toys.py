"""An aligner and an export that are one file and one line each, in Blender's panel; and what exporting says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpy
import pytest
from skimage.data import astronaut
from skimage.io import imsave

from backend.export.registry import EXPORTS
from backend.server.app import Server
from blender_addon import choices, preferences, pump, session, settings
from blender_addon.client import Connection
from blender_addon.operators.export import FLOWFACE_OT_export
from blender_addon.panels import take as panel
from blender_addon.scene import takes
from blender_addon.scene.ownership import JOB_KEY
from tests.toys.known import RUNNER, known_toys

from .conftest import wait_until
from .test_client import free_port

pytestmark = pytest.mark.slow


class Drawn:
    """A layout that keeps what is drawn; Blender makes none outside a window."""

    def __init__(self) -> None:
        self.operators: list[tuple[str, str]] = []
        self.labels: list[str] = []

    def operator_menu_enum(self, operator: str, name: str, **_: Any) -> None:
        self.operators.append((operator, name))

    def label(self, *, text: str, **_: Any) -> None:
        self.labels.append(text)


def drawn() -> Drawn:
    layout = Drawn()
    panel.draw_export(layout)
    return layout


@pytest.fixture
def take(
    addon: None,  # noqa: ARG001 - enabled, not used
    tmp_path: Path,
    start_server: Callable[..., Server],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Any]:
    """A take that a real backend has tracked with the toy aligner, built."""
    endpoint, portrait = f"tcp://127.0.0.1:{free_port()}", tmp_path / "astronaut.png"
    imsave(portrait, astronaut(), check_contrast=False)
    monkeypatch.setattr(preferences._Defaults, "endpoint", endpoint)
    with known_toys():
        start_server(endpoint, RUNNER)
        wait_until(lambda: bool(session.current().exports), pump.tick)
        chosen = settings.of(bpy.context.scene)
        chosen.footage = str(portrait)
        items = {item[0]: item[1:3] for item in choices.aligner_items(chosen, None)}
        assert items["toy"] == ("Toy Aligner", "Good at faces that look like everybody's; no time at all")
        chosen.aligner = "toy"
        assert bpy.ops.flowface.track() == {"FINISHED"}
        wait_until(lambda: session.current().job is None, pump.tick)
        assert not session.current().notice.is_error, session.current().notice.text
        yield takes.shown_take(bpy.context)


def export(name: str, path: Path) -> str:
    """The panel's words once the take was exported."""
    assert bpy.ops.flowface.export(format=name, filepath=str(path)) == {"FINISHED"}
    assert not bpy.ops.flowface.export.poll(), "one at a time"
    assert drawn().labels and not drawn().operators
    wait_until(lambda: session.current().exporting is None, pump.tick)
    return session.current().notice.text


def test_a_take_of_the_toy_aligner_is_exported_by_every_format_of_the_panel(take: Any, tmp_path: Path) -> None:
    assert take[JOB_KEY]
    assert drawn().operators == [("flowface.export", "format")]
    items = [item[:3] for item in choices.export_items(None, None)]
    assert [item[0] for item in items] == list(EXPORTS), "those of the backend, and it has the toys"
    assert {"obj", "alembic"} & {item[0] for item in items} == {"obj"}, "what Blender writes it writes by itself"
    assert items[-2] == ("toy", "Jaw by Frame", "How far the jaw is open")
    properties = bpy.context.window_manager.operator_properties_last("flowface.export")
    assert FLOWFACE_OT_export.description(bpy.context, properties).startswith("Write the take as it was tracked")
    properties.format = "toy"
    assert FLOWFACE_OT_export.description(bpy.context, properties).startswith("How far the jaw is open. Write the take")
    assert export("toy", tmp_path / "mine.jaw") == f"Exported to {tmp_path / 'mine.jaw'}."
    assert (tmp_path / "mine.jaw").read_text().startswith("open\n")
    export("csv", tmp_path / "without suffix")
    assert (tmp_path / "without suffix.csv").read_text().startswith("frame,time,tracked")
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {
        *("astronaut.png", "mine.jaw", "without suffix.csv")
    }
    with pytest.raises(TypeError, match="fbx"):
        bpy.ops.flowface.export(format="fbx", filepath=str(tmp_path / "a.fbx"))
    check_folders(tmp_path)


def check_folders(tmp_path: Path) -> None:
    """An export of several files takes a new folder, and what stands in its way is one sentence."""
    new = tmp_path / "new"
    assert export("toy_folder", new) == f"Exported to {new}."
    assert (new / "heads.txt").read_text() == "open" and len([*(new / "take 1").iterdir()]) == 1
    assert bpy.ops.flowface.export(format="toy_folder", filepath=str(new)) == {"CANCELLED"}, "it is there already"
    (tmp_path / "file").write_text("mine")
    said = export("toy_folder", tmp_path / "file")
    assert said == f"{tmp_path / 'file'} cannot be written: Not a directory." and session.current().notice.is_error
    assert (tmp_path / "file").read_text() == "mine"
    missing = tmp_path / "no such folder" / "new"
    assert export("toy_folder", missing) == f"{missing} cannot be written: No such file or directory."
    names = {path.name for path in tmp_path.iterdir()}
    assert not any(name.endswith(".part") for name in names), "nothing that is half there"


def test_an_export_that_fails_is_one_sentence_and_a_take_of_before_exports_has_none(take: Any, tmp_path: Path) -> None:
    job = take[JOB_KEY]
    del take[JOB_KEY]  # as takes were before exports
    assert not bpy.ops.flowface.export.poll()
    assert session.current().connection is Connection.CONNECTED
    take[JOB_KEY] = job
    assert bpy.ops.flowface.export.poll()
    said = export("toy", tmp_path / "no such folder" / "a.jaw")
    assert said == f"{tmp_path / 'no such folder' / 'a.jaw'} cannot be written: No such file or directory."
    said = export("toy", tmp_path / ("a" * 300 + ".jaw"))
    assert said.endswith("cannot be written: File name too long.")
    assert bpy.ops.flowface.export(format="toy", filepath=f"{tmp_path}/") == {"CANCELLED"}
    take[JOB_KEY] = "20200101-000000-00000000"
    assert "There is no job" in export("toy", tmp_path / "a.jaw")
    assert session.current().notice.is_error and not (tmp_path / "a.jaw").exists()
    session.current().export(take[JOB_KEY], "toy", tmp_path / "a.jaw")
    session.current().disconnect()
    assert session.current().exporting is None and "connection was closed" in session.current().notice.text
