"""From a job's options to those of the fit, checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.errors import UserError
from protocol.messages import JobSpec

if TYPE_CHECKING:
    from backend.fitting import FitOptions
    from backend.head_model.model import HeadModel


OPTIONS = ("focal_px", "deform_region", "weights", "match_skin")


DEFORM_REGIONS = ("", "nose", "face")


def fit_options(spec: JobSpec, head: HeadModel) -> tuple[FitOptions, float | None]:
    """How to fit, and the focal length to pin where no calibration gives one. Raises UserError naming the option.

    Where there are several views, the nose may leave the identity basis unless the options say otherwise, as in
    seeds/001 §3.2.2: depth from one view tells too little of it.
    """
    from backend.fitting import FitOptions

    unknown = [name for name in spec.options if name not in OPTIONS]
    if unknown:
        raise UserError("unknown_option", f"There is no option “{unknown[0][:60]}”; there is “{'”, “'.join(OPTIONS)}”.")
    region = spec.options.get("deform_region")
    if region is None:
        region = "nose" if len(spec.views) > 1 and "nose" in head.regions else ""
    elif region not in DEFORM_REGIONS:
        raise UserError("bad_option", f"The option “deform_region” must be “nose”, “face” or “”, not {region!r:.60}.")
    return FitOptions(deform_region=region or None, metric_cameras=spec.metric_cameras), _known_focal(spec.options)


def match_wanted(spec: JobSpec) -> bool:
    """Whether skin is to be matched where there are several views: unless the options say no."""
    wanted = spec.options.get("match_skin", True)
    if not isinstance(wanted, bool):
        raise UserError("bad_option", f"The option “match_skin” must be true or false, not {wanted!r:.60}.")
    return wanted


def _known_focal(options: Mapping[str, Any]) -> float | None:
    focal = options.get("focal_px")
    if focal is None:
        return None
    if isinstance(focal, bool) or not isinstance(focal, int | float) or not math.isfinite(focal) or focal <= 0:
        raise UserError("bad_option", f"The option “focal_px” must be a number of pixels above 0, not {focal!r}.")
    return float(focal)


def _weights(spec: JobSpec) -> Path | None:
    weights = spec.options.get("weights")
    if weights is None:
        return None
    if not isinstance(weights, str) or not weights or "\0" in weights:
        raise UserError("bad_option", f"The option “weights” must be a path, not {weights!r:.60}.")
    return Path(weights)
