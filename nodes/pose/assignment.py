"""Who gets what, so that the whole costs least."""

from __future__ import annotations

import numpy as np


def assign(costs: np.ndarray, alone: float) -> list[tuple[int, int]]:
    """Pairs (row, column) with the least total cost, where a row that gets no column costs `alone`.

    costs: (N, M); infinite where a pair is impossible. No row and no column is in two pairs.

    Source: the Hungarian method with shortest augmenting paths (Jonker and Volgenant, "A Shortest Augmenting Path
    Algorithm for Dense and Sparse Linear Assignment Problems", 1987). Each row has a column of its own, too, to be
    alone in.
    """
    rows, columns = costs.shape
    own = np.full((rows, rows), np.inf)
    np.fill_diagonal(own, alone)
    every = np.concatenate([costs, own], axis=1)
    row_price, column_price = np.zeros(rows), np.zeros(columns + rows)
    owner = np.full(columns + rows, -1)  # the row of each column
    for row in range(rows):
        _insert(row, every, row_price, column_price, owner)
    return [(int(owner[column]), column) for column in range(columns) if owner[column] >= 0]


def _insert(row: int, costs: np.ndarray, row_price: np.ndarray, column_price: np.ndarray, owner: np.ndarray) -> None:
    """Give `row` a column, moving other rows along the cheapest chain of columns. The rest is changed in place."""
    count = costs.shape[1]
    least, before = np.full(count, np.inf), np.full(count, -1)  # cost of the cheapest chain to a column, its last link
    done = np.zeros(count, bool)
    reached, column, so_far = row, -1, 0.0
    while True:
        through = so_far + costs[reached] - row_price[reached] - column_price
        shorter = ~done & (through < least)
        least[shorter], before[shorter] = through[shorter], column
        column = int(np.argmin(np.where(done, np.inf, least)))
        so_far = float(least[column])
        if owner[column] < 0:
            break
        done[column] = True
        reached = int(owner[column])
    row_price[row] += so_far
    row_price[owner[done]] += so_far - least[done]
    column_price[done] -= so_far - least[done]
    while column >= 0:
        previous = int(before[column])
        owner[column] = row if previous < 0 else owner[previous]
        column = previous
