"""Pull a fine map to a coarse product without leaving the product's cells visible in it.

The pull is a field of values at the centres of the coarse cells, bilinear between them, such that
its mean over each coarse cell is what the fine map lacks there (smooth pycnophylactic
interpolation, Tobler 1979, doi:10.1080/01621459.1979.10481647). Fine cells come in blocks and
leave only sums behind, so memory does not grow with the fine map.
"""

from __future__ import annotations

import numpy as np

ENOUGH = 0.5  # share of the fine cells of a coarse one that must have a value
SWEEPS = 8
NEAR = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]


class Means:
    """Means of a fine map over coarse cells, and how a bilinear field enters these means.

    `shape` is that of the coarse grid. `add` blocks, then ask.
    """

    def __init__(self, shape: tuple[int, int]):
        self.shape, self.cells = shape, shape[0] * shape[1]
        self.size, self.count, self.total = (np.zeros(self.cells) for _ in range(3))
        self.links = np.zeros((self.cells, len(NEAR)))

    def add(self, rows: np.ndarray, cols: np.ndarray, values: np.ndarray) -> None:
        """Take fine cells at fractional positions (1-D) on the coarse grid; NaN has no value."""
        row, col = np.floor(rows).astype("int64"), np.floor(cols).astype("int64")
        on = (row >= 0) & (row < self.shape[0]) & (col >= 0) & (col < self.shape[1])
        own = np.where(on, row * self.shape[1] + col, 0)
        self.size += np.bincount(own[on], minlength=self.cells)
        use = on & np.isfinite(values)
        own, rows, cols = own[use], rows[use], cols[use]
        self.count += np.bincount(own, minlength=self.cells)
        self.total += np.bincount(own, values[use], minlength=self.cells)
        down, right = rows - np.floor(rows) - 0.5, cols - np.floor(cols) - 0.5
        for number, (lower, further) in enumerate(NEAR):
            share = _share(down, lower) * _share(right, further)
            self.links[:, number] += np.bincount(own, share, minlength=self.cells)

    def means(self) -> np.ndarray:
        """Return the mean over each coarse cell, NaN where fewer than ENOUGH have a value."""
        enough = (self.count > 0) & (self.count >= ENOUGH * self.size)
        return np.where(enough, self.total / np.maximum(self.count, 1), np.nan).reshape(self.shape)

    def pull(self, product: np.ndarray) -> np.ndarray:
        """Return the field at coarse centres whose cell means are `product` minus the map's.

        Where either is missing nothing is pulled: the field is 0 there and falls to it smoothly.
        """
        lacking = product - self.means()
        known = np.isfinite(lacking)
        lacking = np.where(known, lacking, 0.0)
        field = lacking.copy()
        for _ in range(SWEEPS):
            field += np.where(known, lacking - self.over_cells(field), 0.0)
        return field

    def over_cells(self, field: np.ndarray) -> np.ndarray:
        """Return the mean over each coarse cell of the field that is bilinear between centres."""
        share = self.links / np.maximum(self.count, 1)[:, None]
        padded = np.pad(field, 1, mode="edge")
        height, width = self.shape
        near = [padded[1 + d : 1 + d + height, 1 + r : 1 + r + width].ravel() for d, r in NEAR]
        return np.einsum("cn,nc->c", share, np.stack(near)).reshape(self.shape)


def _share(offset: np.ndarray, neighbour: int) -> np.ndarray:
    # Of a position `offset` cells (-0.5 to 0.5) from the centre of its cell.
    return np.where(neighbour == 0, 1 - np.abs(offset), np.maximum(neighbour * offset, 0.0))
