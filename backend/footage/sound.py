"""The sound of a video, as one channel on the clock of its pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from numpy.typing import NDArray

from backend.errors import Cancelled, ErrorCode, UserError
from backend.footage.containers import BROKEN, opened, scan
from backend.progress import ShouldCancel, never

I16 = NDArray[np.int16]
RATES = (1_000, 768_000)
"""Samples a second, fewest and most, of sound that is read."""
LONGEST = 4 * 3600.0
"""Seconds of sound that are read at once: a gigabyte and a half at 48 kHz."""
JUMP = 0.02
"""Seconds by which a packet's time may be off from the end of the one before: those of Matroska are whole milliseconds.
What is further off is a gap, or sound that was cut out."""
CONTEXT = 0.05
"""Seconds beside what is wanted, which the filter that changes the rate looks at."""


@dataclass(frozen=True, eq=False)
class Sound:
    """``samples (n,)`` of one channel, ``rate`` a second; the first is ``start`` seconds after the first picture."""

    samples: I16
    rate: int
    start: float

    @property
    def stop(self) -> float:
        """When the last sample is over, in seconds after the first picture."""
        return self.start + len(self.samples) / self.rate

    def at_rate(self, rate: int, start: float, count: int) -> I16:
        """``count`` samples of another ``rate``, the first ``start`` seconds after the first picture; silence outside.

        FFmpeg's filter has no delay. The first sample is the nearest one of the recording: half of one, 11 µs at 44.1
        kHz, is the error.
        """
        ratio = Fraction(rate, self.rate)
        beside = math.ceil(CONTEXT * self.rate / ratio.denominator)  # in blocks that are whole samples at both rates
        first = round((start - self.start) * self.rate) - beside * ratio.denominator
        heard = np.zeros(math.ceil(count / ratio) + 2 * beside * ratio.denominator, np.int16)
        begin, end = max(first, 0), min(first + len(heard), len(self.samples))
        if begin < end:
            heard[begin - first : end - first] = self.samples[begin:end]
        frame = av.AudioFrame.from_ndarray(heard[None], format="s16", layout="mono")
        frame.sample_rate = self.rate
        resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
        parts = [part.to_ndarray().reshape(-1) for fed in (frame, None) for part in resampler.resample(fed)]
        return np.asarray(np.concatenate(parts)[beside * ratio.numerator :][:count], np.int16)


def has_sound(path: Path) -> bool:
    """Whether a video has sound that can be decoded. Raises UserError as ``opened`` does."""
    with opened(path) as (container, _):
        return _stream(container) is not None


def read_sound(path: Path, start: float, stop: float, should_cancel: ShouldCancel = never) -> Sound | None:
    """The sound of a video between two times, in seconds after its first picture; None where there is none.

    Channels are mixed to one as FFmpeg does. Gaps within are silence; at both ends there is no more than is there.

    Raises:
        UserError: what ``opened`` and ``scan`` raise, ``footage_unreadable`` for a rate that no sound has or that
            changes, ``footage_too_large`` for more than four hours.
        Cancelled: ``should_cancel`` said so.
    """
    if stop - start > LONGEST:
        sentence = f"{stop - start:.0f} seconds of sound of {path} were asked for; at most {LONGEST:.0f} are read."
        raise UserError(ErrorCode.FOOTAGE_TOO_LARGE, sentence, "Track it in parts.")
    index = scan(path)
    first_picture = 0.0 if index.times is None else float(index.times[0] * index.time_base)
    with opened(path) as (container, _):
        stream = _stream(container)
        if stream is None:
            return None
        return _between(path, _heard(container, stream, should_cancel), first_picture, start, stop)


def _stream(container: InputContainer) -> AudioStream | None:
    best = container.streams.best("audio")
    return cast(AudioStream, best) if best is not None and best.codec_context is not None else None


def _heard(container: InputContainer, stream: AudioStream, should_cancel: ShouldCancel) -> Iterator[AudioFrame]:
    """What can be decoded; damaged packets are left out, and the file ends where it cannot be read on."""
    try:
        for packet in container.demux(stream):
            if should_cancel():
                raise Cancelled
            try:
                yield from packet.decode()
            except FFmpegError:
                continue
    except BROKEN:
        return


def _mixed(frames: Iterator[AudioFrame]) -> Iterator[tuple[AudioFrame, I16]]:
    """Each frame with its samples (n,) in one channel."""
    mixer, known = None, None
    for frame in frames:
        if mixer is None or known != (frame.format.name, frame.layout.name, frame.sample_rate):
            mixer = av.AudioResampler(format="s16", layout="mono")  # one takes frames of one kind only
            known = (frame.format.name, frame.layout.name, frame.sample_rate)
        parts = [np.asarray(part.to_ndarray(), np.int16).reshape(-1) for part in mixer.resample(frame)]
        yield frame, np.concatenate(parts) if parts else np.empty(0, np.int16)


def _between(path: Path, frames: Iterator[AudioFrame], first_picture: float, start: float, stop: float) -> Sound | None:
    rate, after = 0, 0  # ``after``: the sample behind those that were heard, counted from the first picture on
    parts: list[tuple[int, I16]] = []
    for frame, samples in _mixed(frames):
        known, rate = rate, rate or frame.sample_rate
        if frame.sample_rate != rate or not RATES[0] <= rate <= RATES[1]:
            before = f", after {known} before" * (known > 0)
            sentence = f"The sound of {path} has {frame.sample_rate} samples a second{before}, which is not read."
            raise UserError(ErrorCode.FOOTAGE_UNREADABLE, sentence, "Convert it, to AAC at 48 kHz for example.")
        if frame.pts is not None:
            at = round((float(frame.pts * (frame.time_base or 0)) - first_picture) * rate)
            after = at if not known or abs(at - after) > JUMP * rate else after
        if after + len(samples) > start * rate and after < stop * rate:
            parts.append((after, samples))
        after += len(samples)
        if after >= stop * rate:
            break
    return _joined(parts, rate, start, stop) if parts else None


def _joined(parts: list[tuple[int, I16]], rate: int, start: float, stop: float) -> Sound:
    begin = max(min(at for at, _ in parts), math.floor(start * rate))
    end = min(max(at + len(samples) for at, samples in parts), math.ceil(stop * rate))
    joined = np.zeros(max(end - begin, 0), np.int16)
    for at, samples in parts:
        first, last = max(at, begin), min(at + len(samples), end)
        if first < last:
            joined[first - begin : last - begin] = samples[first - at : last - at]
    return Sound(joined, rate, begin / rate)
