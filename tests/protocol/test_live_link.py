"""Live Link Face's recordings: the app's, those of other programs, and what is none."""

from __future__ import annotations

import numpy as np
import pytest

from protocol.live_link import (
    ACTIONS,
    COLUMNS,
    Recording,
    eye_angles,
    gaze_of,
    head_angles,
    timecode,
    to_csv,
)
from protocol.live_link_reading import BadRecording, from_csv

HEADING = (
    "Timecode,BlendShapeCount,EyeBlinkLeft,EyeLookDownLeft,EyeLookInLeft,EyeLookOutLeft,EyeLookUpLeft,EyeSquintLeft,"
    "EyeWideLeft,EyeBlinkRight,EyeLookDownRight,EyeLookInRight,EyeLookOutRight,EyeLookUpRight,EyeSquintRight,"
    "EyeWideRight,JawForward,JawRight,JawLeft,JawOpen,MouthClose,MouthFunnel,MouthPucker,MouthRight,MouthLeft,"
    "MouthSmileLeft,MouthSmileRight,MouthFrownLeft,MouthFrownRight,MouthDimpleLeft,MouthDimpleRight,MouthStretchLeft,"
    "MouthStretchRight,MouthRollLower,MouthRollUpper,MouthShrugLower,MouthShrugUpper,MouthPressLeft,MouthPressRight,"
    "MouthLowerDownLeft,MouthLowerDownRight,MouthUpperUpLeft,MouthUpperUpRight,BrowDownLeft,BrowDownRight,BrowInnerUp,"
    "BrowOuterUpLeft,BrowOuterUpRight,CheekPuff,CheekSquintLeft,CheekSquintRight,NoseSneerLeft,NoseSneerRight,"
    "TongueOut,HeadYaw,HeadPitch,HeadRoll,LeftEyeYaw,LeftEyePitch,LeftEyeRoll,RightEyeYaw,RightEyePitch,RightEyeRoll"
)


def recording(count: int = 90, rate: float = 30.0) -> Recording:
    """Random numbers at a rate."""
    rng = np.random.default_rng(4)
    weights = {action: rng.uniform(0, 1.05, count) for action in ACTIONS}
    times = np.arange(count) / rate
    return Recording(times, weights, rng.normal(0, 0.4, (count, 3)), rng.normal(0, 0.3, (count, 2, 3)), 47071.5)


def small(codes: list[str], jaw: list[str], heading: str = "Timecode,BlendShapeCount,JawOpen") -> bytes:
    """A file with one action."""
    return "\n".join([heading, *(f"{code},61,{value}" for code, value in zip(codes, jaw, strict=True))]).encode()


def test_a_recording_comes_back_as_it_was_written() -> None:
    wrote = recording()
    data = to_csv(wrote)
    lines = data.decode().split("\n")
    assert (
        lines[0] == HEADING and lines[1].startswith("13:04:31:30.000,61,") and lines[2].startswith("13:04:31:32.000,")
    )
    assert len(COLUMNS) == 61 and {line.count(",") for line in lines[:-1]} == {62}
    read = from_csv(data)
    near = {"atol": 1e-8, "rtol": 0}
    np.testing.assert_allclose(read.times, wrote.times, atol=1e-5)
    assert set(read.weights) == set(ACTIONS) and read.rate == 60.0 and read.start == 47071.5 and not read.left_out
    for action in ACTIONS:
        np.testing.assert_allclose(read.weights[action], wrote.weights[action], **near)
    assert wrote.head is not None and wrote.eyes is not None
    np.testing.assert_allclose(read.head, wrote.head, **near)
    np.testing.assert_allclose(read.eyes, wrote.eyes, **near)


def test_what_other_programs_write_is_read() -> None:
    """Other spelling and order, a byte-order mark, semicolons, decimal commas, blank lines, gaps; 24 a second."""
    lines = ["\ufeffmouth_smile_left;Comment;TIMECODE;blendShapeCount;jawopen;HeadYaw", ""]
    for frame in range(60):
        code = f"00:00:{frame // 24:02d}:{frame % 24:02d}"
        row = f"{frame / 100:.2f};take 1;{code};61;{'' if frame == 10 else f'{frame / 50:.3f}'};-0.1".replace(".", ",")
        lines += [row, ""] if frame != 20 else [f";;{code};0;;"]
    read = from_csv("\r\n".join([*lines, "0,1;take"]).encode())
    assert read.rate == 24.0 and set(read.weights) == {"mouthSmileLeft", "jawOpen"}
    there = np.delete(np.arange(60), 20)
    np.testing.assert_allclose(read.times, there / 24)
    np.testing.assert_allclose(read.weights["jawOpen"], there / 50, atol=1e-9)
    np.testing.assert_allclose(read.weights["mouthSmileLeft"], there / 100)
    assert read.head is not None and read.head[:, 0] == pytest.approx(-0.1) and not read.head[:, 1:].any()
    assert read.eyes is None and read.left_out == 2


@pytest.mark.parametrize(
    ("codes", "times"),
    [
        (["23:59:59:30.500", "23:59:59:58.500", "00:00:00:00.500"], [0, 28 / 60, 0.5]),  # over midnight, frames skipped
        (["01:00:00:10", "01:00:00:10", "01:00:00:09", "01:00:00:12"], [0, 2 / 60]),  # repeated, gone back
        (["00:00:59;28", "00:00:59;29", "00:01:00;02"], np.arange(3) * 1001 / 30000),  # drop-frame
        (["00:09:59;29", "00:10:00;00", "00:10:00;01"], np.arange(3) * 1001 / 30000),
        (["00:00:00:28", "00:00:00:29", "00:00:01:00", "00:00:01:02"], np.array([0, 1, 2, 4]) / 30),
        (["00:00:00:00.000", "00:00:00:01.001", "00:00:00:02.002"], np.array([0, 1.001, 2.002]) / 60),
    ],
)
def test_timecodes_tell_the_time(codes: list[str], times: list[float]) -> None:
    read = from_csv(small(codes, ["0.5"] * len(codes)))
    np.testing.assert_allclose(read.times, times, atol=1e-9)


def test_without_a_timecode_rows_follow_at_a_rate() -> None:
    read = from_csv(b"JawOpen\n0.1\n0.2\n", rate=25.0)
    assert read.times.tolist() == [0.0, 0.04] and read.weights["jawOpen"].tolist() == [0.1, 0.2]
    assert from_csv(small(["00:00:00:00", "00:00:00:12"], ["0", "1"]), rate=24.0).times.tolist() == [0.0, 0.5]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "names no ARKit action"),
        (b"frame,time\n1,2\n", "names no ARKit action"),
        (b"JawOpen,jaw open\n1,2\n", "column “JawOpen” twice"),
        (b"Timecode,JawOpen\n", "no frame of a face"),
        (small(["00:00:00:00", "00:00:00:01"], ["0.1", "wide"]), "Line 3, column “JawOpen”: “wide” is no number."),
        (small(["00:00:00:00"], ["inf"]), "Line 2, column “JawOpen”: the number is not finite."),
        (small(["00:00:00:00", "half past two"], ["0.1", "0.2"]), "Line 3, column “Timecode”: “half past two” is no"),
        (small(["00:00:00:00"] * 5, ["0.1"] * 5), "column “Timecode” does not go on"),
        (b"\xff\xd8\xff\xe0jpeg", "The file is not text."),
        (b'JawOpen\n"' + b"9" * 200_000, "is no line of a table"),
    ],
)
def test_what_is_no_recording_is_a_sentence(data: bytes, sentence: str) -> None:
    with pytest.raises(BadRecording) as caught:
        from_csv(data)
    assert sentence in str(caught.value)


def test_angles_are_the_apps() -> None:
    """To the subject's right, up, and leaning to its right, of the head; the eyes' pitch is downwards."""

    def about(axis: int, angle: float) -> np.ndarray:
        """A right-handed rotation about an axis of head space."""
        turn, (i, j) = np.eye(3), ((1, 2), (2, 0), (0, 1))[axis]
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[j, i], turn[i, j] = np.sin(angle), -np.sin(angle)
        return turn

    def looking(turn: np.ndarray) -> list[float]:
        return head_angles(turn[None])[0].tolist()

    left = about(1, 0.3)
    assert (left @ [0, 0, 1])[0] > 0.2, "the face turns to +x, the subject's left"
    assert looking(left) == pytest.approx([-0.3, 0, 0])
    assert looking(about(0, -0.2)) == pytest.approx([0, 0.2, 0]) and (about(0, -0.2) @ [0, 0, 1])[1] > 0.1
    assert looking(about(2, 0.1)) == pytest.approx([0, 0, 0.1]) and (about(2, 0.1) @ [0, 1, 0])[0] < 0
    assert looking(left @ about(0, -0.2) @ about(2, 0.1)) == pytest.approx([-0.3, 0.2, 0.1])
    gaze = np.array([[[0.1, 0.2], [0.3, -0.4]]])
    assert eye_angles(gaze)[0].tolist() == [[-0.1, -0.2, 0.0], [-0.3, 0.4, 0.0]]
    np.testing.assert_array_equal(gaze_of(eye_angles(gaze)), gaze)
    assert timecode(86399.9999999) == "00:00:00:00.000"
