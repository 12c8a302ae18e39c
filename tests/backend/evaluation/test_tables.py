"""Tables and curves from plain records."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from backend.evaluation.motion_tables import motion_sheets
from backend.evaluation.plots import mean_curve, mean_of
from backend.evaluation.real_data import add_rank_correlation
from backend.evaluation.store import plain
from backend.evaluation.tables import Sheet, build_sheets, figure, mean, summarise, to_markdown, to_rich
from backend.evaluation.types import REGIONS


def run(tracker: str, protocol: str, ssme: float | None, cd: float, **more: object) -> dict[str, object]:
    return {
        "sequence": "s",
        "people": "ict",
        "performance": "speech",
        "tracker": tracker,
        "protocol": protocol,
        "frames": 30,
        "lost": 1,
        "ssme": {region: None if region == "ears" else ssme for region in REGIONS},
        "ssme_h": {},
        "cd_mm": dict.fromkeys(REGIONS, cd),
        **more,
    }


RUNS = [
    run("ours", "single", 1.0, 1.5, lip_error_mm=2.0),
    run("ours", "single", 3.0, 2.5, lip_error_mm=4.0),
    run("baseline", "single", 9.0, 5.0),
    run("ours", "sequence", 0.5, 1.0),
]


def test_a_summary_is_the_mean_over_the_sequences() -> None:
    first = summarise(RUNS)[0]
    assert (first["tracker"], first["protocol"], first["sequences"], first["frames"], first["lost"]) == (
        "ours",
        "single",
        2,
        60,
        2,
    )
    assert first["ssme"]["face"] == pytest.approx(2.0)
    assert first["ssme"]["ears"] is None
    assert first["cd_mm"]["nose"] == pytest.approx(2.0)
    assert first["lip_error_mm"] == pytest.approx(3.0)


def test_other_people_have_tables_of_their_own() -> None:
    runs = [*RUNS, run("ours", "single", 7.0, 4.0, people="makehuman")]
    sheets = build_sheets({"runs": runs, "summary": summarise(runs), "real": None})
    ours = {sheet.title: sheet.rows[0] for sheet in sheets if sheet.title.endswith("single image")}
    assert ours["Rendered sequences of ICT-FaceKit's people, single image"][-2] == "2.00"
    assert ours["Rendered sequences of MakeHuman's people, single image"][-2] == "7.00"


def test_the_main_table_is_that_of_the_paper() -> None:
    sheets = build_sheets({"runs": RUNS, "summary": summarise(RUNS), "real": None})
    main = sheets[0]
    assert main.columns == ("tracker", *(f"CD {r}" for r in REGIONS), *(f"SSME {r}" for r in REGIONS))
    assert main.rows[0] == ("ours", *["2.00"] * 5, *["2.00"] * 4, "–")
    assert main.rows[1][0] == "baseline"
    assert sheets[2].title.endswith("sequence")
    assert all(len(row) == len(sheet.columns) for sheet in sheets for row in sheet.rows)


def test_kinds_of_motion_are_compared_with_mediapipes_mesh() -> None:
    runs = [
        run("ours", "sequence", 1.0, 1.0),
        run("ours", "sequence", 3.0, 1.0, performance="turns"),
        run("mediapipe-mesh+gaussian", "sequence", 4.0, 2.0),
        run("mediapipe-mesh+gaussian", "sequence", 6.0, 2.0, performance="turns"),
    ]
    sheets = motion_sheets(runs)
    below = [{row[0]: row[sheet.columns.index("below MediaPipe")] for row in sheet.rows} for sheet in sheets]
    assert [sheet.title.split(": ")[1] for sheet in sheets] == ["all", "talking heads", "turning heads"]
    assert [told["ours"] for told in below] == ["60 %", "75 %", "50 %"]
    assert below[0]["mediapipe-mesh+gaussian"] == "–"


def test_real_data_has_its_tables() -> None:
    zoom = [
        {"tracker": "ours", "photo": f"{d}cm.jpg", "true_cm": d, "depth_cm": 2.0 * d, "focal_in_sides": 1.0}
        for d in (15, 30, 60)
    ]
    add_rank_correlation(zoom)
    real = {
        "photos": [
            {
                "tracker": "ours",
                "lost": False,
                "nme_strict": 1.0,
                "nme_approx": 3.0,
                "nme_inner": 2.0,
                "boundary_error": 6.0,
                "nme_overall": 3.0,
                "pupil_error": 0.5,
            },
            {"tracker": "ours", "lost": True},
        ],
        "scan": [{"tracker": "ours", "view": "+0/+0", "cd_mm": 1.25}, {"tracker": "ours", "view": "+80/+0"}],
        "scan_jointly": [
            {
                "tracker": "ours",
                "variant": "",
                "cd_mm": 0.75,
                "camera_rotation_deg": [0.5, None, 1.5],
                "camera_position_percent": [2.0, None, 4.0],
                "focal_ratio": [0.9, None, 1.0],
            },
            {"tracker": "ours", "variant": "δ_d", "lost": True},
        ],
        "zoom": zoom,
        "clips": [{"tracker": "ours", "clip": "c", "lost": 2, "frames": 9, "stability": 1.1, "still_frames": 0}],
    }
    photos, scan, zoomed, clips = build_sheets({"runs": [], "summary": [], "real": real})
    assert photos.rows == (("ours", "1.00", "3.00", "2.00", "6.00", "3.00", "0.50", "1 of 2"),)
    assert scan.rows == (
        ("ours", "1.25", "–", "1.25", "0.75", "1.0 / 1.5", "3.0 / 4.0", "0.95"),
        ("ours, δ_d", *["–"] * 7),
    )
    assert all(len(row) == len(sheet.columns) for sheet in (photos, scan, zoomed, clips) for row in sheet.rows)
    assert "ours 1.00" in zoomed.note
    assert clips.rows == (("ours", "c", "2 of 9", "1.1000", "–", "0"),)


def test_rigs_have_a_table_of_mean_and_worst_cameras() -> None:
    common = {"tracker": "ours", "people": "ict", "cameras": 3, "variant": "matched"}
    rigs = [
        {
            **common,
            "cd_mm": 0.5,
            "views": 2,
            "camera_rotation_deg": [0.1, None, 0.3],
            "camera_position_percent": [1.0, None, 2.0],
            "focal_ratio": [0.9, None, 1.1],
        },
        {**common, "lost": True},
        {**common, "people": "makehuman", "lost": True},
    ]
    (sheet,) = build_sheets({"runs": [], "summary": [], "rigs": rigs, "real": None})
    assert sheet.rows == (
        ("ours, matched", "ICT-FaceKit's people", "3", "0.50", "0.20 / 0.30", "1.50 / 2.00", "10.00", "4 of 6"),
        ("ours, matched", "MakeHuman's people", "3", *["–"] * 4, "3 of 3"),
    )
    assert len(sheet.columns) == len(sheet.rows[0])


def test_markdown_keeps_every_cell_and_escapes_bars() -> None:
    text = to_markdown([Sheet("T", ("a|b", "c"), (("x", "1"),), "note")], "H", "words")
    assert text == "# H\n\nwords\n\n## T\n\n| a\\|b | c |\n|---|---:|\n| x | 1 |\n\nnote\n"


def test_the_terminal_shows_the_same_cells() -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(to_rich(Sheet("T", ("tracker", "figure"), (("ours", "1.25"),))))
    shown = console.export_text()
    assert "ours" in shown
    assert "1.25" in shown


def test_what_is_not_there_does_not_count() -> None:
    assert mean([1.0, None, float("nan"), 3.0]) == pytest.approx(2.0)
    assert mean([None]) is None
    assert figure(None) == figure(float("nan")) == "–"
    assert plain({"a": np.array([1.0, np.nan]), "b": (np.float32(2),)}) == {"a": [1.0, None], "b": [2.0]}


def test_curves_of_different_lengths_are_averaged_where_they_reach() -> None:
    np.testing.assert_allclose(mean_curve([[1.0, 2.0], [3.0]]), [2.0, 2.0])
    np.testing.assert_allclose(mean_curve([[1.0, None], [3.0, 4.0]]), [2.0, 4.0])
    np.testing.assert_allclose(mean_of([np.array([1.0, np.nan]), np.array([3.0, np.nan])]), [2.0, np.nan])
