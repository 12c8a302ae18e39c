"""Clips tracked on a Ray cluster of two machines (of Ray's own kind for tests: real daemons, on this machine)."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.client.batch.clips import read_clips
from backend.client.batch.ledger import ClipRecord, ClipState, Ledger
from backend.client.batch.ray_cluster import RayCluster
from backend.client.batch.run import Batch, BatchRun
from backend.client.request import TrackRequest
from backend.errors import UserError
from tests.backend.client.batch.two_machines import TOYS, TwoMachines


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoMachines]:
    """A cluster for the module, with a diary of what ran on it."""
    pytest.importorskip("ray", reason="Ray is not installed: it comes with the extra “ray”")
    with TwoMachines(tmp_path_factory.mktemp("machines") / "diary") as started:
        yield started


def track(folder: Path, cluster: RayCluster, on_record: Any = lambda _: None) -> dict[str, ClipRecord]:
    out = folder / "out"
    listed = folder / "clips.txt"
    clips = read_clips(listed if listed.exists() else folder / "clips", TrackRequest((), out))
    with Ledger(out) as ledger:
        run = BatchRun(Batch(clips, out), ledger, on_record=on_record)
        run.track(cluster)
    return run.records


@pytest.mark.slow
def test_clips_of_a_machine_that_is_killed_are_tracked_by_the_other_and_each_is_done_once(
    machines: TwoMachines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    deeds = {"a": "wait", "b": "wait", "crashes": "die once", **{f"clip{number}": "" for number in range(8)}}
    for name, deed in {**deeds, "refused": "refuse"}.items():
        (clips / f"{name}.mp4").write_text(deed)
    monkeypatch.chdir(clips)
    unseen = Path("/proc/self/cwd/clip7.mp4")  # another process does not see it there
    names = [str(unseen) if path.stem == "clip7" else str(path) for path in sorted(clips.iterdir())]
    (tmp_path / "clips.txt").write_text("\n".join(names))

    ended: list[ClipRecord] = []

    def kill_when_both_are_busy() -> None:
        deadline = time.monotonic() + 120
        while not {"a", "b"} <= {*machines.diary()} and time.monotonic() < deadline:
            time.sleep(0.02)
        machines.kill_one()

    def on_record(record: ClipRecord) -> None:
        ended.append(record)
        if record.name in ("a", "b") and record.state is ClipState.PENDING:
            (clips / "go").touch()

    killer = threading.Thread(target=kill_when_both_are_busy)
    killer.start()
    records = track(tmp_path, RayCluster("ray://auto", runner=TOYS), on_record)
    killer.join()
    done = [record.name for record in ended if record.state is ClipState.DONE]
    assert sorted(done) == sorted(deeds), "all are done, and none of them twice"
    assert sorted((records["a"].attempts, records["b"].attempts)) == [1, 2]
    (lost,) = [record.name for record in ended if "machine that tracked it is gone" in record.problem]
    assert records[lost].attempts == 2 and machines.diary().count(lost) == 2
    assert records["refused"].problem.startswith("No face was found") and records["refused"].attempts == 1
    assert records["crashes"].attempts == 2 and machines.diary().count("crashes") == 2
    assert json.loads((tmp_path / "out" / lost / "report.json").read_text())["frames"] == 7
    sent = json.loads((tmp_path / "out" / "clip7" / "report.json").read_text())
    assert sent["footage"] == str(unseen) and machines.diary().count("clip7") == 1, "it is sent where it is not seen"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {".batch", *deeds}


@pytest.mark.slow
@pytest.mark.usefixtures("machines")
def test_footage_and_results_are_sent_where_folders_are_not_shared(tmp_path: Path) -> None:
    plate = tmp_path / "clips" / "plate"
    plate.mkdir(parents=True)
    for number in range(1, 4):
        (plate / f"{number:03d}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes([number]) * (9 << 20))
    records = track(tmp_path, RayCluster("ray://auto", runner=TOYS, share=False))
    assert [record.state for record in records.values()] == [ClipState.DONE]
    result = tmp_path / "out" / "plate"
    assert (result / "proxy" / "camera.mp4").read_bytes() == (plate / "001.png").read_bytes()
    report = json.loads((result / "report.json").read_text())
    assert report["footage"] == str(plate / "001.png"), "the footage is called as it is here"
    assert report["beside"] == ["001.png", "002.png", "003.png"], "its whole sequence was there"


def test_no_cluster_and_no_ray_are_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="expected ray://HOST:PORT"), RayCluster("10.0.0.1:6379"):
        pass
    monkeypatch.setitem(sys.modules, "ray", None)  # as where it is not installed
    with pytest.raises(UserError, match="which is not installed here") as caught, RayCluster("ray://127.0.0.1:1"):
        pass
    assert "extra “ray”" in caught.value.hint


def test_an_address_where_nothing_listens_is_no_cluster() -> None:
    pytest.importorskip("ray", reason="Ray is not installed: it comes with the extra “ray”")
    with (
        pytest.raises(UserError, match=r"No Ray cluster answers at ray://127\.0\.0\.1:1"),
        RayCluster("ray://127.0.0.1:1"),
    ):
        pass
