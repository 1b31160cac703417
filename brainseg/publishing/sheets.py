"""Sheets to print and their answer keys: one source a sheet, whose answers are computed when the book is staged.

``book/teach/sheet_NAME.md`` yields two pages. An exercise is one of two blocks in it:

- A fence that opens with ``{exercise} KIND`` holds what is given, such as two grids of dots and crosses. The sheet
  shows it with empty fields, and the key with what :mod:`brainseg.metrics` and its neighbours make of it. So who
  changes a grid changes the key. :data:`KINDS` has the kinds.
- A fence of colons that opens with ``{answer} LINES`` holds an answer in words. The sheet has so many lines to write on
  in its place.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from string import ascii_uppercase

import numpy as np
import pandas as pd

from brainseg import metrics
from brainseg.cohort import FLAIR, index_cohort, read_patient
from brainseg.data import get_cohort
from brainseg.figures import style
from brainseg.figures.sheets import printed_slice
from brainseg.images.contrast import equalise
from brainseg.networks.recipe import MODEL_NAMES
from brainseg.publishing.notebooks import StudyError
from brainseg.results import REFERENCE, has_tables, read_table
from brainseg.splits import split_by_patient, split_by_slice
from brainseg.statistics import DRAWS, bootstrap_interval, p_text, paired_difference, shown

EXERCISE = re.compile(r"^```\{exercise\} (\w+)([^\n]*)\n(.*?)^```$", re.M | re.S)
ANSWER = re.compile(r"^:::\{answer\} (\d+)\n(.*?)^:::$", re.M | re.S)
FILLED = "■"  # a pixel of a mask: a character is printed, and read aloud, whatever a browser does to colours
DATA = "phantom:1"  # simulated, so that a sheet may be copied for any class
NAME_AND_DATE = '<p class="sheet"><span>Name</span><span>Date</span></p>'
COMPUTED = (
    '<p class="sheet">Computed when this book was built, from what stands on the sheet. Not for clinical use.</p>'
)
NO_RESULTS = "*The project keeps no results of networks yet, so there is nothing to compare.*"


def write_sheets(target: Path) -> None:
    """Make two pages of each source of the staged book at `target`: ``teach/sheet_NAME.md`` and ``teach/key_NAME.md``.

    The plan ``teach/paper.md`` gets how many pages each has.

    Raises
    ------
    StudyError
        Where an exercise is of no kind that there is, or a block cannot be read.
    """
    pages = {}
    for source in sorted((target / "teach").glob("sheet_*.md")):
        text = source.read_text(encoding="utf-8")
        name = source.stem.removeprefix("sheet_")
        pages[name] = len(re.findall("^## ", text, re.M))
        source.write_text(page(text, name, target, key=False), encoding="utf-8")
        (target / "teach" / f"key_{name}.md").write_text(page(text, name, target, key=True), encoding="utf-8")
    if (plan := target / "teach" / "paper.md").is_file():
        text = re.sub(r"<!-- sheets: (\w+) -->", lambda found: str(pages[found[1]]), plan.read_text(encoding="utf-8"))
        plan.write_text(text, encoding="utf-8")


def page(text: str, name: str, target: Path, *, key: bool) -> str:
    """A sheet, or its key, in MyST Markdown, made from the source `text`; pictures go to the staged book `target`."""

    def exercise(found: re.Match) -> str:
        kind, arguments, given = found[1], found[2].split(), found[3]
        if kind not in KINDS:
            raise StudyError(f"book/teach/sheet_{name}.md: {kind} is no exercise; there are {', '.join(KINDS)}.")
        try:
            return KINDS[kind](arguments, given, target, key)
        except (ValueError, KeyError) as error:
            raise StudyError(f"book/teach/sheet_{name}.md: the exercise {kind} cannot be read: {error}") from error

    def answer(found: re.Match) -> str:
        if key:
            return f":::{{admonition}} Answer\n:class: answer\n{found[2]}:::"
        return _html(f'<div class="sheet-lines" aria-hidden="true">{"<span></span>" * int(found[1])}</div>')

    title, _, rest = text.partition("\n")
    made = ANSWER.sub(answer, EXERCISE.sub(exercise, rest))
    if left := re.search(r"^(```|:::)\{(exercise|answer)\}.*", made, re.M):
        raise StudyError(f"book/teach/sheet_{name}.md: this block is not closed, or gives no lines: {left[0]}")
    other = f"{{doc}}`The sheet <sheet_{name}>`" if key else f"{{doc}}`Its answer key <key_{name}>`"
    box = (
        ":::{admonition} On this page\n:class: tip d-print-none\n"
        f"- **To print** from your browser, on A4: each section is one page{'' if key else ', with room to write'}.\n"
        f"- {other}. {{doc}}`The plan of the lesson, and the other sheets <paper>`.\n:::"
    )
    top = COMPUTED if key else NAME_AND_DATE
    return f"{title.replace('Sheet:', 'Answer key:') if key else title}\n\n{box}\n\n{_html(top)}\n{made}"


# ---------------------------------------------------------------- kinds of exercise


def _overlap(_: list[str], given: str, __: Path, key: bool) -> str:
    """Two grids: which pixel is what, the counts, and both ratios."""
    truth, prediction = _masks(given, "truth", "prediction")
    counts = metrics.confusion(truth, prediction)
    marks = np.select([truth & prediction, prediction, truth], ["TP", "FP", "FN"], "")
    grids = {
        "True mask": _squares(truth),
        "Predicted mask": _squares(prediction),
        "TP, FP or FN": marks if key else np.full(truth.shape, ""),
    }
    fields = {"TP": counts.tp, "FP": counts.fp, "FN": counts.fn, "Dice": _dice(counts), "IoU": _iou(counts)}
    return _grids(grids) + _fields(fields, key)


def _average(_: list[str], given: str, __: Path, key: bool) -> str:
    """Counts of the slices of one patient, scored in three ways, and what silence would score."""
    table = _table(given)
    tp, fp, fn = (np.array(table[name], int) for name in ("TP", "FP", "FN"))
    counts = metrics.Confusion(tp, fp, fn, np.zeros_like(tp))
    rows = [
        [number + 1, tp[number], fp[number], fn[number], _dice(metrics.Confusion(*(part[number] for part in counts)))]
        for number in range(len(tp))
    ]
    tumour = tp + fn > 0
    silent = metrics.Confusion(np.zeros_like(tp), np.zeros_like(tp), tp + fn, np.zeros_like(tp))
    fields = {
        "Mean of all slices, with 1 for 0/0": _number(metrics.dice(counts, empty=1).mean()),
        "Mean of the slices with tumour": _number(metrics.dice(counts, empty=np.nan)[tumour].mean()),
        "All pixels of the patient together": _dice(metrics.pool(counts)),
        "Mean of all slices, had the network claimed nothing": _number(metrics.dice(silent, empty=1).mean()),
    }
    return _rows(["slice", "TP", "FP", "FN", "Dice"], rows, 1, key) + _fields(fields, key)


def _rare(_: list[str], __: str, target: Path, key: bool) -> str:
    """A simulated patient, and the scores of a prediction that never calls anything tumour."""
    images, truth = _patient()
    largest = int(truth.sum((1, 2)).argmax())
    counts = metrics.pool(metrics.confusion(truth, np.zeros_like(truth), axis=(1, 2)))
    alt = f"Slice {largest + 1} of a simulated head on FLAIR. One part is brighter than the rest."
    picture = _picture(target, "sheet-slice", printed_slice(images[largest, ..., FLAIR]), "slice", alt)
    said = (
        f"This is slice {largest + 1} of a simulated patient. The patient has {len(truth)} slices of "
        f"{truth.shape[1]} × {truth.shape[2]} pixels: {truth.size:,} pixels. {truth.sum():,} of them are tumour."
    )
    meant = (
        "*Accuracy* is the share of all pixels that are called rightly: (TP + TN) / all. *Recall* is the share of the "
        "tumour that is found: TP / (TP + FN). *Dice* is 2 TP / (2 TP + FP + FN). Here TP is tumour that is found, FN "
        "tumour that is missed, FP a false alarm, and TN background that is left alone."
    )
    right = counts.tp + counts.tn
    fields = {
        "Accuracy": f"{right:,}/{truth.size:,} = {_number(metrics.accuracy(counts))}",
        "Recall": _quotient(counts.tp, counts.tp + counts.fn, metrics.recall(counts, empty=np.nan)),
        "Dice": f"0/{counts.fn:,} = {_number(metrics.dice(counts, empty=np.nan))}",
    }
    return f"{picture}\n\n{said}\n\n{meant}\n\n" + _fields(fields, key)


def _draw(arguments: list[str], _: str, target: Path, key: bool) -> str:
    """The part of a slice with its tumour, ruled in cells: to draw on, and with the true outline and its cells."""
    cells = int(arguments[0])
    images, truths = _patient()
    largest = int(truths.sum((1, 2)).argmax())
    region, pixels = _around(truths[largest], cells)
    flair, truth = images[largest, ..., FLAIR][region], truths[largest][region]
    inside = cell_mask(truth, cells)
    if not key:
        alt = f"Part of a slice of a simulated head, ruled in {cells} times {cells} cells, to draw an outline on."
        number = "My number: 2 × both / (2 × both + only mine + only the other's)"  # Dice, before it has its name
        fields = dict.fromkeys(("In both (TP)", "Only mine (FP)", "Only the other's (FN)", number), "")
        return _picture(target, "sheet-draw", printed_slice(flair, cells=cells), "wide", alt) + _fields(fields, key)
    alt = "The same part of the slice, with the true outline of the tumour over the cells."
    as_pixels = np.kron(inside, np.ones((pixels, pixels), bool))
    fields = {
        "Cells of the true mask": inside.sum(),
        "Dice of these cells, pixel by pixel": _number(metrics.dice(metrics.confusion(truth, as_pixels), empty=np.nan)),
    }
    picture = _picture(target, "key-draw", printed_slice(flair, truth, cells), "slice", alt)
    return f"{picture}\n\n" + _grids({"Cells at least half inside": _squares(inside)}) + _fields(fields, key)


def _crop(_: list[str], given: str, __: Path, key: bool) -> str:
    """A tumour and a box: what the box leaves for any network to find."""
    truth, box = _masks(given, "truth", "box")
    counts = metrics.confusion(truth, truth & box)
    fields = {
        "Tumour pixels": truth.sum(),
        "Cut off": counts.fn,
        "Largest recall": _quotient(counts.tp, counts.tp + counts.fn, metrics.recall(counts, empty=np.nan)),
        "Largest Dice": _dice(counts),
    }
    return _grids({"True mask": _squares(truth), "Pixels that the crop keeps": _squares(box)}) + _fields(fields, key)


def _blocks(arguments: list[str], given: str, _: Path, key: bool) -> str:
    """A tumour, and the best that a network can do that answers for whole blocks."""
    size = int(arguments[0])
    (truth,) = _masks(given, "truth")
    best = best_blocks(truth, size)
    counts = metrics.confusion(truth, best)
    grids = {"True mask": _squares(truth), "Your blocks": _squares(best) if key else np.full(truth.shape, "")}
    fields = {"TP": counts.tp, "FP": counts.fp, "FN": counts.fn, "Largest Dice": _dice(counts)}
    return _grids(grids, block=size) + _fields(fields, key)


def _equalise(_: list[str], given: str, __: Path, key: bool) -> str:
    """A tiny picture of few grey levels, and what histogram equalisation makes of them."""
    image = np.array([line.split() for line in given.splitlines()], int)
    after = equalise(image.astype(np.uint8))
    rows = [
        [level, np.sum(image == level), np.sum(image <= level), after[image == level][0]] for level in np.unique(image)
    ]
    heads = ["grey level", "pixels", "pixels as dark or darker", "new grey level"]
    return _grids({"Grey levels": image.astype(str)}) + _rows(heads, rows, 3, key)


def _leak(arguments: list[str], _: str, __: Path, key: bool) -> str:
    """Slices of a few patients, split in two ways: who is tested on a patient of the training."""
    patients, slices = map(int, arguments)
    table = pd.DataFrame(
        {
            "patient": np.repeat(list(ascii_uppercase[:patients]), slices),
            "institution": "one",
            "slice": np.tile(np.arange(1, slices + 1), patients),
            "tumour_px": np.arange(patients * slices) % slices,
        }
    )
    table["case"] = table["patient"]
    sides = {"by slice": split_by_slice(table, patients), "by patient": split_by_patient(table, patients)}
    rows = [[f"{row.patient}{row.slice}", *(side[row.Index] for side in sides.values())] for row in table.itertuples()]
    fields = {}
    for name, side in sides.items():
        tested = table["patient"][side == "test"]
        met = tested.isin(table["patient"][side == "train"]).sum()
        fields[f"Split {name}: test slices whose patient trains too"] = f"{met} of {len(tested)}"
    return _rows(["slice", *(f"split {name}" for name in sides)], rows, 0, key) + _fields(fields, key)


def _pairs(arguments: list[str], _: str, __: Path, key: bool) -> str:
    """Two networks on the same patients, drawn by lot from the kept results."""
    first, second, count = arguments
    scores = _scores([first, second], int(count))
    if scores is None:
        return NO_RESULTS
    found = paired_difference(scores[first].to_numpy(), scores[second].to_numpy())
    heads = ["patient", f"Dice of {MODEL_NAMES[first]}", f"Dice of {MODEL_NAMES[second]}", "difference"]
    rows = [
        [number + 1, _number(row[first]), _number(row[second]), f"{row[first] - row[second]:+.3f}"]
        for number, (_, row) in enumerate(scores.iterrows())
    ]
    same = 2 / 2**found.patients
    fields = {
        f"{MODEL_NAMES[first]} is better on": f"{found.better_on} of {found.patients}",
        "Mean difference": f"{found.estimate:+.3f}",
        f"Chance that {found.patients} coins all fall alike": f"2/{2**found.patients} = {_number(same)}",
    }
    said = f"The sign-flip test of this study gives {p_text(found.p_value, name='p')}. {shown(found).sentence}\n"
    return _rows(heads, rows, 1, key) + _fields(fields, key) + (said if key else "")


def _bootstrap(arguments: list[str], _: str, __: Path, key: bool) -> str:
    """Patients of one network, drawn again by throwing a die."""
    model, count = arguments
    scores = _scores([model], int(count))
    if scores is None:
        return NO_RESULTS
    values = scores[model].to_numpy()
    given = _rows(["die", f"Dice of {MODEL_NAMES[model]}"], [[n + 1, _number(v)] for n, v in enumerate(values)], 0, key)
    thrown = np.random.default_rng(0).integers(len(values), size=(5, len(values)))
    rows = [[n + 1, " ".join(str(place + 1) for place in line), _number(values[line].mean())]
            for n, line in enumerate(thrown)]  # fmt: skip
    interval = bootstrap_interval(values)
    fields = {"Mean of all": _number(interval.estimate), "Smallest of your means": "", "Largest of your means": ""}
    if key:
        fields = {
            "Mean of all": _number(interval.estimate),
            f"95 % interval of {DRAWS:,} draws": f"{interval.low:.3f} to {interval.high:.3f}",
        }
    return given + _rows(["draw", "the die shows", "mean Dice"], rows, 2, key) + _fields(fields, key)


KINDS: Mapping[str, Callable[[list[str], str, Path, bool], str]] = {
    "overlap": _overlap,
    "average": _average,
    "rare": _rare,
    "draw": _draw,
    "crop": _crop,
    "blocks": _blocks,
    "equalise": _equalise,
    "leak": _leak,
    "pairs": _pairs,
    "bootstrap": _bootstrap,
}
"""A kind -> what writes it, from its arguments, what is given, the staged book, and whether it is for the key."""


# ---------------------------------------------------------------- what is computed here


def cell_mask(truth: np.ndarray, cells: int) -> np.ndarray:
    """The cells of a square mask that are at least half inside it.

    Parameters
    ----------
    truth : bool array (side, side)
        The side is a multiple of `cells`.

    Returns
    -------
    bool array (cells, cells)
    """
    pixels = len(truth) // cells
    return truth.reshape(cells, pixels, cells, pixels).mean(axis=(1, 3)) >= 0.5


def best_blocks(truth: np.ndarray, size: int) -> np.ndarray:
    """The mask of whole blocks with the largest Dice.

    For any number of blocks, those with the most tumour are best. So it is enough to try them in this order.

    Parameters
    ----------
    truth : bool array (H, W)
        H and W are multiples of `size`.

    Returns
    -------
    bool array (H, W)
    """
    height, width = (length // size for length in truth.shape)
    tumour = truth.reshape(height, size, width, size).sum(axis=(1, 3))
    order = np.argsort(-tumour, axis=None, kind="stable")
    tried = []
    for number in range(1, len(order) + 1):
        blocks = np.zeros(height * width, bool)
        blocks[order[:number]] = True
        tried.append(np.kron(blocks.reshape(height, width), np.ones((size, size), bool)))
    return max(tried, key=lambda mask: float(metrics.dice(metrics.confusion(truth, mask), empty=1)))


@cache
def _patient() -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (n, H, W, 3) and masks bool (n, H, W) of the simulated patient on the sheets."""
    table = index_cohort(get_cohort(DATA))
    return read_patient(table, table["patient"].iloc[0])


def _around(mask: np.ndarray, cells: int) -> tuple[tuple[slice, slice], int]:
    """A square part of the frame around a mask, a third wider than it, and the side of one of its cells in pixels."""
    places = np.argwhere(mask)
    low, high = places.min(axis=0), places.max(axis=0) + 1
    pixels = min(math.ceil((high - low).max() * 4 / 3 / cells), min(mask.shape) // cells)
    side = pixels * cells
    top, left = (
        int(np.clip((a + b - side) // 2, 0, length - side)) for a, b, length in zip(low, high, mask.shape, strict=True)
    )
    return (slice(top, top + side), slice(left, left + side)), pixels


def _scores(models: list[str], count: int) -> pd.DataFrame | None:
    """Dice of patients whom all `models` were tested on, drawn by lot, as they are printed; None where none is kept."""
    if not has_tables(REFERENCE):
        return None
    table = read_table(REFERENCE, "patients")
    table = table[table["protocol"] == "honest"].pivot_table(index="patient", columns="model", values="dice")
    if not set(models) <= set(table.columns) or len(table := table[models].dropna()) < count:
        return None
    return table.sample(count, random_state=0).round(3)  # from what is printed, a reader gets the same differences


# ---------------------------------------------------------------- reading and writing


def _table(given: str) -> dict[str, list[str]]:
    """Columns under their names, as they stand in a block."""
    heads, *rows = [line.split() for line in given.splitlines() if line.strip()]
    return dict(zip(heads, map(list, zip(*rows, strict=True)), strict=True))


def _masks(given: str, *names: str) -> list[np.ndarray]:
    """Grids of ``.`` and ``x`` beside each other, each under its name, as bool arrays."""
    table = _table(given)
    for row in (row for rows in table.values() for row in rows):
        if set(row) - set(".x"):
            raise ValueError(f"a row of a grid is made of . and x, and not {row!r}")
    return [np.array([list(row) for row in table[name]]) == "x" for name in names]


def _squares(mask: np.ndarray) -> np.ndarray:
    return np.where(mask, FILLED, "")


def _dice(counts: metrics.Confusion) -> str:
    value = metrics.dice(counts, empty=np.nan)
    return _quotient(2 * counts.tp, 2 * counts.tp + counts.fp + counts.fn, value)


def _iou(counts: metrics.Confusion) -> str:
    return _quotient(counts.tp, counts.tp + counts.fp + counts.fn, metrics.iou(counts, empty=np.nan))


def _quotient(numerator: int, denominator: int, value: float) -> str:
    return "0/0 (no value)" if np.isnan(value) else f"{numerator:,}/{denominator:,} = {_number(value)}"


def _number(value: float) -> str:
    return f"{value:.3f}"


def _html(text: str) -> str:
    return f"```{{raw}} html\n{text}\n```\n"


def _grids(grids: Mapping[str, np.ndarray], block: int = 0) -> str:
    """Grids of text beside each other, each under its name; with `block`, thick lines around blocks of that size."""
    parts = []
    for name, cells in grids.items():
        letters = "".join(f'<th scope="col">{letter}</th>' for letter in ascii_uppercase[: cells.shape[1]])
        rows = []
        for number, row in enumerate(cells):
            texts = []
            for place, text in enumerate(row):
                edges = [edge for edge, at in (("top", number), ("left", place)) if block and at % block == 0]
                kind = f' class="{" ".join(edges)}"' if edges else ""
                texts.append(f"<td{kind}>{html.escape(str(text))}</td>")
            rows.append(f'<tr><th scope="row">{number + 1}</th>{"".join(texts)}</tr>')
        parts.append(
            f'<table class="sheet-grid"><caption>{html.escape(name)}</caption><thead><tr><td></td>{letters}</tr>'
            f"</thead><tbody>{''.join(rows)}</tbody></table>"
        )
    return _html(f'<div class="sheet-grids">{"".join(parts)}</div>')


def _rows(heads: Sequence[str], rows: Sequence[Sequence], asked: int, key: bool) -> str:
    """A table whose last `asked` columns the reader fills in."""
    shown_to = len(heads) if key else len(heads) - asked
    head = "".join(f'<th scope="col">{html.escape(text)}</th>' for text in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(v)) if n < shown_to else ''}</td>" for n, v in enumerate(row)) + "</tr>"
        for row in rows
    )
    return _html(f'<table class="sheet-rows"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>')


def _fields(fields: Mapping[str, object], key: bool) -> str:
    """What is asked for, with room for the answer, or the answer."""
    parts = "".join(
        f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(str(answer)) if key else ''}</dd></div>"
        for name, answer in fields.items()
    )
    return _html(f'<dl class="sheet-fields">{parts}</dl>')


def _picture(target: Path, name: str, figure, size: str, alt: str) -> str:
    """A picture in the staged book, and the line that shows it."""
    path = target / "images" / f"{name}.png"
    path.parent.mkdir(exist_ok=True)
    style.use_theme()
    figure.savefig(path, dpi=200)
    return f"```{{image}} ../images/{path.name}\n:class: sheet-{size}\n:alt: {alt}\n```\n"
