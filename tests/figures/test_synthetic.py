"""Figures of phantom-only networks: what they draw is what they were given."""

import numpy as np
import pandas as pd

from brainseg.experiments import phantoms
from brainseg.experiments.synthetic import FLAT
from brainseg.figures import synthetic as draw
from brainseg.figures.style import COLOURS

ALONE = pd.DataFrame({FLAT: [0.1, 0.3, 0.2], "unet": [0.6, 0.8, 0.7]}, index=["a", "b", "c"])
TRAINED = pd.DataFrame({"unet": [0.9, 0.5, 0.1, 0.7]}, index=["a", "b", "elsewhere", "c"])


def clouds(ax):
    return [cloud.get_offsets() for cloud in ax.collections if len(cloud.get_offsets()) > 0]


def test_methods_draws_the_same_patients_in_every_row():
    (ax,) = draw.methods(ALONE, TRAINED).axes
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["flat threshold\nphantom alone", "U-Net\nphantom alone", "U-Net\nthen real patients"]
    assert [list(cloud[:, 0]) for cloud in clouds(ax)] == [[0.1, 0.3, 0.2], [0.6, 0.8, 0.7], [0.9, 0.5, 0.7]]
    assert [text.get_text() for text in ax.texts] == ["0.20", "0.70", "0.70"]


def test_patients_are_paired_by_their_names():
    (ax,) = draw.patient_by_patient(ALONE, TRAINED).axes
    (cloud,) = clouds(ax)
    np.testing.assert_allclose(cloud, [[0.9, 0.6], [0.5, 0.8], [0.7, 0.7]])


def test_the_best_threshold_is_marked():
    tried = pd.DataFrame(
        {
            "patient": list("abab"),
            "rim_px": [10, 10, 18, 18],
            "level": [0.4, 0.4, 0.6, 0.6],
            "dice": [0.2, 0.4, 0.5, 0.7],
        }
    )
    (ax,) = draw.thresholds(tried).axes
    assert ax.lines[-1].get_xydata().tolist() == [[0.6, 0.6]] and ax.texts[0].get_text() == "0.60"


def test_simulated_slices_carry_both_outlines():
    image, truth = np.full((8, 8, 3), 90, np.uint8), np.eye(8) > 0
    figure = draw.simulated([image] * 2, [truth] * 2, [np.zeros((8, 8), bool)] * 2, ["first", "second"])
    outlined = [len(ax.collections) for ax in figure.axes]
    assert outlined == [0, 0, 4, 4]


def test_other_phantoms_are_sorted_and_coloured_by_what_is_shown():
    rng = np.random.default_rng(0)
    reached = {phantoms.OWN: 0.7, "better": 0.8, "worse": 0.5, "the same": 0.7}
    rows = [
        {"phantom": name, "cohort": 7, "seed": seed, "patient": f"P{number}", "dice": mean + rng.normal(0, 0.02)}
        for name, mean in reached.items()
        for seed in range(3)
        for number in range(30)
    ]
    table = pd.DataFrame(rows)
    dice = phantoms.dice_by_phantom(table)
    (ax,) = draw.changes_in_dice(table, seed=0).axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["worse", "the same", "better"]
    coloured = [text.get_color() == COLOURS["tumour"] for text in ax.texts]
    assert coloured == [True, False, True]
    dots = [cloud.get_offsets()[:, 0] for cloud in ax.collections if len(cloud.get_offsets()) == 30]
    assert np.allclose(dots[0], dice["worse"] - dice[phantoms.OWN])
