"""The toys as this process knows them, and forgets them again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from backend.alignment.registry import ALIGNERS
from backend.export.registry import EXPORTS

RUNNER = "tests.toys.registered:run_job"


@contextlib.contextmanager
def known_toys() -> Iterator[None]:
    """The toys are registered while the block runs."""
    from tests.toys.registered import register

    register()
    try:
        yield
    finally:
        for registry in (ALIGNERS, EXPORTS):
            for name in ("toy", "toy_folder"):
                registry.pop(name, None)
