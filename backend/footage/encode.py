"""H.264 from pictures, at their frames' times."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import Colorspace
from av.video.stream import VideoStream
from numpy.typing import NDArray

from backend.footage import FootageFrame, FootageInfo

Picture = NDArray[np.uint8]


_CRF = "20"  # libx264 quality; visually lossless begins at about 18


def encode(path: Path, pictures: Iterator[tuple[FootageFrame, Picture]], info: FootageInfo) -> None:
    """Write pictures of even sides as H.264 at their frames' times. Raises OSError and FFmpegError."""
    rate = Fraction(info.frame_rate).limit_denominator(1001)
    # Frames that come unevenly keep their times to a ninety-thousandth of a second.
    time_base = Fraction(1, 90000) if info.variable_rate else 1 / rate
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream: VideoStream | None = None
        first = 0.0
        for frame, picture in pictures:
            if stream is None:
                first = frame.time
                stream = container.add_stream("libx264", rate=rate, options={"crf": _CRF, "preset": "veryfast"})
                stream.width, stream.height = picture.shape[1], picture.shape[0]
                stream.pix_fmt = "yuv420p"
                stream.codec_context.time_base = time_base
                # Tagged, as players guess by size otherwise.
                stream.codec_context.colorspace = 1
                stream.codec_context.color_primaries = 1
                stream.codec_context.color_trc = 1
                stream.codec_context.color_range = 1
            image = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
                format="yuv420p", dst_colorspace=Colorspace.ITU709
            )
            image.pts = round((frame.time - first) / time_base)
            image.time_base = time_base
            container.mux(stream.encode(image))
        if stream is not None:
            container.mux(stream.encode(None))
