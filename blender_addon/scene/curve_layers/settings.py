"""What the layers of a take do, as the numbers that are kept with it. Knows nothing of bpy."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from . import regions

Side = Literal["BOTH", "LEFT", "RIGHT"]


@dataclass(frozen=True)
class Layer:
    """Of a region or an action: smoothed, then multiplied, then shifted; muted it is at rest.

    ``smoothing`` is the σ of a Gaussian in frames of the footage.
    """

    smoothing: float = 0.0
    gain: float = 1.0
    offset: float = 0.0
    mute: bool = False

    def under(self, outer: Layer) -> Layer:
        """This layer with another one over it, as one."""
        return Layer(
            math.hypot(self.smoothing, outer.smoothing),
            self.gain * outer.gain,
            self.offset * outer.gain + outer.offset,
            self.mute or outer.mute,
        )


PLAIN = Layer()


@dataclass(frozen=True)
class LayerSettings:
    """The layers of one version of a take; without an argument they change nothing.

    ``gaze_turn`` turns both eyes by yaw and pitch (radians). ``symmetry`` is how much of the way each action goes to
    its pair's mean, or to the pair's side that ``symmetry_from`` names. ``zero`` are the first and the last frame of
    the footage whose mean weights become zero everywhere. ``keep_fast`` smooths only what changes little, so that
    blinks, lips that close and darting eyes keep their course.
    """

    on: bool = True
    by_region: Mapping[str, Layer] = field(default_factory=dict)
    by_action: Mapping[str, Layer] = field(default_factory=dict)
    gaze_turn: tuple[float, float] = (0.0, 0.0)
    symmetry: float = 0.0
    symmetry_from: Side = "BOTH"
    zero: tuple[float, float] | None = None
    keep_fast: bool = True

    def region(self, name: str) -> Layer:
        """The layer of a region."""
        return self.by_region.get(name, PLAIN)

    def action(self, name: str) -> Layer:
        """The layer of an action alone."""
        return self.by_action.get(name, PLAIN)

    def over(self, action: str) -> Layer:
        """All that is over an action: its own layer and its region's."""
        return self.action(action).under(self.region(regions.region_of(action)))

    def with_region(self, name: str, **changes: Any) -> LayerSettings:
        """The settings with a region's layer changed."""
        changed = dataclasses.replace(self.region(name), **changes)
        return dataclasses.replace(self, by_region=_without_plain({**self.by_region, name: changed}))

    def with_action(self, name: str, **changes: Any) -> LayerSettings:
        """The settings with an action's own layer changed."""
        changed = dataclasses.replace(self.action(name), **changes)
        return dataclasses.replace(self, by_action=_without_plain({**self.by_action, name: changed}))


def _without_plain(layers: Mapping[str, Layer]) -> dict[str, Layer]:
    return {name: layer for name, layer in layers.items() if layer != PLAIN}


def to_text(settings: LayerSettings) -> str:
    """Settings as text, "" for those that change nothing and say nothing else."""
    return json.dumps(dataclasses.asdict(settings)) if settings != LayerSettings() else ""


def from_text(text: str) -> LayerSettings:
    """Settings of ``to_text``; what this add-on does not know of them is left out."""
    if not text:
        return LayerSettings()
    data = _known(LayerSettings, json.loads(text))
    for key in ("by_region", "by_action"):
        data[key] = {name: Layer(**_known(Layer, layer)) for name, layer in data.get(key, {}).items()}
    data["gaze_turn"] = tuple(data.get("gaze_turn", (0.0, 0.0)))
    data["zero"] = tuple(data["zero"]) if data.get("zero") is not None else None
    return LayerSettings(**data)


def _known(cls: type, data: Mapping[str, Any]) -> dict[str, Any]:
    names = {item.name for item in dataclasses.fields(cls)}
    return {key: value for key, value in data.items() if key in names}
