"""Sheets and keys: every answer is what the package computes from what the page itself shows."""

from __future__ import annotations

import itertools
import re
import shutil

import numpy as np
import pytest
import yaml
from bs4 import BeautifulSoup

from brainseg import metrics
from brainseg.paths import project_root
from brainseg.publishing.notebooks import StudyError
from brainseg.publishing.pdf import reading_order
from brainseg.publishing.sheets import FILLED, best_blocks, cell_mask, page, write_sheets

TEACH = project_root() / "book" / "teach"
NAMES = sorted(path.stem.removeprefix("sheet_") for path in TEACH.glob("sheet_*.md"))
GRIDS = """# Sheet: a test

## 1. Count

```{exercise} overlap
truth  prediction
.xx.   ..xx
.xx.   ..x.
```

:::{answer} 3
The words.
:::
"""


@pytest.fixture(scope="module")
def book(tmp_path_factory, build_of_all):
    """The staged sheets and keys, on the simulated patient, who is drawn once for the project's book and for this."""
    target = tmp_path_factory.mktemp("book")
    shutil.copytree(TEACH, target / "teach")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BRAINSEG_BUILD", str(build_of_all))
        write_sheets(target)
        yield target


def parsed(text: str) -> BeautifulSoup:
    """What a page holds as HTML."""
    blocks = re.findall(r"```\{raw\} html\n(.*?)\n```", text, re.S)
    return BeautifulSoup("\n".join(blocks), "html.parser")


def grid(table) -> np.ndarray:
    """The texts of a grid, (rows, columns)."""
    return np.array([[cell.get_text() for cell in row.find_all("td")] for row in table.find("tbody").find_all("tr")])


def exercises(text: str) -> list[tuple[dict[str, np.ndarray], dict[str, str]]]:
    """Grids by their captions, and fields by their names, one pair for each group of grids on a page."""
    found = []
    for group in parsed(text).select(".sheet-grids"):
        grids = {table.caption.get_text(): grid(table) for table in group.find_all("table")}
        fields = group.find_next_sibling(["dl", "table"])
        fields = {} if fields.name == "table" else {one.dt.get_text(): one.dd.get_text() for one in fields("div")}
        found.append((grids, fields))
    return found


def value(text: str) -> float:
    return np.nan if text.startswith("0/0") else float(text.rpartition("= ")[2])


def check(grids: dict[str, np.ndarray], fields: dict[str, str]) -> None:
    """Two grids of a key, and the answers beside them."""
    truth, prediction = (grids[name] == FILLED for name in ("True mask", "Predicted mask"))
    counts = metrics.confusion(truth, prediction)
    assert [int(fields[name]) for name in ("TP", "FP", "FN")] == [counts.tp, counts.fp, counts.fn]
    assert value(fields["Dice"]) == pytest.approx(metrics.dice(counts, empty=np.nan), abs=5e-4, nan_ok=True)
    assert value(fields["IoU"]) == pytest.approx(metrics.iou(counts, empty=np.nan), abs=5e-4, nan_ok=True)
    marks = grids["TP, FP or FN"]
    assert np.array_equal(marks == "TP", truth & prediction)
    assert np.array_equal(marks == "FP", ~truth & prediction)
    assert np.array_equal(marks == "FN", truth & ~prediction)
    assert np.array_equal(marks == "", ~truth & ~prediction)


# ---------------------------------------------------------------- one page


def test_a_sheet_asks_and_its_key_answers(tmp_path):
    sheet, key = (page(GRIDS, "test", tmp_path, key=key) for key in (False, True))
    ((asked, empty),), ((given, answers),) = exercises(sheet), exercises(key)
    check(given, answers)
    assert np.array_equal(asked["True mask"], given["True mask"]) and (asked["TP, FP or FN"] == "").all()
    assert set(empty) == set(answers) and set(empty.values()) == {""}
    assert len(parsed(sheet).select(".sheet-lines span")) == 3 and "The words" not in sheet
    assert "The words." in key and not parsed(key).select(".sheet-lines")
    assert sheet.startswith("# Sheet: a test\n") and key.startswith("# Answer key: a test\n")


@pytest.mark.parametrize("place", [GRIDS.index(".xx.   ..xx") + step for step in (0, 1, 7, 9, 10)])
def test_a_changed_pixel_changes_the_key(tmp_path, place):
    changed = GRIDS[:place] + {"x": ".", ".": "x"}[GRIDS[place]] + GRIDS[place + 1 :]
    (before,), (after,) = (exercises(page(text, "test", tmp_path, key=True)) for text in (GRIDS, changed))
    check(*after)
    assert after[1]["Dice"] != before[1]["Dice"] and after[1]["IoU"] != before[1]["IoU"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("overlap", "overlook", "overlook is no exercise; there are overlap"),
        (".xx.   ..xx", ".x?.   ..xx", "made of . and x"),
        (".xx.   ..xx", ".xx.", "overlap cannot be read"),
        ("truth  pred", "mask  pred", "overlap cannot be read: 'truth'"),
        ("words.\n:::", "words.", "not closed"),
        ("{answer} 3", "{answer}", "gives no lines"),
    ],
)
def test_a_source_that_cannot_be_read_is_named(tmp_path, old, new, said):
    with pytest.raises(StudyError, match=r"book/teach/sheet_mine\.md: ") as found:
        page(GRIDS.replace(old, new), "mine", tmp_path, key=True)
    assert said in str(found.value)


# ---------------------------------------------------------------- what is computed


def test_a_cell_counts_when_half_of_it_is_inside():
    truth = np.zeros((4, 4), bool)
    truth[:2, 0] = True  # half of the first cell
    truth[0, 2] = True  # a quarter of the second
    truth[2:, 2:] = True
    assert np.array_equal(cell_mask(truth, 2), [[True, False], [False, True]])


def test_no_other_blocks_have_a_larger_dice():
    rng = np.random.default_rng(0)
    for _ in range(20):
        truth = rng.random((6, 6)) < rng.uniform(0.1, 0.6)
        scores = []
        for blocks in itertools.product([False, True], repeat=9):
            mask = np.kron(np.reshape(blocks, (3, 3)), np.ones((2, 2), bool))
            scores.append(metrics.dice(metrics.confusion(truth, mask), empty=0))
        best = best_blocks(truth, 2)
        assert metrics.dice(metrics.confusion(truth, best), empty=0) == max(scores)


# ---------------------------------------------------------------- the project's own


def test_every_route_has_its_sheet_and_its_key():
    guide = (TEACH / "index.md").read_text(encoding="utf-8")
    routes = re.split(r"^## ", guide, flags=re.M)
    routes = [section for section in routes if section.startswith("Route ")]
    linked = [re.findall(r"\{doc\}`[^<`]*<(?:sheet|key)_(\w+)>`", section) for section in routes]
    assert len(routes) == 3 and all(len(names) == 2 and names[0] == names[1] for names in linked)
    assert {names[0] for names in linked} | {"paper"} == set(NAMES)
    toc = yaml.safe_load((TEACH.parent / "_toc.yml").read_text(encoding="utf-8"))
    pages = [chapter.file for chapter in reading_order(toc)]
    plan = (TEACH / "paper.md").read_text(encoding="utf-8")
    for name in NAMES:
        assert f"teach/sheet_{name}" in pages and f"teach/key_{name}" in pages
        assert f"<sheet_{name}>" in plan and f"<key_{name}>" in plan and f"<!-- sheets: {name} -->" in plan


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_keys_hold_what_the_package_computes(book, name):
    key = (book / "teach" / f"key_{name}.md").read_text(encoding="utf-8")
    assert "{exercise}" not in key and "{answer}" not in key
    pairs = [pair for pair in exercises(key) if "Predicted mask" in pair[0]]
    assert pairs
    for pair in pairs:
        check(*pair)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_sheet_gives_no_answer_away(book, name):
    sheet = (book / "teach" / f"sheet_{name}.md").read_text(encoding="utf-8")
    assert all(not field.get_text() for field in parsed(sheet).select("dd"))
    assert "TP" not in {cell.get_text() for cell in parsed(sheet).select("td")}
    assert "Answer" not in sheet.partition("## ")[2] and "key-draw" not in sheet
    sections = len(re.findall("^## ", sheet, re.M))
    assert f"<key_{name}>` | {sections} |".replace("`", "") in (book / "teach" / "paper.md").read_text(
        encoding="utf-8"
    ).replace("}`key", "}key").replace(">`", ">")


@pytest.mark.slow
def test_the_averages_follow_from_the_counts_on_the_page(book):
    found = 0
    for name in NAMES:
        for table in parsed((book / "teach" / f"key_{name}.md").read_text(encoding="utf-8")).select("table.sheet-rows"):
            if [head.get_text() for head in table.find_all("th")] != ["slice", "TP", "FP", "FN", "Dice"]:
                continue
            found += 1
            cells = grid(table)
            tp, fp, fn = cells[:, 1:4].astype(int).T
            counts = metrics.Confusion(tp, fp, fn, 0 * tp)
            scores = metrics.dice(counts, empty=np.nan)
            assert [value(text) for text in cells[:, 4]] == pytest.approx(scores, abs=5e-4, nan_ok=True)
            fields = [value(one.get_text()) for one in table.find_next("dl").find_all("dd")]
            wanted = [
                np.where(np.isnan(scores), 1, scores).mean(),
                scores[tp + fn > 0].mean(),
                metrics.dice(metrics.pool(counts), empty=np.nan),
                (tp + fn == 0).mean(),
            ]
            assert fields == pytest.approx(wanted, abs=5e-4)
    assert found >= 3


@pytest.mark.slow
def test_the_drawn_cells_are_those_of_the_picture(book):
    from brainseg.cohort import index_cohort, read_patient
    from brainseg.data import get_cohort

    table = index_cohort(get_cohort("phantom:1"))
    _, truth = read_patient(table, table["patient"].iloc[0])
    ((grids, fields),) = [
        pair for pair in exercises((book / "teach" / "key_paper.md").read_text(encoding="utf-8")) if len(pair[0]) == 1
    ]
    cells = grids["Cells at least half inside"] == FILLED
    assert cells.shape == (12, 12) and int(fields["Cells of the true mask"]) == cells.sum() > 10
    # A cell of k pixels a side stands for k times k of them, so the areas agree but for the border.
    largest = truth[truth.sum((1, 2)).argmax()]
    rows, columns = (np.flatnonzero(largest.any(axis)) for axis in (1, 0))
    pixels = max(np.ptp(rows), np.ptp(columns)) / max(np.ptp(np.argwhere(cells), axis=0) + 1)
    assert cells.sum() * pixels**2 == pytest.approx(largest.sum(), rel=0.3)
    assert value(fields["Dice of these cells, pixel by pixel"]) > 0.8
    for name in ("sheet-draw", "key-draw", "sheet-slice"):
        assert (book / "images" / f"{name}.png").stat().st_size > 10_000


def test_without_results_a_sheet_says_so(tmp_path, monkeypatch):
    from brainseg.publishing import sheets

    monkeypatch.setattr(sheets, "has_tables", lambda study: False)
    for kind in ("pairs unet fcn32 6", "bootstrap unet 6"):
        text = page(f"# Sheet: x\n\n## 1\n\n```{{exercise}} {kind}\n```\n", "x", tmp_path, key=True)
        assert sheets.NO_RESULTS in text


def test_pairs_and_intervals_are_those_of_the_statistics(tmp_path):
    from brainseg.results import REFERENCE, has_tables, read_table
    from brainseg.statistics import bootstrap_interval, sign_flip_p

    if not has_tables(REFERENCE):
        pytest.skip("the project keeps no results")
    made = page("# Sheet: x\n\n## 1\n\n```{exercise} pairs unet fcn32 6\n```\n", "x", tmp_path, key=True)
    cells = grid(parsed(made).find("table")).astype(float)
    kept = read_table(REFERENCE, "patients").query("protocol == 'honest'")
    assert set(cells[:, 1]) <= set(kept.query("model == 'unet'")["dice"].round(3))
    assert set(cells[:, 2]) <= set(kept.query("model == 'fcn32'")["dice"].round(3))
    differences = cells[:, 1] - cells[:, 2]
    assert cells[:, 3] == pytest.approx(differences)
    fields = [one.get_text() for one in parsed(made).find_all("dd")]
    assert fields[0] == f"{(differences > 0).sum()} of 6" and float(fields[1]) == pytest.approx(
        differences.mean(), abs=5e-4
    )
    assert f"p = {sign_flip_p(differences):.3f}" in made and "too few patients" in made

    made = page("# Sheet: x\n\n## 1\n\n```{exercise} bootstrap unet 6\n```\n", "x", tmp_path, key=True)
    given, draws = parsed(made).find_all("table")
    values = grid(given)[:, 1].astype(float)
    interval = bootstrap_interval(values)
    fields = [one.get_text() for one in parsed(made).find_all("dd")]
    assert fields == [f"{values.mean():.3f}", f"{interval.low:.3f} to {interval.high:.3f}"]
    for _, thrown, mean in grid(draws):
        assert f"{values[np.array(thrown.split(), int) - 1].mean():.3f}" == mean
