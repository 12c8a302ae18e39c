"""Files that a backend hands over are written where the client wants them, and nowhere else."""

from __future__ import annotations

import pytest

from backend.client.result_files import require_result_names
from backend.errors import UserError


def test_results_and_proxies_have_their_names():
    require_result_names(["track.npz", "deltas.npz", "proxy/kamera_ü 1.mp4", "take.fbx", ".x"])


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
