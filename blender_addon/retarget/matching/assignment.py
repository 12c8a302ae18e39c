"""The assignment of least cost: which row goes with which column, one each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def assign(cost: NDArray[np.float64]) -> list[tuple[int, int]]:
    """The pairs (row, column) of least total cost (R,C), as many as the shorter side has; in the order of rows.

    The Hungarian method by shortest augmenting paths, a row at a time (Jonker and Volgenant 1987).
    """
    if cost.shape[0] > cost.shape[1]:
        return sorted((row, column) for column, row in assign(cost.T))
    rows, columns = cost.shape
    of_row, of_column = np.zeros(rows), np.zeros(columns)  # potentials
    owner = np.full(columns, -1)
    for start in range(rows):
        reach, before = np.full(columns, np.inf), np.full(columns, -1)
        done = np.zeros(columns, bool)
        row, column = start, -1
        while row >= 0:
            length = cost[row] - of_row[row] - of_column
            if column >= 0:
                length = length + reach[column]
            shorter = ~done & (length < reach)
            reach[shorter], before[shorter] = length[shorter], column
            column = int(np.where(done, np.inf, reach).argmin())
            done[column] = True
            row = int(owner[column])
        shortest = reach[column]
        visited = done & (owner >= 0)
        of_row[start] += shortest
        of_row[owner[visited]] += shortest - reach[visited]
        of_column[done] += reach[done] - shortest
        while column >= 0:
            previous = int(before[column])
            owner[column] = owner[previous] if previous >= 0 else start
            column = previous
    return sorted((int(row), column) for column, row in enumerate(owner) if row >= 0)
