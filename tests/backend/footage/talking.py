"""Videos with sound that tests write themselves."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.video.stream import VideoStream
from numpy.typing import NDArray

from tests.backend.footage.clips import stamped

BURST = 0.02  # s
PITCH = 2000.0  # Hz


def burst_at(seconds: float, duration: float, rate: int) -> NDArray[np.float32]:
    """Silence (n,) with a tone of ``BURST`` seconds that begins at ``seconds``."""
    t = np.arange(round(duration * rate)) / rate
    inside = (t >= seconds) & (t < seconds + BURST)
    return np.where(inside, 0.5 * np.sin(2 * np.pi * PITCH * t), 0).astype(np.float32)


def begins(samples: NDArray[np.int16], rate: int) -> float:
    """Where a tone of ``BURST`` seconds begins, in seconds: its energy's centre less half of it."""
    energy = np.square(samples.astype(np.float64))
    return float((energy * np.arange(len(samples))).sum() / energy.sum() / rate - BURST / 2)


def write_talking(
    path: Path,
    frames: int,
    *,
    picture_rate: int = 24,
    sound: NDArray[np.float32] | None = None,
    sound_rate: int = 48000,
    codec: str = "aac",
    video: str = "libx264",
    times: Sequence[Fraction] | None = None,
    delay: Fraction = Fraction(0),
) -> Path:
    """Pictures, at ``times`` in seconds where they are given, and one channel ``sound (n,)`` in stereo.

    ``delay`` is what both begin with, in seconds.
    """
    base = Fraction(1, 24000)
    with av.open(str(path), "w") as container:
        pictures = cast(VideoStream, container.add_stream(video, rate=picture_rate))
        pictures.width, pictures.height, pictures.pix_fmt = 160, 32, "yuv420p"
        if video == "libx264":
            pictures.codec_context.time_base = base
        heard = None
        if sound is not None:
            heard = cast(AudioStream, container.add_stream(codec, rate=sound_rate))
            heard.layout = "stereo"
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(stamped(number), format="rgb24")
            at = (Fraction(number, picture_rate) if times is None else times[number]) + delay
            frame.time_base = base if video == "libx264" else Fraction(1, picture_rate)
            frame.pts = round(at / frame.time_base)
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode(None))
        if heard is not None and sound is not None:
            fifo = av.AudioFrame.from_ndarray(np.stack([sound, sound]), format="fltp", layout="stereo")
            fifo.sample_rate, fifo.time_base = sound_rate, Fraction(1, sound_rate)
            fifo.pts = round(delay * sound_rate)
            mixer = av.AudioResampler(heard.format.name, "stereo", sound_rate, heard.codec_context.frame_size or 1024)
            for part in [*mixer.resample(fifo), *mixer.resample(None)]:
                container.mux(heard.encode(part))
            container.mux(heard.encode(None))
    return path
