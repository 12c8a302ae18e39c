"""Small pictures that carry their number, the takes made of them, and the number that Blender shows."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import bpy
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backend.fitting import FittedCamera
from backend.footage.timeline import matching_frames
from backend.observations import PointSet, ViewAlignment
from backend.pipeline.align_views import AlignedView
from backend.pipeline.open_views import OpenView, open_views
from backend.pipeline.proxies import make_proxies
from backend.pipeline.result import camera_track
from blender_addon.scene import build
from blender_addon.scene.ownership import camera_role
from protocol.messages import TrackJob, ViewSpec
from protocol.shown import hold
from protocol.take import TakeResult

from .takes import Shot, make_take

SIZE = (128, 40)
_BITS, _SIDE = 10, 12


def stamped(number: int, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """A picture with its number in ten squares at its top, lowest bit first; the rest tells corners from each other."""
    picture = np.full((size[1], size[0], 3), 90, np.uint8)
    picture[-12:, :12], picture[-12:, -12:] = (230, 40, 40), (40, 40, 230)
    for bit in range(_BITS):
        picture[:_SIDE, bit * _SIDE : (bit + 1) * _SIDE] = 235 if number >> bit & 1 else 20
    return picture


def stamp_of(picture: NDArray[np.generic]) -> int:
    """The number in a picture (H,W,3); -1 where it shows none, as it is turned, mirrored or empty."""
    left, right = picture[-8:-4, 4:8].mean(axis=(0, 1)), picture[-8:-4, -8:-4].mean(axis=(0, 1))
    if left[0] < left[2] + 60 or right[2] < right[0] + 60:
        return -1
    row = picture[3:9].mean(axis=(0, 2))
    middles = [row[bit * _SIDE + 3 : (bit + 1) * _SIDE - 3].mean() for bit in range(_BITS)]
    return sum(int(middle > 127) << bit for bit, middle in enumerate(middles))


def write_video(
    path: Path,
    count: int = 20,
    rate: Fraction | int = 25,
    codec: str = "libx264",
    *,
    times: Sequence[Fraction] | None = None,
    time_base: Fraction | None = None,
    pixels: str = "yuv420p",
    container: dict[str, str] | None = None,
    size: tuple[int, int] = SIZE,
    first: int = 0,
    stored: tuple[slice, slice] = (slice(None), slice(None)),
    **options: str,
) -> Path:
    """A video of ``count`` stamped pictures, from 1: evenly, or at ``times`` in seconds; each ``stored`` like that."""
    base = time_base or (Fraction(1, 90000) if times is not None else 1 / Fraction(rate))
    with av.open(str(path), "w", options=container or {}) as out:
        stream = out.add_stream(codec, rate=Fraction(rate), options=options)
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        stream.codec_context.time_base = base
        for index in range(count):
            picture = np.ascontiguousarray(stamped(index + 1, size)[stored])
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixels)
            frame.pts = first + index if times is None else round(Fraction(times[index]) / base)
            frame.time_base = base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def set_matrix(path: Path, matrix: tuple[int, int, int, int, int, int]) -> None:
    """Give an MP4 another display matrix: (a, b, c, d, x, y)."""
    a, b, c, d, x, y = (value << 16 for value in matrix)
    data = bytearray(path.read_bytes())
    header = data.find(b"tkhd")
    start = header + 8 + (32 if data[header + 4] else 20) + 16
    data[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, x, y, 1 << 30)
    path.write_bytes(data)


def write_image(path: Path, number: int) -> None:
    """A stamped picture as an image of the kind that its name says."""
    film = {".dpx": ("dpx", "gbrp10be"), ".exr": ("exr", "gbrpf32le")}
    if path.suffix not in film:
        if path.suffix == ".heic":
            import pillow_heif

            pillow_heif.register_heif_opener()
        Image.fromarray(stamped(number)).save(path)
        return
    codec, pixels = film[path.suffix]
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as out:
        stream = out.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = *SIZE, pixels
        frame = av.VideoFrame.from_ndarray(stamped(number), format="rgb24").reformat(format=pixels)
        frame.pts = 0
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def tracked(
    folder: Path, *footage: Path, frames: tuple[int, int] | None = None, offsets: Sequence[float] = ()
) -> tuple[TakeResult, list[list[int]], list[str]]:
    """A take of footage without a fit: as a job opens it, times it and makes proxies of it, in ``folder``.

    Also for each view the stamp that was tracked on each scene frame from ``hold``'s first on, and what is said.
    """
    offsets = [*offsets, *[0.0] * (len(footage) - len(offsets))]
    specs = tuple(ViewSpec(str(path), f"view{i}", offsets[i]) for i, path in enumerate(footage))
    views: list[AlignedView] = []
    stamps = []
    for opened in open_views(TrackJob(specs, frames=frames)):
        view, seen = _aligned(opened, views[0] if views else None)
        views.append(view)
        pictures = hold(views[0].alignment.scene_frames, view.footage_frames)
        stamps.append([seen[number] for number in pictures.numbers.tolist()])
    proxies, said = make_proxies(views, folder, on_progress=lambda *_: None, should_cancel=lambda: False)
    scene_frames = views[0].alignment.scene_frames
    base = make_take(Shot(frame_count=len(scene_frames), size=SIZE))
    blind = np.full(len(scene_frames), np.nan, np.float32)
    cameras = tuple(
        camera_track(
            views, index, FittedCamera(300.0, (64.0, 20.0), np.eye(3, 4)), blind, proxies.get(view.opened.spec.name)
        )
        for index, view in enumerate(views)
    )
    return (
        replace(base, cameras=cameras, scene_frames=scene_frames, frame_rate=views[0].opened.rate),
        stamps,
        said,
    )


def _aligned(opened: OpenView, first: AlignedView | None) -> tuple[AlignedView, dict[int, int]]:
    """A view's frames on the first one's timeline, with nothing seen in them, and their stamps by their numbers."""
    decoded = [(frame.number, frame.time, frame.scene_frame, stamp_of(frame.image)) for frame in opened.footage]
    count = len(decoded)
    unseen = PointSet.of(
        "mediapipe478",
        np.zeros((count, 6, 2), np.float32),
        np.ones((count, 6), np.float32),
        np.zeros((count, 6), bool),
    )
    alignment = replace(
        ViewAlignment.of(unseen, image_size=(opened.info.width, opened.info.height)),
        numbers=np.array([number for number, *_ in decoded]),
        times=np.array([time for _, time, *_ in decoded]),
        scene_frames=np.array([frame for _, _, frame, _ in decoded]),
    )
    index = np.arange(count)
    if first is not None:
        times = first.opened.seconds(first.alignment.times)
        index = matching_frames(times, opened.seconds(alignment.times), opened.spec.offset)
    return AlignedView(opened, alignment, index), {number: stamp for number, *_, stamp in decoded}


def shown_stamps(take: TakeResult, view: int, frames: Sequence[int], folder: Path) -> list[int]:
    """The stamps of the pictures that Blender itself shows behind a view's camera on scene frames, in that order."""
    collection = build.build_take(bpy.context, take)
    camera = collection[camera_role(take.cameras[view].name)]
    return [stamp_of(picture) for picture in shown_pictures(camera, frames, folder)]


def shown_pictures(camera: Any, frames: Sequence[int], folder: Path) -> Iterator[NDArray[np.uint8]]:
    """Blender's own pictures of a camera's background on scene frames, through the compositor, turned as it is."""
    scene = bpy.context.scene
    (background,) = camera.data.background_images
    size = _size(background.clip or background.image)
    scene.render.resolution_x, scene.render.resolution_y = max(size[0], 4), max(size[1], 4)
    scene.view_settings.view_transform = "Standard"
    scene.render.image_settings.file_format = "BMP"
    scene.render.filepath = str(folder / "shown.bmp")
    source, user = _source(scene, background), background.image_user
    turns = -round(np.degrees(background.rotation) / 90)
    for frame in frames:
        scene.frame_set(frame)
        if background.source == "IMAGE" and background.image.source != "FILE":
            # Read anew on every frame: the offset is animated.
            source.frame_duration, source.frame_start = user.frame_duration, user.frame_start
            source.frame_offset = user.frame_offset
        with _silence():
            bpy.ops.render.render(write_still=True)
        yield np.ascontiguousarray(np.rot90(_pixels(scene.render.filepath), turns))


def _size(picture: Any) -> tuple[int, int]:
    """Width and height of a clip or an image; of a sequence that has shown nothing yet by its first file."""
    if tuple(picture.size) != (0, 0):
        return tuple(picture.size)
    first = bpy.data.images.load(picture.filepath, check_existing=False)
    size = tuple(first.size)
    bpy.data.images.remove(first)
    return size


def emptied_compositor(scene: Any) -> tuple[Any, Any]:
    """The scene's compositing tree with nothing in it but the node that takes the result, and that node."""
    scene.use_nodes = True
    if hasattr(scene, "compositing_node_group"):
        tree = scene.compositing_node_group = bpy.data.node_groups.new("shown", "CompositorNodeTree")
        tree.interface.new_socket(name="Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        sink = tree.nodes.new("NodeGroupOutput")
    else:
        tree = scene.node_tree
        tree.nodes.clear()
        sink = tree.nodes.new("CompositorNodeComposite")
    return tree, sink


def _source(scene: Any, background: Any) -> Any:
    """The compositor's node that plays what a background plays, and nothing else in the scene's tree."""
    tree, sink = emptied_compositor(scene)
    if background.source == "MOVIE_CLIP":
        source = tree.nodes.new("CompositorNodeMovieClip")
        source.clip = background.clip
    else:
        source = tree.nodes.new("CompositorNodeImage")
        source.image = background.image
    tree.links.new(source.outputs[0], sink.inputs[0])
    return source


def _pixels(path: str) -> NDArray[np.uint8]:
    import cv2

    return np.ascontiguousarray(cv2.imread(path)[..., ::-1])


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Without what Blender prints of each file that it saves."""
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
