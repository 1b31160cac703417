"""How a chapter answers its question: a sentence or two of its own cell, which follow what was found."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from brainseg.experiments import (
    ablation,
    apart,
    averaging,
    claims,
    comparison,
    contrast,
    cropping,
    exchange,
    exploration,
    leakage,
    longer,
    outcome,
    phantoms,
    synthetic,
)
from brainseg.experiments.coarse_grid import GridFinding
from brainseg.experiments.gallery import Failure
from brainseg.experiments.ingredients import WIDE
from brainseg.experiments.inside import BridgeFinding, UnitFinding
from brainseg.experiments.plan import PHANTOM
from brainseg.experiments.ranking import rank_networks
from brainseg.experiments.shape_genomics import findings as shape
from brainseg.experiments.shape_genomics.analysis import GRID, HONEST
from brainseg.images.contrast import CONTRASTS
from brainseg.images.crop import CANNY_THRESHOLDS
from brainseg.paths import project_root
from brainseg.publishing.notebooks import find_notebooks, read_source
from brainseg.statistics import Answer, Interval, Verdict, paired_difference, shown

NOTEBOOKS = find_notebooks(project_root() / "notebooks")


def cohort(patients=3, brightest=40.0):
    """Patients of two slices, one of them with tumour."""
    names = [f"P{number}" for number in range(patients)]
    bright = np.linspace(10, brightest, patients)
    rows = [
        {"patient": name, "institution": "AA", "slice": number, "tumour_px": 9 * number, "mean_flair": level}
        for name, level in zip(names, bright, strict=True) for number in (0, 1)
    ]  # fmt: skip
    return {"table": pd.DataFrame(rows), "exploration": exploration}


def contrasts(patients=20, **shifts):
    """CLAHE and HE beside slices as they are; each treatment is shifted by what is named."""
    rng = np.random.default_rng(0)
    rows = [
        {"patient": f"p{number}", "treatment": treatment,
         **{name: rng.normal(shifts.get(treatment, 0), 0.01) for name in contrast.MEASURES}}
        for number in range(patients) for treatment in CONTRASTS
    ]  # fmt: skip
    return {"found": contrast.findings(pd.DataFrame(rows, columns=["patient", "treatment", *contrast.MEASURES]))}


def crops(losing=(), by_ours=()):
    """Of 20 patients the first lose tumour: by the article's boxes with each pair of thresholds, and by ours."""
    losses = [
        cropping.ArticleLoss(
            canny, {f"P{n}": 5 for n in range(count)}, Interval(0, 0, 0.1), 20, count, 5 * count, 900, 0, 0.5
        )
        for canny, count in zip((CANNY_THRESHOLDS, (10, 250)), losing or (0, 0), strict=True)
    ]
    margin = cropping.MarginFinding(4, dict.fromkeys(by_ours, 7), Interval(0, 0, 0.1), 20, 900, 21, "P0", 0, 0.8, 0.5)
    return {"cropping": cropping, "found": cropping.ArticleFindings(losses[0], tuple(losses)), "margin": margin}


def scores(low=0.5, nothing=0.65):
    """One prediction scored in two ways."""
    ways = ["mean of slices, empty = 1", "mean of tumour slices"]
    table = pd.DataFrame([[0.9, low]], ["three pixels to the right"], ways)
    return {"averaging": averaging, "scores": table, "fooled": {"nothing": {"slice IoU, empty = 1": nothing}}}


def dice_of(resunet=0.0, fcn32=-0.2, patients=30):
    """Three networks, U-Net between the other two."""
    rng = np.random.default_rng(0)
    unet = rng.uniform(0.6, 0.7, patients)
    shifts = {"fcn32": fcn32, "unet": 0, "resunet": resunet}
    return pd.DataFrame({name: unet + shift + rng.normal(0, 0.002, patients) for name, shift in shifts.items()})


def networks(trainings=3, on_several_sides=0, **shifts):
    """The ranking of three networks, and nothing else of the chapter's findings."""
    ranking = rank_networks(dice_of(**shifts), trainings)
    return {"found": comparison.ComparisonFindings(None, None, on_several_sides, None, None, ranking, None)}


def lift(with_tumour=0.4, by_slice=0.9, groups=3):
    """Empty slices lift a score where that over all slices, 0.6, is above that of tumour slices."""
    article = pd.DataFrame({"Dice": [0.6, with_tumour, 0.1]}, index=apart.GROUPS).iloc[:groups]
    rules = {"IoU by slice, empty counts as 1": by_slice, "IoU on tumour slices only": 0.5}
    return {"found": apart.Lift(article, pd.DataFrame({"ResUNet": rules, "never any tumour": rules}))}


def leak(gain=0.1, trainings=3, best="copied from the nearest slice"):
    """Two ways to draw a mask without an image, and networks that gain by having met their patients."""
    ways = ["copied from the nearest slice", "drawn between the two nearest slices"]
    image_free = pd.DataFrame({"mean Dice of tumour slices": [0.7 if way == best else 0.6 for way in ways]}, index=ways)
    honest = np.linspace(0.5, 0.7, 20)
    difference = paired_difference(honest + gain + np.tile([0.001, -0.001], 10), honest)
    verdict = shown(difference, margin=leakage.MARGIN, trainings=trainings)
    largest = leakage.DoseFinding(80, honest.mean() + gain, honest.mean(), difference)
    found = leakage.LeakFindings((largest,), verdict, None, largest, {}, (gain,), None, None, 0.01, verdict, None)
    return {"leakage": leakage, "image_free": image_free, "found": found}


def article(gain=0.1, nothing_lifts=0.3, resunet=0.1):
    """The three claims of the article, each of which may hold or not."""
    base = np.linspace(0.4, 0.6, 20)
    difference = paired_difference(base + gain + np.tile([0.001, -0.001], 10), base)
    verdict = shown(difference, margin=claims.GREAT, trainings=3)
    effect = claims.EffectFinding(claims.CONTRAST, difference, 0.001, verdict)
    found = claims.ConventionFindings
    network = pd.Series({found.PER_SLICE: 0.6 + nothing_lifts, found.PER_TUMOUR_SLICE: 0.6, found.PER_VOLUME: 0.6})
    return {
        "claims": claims,
        "found": claims.ClaimFindings((effect,), (), (), None),
        "by_convention": found(pd.Series({found.PER_SLICE: 0.6}), network),
        "ranking": rank_networks(dice_of(resunet), 3),
    }


def size(correlation):
    """Three numbers of shape, one of which goes with the size."""
    measured = {"ellipse": {"asd": 0.3, "mf": 0.01}, "ragged disc": {"asd": 0.2, "mf": 0.04}}
    ranked = pd.DataFrame({"tumour_px": [0.1, correlation, np.nan]}, index=["ASD", "BEVR", "MF"], dtype=float)
    if np.isnan(correlation):
        ranked[:] = np.nan
    return {"shape_answer": shape.shape_answer, "measured": measured, "ranked": ranked}


def links(by_ranks=(), patients=75, simulated=False):
    """Pairs that are linked, of 21."""
    found = dataclasses.make_dataclass("Found", ["links"])(shape.Links(21, patients, by_ranks, ()))
    return {"found": found, "simulated": simulated}


def replaced(direction=0, patients=75, sources=(HONEST, GRID)):
    """Masks by networks and by the grid, which keep a link or weaken it."""
    verdict = Verdict(Answer.DIFFERENCE if direction else Answer.EQUIVALENT, direction, None, not direction, "")
    feature = shape.Replacement("bevr", 0.3, 0.3, None, verdict, linked=True)
    found = tuple(shape.Replaced(source, patients, (feature,)) for source in sources)
    carried = tuple(shape.Carried(source, patients, 23, (feature,)) for source in sources)
    return {"found": shape.Findings(*[None] * 5, found, carried, *[None] * 3)}


def results(mean=0.84, small=True):
    """Two networks, and two patients on whom they do worst."""
    summary = {"mean": mean, "patients": 88, "low": mean - 0.03, "high": mean + 0.03, "median": 0.8}
    found = [outcome.NetworkOutcome(model, summary, (0.8,), 0.8) for model in ("unet", "fcn32")]
    lowest = [Failure(name, dice, dice, dice, 0.2, 0.2, small) for name, dice in (("A", 0.2), ("B", 0.3))]
    return {"found": outcome.Outcome(tuple(found), 70, 18), "lowest": lowest}


def simulated(flat=-0.2, real=0.1, seeds=3, worth=10.0):
    """U-Net that met the phantom alone, a threshold, and U-Net after real patients; each shifted by what is named."""
    base = np.random.default_rng(0).uniform(0.4, 0.7, 20)
    shifts = {synthetic.FLAT: flat, "unet": 0.0}
    patients = pd.concat(
        pd.DataFrame({"model": model, "seed": seed, "patient": range(20), "tumour_px": range(20),
                      "separability": np.linspace(0.5, 0.9, 20), "dice": base + shift + 0.001 * seed})
        for model, shift in shifts.items() for seed in range(seeds)
    )  # fmt: skip
    tried = pd.DataFrame({"patient": ["a"], "rim_px": [10], "level": [0.5], "dice": [0.4]})
    unet = patients[patients["model"] == "unet"]
    later = unet.assign(dice=unet["dice"] + (real or 0)) if real is not None else unet.iloc[:0]
    alike = Verdict(Answer.EQUIVALENT, 0, None, True, "the two are equivalent within 0.03")
    size = exchange.SizeFinding("1", 1.0, Interval(0.6, 0.5, 0.7), *5 * [None], alike, None, None)
    rate = exchange.ExchangeFindings(Interval(0.7, 0.6, 0.8), (size,), Interval(worth, 5.0, np.inf), (worth,), 39, 1)
    stayed = longer.findings(unet.assign(dice=unet["dice"] + 0.01), unet, unet)
    return {"found": synthetic.findings(patients, tried, later), "rate": rate, "stayed": stayed}


def phantoms_drawn(skull=-0.2, noise=-0.05, wide=0.0, seeds=3):
    """Dice after phantoms without skull or noise, and after one of wide ranges, which differ from the study's."""
    rng = np.random.default_rng(0)
    rows = [
        {"phantom": name, "cohort": PHANTOM.seed, "seed": seed, "patient": f"p{number}",
         "dice": 0.7 + change + rng.normal(0, 0.02)}
        for name, change in ((phantoms.OWN, 0), ("no skull", skull), ("no noise", noise), (WIDE, wide))
        for seed in range(seeds) for number in range(30)
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    wide_alone = table["phantom"].isin([phantoms.OWN, WIDE])
    without = table[table["phantom"] != WIDE]
    return {"ablation": ablation, "without": without, "other_phantoms": table[wide_alone], "seed": 0}


WORLDS = {
    "01_explore": [cohort(), cohort(brightest=80.0), cohort(1), cohort(brightest=np.nan)],
    "02_contrast": [contrasts(clahe=1), contrasts(he=1), contrasts(), contrasts(patients=0)],
    "03_crop": [crops(), crops((0, 2)), crops((2, 2)), crops(by_ours=["P1"])],
    "04_metrics": [scores(), scores(0.3), scores(nothing=0.2), scores(np.nan)],
    "05_train_fcn32": [
        {"grid": GridFinding(side, reached, averaged)}
        for side, reached, averaged in (
            ("validation", 0.8, 0.7), ("validation", 0.6, 0.7), ("validation", 0.7, 0.7), ("training", 0.8, 0.7),
            ("training", 0.8, np.nan),
        )
    ],
    "06_train_unet": [{"bridges": BridgeFinding(0.9, {"one": low, "other": 0.9})} for low in (0.3, 0.6, 0.9)],
    "07_train_resunet": [{"units": UnitFinding({"unit1": 0.5, "unit2": most})} for most in (0.8, 1.5, 2.5)],
    "08_compare": [
        networks(), networks(resunet=0.1), networks(trainings=1), networks(patients=1), networks(on_several_sides=3),
    ],
    "09_split_evaluation": [lift(), lift(with_tumour=0.8), lift(by_slice=0.4), lift(groups=2)],
    "10_leakage": [leak(), leak(0.0), leak(-0.1), leak(trainings=1), leak(best="drawn between the two nearest slices")],
    "11_claims": [article(), article(0.01), article(-0.1), article(nothing_lifts=0.0), article(resunet=0.0)],
    "12_shape": [size(-0.5), size(0.05), size(np.nan)],
    "13_many_tests": [links(), links(("BEVR × COC",)), links(patients=9), links(simulated=True)],
    "14_masks_in_use": [
        replaced(), replaced(-1), replaced(patients=4), replaced(sources=(GRID,)), replaced(sources=()),
    ],
    "15_results": [results(), results(0.7), results(small=False)],
    "16_synthetic": [
        simulated(), simulated(flat=0.0), simulated(real=-0.1), simulated(real=None), simulated(seeds=1),
        simulated(worth=np.inf), simulated(worth=0.0),
    ],
    "17_phantoms": [
        phantoms_drawn(), phantoms_drawn(skull=0.0), phantoms_drawn(skull=0.0, noise=0.0), phantoms_drawn(wide=-0.1),
        phantoms_drawn(seeds=1),
    ],
}  # fmt: skip


def test_every_chapter_has_its_answer():
    assert list(WORLDS) == list(NOTEBOOKS)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_an_answer_is_a_sentence_or_two_and_follows_what_was_found(name):
    cells = read_source(NOTEBOOKS[name]).cells
    (place,) = (place for place, cell in enumerate(cells) if "answer" in cell.metadata.get("tags", []))
    assert cells[place + 1].source.startswith("## Take-away")
    said = [eval(cells[place].source, {"Markdown": str, **world}) for world in WORLDS[name]]
    assert len(set(said)) == len(said)
    for sentence in said:
        assert sentence.startswith("**Answer.** ") and sentence.endswith(".") and "\n" not in sentence
        assert "nan" not in sentence and sentence.removeprefix("**Answer.** ").count(". ") <= 1
