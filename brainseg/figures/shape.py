"""Figures of tumour shape and genomic clusters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from brainseg.cohort import FLAIR
from brainseg.experiments.shape_genomics.analysis import MANUAL
from brainseg.experiments.shape_genomics.features import BINS, FEATURES, Ellipsoid, Radii, bin_of, smoothed
from brainseg.figures.style import (
    COLOURS,
    OKABE_ITO,
    new_figure,
    outline,
    outline_legend,
    same_jitter,
    show_slice,
    slice_grid,
    white,
)
from brainseg.figures.training import message
from brainseg.statistics import p_text

#: A feature as an axis names it.
LABELS = {
    "asd": "angular standard\ndeviation (ASD)",
    "bevr": "bounding ellipsoid\nvolume ratio (BEVR)",
    "mf": "margin\nfluctuation (MF)",
}
_ALTERNATING = (OKABE_ITO["blue"], OKABE_ITO["orange"])
_SOURCES = (OKABE_ITO["sky blue"], OKABE_ITO["orange"], OKABE_ITO["bluish green"], OKABE_ITO["reddish purple"])


def silhouettes(masks: Mapping[str, np.ndarray], features: Mapping[str, Mapping[str, float]]) -> Figure:
    """Flat shapes with what their outlines measure; `features` gives ``asd`` and ``mf`` under the same names."""
    figure, axes = slice_grid(1, len(masks), captions=0.75)
    for ax, (name, mask) in zip(axes[0], masks.items(), strict=True):
        ax.imshow(mask, cmap="Blues", vmin=0, vmax=1.6)
        ax.set_axis_off()
        ax.set_title(f"{name}\nASD {features[name]['asd']:.3f}\nMF {features[name]['mf']:.3f}", fontsize=11)
    return figure


def angular_bins(image: np.ndarray, outlined: Radii) -> Figure:
    """A slice with its outline cut into ten angles (left), and the distances in each angle (right)."""
    figure, (left, right) = new_figure(1, 2, height=4.2)
    _close_up(left, image, outlined)
    bins = bin_of(outlined.angles)
    for number in np.unique(bins):
        colour, here = _ALTERNATING[number % 2], bins == number
        left.scatter(*outlined.points[here, ::-1].T, s=8, color=colour)
        degrees = np.degrees(outlined.angles[here])
        right.scatter(degrees, outlined.distances[here], s=8, color=colour)
        mean, spread = outlined.distances[here].mean(), outlined.distances[here].std()
        start = -180 + 360 / BINS * number
        right.fill_between(
            [start, start + 360 / BINS], mean - spread, mean + spread, color=colour, alpha=0.25, linewidth=0
        )
    reach = 1.25 * np.ptp(outlined.points, axis=0).max()
    for angle in np.linspace(-np.pi, np.pi, BINS, endpoint=False):
        end = outlined.centre + reach * np.array([np.sin(angle), np.cos(angle)])
        left.plot(*np.transpose([outlined.centre[::-1], end[::-1]]), color="white", linewidth=0.8)
    right.set(xlabel="angle, degrees", ylabel="distance from centroid / mean", xticks=[-180, -90, 0, 90, 180])
    return figure


def margin_profile(image: np.ndarray, outlined: Radii) -> Figure:
    """A slice with its outline (left); distances along the outline, before and after smoothing (right)."""
    figure, (left, right) = new_figure(1, 2, height=4.2)
    _close_up(left, image, outlined)
    smooth = smoothed(outlined.distances)
    closed = np.vstack([outlined.points, outlined.points[:1]])
    left.plot(closed[:, 1], closed[:, 0], color=COLOURS["truth"], linewidth=2)
    right.plot(outlined.distances, color=COLOURS["truth"], linewidth=1.8, label="outline")
    right.plot(smooth, color="black", linewidth=1.2, label="smoothed")
    right.fill_between(
        np.arange(len(smooth)),
        outlined.distances,
        smooth,
        color=COLOURS["tumour"],
        alpha=0.6,
        linewidth=0,
        label="difference",
    )
    right.set(xlabel="along the outline, pixels", ylabel="distance from centroid / mean")
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def ellipsoid_slices(images: np.ndarray, part: np.ndarray, ellipsoid: Ellipsoid, most: int = 6) -> Figure:
    """Slices through a tumour, evenly spaced, with the mask's outline and the cut of its enclosing ellipsoid."""
    reached = np.flatnonzero(part.any(axis=(1, 2)))
    chosen = np.unique(np.linspace(reached[0], reached[-1], min(most, len(reached))).round().astype(int))
    columns = min(3, len(chosen))
    figure, axes = slice_grid(-(-len(chosen) // columns), columns)
    for ax in axes.flat:
        ax.set_axis_off()
    rows, across = np.mgrid[: part.shape[1], : part.shape[2]]
    middle = ellipsoid.centre[1:]
    half = 2 + np.sqrt(np.diag(np.linalg.inv(ellipsoid.matrix)))[1:].max()  # the ellipsoid's own reach
    for ax, number in zip(axes.flat, chosen, strict=False):  # the last axes may stay empty
        show_slice(ax, images[number], f"slice {number + 1}", vmax=white(images[number][..., FLAIR]))
        offset = np.stack([np.full(rows.shape, number), rows, across], axis=-1) - ellipsoid.centre
        inside = np.einsum("...i,ij,...j->...", offset, ellipsoid.matrix, offset)
        outline(ax, part[number], COLOURS["truth"])
        if inside.min() < 1:
            ax.contour(inside, levels=[1], colors=COLOURS["prediction"], linewidths=2)
        ax.set(xlim=(middle[1] - half, middle[1] + half), ylim=(middle[0] + half, middle[0] - half))
    outline_legend(figure, {"mask": COLOURS["truth"], "enclosing ellipsoid": COLOURS["prediction"]})
    return figure


def ratio_by_slices(slices: Sequence[int], ratios: Sequence[float]) -> Figure:
    """BEVR of a ball against the number of slices that cut it."""
    figure, ax = new_figure(height=3.2)
    ax.plot(slices, ratios, "o-", color="black")
    ax.axhline(1, color=COLOURS["no tumour"], linestyle="--")
    ax.set(xlabel="slices through the ball", ylabel="BEVR", ylim=(0, 1.08), xscale="log")
    ax.set_xticks(slices, [str(number) for number in slices])
    ax.minorticks_off()
    return figure


def by_pixels(widths: Sequence[int], measured: pd.DataFrame) -> Figure:
    """ASD and MF of the same shapes, against how many pixels wide they are drawn.

    Parameters
    ----------
    widths : sequence of int
    measured : DataFrame
        With ``shape, width, asd, mf``.
    """
    figure, axes = new_figure(1, 2, height=3.4)
    for ax, feature in zip(axes, ("asd", "mf"), strict=True):
        for (name, rows), colour in zip(measured.groupby("shape", sort=False), _SOURCES, strict=False):
            ax.plot(rows["width"], rows[feature], "o-", color=colour, label=name if ax is axes[0] else None)
        ax.set(title=feature.upper(), xlabel="pixels across", xscale="log", ylim=(0, None))
        ax.set_xticks(widths, [str(width) for width in widths])
        ax.minorticks_off()
    figure.legend(loc="outside lower center", ncols=4)
    return figure


def by_cluster(features: pd.DataFrame, codes: pd.Series) -> Figure:
    """One dot per patient: the three features by the code of one genomic classification, with the medians.

    Parameters
    ----------
    features : DataFrame with ``asd, bevr, mf``
    codes : Series on the same index; patients without a code are left out
    """
    known = features.assign(code=codes).dropna(subset="code").astype({"code": int})
    if known.empty:
        return message("No patient has a code.")
    figure, axes = new_figure(1, 3, height=4.0)
    order = sorted(known["code"].unique())
    for ax, feature in zip(axes, FEATURES, strict=True):
        with same_jitter():
            sns.stripplot(
                known, x="code", y=feature, order=order, color=COLOURS["truth"], size=5, alpha=0.8, jitter=0.18, ax=ax
            )
        for position, code in enumerate(order):
            ax.hlines(
                known.loc[known["code"] == code, feature].median(),
                position - 0.33,
                position + 0.33,
                color="black",
                linewidth=2.5,
            )
        ax.set(title=LABELS[feature], xlabel=f"code in {codes.name}", ylabel="")
        ax.title.set_fontsize(12)
        ax.xaxis.label.set_fontsize(11)
    axes[0].legend(handles=[Line2D([], [], color="black", linewidth=2.5, label="median")], loc="upper left")
    axes[0].set_ylim(top=axes[0].get_ylim()[1] * 1.12)
    return figure


def heat_map(associations: pd.DataFrame, names: Mapping[str, str]) -> Figure:
    """P values of all pairs by both tests: dark where small; a star where the value that Holm corrects is below 0.05.

    Parameters
    ----------
    associations : DataFrame
        From `brainseg.experiments.shape_genomics.association.associations`, of one source.
    names : mapping of code column to what it measures
    """
    codes = list(dict.fromkeys(associations["code"]))
    figure, axes = new_figure(2, 1, height=0.72 * len(codes) + 1.4, sharex=True)
    titles = {"fisher": "median split, Fisher", "kruskal": "ranks, Kruskal-Wallis"}
    for ax, (test, title) in zip(axes, titles.items(), strict=True):
        part = associations[associations["test"] == test].set_index(["code", "feature"])
        p = part["p_value"].unstack().reindex(index=codes, columns=list(FEATURES))
        star = part["holm"].unstack().reindex_like(p) < 0.05
        shown = p.map(partial(p_text, digits=4))
        sns.heatmap(
            p, annot=shown + star.map(lambda yes: " *" if yes else ""), fmt="", cmap="Blues_r",
            norm=LogNorm(1e-5, 1), ax=ax, cbar=False, linewidths=1, linecolor="#BBBBBB", annot_kws={"fontsize": 11},
        )  # fmt: skip
        ax.set(title=title, xlabel="", ylabel="", xticklabels=[name.upper() for name in FEATURES])
        ax.set_yticks(np.arange(len(codes)) + 0.5, [names.get(code, code) for code in codes], rotation=0)
        ax.tick_params(length=0)
    figure.colorbar(axes[0].collections[0], ax=list(axes), label="p value")
    return figure


def shuffles(p_values: np.ndarray, smallest: float) -> Figure:
    """The smallest p value of each shuffle (histogram), and the smallest of the codes as they are (line).

    Parameters
    ----------
    p_values : float array (shuffles, tests)
    smallest : float
    """
    figure, ax = new_figure(height=3.4)
    least = np.nanmin(p_values, axis=1)
    edges = np.logspace(np.floor(np.log10(min(least.min(), smallest))), 0, 40)
    ax.hist(least, bins=edges, color=COLOURS["no tumour"], label="codes shuffled")
    ax.axvline(smallest, color=COLOURS["tumour"], linewidth=2.5, label="codes as they are")
    ax.axvline(0.05, color="black", linestyle="--", label="0.05")
    ax.set(xscale="log", xlabel=f"smallest p value of {p_values.shape[1]} tests", ylabel="shuffles")
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def overlaps(table: pd.DataFrame) -> Figure:
    """Cramer's V of each two classifications, in a triangle: dark where they put the same patients together.

    Parameters
    ----------
    table : DataFrame
        From `brainseg.experiments.shape_genomics.association.overlaps`.
    """
    if table.empty:
        return message("There are no two classifications.")
    wide = table.pivot(index="second", columns="first", values="v")
    wide = wide.reindex(index=list(dict.fromkeys(table["second"])), columns=list(dict.fromkeys(table["first"])))
    wide = wide.rename(
        index=lambda code: code.removesuffix("Cluster"), columns=lambda code: code.removesuffix("Cluster")
    )
    figure, ax = new_figure(height=1.4 + 0.5 * len(wide))
    sns.heatmap(
        wide, annot=True, fmt=".2f", cmap="Blues", vmin=0, vmax=1, ax=ax, linewidths=1, linecolor="#BBBBBB",
        cbar_kws={"label": "Cramer's V"}, annot_kws={"fontsize": 11},
    )  # fmt: skip
    ax.set(xlabel="", ylabel="")
    ax.tick_params(length=0, rotation=0)
    ax.tick_params(axis="x", rotation=30)  # their names are wider than the fields
    return figure


def bland_altman(features: pd.DataFrame, sources: Sequence[str], agreement: pd.DataFrame) -> Figure:
    """Difference against mean of two sources on the same patients, with bias and limits of agreement.

    There is a row per source and a panel per feature.

    Parameters
    ----------
    features : DataFrame
        From `brainseg.experiments.shape_genomics.features.features_table`.
    sources : sequence of str
        Each is compared with the manual masks; those that are not in `agreement` are left out.
    agreement : DataFrame
        With ``source, feature, icc, bias, low, high``.
    """
    sources = [source for source in sources if (agreement["source"] == source).any()]
    if not sources:
        return message("Fewer than two patients have both masks.")
    figure, axes = new_figure(len(sources), 3, height=3.7 * len(sources), squeeze=False, sharex="col", sharey="col")
    for source, row in zip(sources, axes, strict=True):
        first, second = (features[features["source"] == name].set_index("patient") for name in (MANUAL, source))
        for ax, feature in zip(row, FEATURES, strict=True):
            pairs = pd.concat([first[feature], second[feature]], axis=1, keys=["one", "other"], join="inner").dropna()
            ax.scatter(
                pairs.mean(axis=1), pairs["other"] - pairs["one"], s=22, color=COLOURS["unet"], alpha=0.7, linewidths=0
            )
            known = agreement[(agreement["source"] == source) & (agreement["feature"] == feature)]
            for found in known.itertuples():
                ax.axhline(found.bias, color="black")
                for limit in (found.low, found.high):
                    ax.axhline(limit, color="black", linestyle="--", linewidth=1)
            icc = f"ICC {known['icc'].iloc[0]:.2f}" if len(known) else "too few patients"
            ax.set(title=f"{feature.upper()}, {icc}")
        row[0].set_ylabel(f"{source}\nminus manual")
    for ax in axes[-1]:
        ax.set_xlabel("mean of both")
    return figure


def effect_differences(effects: pd.DataFrame, names: Mapping[str, str], margin: float) -> Figure:
    """Differences in effect size from the manual masks, with their paired bootstrap intervals; a panel per feature.

    Parameters
    ----------
    effects : DataFrame
        With ``source, feature, code, difference, low, high``.
    names : mapping of code column to what it measures
    margin : float
        Differences up to this do not matter; the band is shaded.
    """
    if effects.empty:
        return message("Too few patients have both masks and a code.")
    codes, sources = list(dict.fromkeys(effects["code"])), list(dict.fromkeys(effects["source"]))
    figure, axes = new_figure(1, len(FEATURES), height=1.8 + 0.5 * len(codes), sharex=True, sharey=True)
    for ax, feature in zip(axes, FEATURES, strict=True):
        for number, source in enumerate(sources):
            part = (
                effects[(effects["source"] == source) & (effects["feature"] == feature)]
                .set_index("code")
                .reindex(codes)
            )
            rows = np.arange(len(codes)) + 0.22 * (number - (len(sources) - 1) / 2)
            # A bootstrap interval need not hold the estimate, so it is drawn as a line of its own.
            ax.hlines(rows, part["low"], part["high"], color=_SOURCES[1 + number], linewidth=2.5)
            ax.plot(part["difference"], rows, "D", color=_SOURCES[1 + number], label=source if ax is axes[0] else None)
        ax.axvline(0, color="black", linestyle="--", linewidth=1.2)
        ax.axvspan(-margin, margin, color=COLOURS["no tumour"], alpha=0.25, linewidth=0)
        ax.set(title=feature.upper())
        ax.grid(axis="y", visible=False)
    axes[0].set_yticks(range(len(codes)), [names.get(code, code).replace(" (", "\n(") for code in codes])
    axes[0].set(ylim=(len(codes) - 0.5, -0.5))
    axes[1].set_xlabel("effect size, other minus manual masks")
    figure.legend(loc="outside lower center", ncols=len(sources))
    return figure


def aucs(discrimination: pd.DataFrame) -> Figure:
    """AUC by each score, with bootstrap intervals; the sources of masks beside each other."""
    if discrimination.empty:
        return message("Too few patients have this code.")
    scores, sources = list(dict.fromkeys(discrimination["score"])), list(dict.fromkeys(discrimination["source"]))
    figure, ax = new_figure(height=1.7 + 0.6 * len(scores))
    for number, source in enumerate(sources):
        part = discrimination[discrimination["source"] == source].set_index("score").reindex(scores)
        rows = np.arange(len(scores)) + 0.2 * (number - (len(sources) - 1) / 2)
        ax.hlines(rows, part["low"], part["high"], color=_SOURCES[number], linewidth=2.5)
        ax.plot(part["auc"], rows, "D", color=_SOURCES[number], label=source)
    ax.axvline(0.5, color="black", linestyle="--", linewidth=1.2)
    ax.set_yticks(
        range(len(scores)),
        [f"{name.upper()} alone" if name in FEATURES else f"{name}, cross-validated" for name in scores],
    )
    ax.set(xlim=(0.2, 1.02), ylim=(len(scores) - 0.5, -0.5), xlabel="area under the ROC curve; 0.5 is chance")
    ax.grid(axis="y", visible=False)
    figure.legend(loc="outside lower center", ncols=len(sources))
    return figure


def _close_up(ax, image: np.ndarray, outlined: Radii) -> None:
    """The slice, zoomed to the outline with a margin, and its centroid."""
    show_slice(ax, image, vmax=white(image[..., FLAIR]))
    low, high = outlined.points.min(axis=0), outlined.points.max(axis=0)
    middle, half = (low + high) / 2, 0.6 * (high - low).max() + 2
    ax.plot(outlined.centre[1], outlined.centre[0], "+", color="white", markersize=12, markeredgewidth=2)
    ax.set(xlim=(middle[1] - half, middle[1] + half), ylim=(middle[0] + half, middle[0] - half))
