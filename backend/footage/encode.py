"""H.264 from pictures: at their frames' times, evenly, or for scrubbing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.video.frame import PictureType
from av.video.reformatter import Colorspace
from av.video.stream import VideoStream
from numpy.typing import NDArray

from backend.footage import FootageFrame, FootageInfo

Picture = NDArray[np.uint8]


_CRF = 20  # libx264 quality of what is looked at; visually lossless begins at about 18
_PROXY_CRF = 16
_KEY_PICTURES = 10  # pictures from one that is decoded by itself to the next
_LONGEST_GROUP = 60  # frames, where pictures are held

# With its look-ahead at work, x264's assembly gave another file in every process (measured on the wheel of av 18); any
# one of these alone makes it repeat itself.
_REPEATABLE = "mbtree=0:weightp=0:scenecut=0"


def encode(path: Path, pictures: Iterator[tuple[FootageFrame, Picture]], info: FootageInfo) -> None:
    """Write pictures of even sides as H.264 at their frames' times. Raises OSError and FFmpegError."""
    rate = _exact(info.frame_rate)
    # Frames that come unevenly keep their times to a ninety-thousandth of a second.
    time_base = Fraction(1, 90000) if info.variable_rate else 1 / rate
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream: VideoStream | None = None
        first = 0.0
        for frame, picture in pictures:
            if stream is None:
                first = frame.time
                stream = _stream(container, picture, rate, _CRF)
                stream.codec_context.time_base = time_base
                _tag_bt709(stream)
            image = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
                format="yuv420p", dst_colorspace=Colorspace.ITU709
            )
            image.pts = round((frame.time - first) / time_base)
            image.time_base = time_base
            container.mux(stream.encode(image))
        if stream is not None:
            container.mux(stream.encode(None))


def encode_evenly(
    path: Path, pictures: Iterable[Picture], frame_rate: float, *, crf: int = 16, repeatable: bool = False
) -> None:
    """Write pictures of even sides as H.264 at ``frame_rate``, in the container that the path's ending names.

    ``crf`` is libx264's quality, less is better: the default is beyond what an eye tells apart. ``repeatable`` gives
    the same file whenever the pictures are the same, and takes longer. Colours are in BT.601 and not tagged. Raises
    OSError and FFmpegError.
    """
    with av.open(str(path), "w") as container:
        stream: VideoStream | None = None
        for picture in pictures:
            if stream is None:
                stream = _stream(container, picture, _exact(frame_rate), crf, repeatable=repeatable)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        if stream is not None:
            container.mux(stream.encode(None))


def encode_for_scrubbing(
    path: Path, pictures: Iterable[tuple[Picture, int]], frame_rate: float, metadata: Mapping[str, str]
) -> None:
    """Write pictures of any size, each with the number of frames that it is shown on, as H.264 in an MP4.

    A frame is decoded from few earlier pictures (``_KEY_PICTURES``) and no later one, so that a player finds it quickly
    and exactly; one that is held costs little. Colours are in BT.709, tagged. Raises OSError and FFmpegError.
    """
    # A file of our own: PyAV leaves the one that it opens open where not even the header can be written.
    with path.open("wb") as file, av.open(file, "w", format="mp4") as container:
        container.metadata.update(metadata)
        stream: VideoStream | None = None
        at = 0
        for number, (picture, count) in enumerate(pictures):
            # Chroma of half the size knows even sides only; padding would shift the picture behind its camera.
            pixels = "yuv420p" if picture.shape[0] % 2 == picture.shape[1] % 2 == 0 else "yuv444p"
            if stream is None:
                stream = _stream(container, picture, _exact(frame_rate), _PROXY_CRF, pixels=pixels)
                stream.options = {**stream.options, "g": str(_LONGEST_GROUP), "bf": "0"}
                _tag_bt709(stream)
            image = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
                format=pixels, dst_colorspace=Colorspace.ITU709
            )
            for repeated in range(count):
                key = not repeated and number % _KEY_PICTURES == 0
                image.pict_type = PictureType.I if key else PictureType.NONE
                image.pts, image.time_base = at, 1 / _exact(frame_rate)
                container.mux(stream.encode(image))
                at += 1
        if stream is not None:
            container.mux(stream.encode(None))


def _tag_bt709(stream: VideoStream) -> None:
    """Say what the colours are, as players guess by size otherwise."""
    stream.codec_context.colorspace = 1
    stream.codec_context.color_primaries = 1
    stream.codec_context.color_trc = 1
    stream.codec_context.color_range = 1


def _exact(frame_rate: float) -> Fraction:
    return Fraction(frame_rate).limit_denominator(1001)


def _stream(
    container: OutputContainer,
    picture: Picture,
    rate: Fraction,
    crf: int,
    *,
    repeatable: bool = False,
    pixels: str = "yuv420p",
) -> VideoStream:
    """A stream for pictures like this one."""
    options = {"crf": str(crf), "preset": "veryfast"}
    if repeatable:
        options["x264-params"] = _REPEATABLE
    stream = container.add_stream("libx264", rate=rate, options=options)
    stream.width, stream.height = picture.shape[1], picture.shape[0]
    stream.pix_fmt = pixels
    if repeatable:
        stream.thread_count = 1
    return stream
