"""The colour of a person's irises as one property of their material, for the panel and for scripts."""

from __future__ import annotations

from typing import Any

import bpy

from .scene import materials

NAME = "flowface_iris"


def _get(material: Any) -> materials.Colour:
    return materials.colour_of(material)


def _set(material: Any, colour: Any) -> None:
    materials.set_colour(material, (colour[0], colour[1], colour[2]))


def iris_property() -> Any:
    """The property, which has no value of its own: it is what the material's nodes and the viewport show."""
    return bpy.props.FloatVectorProperty(
        name="Iris",
        description="Colour of the irises, as read from the footage where its eyes are large enough, until you set it",
        subtype="COLOR",
        size=3,
        min=0.0,
        max=1.0,
        get=_get,
        set=_set,
    )
