"""Heads and aligners as the panel offers them: what the backend has, the stored choice, and never nothing."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Callable
from pathlib import Path

import bpy
import numpy as np
import pytest

from backend.alignment.registry import available_aligners
from backend.head_model.library import OPEN_HEAD
from backend.server.app import Server
from blender_addon import choices, job, preferences, pump, session, settings
from blender_addon.client import Connection
from protocol.messages import HeadInfo

from .conftest import wait_until
from .test_client import free_port

pytestmark = pytest.mark.usefixtures("addon")


def chosen() -> settings.FlowFaceSettings:
    return settings.of(bpy.context.scene)


def offered() -> list[str]:
    return [item[0] for item in choices.head_items(chosen(), bpy.context)]


def test_before_any_backend_has_answered_there_is_a_head() -> None:
    assert (chosen().head, offered()) == ("open", ["open"])
    assert chosen().aligner == "mediapipe"


def test_choice_is_kept_by_id_whatever_the_order() -> None:
    session.current().heads = (HeadInfo("open"), HeadInfo("flame"), HeadInfo("ict"))
    chosen().head = "ict"
    session.current().heads = (HeadInfo("ict"), HeadInfo("open"))
    assert chosen().head == "ict" and offered() == ["ict", "open"]
    with pytest.raises(TypeError, match="flame"):
        chosen().head = "flame"
    assert chosen().head == "ict"


def test_a_menu_which_holds_numbers_as_floats_hands_back_what_was_chosen() -> None:
    session.current().heads = (HeadInfo("open"), HeadInfo("flame"), HeadInfo("ict"))
    session.current().aligners = available_aligners()
    for items in (choices.head_items(chosen(), None), choices.aligner_items(chosen(), None)):
        for name, _, _, _, number in items:
            assert int(np.float32(number)) == number, name
        assert len({item[4] for item in items}) == len(items) == 3


def test_head_that_is_not_there_is_still_shown_and_says_so() -> None:
    session.current().heads = (HeadInfo("open"), HeadInfo("flame"))
    chosen().head = "flame"
    session.current().heads = (HeadInfo("open"),)
    (absent,) = (item for item in choices.head_items(chosen(), None) if item[0] == "flame")
    assert chosen().head == "flame"
    assert absent[1:4] == ("flame (not there)", "The backend that runs does not have it", "ERROR")


def test_the_chosen_aligner_goes_into_the_job(tmp_path: Path) -> None:
    session.current().aligners = available_aligners()
    titles = {item[0]: item[1:3] for item in choices.aligner_items(chosen(), None)}
    assert titles["mediapipe"][0] == "MediaPipe" and "ms a picture" in titles["mediapipe"][1]
    assert {name: title for name, (title, _) in titles.items()} == {a.name: a.title for a in available_aligners()}
    clip = tmp_path / "clip.mp4"
    clip.touch()
    chosen().footage = str(clip)
    assert job.job_of(bpy.context)[0].aligner == "mediapipe"
    chosen().aligner = "flowface"
    assert job.job_of(bpy.context)[0].aligner == "flowface"


def test_strings_of_the_enum_outlive_the_call_that_made_them() -> None:
    """Blender keeps only pointers: the very same objects have to come back, whatever is collected meanwhile."""
    session.current().heads = (HeadInfo("open"), HeadInfo("f" + "lame 2023", "added" + " by the user", "CC", 5023, 100))
    first = {id(text) for item in choices.head_items(chosen(), None) for text in item[:4]}
    gc.collect()
    assert {id(text) for item in choices.head_items(chosen(), None) for text in item[:4]} == first


def test_facts_of_a_head_are_its_tooltip() -> None:
    session.current().heads = (HeadInfo("flame", "added by the user", "CC-BY-4.0", 5023, 100),)
    facts = choices.head_items(chosen(), None)[0][2]
    assert facts == "Added by the user; 5,023 vertices, 100 expressions; licence CC-BY-4.0"


def test_choice_survives_saving_and_reopening(tmp_path: Path) -> None:
    session.current().heads = (HeadInfo("open"), HeadInfo("flame"))
    chosen().head = "flame"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    assert chosen().head == "open"
    session.current().heads = ()
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    assert chosen().head == "flame"


def test_added_head_appears_with_refresh_and_goes_into_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start_server: Callable[..., Server]
) -> None:
    """A real backend is asked on connecting, and again on refresh."""
    endpoint, heads = f"tcp://127.0.0.1:{free_port()}", tmp_path / "data" / "flowface" / "heads"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(preferences._Defaults, "endpoint", endpoint)
    assert not bpy.ops.flowface.heads_refresh.poll()
    start_server(endpoint)
    wait_until(lambda: len(session.current().heads) == 2, pump.tick)
    assert session.current().connection is Connection.CONNECTED
    assert session.current().aligners == available_aligners()
    heads.mkdir(parents=True)
    shutil.copy(OPEN_HEAD, heads / "second.npz")
    assert bpy.ops.flowface.heads_refresh() == {"FINISHED"}
    wait_until(lambda: len(session.current().heads) == 3, pump.tick)
    assert offered() == ["open", "open1", "second"]
    chosen().head = "second"
    clip = tmp_path / "clip.mp4"
    clip.touch()
    chosen().footage = str(clip)
    spec, _ = job.job_of(bpy.context)
    assert spec.head == "second"
