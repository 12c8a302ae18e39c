"""The rendered take is made once for all avatars."""

from __future__ import annotations

import pytest

from tests.backend.export.avatars.scene import Scene, make_scene


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return make_scene(tmp_path_factory.mktemp("avatar"))
