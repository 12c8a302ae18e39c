"""Views that Blender cannot play get proxies beside the results, and the user is told."""

from __future__ import annotations

import errno
import gc
import subprocess
import sys
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from backend.footage.encode import encode_evenly
from backend.observations import PointSet, ViewAlignment
from backend.pipeline.align_views import AlignedView
from backend.pipeline.open_views import open_views
from backend.pipeline.proxies import ViewProxy, make_proxies
from protocol.messages import TrackJob, ViewSpec

GREY = np.full((32, 48, 3), 100, np.uint8)


def holds(path: Path, times: tuple[int, ...] = (0, 1, 2, 8)) -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = *GREY.shape[:2], "yuv420p"
        stream.codec_context.time_base = Fraction(1, 25)
        for time in times:
            frame = av.VideoFrame.from_ndarray(GREY, format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def aligned(*views: tuple[Path, str]) -> list[AlignedView]:
    """Views whose frames are the take's, four of each."""
    unseen = PointSet.of(
        "mediapipe478", np.zeros((4, 6, 2), np.float32), np.ones((4, 6), np.float32), np.zeros((4, 6), bool)
    )
    specs = tuple(ViewSpec(str(path), name) for path, name in views)
    size = GREY.shape[1], GREY.shape[0]
    return [
        AlignedView(opened, ViewAlignment.of(unseen, image_size=size), np.arange(4))
        for opened in open_views(TrackJob(specs))
    ]


def made(views: list[AlignedView], folder: Path) -> tuple[dict[str, ViewProxy], list[str], list[str]]:
    words: list[str] = []
    proxies, said = make_proxies(
        views, folder, on_progress=lambda text, *_: words.append(text), should_cancel=lambda: False
    )
    return proxies, said, words


def test_only_what_blender_cannot_play_gets_a_proxy(tmp_path: Path) -> None:
    encode_evenly(tmp_path / "even.mp4", [GREY] * 4, 25)
    views = aligned((holds(tmp_path / "varying.mp4"), "front [1]"), (tmp_path / "even.mp4", "left"))
    proxies, said, words = made(views, tmp_path / "job")
    assert proxies == {"front [1]": ViewProxy(tmp_path / "job" / "proxy" / "front_1.mp4", 1)}
    assert proxies["front [1]"].path.is_file()
    assert len(said) == 1 and "“front [1]”" in said[0] and "proxy/front_1.mp4" in said[0] and "constant rate" in said[0]
    assert set(words) == {"making a proxy of “front [1]” for Blender"}


def test_views_that_files_would_call_alike_keep_apart(tmp_path: Path) -> None:
    clip = holds(tmp_path / "varying.mp4")
    proxies, _, _ = made(aligned((clip, "a b"), (clip, "a?b"), (clip, "A_B")), tmp_path)
    assert [proxy.path.name for proxy in proxies.values()] == ["a_b.mp4", "a_b_2.mp4", "A_B_3.mp4"]


def test_a_take_is_tracked_where_no_proxy_can_be_written(tmp_path: Path) -> None:
    views = aligned((holds(tmp_path / "varying.mp4"), "front"))
    (tmp_path / "proxy").write_text("in the way")
    proxies, said, _ = made(views, tmp_path)
    assert proxies == {} and "may show other pictures of “front”" in said[0] and "could not be written" in said[0]


@pytest.mark.parametrize("gap", [200_000])
def test_a_hold_without_end_gets_no_proxy(tmp_path: Path, gap: int) -> None:
    views = aligned((holds(tmp_path / "varying.mp4"), "front"))
    views[0].alignment.scene_frames[-1] = gap
    proxies, said, _ = made(views, tmp_path)
    assert proxies == {} and f"spread over {gap} frames" in said[0]


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    views = aligned((holds(tmp_path / "varying.mp4"), "front"))
    disk = tmp_path / "disk"
    disk.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(disk)]
    if sys.platform != "linux" or subprocess.run(mounting, capture_output=True).returncode:
        pytest.skip("this user may not mount a disk of its own")
    try:
        with suppress(OSError):
            (disk / "filler").write_bytes(bytes(8192))
        with pytest.raises(OSError, match="No space left") as caught:
            made(views, disk)
        assert caught.value.errno == errno.ENOSPC
        assert list(disk.rglob("*.mp4")) == []
        del caught  # which holds the writer, and with it the file
        gc.collect()
    finally:
        subprocess.run(["umount", str(disk)], check=True)
