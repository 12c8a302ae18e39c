"""How long Blender stands still for a head that is live: ``python -m tests.blender.live_capture_times [VIDEO]``.

A phone's packets, or a video played as if it were a camera, drive the open head and a character that follows it. On a
machine that is busy with others much of the time by the clock is waiting for a processor: that is told apart.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
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
STALL = 0.02
"""Seconds that the viewport may stand still."""
TITLES = {
    "own": "the add-on's own work",
    "stall": "own work and Blender's evaluation by the clock",
    "waited": "of it waiting for a processor",
    "worked": "work of all of Blender's threads",
}
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


@dataclass(frozen=True)
class Cost:
    """Seconds of one pose: the add-on's own work, that and Blender's evaluation by the clock, how much of it the main
    thread waited for a processor that others had, and what all of Blender's threads worked for it."""

    own: float
    stall: float
    waited: float
    worked: float


def waited() -> float:
    """Seconds for which this thread was ready and had no processor; 0 where the system does not tell."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) * 1e-9
    except OSError:
        return 0.0


def show_next() -> Cost:
    """Do what Blender's timer does until a pose is shown, and have Blender work it out as before a drawing."""
    while True:
        drawn, idle, worked = running.now.drawn, waited(), time.process_time()
        own, at = time.thread_time(), time.perf_counter()
        live_pump.tick()
        if running.now.drawn > drawn:
            own = time.thread_time() - own
            bpy.context.view_layer.update()
            stall = time.perf_counter() - at
            return Cost(own, stall, waited() - idle, time.process_time() - worked)
        time.sleep(running.INTERVAL)
        if session.current().capture.over:
            raise SystemExit(running.now.notice)


def measure(what: str) -> None:
    """Show so many poses, and print what that cost."""
    started, first = time.perf_counter(), running.now.drawn
    costs = []
    for _ in range(POSES):
        costs.append(show_next())
        time.sleep(running.INTERVAL)
    rate = (running.now.drawn - first) / (time.perf_counter() - started)
    for name, title in TITLES.items():
        values = 1000 * np.array([getattr(cost, name) for cost in costs])
        late = np.quantile(values, 0.95)
        print(f"{what}: {title} {values.mean():.2f} ms a pose, 95 % {late:.2f}, longest {values.max():.2f}")
    longest = max(costs, key=lambda cost: cost.stall)
    over = sum(cost.stall > STALL for cost in costs)
    print(
        f"{what}: {over} of {POSES} over {1000 * STALL:.0f} ms; the longest is pose {costs.index(longest)}, which "
        f"waited {1000 * longest.waited:.1f} ms for a processor and worked {1000 * longest.worked:.1f} ms"
    )
    state = session.current().capture.state
    print(f"{what}: {rate:.0f} poses shown a second, {state.milliseconds:.0f} ms to a pose, {state.dropped} dropped")


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
            print(f"first pose: {1000 * show_next().stall:.1f} ms")
            measure("head alone")
            add_follower(running.head_take()[HEAD])
            print(f"first pose with a character: {1000 * show_next().stall:.1f} ms")
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
