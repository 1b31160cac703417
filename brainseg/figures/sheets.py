"""Pictures to print and to draw on: one slice in grey, ruled in cells, whose lines can be told apart without colour."""

from __future__ import annotations

from string import ascii_uppercase
from typing import TYPE_CHECKING

import numpy as np

from brainseg.figures import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def printed_slice(flair: np.ndarray, truth: np.ndarray | None = None, cells: int = 0) -> Figure:
    """A square picture for paper: grey levels, white ruling, and the true outline in white with a dark rim.

    Parameters
    ----------
    flair : uint8 array (side, side)
        A slice, or a square part of one.
    truth : bool array (side, side), optional
        The mask whose outline is drawn.
    cells : int
        In how many cells each side is ruled; rows are then numbered and columns have letters. The side is a multiple of
        it. 0 for none.
    """
    figure, ax = style.new_figure(height=style.WIDTH)
    style.show_slice(ax, flair, vmax=style.white(flair))
    if cells:
        side = len(flair)
        edges = np.linspace(0, side, cells + 1) - 0.5
        middles = (edges[:-1] + edges[1:]) / 2
        ax.set_axis_on()
        ax.set_xticks(middles, ascii_uppercase[:cells])
        ax.set_yticks(middles, range(1, cells + 1))
        ax.tick_params(length=0, labelsize=13, top=False, labeltop=True, labelbottom=False)
        ax.grid(visible=False)
        ax.spines[:].set_visible(False)
        ax.hlines(edges, -0.5, side - 0.5, colors="white", linewidths=0.5)
        ax.vlines(edges, -0.5, side - 0.5, colors="white", linewidths=0.5)
        ax.set(xlim=(-0.5, side - 0.5), ylim=(side - 0.5, -0.5))
    if truth is not None:
        style.outline(ax, truth, colour="white", width=2.5)
    return figure
