"""What more of the phantom does: how long these networks train, and beside which others they stand."""

import numpy as np
import pandas as pd
import pytest

from brainseg.chapters import study_recipe
from brainseg.cohort import index_cohort
from brainseg.experiments import longer
from brainseg.experiments.plan import PHANTOM, Training, after_the_phantom
from brainseg.images.preprocess import Preprocessing
from brainseg.statistics import Answer


@pytest.fixture
def cohort(tiny_cohort_once):
    return index_cohort(tiny_cohort_once)


def test_it_takes_the_steps_before_and_after_real_patients(cohort):
    *_, training = longer.plan(cohort, longer.Settings())
    assert training.labels == {"model": "resunet", "seed": 2}
    everyone = pd.Series("train", index=cohort.index, name="split")
    met = after_the_phantom(Training(study_recipe("resunet", seed=2), Preprocessing(), everyone, {}), cohort)
    assert training.steps == met.start.steps + met.steps
    assert training.phantom == met.start.phantom == PHANTOM and training.recipe.seed == 2


@pytest.mark.parametrize(("models", "said"), [(("resunet",), "models has no unet"), (("unet", "vnet"), "unknown vnet")])
def test_other_networks_are_refused(models, said):
    with pytest.raises(ValueError, match=said):
        longer.Settings(models=models)


def scores(gain, models=("unet", "resunet"), seeds=3):
    """The Dice of 30 patients, by each training; ResUNet gains nothing."""
    base, rng = np.random.default_rng(0).uniform(0.5, 0.7, 30), np.random.default_rng(1)
    return pd.DataFrame(
        {"model": model, "seed": seed, "patient": f"P{number:02}",
         "dice": dice + gain * (model == "unet") + rng.normal(0, 0.001)}
        for model in models for seed in range(seeds) for number, dice in enumerate(base)
    )  # fmt: skip


def test_more_of_the_phantom_and_real_patients_instead_are_two_questions():
    real = scores(0.15).query("patient != 'P29'")  # one has not met a network of the others
    found = longer.findings(scores(0.1), scores(0, (*longer.MODELS, "flat threshold")), real)
    assert [(each.model, each.asked) for each in found.comparisons] == [
        ("unet", longer.MORE), ("unet", longer.INSTEAD), ("resunet", longer.MORE), ("resunet", longer.INSTEAD),
    ]  # fmt: skip
    more, instead, *nothing = found.comparisons
    assert more.after - more.before == pytest.approx(0.1, abs=0.01) and more.difference.patients == 30
    assert instead.difference.estimate == pytest.approx(0.05, abs=0.01) and instead.difference.patients == 29
    assert more.verdict.answer is instead.verdict.answer is Answer.DIFFERENCE
    assert {each.verdict.answer for each in nothing} == {Answer.EQUIVALENT}
    assert found.in_short().endswith("move it by +0.10")
    first, second, *_ = found.sentences().splitlines()
    assert f"**U-Net, more of the phantom:** {more.after:.3f} instead of {more.before:.3f}, +0.10" in first
    assert "real patients instead" in second and "on 29 patients" in second


def test_p_values_of_all_networks_are_corrected_together():
    def answer(models):
        weak = scores(0.05, models)
        worse = weak["patient"].lt("P09") & weak["model"].eq("unet")  # these nine lose what the others gain
        found = longer.findings(weak.assign(dice=weak["dice"] - 0.1 * worse), scores(0, models), scores(0.5, models))
        return found.comparisons[0].verdict.answer

    assert answer(("unet",)) is Answer.DIFFERENCE and answer(("unet", "resunet")) is Answer.CANNOT_TELL


def test_few_trainings_on_any_side_leave_the_question_open():
    tables = [scores(0.1), scores(0), scores(0.2)]
    assert all("trainings" not in each.sentence() for each in longer.findings(*tables).comparisons)
    for side in range(3):
        few = [table[table["seed"] < (1 if number == side else 3)] for number, table in enumerate(tables)]
        assert {each.verdict.answer for each in longer.findings(*few).comparisons} == {Answer.CANNOT_TELL}
