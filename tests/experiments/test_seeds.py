"""What another seed shows, on tables made by hand."""

import numpy as np
import pandas as pd
import pytest

from brainseg.experiments import seeds
from brainseg.statistics import Answer, Reason


def table_of(shifts, patients=30):
    """Scores of networks with some seeds; `shifts` maps (model, seed) to a shift."""
    rng = np.random.default_rng(0)
    common = rng.uniform(0.6, 0.8, patients)
    names = [f"P{n:02d}" for n in range(patients)]
    return pd.concat(
        pd.DataFrame(
            {"model": model, "seed": seed, "patient": names, "dice": common + shift + rng.normal(0, 0.002, patients)}
        )
        for (model, seed), shift in shifts.items()
    )


def test_a_seed_beside_another_and_networks_that_change_places():
    found = seeds.findings(table_of({("unet", 0): 0, ("unet", 1): 0.03, ("resunet", 0): 0.01, ("resunet", 1): 0.0}))
    first, second = found.luck
    assert first.name == "U-Net" and first.difference.estimate == pytest.approx(0.03, abs=2e-3)
    assert second.difference.estimate == pytest.approx(-0.01, abs=2e-3)
    assert found.ahead == {0: "ResUNet", 1: "U-Net"}
    assert "ResUNet with seed 0, U-Net with seed 1" in found.sentences() and "By chance" not in found.sentences()
    assert found.ranking.pairs[0].verdict.reason is Reason.TOO_FEW_TRAININGS


def test_seeds_that_agree_are_held_against_chance():
    shifts = {(model, seed): 0.05 * (model == "resunet") for model in ("unet", "resunet") for seed in (0, 1, 2)}
    found = seeds.findings(table_of(shifts))
    assert set(found.ahead.values()) == {"ResUNet"}
    assert "3 seeds agree once in 4 times" in found.sentences()
    among_three = seeds.findings(table_of({**shifts, **{("fcn32", seed): -0.05 for seed in (0, 1, 2)}}))
    assert "3 seeds agree once in 9 times" in among_three.sentences()
    assert found.ranking.pairs[0].verdict.answer is Answer.DIFFERENCE  # three trainings are enough


def test_one_seed_tells_nothing_of_luck():
    found = seeds.findings(table_of({("unet", 0): 0, ("resunet", 0): 0.01}))
    assert found.luck == () and "one seed" in found.sentences() and "higher mean" not in found.sentences()


def test_a_network_that_lacks_a_seed_is_not_ranked():
    shifts = {("fcn32", 0): 0.3, ("unet", 0): 0, ("unet", 1): 0.03, ("resunet", 0): 0.01, ("resunet", 1): 0.0}
    found = seeds.findings(table_of(shifts))
    assert [each.name for each in found.luck] == ["U-Net", "ResUNet"]
    assert found.ahead == {0: "ResUNet", 1: "U-Net"} and len(found.ranking.pairs) == 1
