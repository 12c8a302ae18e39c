"""The one place that knows where the ``protocol`` package lies.

An installed extension carries its own copy as a sub-package (its full name varies with the extension repository); in
the source tree it is the top-level package. Everything else in the add-on imports it from here.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

__all__ = [
    "arrays",
    "codec",
    "corrections",
    "face_actions",
    "fields",
    "keys",
    "live",
    "live_link",
    "live_link_reading",
    "messages",
    "options",
    "packed_folder",
    "shown",
    "take",
    "upload",
    "version",
]

if TYPE_CHECKING:
    from protocol import (
        arrays,
        codec,
        corrections,
        face_actions,
        fields,
        keys,
        live,
        live_link,
        live_link_reading,
        messages,
        options,
        packed_folder,
        shown,
        take,
        upload,
        version,
    )
else:
    _BUNDLED = (Path(__file__).parent / "protocol" / "__init__.py").is_file()

    def _load(name: str) -> ModuleType:
        return importlib.import_module(f".protocol.{name}" if _BUNDLED else f"protocol.{name}", __package__)

    globals().update({name: _load(name) for name in __all__})
