"""A head whose actions look as one person performs them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.head_model.model import FloatArray, HeadModel


def no_corrections() -> FloatArray:
    """The corrections of a person of whom none are known."""
    return np.zeros((0, 0, 3), np.float32)


def with_corrections(head: HeadModel, corrections: NDArray[np.floating[Any]]) -> HeadModel:
    """The head with ``corrections (K_ex,V,3)``, metres at strength 1, added to its expressions; itself for none.

    None is any array without elements, or of zeros. The result's own hash is another; tracks refer to the head's.

    Raises ``ValueError`` where the corrections are of another head.
    """
    if not np.any(corrections):
        return head
    if corrections.shape != head.expression_basis.shape:
        raise ValueError(f"corrections {corrections.shape} for expressions {head.expression_basis.shape}")
    basis: FloatArray = head.expression_basis + corrections.astype(np.float32)
    return replace(head, expression_basis=basis)
