"""The look of the book's figures: theme, colours that colour-blind readers can tell apart, slices and outlines.

The colours are those of Okabe and Ito, "Color Universal Design" (2008). Figures are 6.4 inches wide and no text in
them is below 10 points, so that they can be read on a phone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import AbstractPathEffect, withStroke

from brainseg.cohort import FLAIR
from brainseg.images.crop import head_silhouette, square_box

OKABE_ITO = {
    "orange": "#E69F00",
    "sky blue": "#56B4E9",
    "bluish green": "#009E73",
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "reddish purple": "#CC79A7",
    "yellow": "#F0E442",
    "black": "#000000",
}

#: One meaning, one colour, on every page.
COLOURS = {
    "truth": OKABE_ITO["sky blue"],
    "prediction": OKABE_ITO["orange"],
    "box": OKABE_ITO["yellow"],
    "fcn32": OKABE_ITO["reddish purple"],
    "unet": OKABE_ITO["blue"],
    "resunet": OKABE_ITO["bluish green"],
    "tumour": OKABE_ITO["vermillion"],
    "no tumour": "#8C8C8C",
    "train": OKABE_ITO["blue"],
    "validation": OKABE_ITO["orange"],
    "test": OKABE_ITO["bluish green"],
}

MARKERS = {"fcn32": "s", "unet": "o", "resunet": "d"}  # so that nobody needs the colours

WIDTH = 6.4  # inches


def halo(width: float) -> list[AbstractPathEffect]:
    """A white seam, `width` points in all, that parts a line or a number from the dots beneath it."""
    return [withStroke(linewidth=width, foreground="white")]


def use_theme() -> None:
    """Set seaborn's theme and matplotlib's defaults for all figures that follow, whatever a user's matplotlibrc says.

    One that has pictures begin at the bottom, say, would turn every slice upside down.
    """
    matplotlib.rcdefaults()
    sns.set_theme(
        style="ticks",
        palette=list(OKABE_ITO.values()),
        rc={
            "figure.figsize": (WIDTH, 4.5),
            "figure.dpi": 150,
            "savefig.dpi": 150,
            "figure.facecolor": "white",
            "font.size": 12,
            "axes.titlesize": 13,
            "axes.labelsize": 12,
            "xtick.labelsize": 11,
            "ytick.labelsize": 11,
            "legend.fontsize": 11,
            "legend.title_fontsize": 11,
            "legend.frameon": False,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": "#E5E5E5",
            "image.interpolation": "nearest",
        },
    )


def new_figure(rows: int = 1, columns: int = 1, height: float = 4.5, **options) -> tuple:
    """A figure and its axes, as ``plt.subplots`` gives them; `height` in inches.

    The figure is closed for pyplot at once. A notebook would otherwise show it twice: as the
    cell's value, and again because it is open.
    """
    figure, axes = plt.subplots(rows, columns, figsize=(WIDTH, height), layout="constrained", **options)
    plt.close(figure)
    return figure, axes


def nothing_to_show(reason: str) -> Figure:
    """A sentence in the place of a figure that a cohort has nothing for."""
    figure, ax = new_figure(height=1.2)
    ax.text(0.5, 0.5, reason, ha="center", va="center", wrap=True)
    ax.set_axis_off()
    return figure


NO_TUMOUR = "No slice of this cohort shows tumour, so there is nothing to draw."


def slice_grid(rows: int, columns: int, captions: float = 0.3) -> tuple[Figure, np.ndarray]:
    """A figure for square pictures and its axes, shape (rows, columns); `captions`: room for titles, in inches."""
    return new_figure(rows, columns, rows * (WIDTH / columns + captions), squeeze=False)


def show_slice(
    ax: Axes, image: np.ndarray, title: str = "", sequence: int | None = FLAIR, vmax: float | None = None
) -> None:
    """Draw a slice in grey, without axes.

    Parameters
    ----------
    ax : Axes
    image : ndarray, shape (H, W) or (H, W, 3)
        uint8 is shown on the scale 0 to 255, floats on 0 to 1, bool in black and white.
    title : str
    sequence : int or None
        The channel shown of three: `PRE`, `FLAIR` or `POST`. None shows the three as red, green and
        blue, as the article does, though they are not colours.
    vmax : float, optional
        The value shown as white.
    """
    image = np.asarray(image)
    if image.ndim == 3 and sequence is not None:
        image = image[..., sequence]
    white = 255 if image.dtype == np.uint8 else 1
    ax.imshow(image, cmap="gray", vmin=0, vmax=vmax or white, interpolation="nearest")
    ax.set_title(title)
    ax.set_axis_off()


@contextlib.contextmanager
def same_jitter() -> Iterator[None]:
    """Inside, seaborn scatters dots as in every call: it takes no generator, and draws from NumPy's global one."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


def white(channel: np.ndarray) -> float:
    """The value to show as white, so that a dim slice can be seen: all but the brightest half per cent lie below."""
    return max(1.0, float(np.percentile(channel, 99.5)))


def zoom_to_head(axes: Iterable[Axes], image: np.ndarray) -> None:
    """Let panels of one slice show the head alone, in a square; the picture itself, uint8 (H, W, 3), stays whole."""
    box = square_box(head_silhouette(image[None]))
    for ax in axes:
        ax.set(xlim=(box.left - 0.5, box.right - 0.5), ylim=(box.bottom - 0.5, box.top - 0.5))


def outline(ax: Axes, mask: np.ndarray, colour: str = COLOURS["truth"], width: float = 1.5) -> None:
    """Draw the outline of a mask along the edges of its pixels, over a slice.

    Nothing is smoothed: what the line encloses is what is scored. A thin dark rim keeps it visible on bright tissue.

    Parameters
    ----------
    ax : Axes
    mask : ndarray of bool, shape (H, W)
    colour : str
    width : float
        In points.
    """
    # A frame of False closes outlines at the border. An edge lies wherever two neighbours differ.
    padded = np.pad(np.asarray(mask, dtype=bool), 1)
    rows, columns = np.nonzero(padded[1:, 1:-1] != padded[:-1, 1:-1])
    level = [[(x - 0.5, y - 0.5), (x + 0.5, y - 0.5)] for y, x in zip(rows, columns, strict=True)]
    rows, columns = np.nonzero(padded[1:-1, 1:] != padded[1:-1, :-1])
    upright = [[(x - 0.5, y - 0.5), (x - 0.5, y + 0.5)] for y, x in zip(rows, columns, strict=True)]
    # The rim first and whole: a rim under each edge apart would cut the line into beads.
    for stroke, thickness in (("black", width + 1.0), (colour, width)):
        lines = LineCollection(level + upright, colors=stroke, linewidths=thickness, capstyle="round")
        ax.add_collection(lines, autolim=False)


def outline_legend(figure: Figure, colours: dict[str, str]) -> None:
    """One legend line below the panels: `colours` maps what is written to its colour."""
    handles = [Line2D([], [], color=colour, linewidth=2.5, label=label) for label, colour in colours.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
