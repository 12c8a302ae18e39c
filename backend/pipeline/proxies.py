"""Proxies for the views of a take that Blender cannot play as they were tracked, kept beside the results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from av.error import FFmpegError

from backend.files import file_name, raise_where_full
from backend.footage.playback import TURNED, any_turned, proxy_reason, read_times
from backend.footage.proxy import TooLong, held_pictures, write_proxy
from backend.pipeline.align_views import AlignedView
from backend.progress import ShouldCancel
from protocol.shown import HeldPictures

FOLDER = "proxy"
"""The folder of proxies, in that of the results."""

OnProxy = Callable[[str, int, int], None]
"""Gets what is being done in words, pictures done and pictures in all."""


@dataclass(frozen=True)
class ViewProxy:
    """What Blender shows of a view instead of its footage; ``first_frame`` is the scene frame of its first picture."""

    path: Path
    first_frame: int


def make_proxies(
    views: Sequence[AlignedView], folder: Path, *, on_progress: OnProxy, should_cancel: ShouldCancel
) -> tuple[dict[str, ViewProxy], list[str]]:
    """Make a proxy in ``folder`` of every view that needs one; proxies by the view's name, and sentences that say so.

    One that cannot be made leaves a sentence, too: the footage is shown then as Blender can.

    Raises:
        UserError: what reading the footage raises.
        Cancelled: ``should_cancel`` said so.
        OSError: the disk is full.
    """
    proxies: dict[str, ViewProxy] = {}
    said = []
    for view in views:
        reason = _reason(view)
        if reason is None:
            continue
        name = view.opened.spec.name

        def report(done: int, total: int, name: str = name) -> None:
            on_progress(f"making a proxy of “{name}” for Blender", done, total)

        try:
            pictures = _pictures(views[0], view)
            path = _free(folder / FOLDER, view, [proxy.path for proxy in proxies.values()])
            footage, rate = view.opened.footage, views[0].opened.rate
            write_proxy(path, footage, pictures, rate, on_progress=report, should_cancel=should_cancel)
        except TooLong as why:
            said.append(_without(name, reason, str(why)))
        except (OSError, FFmpegError) as error:
            raise_where_full(error, folder / FOLDER)
            said.append(_without(name, reason, f"it could not be written ({error.strerror or error})"))
        else:
            proxies[name] = ViewProxy(path, pictures.first)
            said.append(f"Blender shows “{name}” by a proxy, {FOLDER}/{path.name} beside the results: {reason}.")
    return proxies, said


def _reason(view: AlignedView) -> str | None:
    """Why Blender cannot show a view's footage itself."""
    info = view.opened.info
    if view.unreadable:
        return "some of its pictures cannot be decoded"
    times = read_times(info.path) if info.kind == "video" else None
    reason = proxy_reason(info, times, int(view.footage_frames.max()))
    return TURNED if reason is None and any_turned(info) else reason


def _pictures(first: AlignedView, view: AlignedView) -> HeldPictures:
    if view.opened.info.kind == "still":
        return HeldPictures(1, np.array([view.opened.info.first_frame], np.int64))
    return held_pictures(first.alignment.scene_frames, view.footage_frames)


def _free(folder: Path, view: AlignedView, taken: Sequence[Path]) -> Path:
    """The path of a view's proxy, none of those ``taken``, whatever the case of letters."""
    names = [path.name.casefold() for path in taken]
    suffix = ".png" if view.opened.info.kind == "still" else ".mp4"
    stem, number = file_name(view.opened.spec.name), 1
    path = folder / f"{stem}{suffix}"
    while path.name.casefold() in names:
        number += 1
        path = folder / f"{stem}_{number}{suffix}"
    return path.absolute()


def _without(name: str, reason: str, why: str) -> str:
    return (
        f"Blender may show other pictures of “{name}” than were tracked: {reason}. There is no proxy for it, as {why}."
    )
