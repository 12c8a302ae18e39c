"""What tracking a take again will do to the one that is there, found out before anything is done."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..vendor import take as contract
from . import actors, shape, span
from . import ownership as replace

NAMED = 4
"""Names of one kind that a question lists, more are counted."""
BOUND = ("SURFACE_DEFORM", "MESH_DEFORM", "LAPLACIANDEFORM", "CORRECTIVE_SMOOTH", "MULTIRES")
"""Modifiers that remember a mesh's vertices by their numbers."""


@dataclass(frozen=True, eq=False)
class Plan:
    """``collection`` is the take that is tracked again, None for a new one.

    ``index`` is the result of the run that it speaks of, 0 the first, and ``joins`` the take of which that is a further
    head. The take's cameras stay as they are where ``cameras_stay``: other heads are seen through them that the run has
    not. ``others`` are the plans of the run's other results.

    ``part`` says that only some of its frames were tracked, ``other_head`` that its head is another model. ``lost``
    names what cannot be kept then; ``accepted`` is the user's consent. ``pieces`` are the frames (T,) of a part that
    go into the take, each without a gap, where not all do; ``about`` is what to say of it.
    """

    collection: Any | None
    part: bool = False
    other_head: bool = False
    lost: tuple[str, ...] = ()
    accepted: bool = False
    pieces: tuple[NDArray[np.bool_], ...] = ()
    about: str = ""
    index: int = 0
    joins: Any | None = None
    cameras_stay: bool = False
    others: tuple[Plan, ...] = ()

    @property
    def updates(self) -> bool:
        """True where the take that is there is changed, not a second one built."""
        return self.collection is not None and (self.accepted or not self.lost)

    def accept(self) -> Plan:
        """The plan once the user has agreed to what is lost."""
        return dataclasses.replace(self, accepted=True, others=tuple(other.accept() for other in self.others))

    def question(self) -> str:
        """What the user is asked where something is lost, "" where nothing is."""
        if not self.lost or self.collection is None:
            return ""
        return (
            f"“{self.collection.name}” has another head. To replace it leaves {_listed(self.lost)} with the version "
            "before, to which you can go back; a second take leaves all as it is."
        )


def plan_for(scene: Any, take: contract.TakeResult, preferred: Any = None) -> Plan:
    """The plan for a take in a scene; of several takes of its footage the ``preferred`` one is tracked again.

    The result of the take's first head is planned first, so that its cameras are there for the others.
    """
    main = replace.find_take(scene, take, preferred)
    results = (take, *take.others)
    if main is None:
        return Plan(None, others=tuple(Plan(None, index=index) for index in range(1, len(results))))
    heads = actors.heads_for(main, results, preferred)
    order = sorted(range(len(results)), key=lambda index: (heads[index] != main, heads[index] is None, index))
    plans = [_plan_head(main, heads[index], results[index], index) for index in order]
    stay = heads[order[0]] != main or plans[0].part or not set(replace.family_of(main)) <= set(heads)
    lost = tuple(dict.fromkeys(name for plan in plans for name in plan.lost))
    plans = [dataclasses.replace(plan, cameras_stay=stay, lost=lost) for plan in plans]
    return dataclasses.replace(plans[0], others=tuple(plans[1:]))


def _plan_head(main: Any, collection: Any | None, take: contract.TakeResult, index: int) -> Plan:
    """What a result does to the head that it is of, None where it is a further one of the take ``main``."""
    if collection is None:
        return Plan(None, index=index, joins=main)
    head = replace.member(collection, replace.HEAD)
    other = head is not None and not shape.same_head(head.data, take.head)
    there, new = span.span_of(collection), span.span(take)
    part = not other and there is not None and (new[0] > there[0] + span.SLACK or new[1] < there[1] - span.SLACK)
    return Plan(collection, part, other, tuple(_lost(head, take.head)) if other else (), index=index)


def _lost(head: Any, new: contract.HeadGeometry) -> list[str]:
    """What of a head another model's mesh does not have, in words."""
    lost = ["its shape and its expressions' curves"]
    mesh = head.data
    built = set(shape.built_names(mesh) or new.expression_names)
    own = {block.name for block in shape.expressions_of(mesh, sorted(built)).values()}
    blocks = list(mesh.shape_keys.key_blocks)[1:] if mesh.shape_keys is not None else []
    for what, names in (
        ("shape key", [block.name for block in blocks if block.name not in own]),
        ("vertex group", [group.name for group in head.vertex_groups if group.name not in new.joint_names]),
        ("binding of", [modifier.name for modifier in head.modifiers if modifier.type in BOUND]),
    ):
        if names:
            plural = "s" if len(names) > 1 and not what.endswith("of") else ""
            lost.append(f"the {what}{plural} {_listed(_some([f'“{name}”' for name in names]))}")
    return lost


def _some(names: Sequence[str]) -> list[str]:
    """Names, the first few where there are many."""
    return [*names] if len(names) <= NAMED else [*names[: NAMED - 1], f"{len(names) - NAMED + 1} more"]


def _listed(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
