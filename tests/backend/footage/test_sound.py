"""The sound of a video lies where its pictures say, whatever its container and its codec."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from backend.errors import UserError
from backend.footage.sound import Sound, has_sound, read_sound
from tests.backend.footage.talking import begins, burst_at, write_talking

BURST_AT = 0.75  # s
MILLISECOND = 1e-3


@pytest.mark.parametrize(
    ("name", "codec", "video", "rate", "delay"),
    [
        ("clip.mp4", "aac", "libx264", 44100, Fraction(0)),
        ("late.mp4", "aac", "libx264", 48000, Fraction(2)),
        ("clip.mkv", "pcm_s16le", "libx264", 48000, Fraction(0)),
        ("clip.mpg", "mp2", "mpeg1video", 44100, Fraction(0)),
        ("clip.avi", "pcm_s16le", "mpeg4", 16000, Fraction(0)),
    ],
)
def test_a_burst_is_heard_when_it_sounds(
    tmp_path: Path, name: str, codec: str, video: str, rate: int, delay: Fraction
) -> None:
    clip = write_talking(
        tmp_path / name,
        25,
        picture_rate=25,
        sound=burst_at(BURST_AT, 1.0, rate),
        sound_rate=rate,
        codec=codec,
        video=video,
        delay=delay,
    )
    sound = read_sound(clip, 0.0, 1.0)
    assert sound is not None and has_sound(clip) and sound.rate == rate
    assert begins(sound.samples, rate) + sound.start == pytest.approx(BURST_AT, abs=MILLISECOND)
    speech = sound.at_rate(16000, 0.25, 12000)
    assert len(speech) == 12000 and np.abs(speech).max() == pytest.approx(0.5 * 32767, rel=0.1)
    assert begins(speech, 16000) + 0.25 == pytest.approx(BURST_AT, abs=MILLISECOND)
    part = read_sound(clip, 0.5, 0.9)
    assert part is not None and begins(part.samples, rate) + part.start == pytest.approx(BURST_AT, abs=MILLISECOND)
    assert part.start == pytest.approx(0.5, abs=1e-4) and part.stop == pytest.approx(0.9, abs=1e-4)


def test_a_tone_keeps_its_height_and_phase_at_another_rate() -> None:
    t = np.arange(44100) / 44100
    sound = Sound(np.round(9000 * np.sin(2 * np.pi * 440 * t)).astype(np.int16), 44100, 0.1)
    heard = sound.at_rate(16000, 0.35, 8000)
    expected = 9000 * np.sin(2 * np.pi * 440 * (np.arange(8000) / 16000 + 0.25))
    np.testing.assert_allclose(heard, expected, atol=4)  # half a sample's phase is none here; rounding, and the filter
    silent = sound.at_rate(16000, 1.5, 100)
    assert not silent.any() and sound.stop == pytest.approx(1.1)


def test_a_silent_film_and_a_time_without_sound_have_none(tmp_path: Path) -> None:
    silent = write_talking(tmp_path / "silent.mp4", 12)
    assert not has_sound(silent) and read_sound(silent, 0.0, 0.5) is None
    short = write_talking(tmp_path / "short.mkv", 36, sound=burst_at(0.1, 0.4, 48000), codec="pcm_s16le")
    heard = read_sound(short, 0.0, 1.5)
    assert heard is not None and heard.stop == pytest.approx(0.4, abs=0.001)
    assert read_sound(short, 1.0, 1.5) is None
    with pytest.raises(UserError) as caught:
        read_sound(short, 0.0, 5 * 3600.0)
    assert caught.value.code == "footage_too_large"
