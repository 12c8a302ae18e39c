"""How long Blender stands still for a head that is live: ``python -m tests.blender.live_capture_times [VIDEO]``.

A phone's packets, or a video played as if it were a camera, drive the open head and a character that follows it.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import bpy
import numpy as np

import blender_addon
from blender_addon import live_pump, preferences, session
from blender_addon.live_capture import properties, running
from blender_addon.retarget import targets
from blender_addon.scene.ownership import HEAD
from tests.backend.live.packets import Phone

from .live_stand_in import StandIn

POSES = 200
PROGRAM = """#!/bin/sh
cd {root} && exec env PYTHONPATH={root} {python} -m backend.entry "$@" --loop
"""


def add_follower(head: object) -> None:
    """A character with the head's shape keys, which follows it by drivers."""
    character = bpy.data.objects.new("character", head.data.copy())  # type: ignore[attr-defined]
    bpy.context.scene.collection.objects.link(character)
    character.select_set(True)
    bpy.context.view_layer.objects.active = character
    bpy.ops.flowface.retarget_add()
    targets.settings_of(bpy.context.scene).targets[0].source = head
    bpy.ops.flowface.retarget_live()


def measure(what: str) -> None:
    """Do what Blender's timer does for so many poses, and print what that cost."""
    own, clock, graph = [], [], []
    started, first = time.perf_counter(), running.now.drawn
    while len(own) < POSES:
        drawn, before, at = running.now.drawn, time.thread_time(), time.perf_counter()
        live_pump.tick()
        if running.now.drawn > drawn:
            own.append(time.thread_time() - before)
            clock.append(time.perf_counter() - at)
            at = time.perf_counter()
            bpy.context.view_layer.update()
            graph.append(time.perf_counter() - at)
        time.sleep(running.INTERVAL)
        if session.current().capture.over:
            raise SystemExit(running.now.notice)
    rate = (running.now.drawn - first) / (time.perf_counter() - started)
    state = session.current().capture.state
    for name, values in (("the add-on's own work", own), ("by the clock", clock), ("Blender's own evaluation", graph)):
        mean, late, most = 1000 * np.mean(values), 1000 * np.quantile(values, 0.95), 1000 * np.max(values)
        print(f"{what}: {name} {mean:.2f} ms a pose, 95 % {late:.2f}, longest {most:.2f}")
    print(f"{what}: {rate:.0f} poses shown a second, {state.milliseconds:.0f} ms to a pose, {state.dropped} dropped")


def until_driven() -> None:
    while running.now.drawn == 0:
        live_pump.tick()
        time.sleep(0.01)
        if session.current().capture.over:
            raise SystemExit(running.now.notice)


def main() -> None:
    """Measure with and without a character."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    blender_addon.register()
    with tempfile.TemporaryDirectory() as folder:
        preferences.user_folder = lambda: Path(folder)
        chosen = properties.of(bpy.context.scene)
        stand_in = StandIn(Path(folder))
        over = threading.Event()
        if len(sys.argv) > 1:
            root = Path(__file__).parents[2]
            stand_in.program.write_text(PROGRAM.format(root=root, python=sys.executable))
            chosen.source, chosen.video = "VIDEO", sys.argv[1]
        else:
            chosen.source, phone = "LIVE_LINK", Phone(stand_in.receiver.port)
            threading.Thread(target=_send, args=(phone, over), daemon=True).start()
        preferences._Defaults.environment = str(stand_in.program)
        with stand_in:
            bpy.ops.flowface.live_capture_start()
            until_driven()
            measure("head alone")
            add_follower(running.head_take()[HEAD])
            measure("with a character")
            over.set()
            blender_addon.unregister()


def _send(phone: Phone, over: threading.Event) -> None:
    while not over.wait(1 / 60):
        phone.send([0.5 + 0.4 * float(np.sin(phone.frame / 10))] * 52 + [0.2 * float(np.sin(phone.frame / 20))] * 9)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)
