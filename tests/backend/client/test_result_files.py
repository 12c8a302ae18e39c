"""Files that a backend hands over are written where the client wants them, and nowhere else."""

from __future__ import annotations

import pytest

from backend.client.result_files import require_result_names
from backend.client.track import write_take
from backend.errors import UserError
from protocol import messages as m


def test_results_and_proxies_have_their_names():
    require_result_names(["track.npz", "deltas.npz", "proxy/kamera_ü 1.mp4", "take.fbx", ".x"])


def test_a_file_that_did_not_come_is_named(tmp_path):
    job = m.JobStatus("20260101-000000-00000001", "clip", m.JobState.DONE)
    with pytest.raises(UserError, match=r"“clip” has no file “track\.npz”"):
        write_take(m.ResultReply(job), tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "..",
        "../x",
        "/etc/x",
        "proxy/..",
        "proxy/../x",
        "a/b",
        "proxy/a/b",
        "/proxy/x",
        "a\\..\\b",
        "C:x",
        "x\0",
        "/x",
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(name):
    with pytest.raises(UserError, match="has a file with the name"):
        require_result_names([name])
