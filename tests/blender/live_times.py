"""How long Track takes to show a head, and how long Blender stands still meanwhile; for ``tests.blender.times``."""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import bpy

import blender_addon
from blender_addon import live, preferences, pump, session, settings
from blender_addon.scene import preview, takes
from blender_addon.scene.ownership import takes_of

from .test_client import free_port

WARM_FRAMES = 40
"""Of the take that is tracked first: the backend has then loaded and tried all that it needs."""


@dataclass
class Tick:
    """One call of Blender's timer: seconds by the clock and of this thread's own, and what it did."""

    wall: float
    own: float
    did: str


@dataclass
class Tracked:
    """A job as its user sees it; seconds since Track was pressed."""

    first_head: float = float("nan")
    result: float = float("nan")
    updates: list[float] = field(default_factory=list)
    ticks: list[Tick] = field(default_factory=list)

    def longest(self, did: str) -> Tick:
        """The longest of the ticks that did this."""
        return max((tick for tick in self.ticks if tick.did == did), key=lambda tick: tick.own, default=Tick(0, 0, did))


def measured(clip: Path) -> Tracked:
    """Track a clip in an empty file with a backend of this Python that is warm."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    with tempfile.TemporaryDirectory() as folder:
        wanted = preferences._Defaults
        wanted.endpoint, wanted.environment = f"tcp://127.0.0.1:{free_port()}", sys.executable
        preferences.user_folder = lambda: Path(folder)
        blender_addon.register()
        try:
            chosen = settings.of(bpy.context.scene)
            chosen.footage, chosen.use_range, chosen.frame_first, chosen.frame_last = str(clip), True, 1, WARM_FRAMES
            _track()
            chosen.use_range = False
            for take in takes_of(bpy.context.scene):
                takes.delete(take)
            return _track()
        finally:
            blender_addon.unregister()


def _track() -> Tracked:
    """Press Track, and do what Blender's timers do until the take is built."""
    seen = Tracked()
    started = time.perf_counter()
    if bpy.ops.flowface.track() != {"FINISHED"}:
        raise SystemExit(session.current().notice.text)
    now, shown = session.current(), None
    while now.job is not None:
        wall, own = time.perf_counter(), time.thread_time()
        working = live.busy()
        interval = pump.tick()
        did = "result" if now.job is None else "preview" if working or live.busy() else "progress"
        seen.ticks.append(Tick(time.perf_counter() - wall, time.thread_time() - own, did))
        if now.job is not None and not live.busy() and preview.shown_in(bpy.context.scene) is not None:
            if shown is not now.job.partial:
                seen.updates.append(time.perf_counter() - started)
            shown = now.job.partial
        time.sleep(interval)
    if now.notice is None or now.notice.is_error:
        raise SystemExit(now.notice.text if now.notice is not None else "The job ended without a word.")
    seen.result = time.perf_counter() - started
    seen.first_head = seen.updates[0] if seen.updates else float("nan")
    return seen


def report(clip: Path) -> None:
    """Print what a user of a clip waits for."""
    seen = measured(clip)
    print(f"{clip.name}: Track to the first head {seen.first_head:.1f} s, to the take {seen.result:.1f} s")
    print(f"{len(seen.updates)} previews, after {', '.join(f'{at:.1f}' for at in seen.updates)} s")
    for did, words in (("progress", "longest tick without a preview"), ("preview", "with one"), ("result", "build")):
        longest = seen.longest(did)
        print(f"{1000 * longest.own:8.1f} ms  {words} ({1000 * longest.wall:.1f} ms by the clock)")
