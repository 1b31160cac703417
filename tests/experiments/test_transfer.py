"""What a synthetic tumour is worth, on tables made by hand."""

import numpy as np
import pandas as pd
import pytest

from brainseg.experiments import transfer
from brainseg.statistics import Answer, Reason

BASE = np.random.default_rng(0).uniform(0.4, 0.9, 30)


def trained(phantom, shift, trainings=3, base=BASE):
    return pd.concat(
        pd.DataFrame(
            {"phantom": phantom, "model": "unet", "cohort_seed": number, "seed": 0, "patient": range(len(base)),
             "dice": np.clip(base + shift + 0.01 * (number - 1), 0, 1)}
        )
        for number in range(trainings)
    )  # fmt: skip


def flat(shift):
    return trained(transfer.FLAT, shift, trainings=1).assign(model="")


@pytest.mark.parametrize(("shift", "direction"), [(0.1, 1), (-0.1, -1)])
def test_a_phantom_beside_the_threshold_both_ways_round(shift, direction):
    found = transfer.primary_finding(pd.concat([trained(transfer.STEERED, shift), flat(0.0)]), "unet")
    assert found.difference.estimate == pytest.approx(shift, abs=0.02)
    assert (found.verdict.answer, found.verdict.direction) == (Answer.DIFFERENCE, direction)
    assert f"{found.difference.estimate:+.3f}" in found.sentence()


def test_equal_teachers_are_equivalent_and_two_trainings_cannot_tell():
    noisy = BASE + np.random.default_rng(5).normal(0, 0.02, len(BASE))
    tables = [trained(transfer.STEERED, 0.0, base=noisy), flat(0.01)]
    assert transfer.primary_finding(pd.concat(tables), "unet").verdict.answer is Answer.EQUIVALENT
    few = [trained(transfer.STEERED, 0.1, trainings=2), flat(0.0)]
    assert transfer.primary_finding(pd.concat(few), "unet").verdict.reason is Reason.TOO_FEW_TRAININGS


def test_a_patient_counts_once_and_failures_are_counted():
    base = BASE.copy()
    base[:2] = 0.0
    (found,) = transfer.transfer_findings(trained("literature", 0.0, base=base))
    assert (found.patients, found.trainings, found.failures) == (30, 3, 2)
    expected = np.mean([np.clip(base + shift, 0, 1) for shift in (-0.01, 0, 0.01)])
    assert found.mean == pytest.approx(expected) and found.low < found.mean < found.high


def curves(alone, sizes=(1, 2, 4, 8, 16), step=0.1):
    """From scratch, each doubling adds a step of 0.1 to 0.3; the phantom alone has a number of its own."""
    tables = [("scratch", size, 0.3 + step * place) for place, size in enumerate(sizes)] + [("phantom", 0, alone)]
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 0.05, 40)
    return pd.concat(
        pd.DataFrame({"start": start, "real_patients": size, "fold": 0, "draw": draw, "patient": range(40),
                      "dice": mean + noise})
        for start, size, mean in tables
        for draw in (0, 1)
    )  # fmt: skip


@pytest.mark.parametrize(("alone", "worth"), [(0.5, 4), (0.55, 32**0.5), (0.2, 1), (0.3, 1), (0.7, 16)])
def test_the_worth_is_read_from_the_curve_on_a_logarithmic_scale(alone, worth):
    found = transfer.exchange_finding(curves(alone))
    assert found.worth.estimate == pytest.approx(worth)
    assert found.worth.low <= worth * 1.001 and found.worth.high >= worth * 0.999
    assert f"**{worth:.0f} real patients**" in found.sentence()
    assert found.curve["real_patients"].tolist() == [0, 1, 2, 4, 8, 16]


def test_a_phantom_that_no_number_of_patients_reaches_is_called_so():
    found = transfer.exchange_finding(curves(0.9))
    assert np.isinf(found.worth.estimate) and "more than 16 real patients" in found.sentence()
    assert "interval more than 16 to more than 16" in found.sentence()


def test_a_dip_in_the_curve_does_not_count():
    table = curves(0.5)
    table.loc[table["real_patients"] == 8, "dice"] -= 0.3
    assert transfer.exchange_finding(table).worth.estimate == pytest.approx(4)


def test_the_dearest_ingredient_comes_first():
    table = pd.concat(
        pd.DataFrame({"removed": name, "patient": range(30), "dice": BASE - cost})
        for name, cost in {"nothing": 0.0, "noise": 0.02, "skull": 0.2, "cysts": -0.01}.items()
    )
    found = transfer.ingredient_findings(table, whole="nothing")
    assert [each.removed for each in found] == ["skull", "noise", "cysts"]
    assert found[0].cost.estimate == pytest.approx(0.2) and found[2].cost.estimate < 0
