"""The exchange rate: who is given, who is scored, and what a table of scores says."""

import numpy as np
import pandas as pd
import pytest
from helpers import write_cohort

from brainseg.cohort import index_cohort
from brainseg.experiments import exchange, synthetic
from brainseg.experiments.exchange import ALL, NONE, SCRATCH, SIMULATED, Settings
from brainseg.figures import synthetic as figures
from brainseg.statistics import Answer, Reason


@pytest.fixture
def cohort(tmp_path, monkeypatch):
    """Twelve patients, three a fold; P12 has no tumour, and P01 steered the phantom."""
    names = [f"TCGA_AA_{number:04d}_20000101" for number in range(1, 13)]
    table = index_cohort(write_cohort(tmp_path / "real", names, slices=2))
    table.loc[table["patient"] == names[-1], "tumour_px"] = 0
    folds = table["patient"].map(dict(zip(names, np.arange(12) % 4, strict=True)))
    monkeypatch.setattr(
        exchange, "fold_sides", lambda table, fold: (folds == fold).map({True: "test", False: "train"}).rename("split")
    )
    monkeypatch.setattr(exchange, "development_patients", lambda: pd.DataFrame({"patient": names[:1]}))
    return table


def trained(cohort, sides):
    return set(cohort.loc[sides == "train", "patient"])


def test_a_smaller_number_is_part_of_a_larger_one(cohort):
    few, more = (trained(cohort, exchange.training_sides(cohort, 0, count, 0)) for count in (2, 5))
    assert len(few) == 2 and len(more) == 5 and few < more
    assert trained(cohort, exchange.training_sides(cohort, 0, 2, 1)) != few


def test_who_is_given_has_a_tumour_and_is_not_tested(cohort):
    sides = exchange.training_sides(cohort, 0, 8, 0)
    tested = set(cohort.loc[sides == "test", "patient"])
    assert len(tested) == 3 and not tested & trained(cohort, sides)
    assert (cohort.groupby("patient")["tumour_px"].sum()[list(trained(cohort, sides))] > 0).all()
    with pytest.raises(ValueError, match="fold 0 has 8 patients with a tumour to train on: fewer than 9"):
        exchange.training_sides(cohort, 0, 9, 0)


def test_both_starts_take_the_same_number_of_steps(cohort):
    plan = exchange.plan(cohort, Settings(sizes=(2,), folds=(0,), draws=(0,)))
    steps = {}
    for training in plan:
        before = training.start.steps if training.start else 0
        steps.setdefault(training.labels["given"], []).append(training.steps + before)
    assert set(steps) == {NONE, "2", ALL}
    assert len(steps["2"]) == 2 and len(set(steps["2"])) == 1
    assert len(steps[ALL]) == 2 and len(set(steps[ALL])) == 1
    # What trained on the phantom alone is what the others start from.
    alone, later = plan[0], plan[1]
    assert later.start.folder(cohort) == alone.folder(cohort) and set(alone.split) == {"train"}


def test_who_steered_the_phantom_is_not_scored(cohort):
    assert exchange.tested(cohort, 0) == [f"TCGA_AA_{number:04d}_20000101" for number in (5, 9)]


@pytest.mark.parametrize("sizes", [(2, 1), (1, 1), (0, 1)])
def test_sizes_are_checked(sizes):
    with pytest.raises(ValueError, match="sizes is"):
        Settings(sizes=sizes)


def test_a_synthetic_cohort_is_refused(tmp_path):
    phantom = index_cohort(write_cohort(tmp_path / "phantom", ["PHANTOM_AA_0001_20000101"], slices=2))
    with pytest.raises(ValueError, match="Real patients say"):
        exchange.plan(phantom, Settings())


def test_every_network_is_scored_with_the_number_that_it_was_given(cohort, monkeypatch):
    plan = exchange.plan(cohort, Settings(sizes=(2,), folds=(1,), draws=(0,)))
    asked = []

    def score_real(run, root, patients):
        asked.append(patients)
        columns = {name: 1.0 for name in synthetic.VOLUME_COLUMNS if name != "patient"}
        return pd.DataFrame({"patient": patients, **columns}).set_index("patient")

    monkeypatch.setattr(exchange, "score_real", score_real)
    table = exchange.score(cohort, Settings(), ((training, None) for training in plan))["patients"]
    assert asked == [exchange.tested(cohort, 1)] * len(plan)
    numbers = table.groupby(["start", "given"])["real_patients"].unique().explode().to_dict()
    assert numbers == {
        (SIMULATED, NONE): 0,
        (SIMULATED, "2"): 2,
        (SCRATCH, "2"): 2,
        (SIMULATED, ALL): 9,
        (SCRATCH, ALL): 9,
    }


# ---------------------------------------------------------------- what a table says


def table_of(scratch, simulated, draws=(0, 1, 2), patients=30):
    """Scores by number of real patients; everyone scores alike, but for a spread that all columns share."""
    rng = np.random.default_rng(1)
    spread, noise = rng.normal(0, 0.02, patients), 0.004
    rows = []
    for start, means in ((SCRATCH, scratch), (SIMULATED, simulated)):
        for given, mean in means.items():
            for draw in draws:
                reached = mean + spread + rng.normal(0, noise, patients)
                real = {NONE: 0, ALL: 70}.get(given) if given in (NONE, ALL) else int(given)
                rows += [
                    {"start": start, "given": given, "real_patients": real, "fold": number % 3, "draw": draw,
                     "patient": f"P{number:02d}", "dice": value}
                    for number, value in enumerate(reached)
                ]  # fmt: skip
    return pd.DataFrame(rows)


SCRATCH_MEANS = {"1": 0.2, "10": 0.6, ALL: 0.8}


def test_the_worth_lies_between_two_points_of_the_curve():
    found = exchange.findings(table_of(SCRATCH_MEANS, {NONE: 0.4, "1": 0.5, "10": 0.7, ALL: 0.8}))
    # Half of the way from 1 to 10 by the logarithm.
    assert found.worth.estimate == pytest.approx(10**0.5, rel=0.05)
    assert found.worth.low < found.worth.estimate < found.worth.high
    assert (
        "it takes **3 real patients** to get as far (95 % interval over the scored patients, 3 to 3;"
        in found.sentence()
    )
    assert "takes about 3 real patients, and twice the steps, to get as far as the phantom alone" in found.in_short()
    assert found.in_short().endswith(
        "; beside all 70 real patients, the phantom adds nothing that matters (within 0.03)"
    )
    assert [size.given for size in found.sizes] == ["1", "10", ALL]
    assert [size.real_patients for size in found.sizes] == [1, 10, 70]
    assert found.sizes[0].verdict.answer is Answer.DIFFERENCE and found.sizes[0].verdict.direction == 1
    assert found.sizes[-1].verdict.answer is Answer.EQUIVALENT
    assert "Going on with **1 real patient** moves Dice after the phantom by +0.1" in found.ends()
    assert "- with 1, 10: the phantom helps\n- with all 70: both starts do as well (within 0.03)\n" in found.ends()
    assert found.ends().endswith("Beside the phantom alone:\n\n- with 1, 10, all 70: real patients help")
    assert "The 3 draws by themselves give 3, 3, 3." in found.sentence()
    assert "p" in found.table()


@pytest.mark.parametrize(
    ("alone", "said", "interval"),
    [
        (0.1, "**1 real patient** is enough to get as far", "1 or fewer to 1 or fewer"),
        (0.9, "**even all 70 real patients** do not take it as far", "more than all 70 to more than all 70"),
    ],
)
def test_a_phantom_outside_the_curve_has_no_number(alone, said, interval):
    found = exchange.findings(table_of(SCRATCH_MEANS, {NONE: alone, "1": 0.5, "10": 0.7, ALL: 0.8}))
    assert said in found.sentence() and interval in found.sentence()
    assert f"takes {interval.partition(' to ')[0]} real patients" in found.in_short() and interval in found.in_short()


def test_the_phantom_may_be_a_burden_and_a_patient_may_make_it_forgotten():
    found = exchange.findings(table_of(SCRATCH_MEANS, {NONE: 0.4, "1": 0.1, "10": 0.5, ALL: 0.7}))
    assert all(size.verdict.direction == -1 for size in found.sizes)
    assert "- with 1, 10, all 70: the phantom harms\n" in found.ends()
    assert found.ends().endswith("- with 1: real patients harm\n- with 10, all 70: real patients help")
    assert found.in_short().endswith("; beside all 70 real patients, the phantom harms")
    assert "Going on with **1 real patient** moves Dice after the phantom by -0.299" in found.ends()


def test_fewer_than_three_draws_describe_and_give_no_verdict():
    after = {NONE: 0.4, "1": 0.5, "10": 0.7, ALL: 0.8}
    found = exchange.findings(table_of(SCRATCH_MEANS, after, draws=(0,)))
    assert {size.verdict.reason for size in found.sizes} == {Reason.TOO_FEW_TRAININGS}
    assert "With 1 draw of patients, the table describes" in found.ends() and "p" not in found.table()
    assert found.in_short().endswith("; beside all 70 real patients, the data cannot tell (too few trainings)")
    # The part with the fewest counts.
    table = table_of(SCRATCH_MEANS, after)
    table = table[(table["draw"] == 0) | (table["given"] != "10")]
    found = exchange.findings(table)
    assert found.draws == 1 and len(found.worth_by_draw) == 1


def test_a_small_difference_and_an_open_question_are_called_so():
    table = table_of(SCRATCH_MEANS, {NONE: 0.4, "1": 0.215, "10": 0.6, ALL: 0.8})
    wild = (table["given"] == "10") & (table["start"] == SIMULATED)
    table.loc[wild, "dice"] += np.random.default_rng(2).normal(0, 0.2, wild.sum())
    said = exchange.findings(table).ends()
    assert "- with 1: the phantom helps, by less than 0.03\n" in said
    assert "- with 10: the data cannot tell (" in said


def test_each_draw_has_a_curve_of_its_own():
    after = {NONE: 0.5, "1": 0.5, "10": 0.7, ALL: 0.8}
    lucky, unlucky = table_of({"1": 0.5, "10": 0.6, ALL: 0.8}, after, (0,)), table_of(SCRATCH_MEANS, after, (1,))
    found = exchange.findings(pd.concat([lucky.assign(dice=lucky["dice"] + 0.05), unlucky]))
    assert found.worth_by_draw[0] == 0 and found.worth_by_draw[1] == pytest.approx(10 ** (3 / 4), rel=0.05)
    assert "give 1 or fewer, 6." in found.sentence()
    first = found.sizes[0]
    assert np.mean(first.scratch_by_draw) == pytest.approx(first.scratch.estimate)
    assert first.scratch_by_draw[0] > 0.5 > first.scratch_by_draw[1]


def test_more_of_the_phantom_is_worth_more_patients():
    table = table_of(SCRATCH_MEANS, {NONE: 0.4, "1": 0.5, "10": 0.7, ALL: 0.8})
    found, alone = exchange.findings(table), table[table["given"] == NONE].groupby("patient")["dice"].mean()
    said = exchange.longer_sentence(found, table, (alone + 0.1).iloc[1:])
    assert f"has {alone.iloc[1:].mean() + 0.1:.3f} (on 29 patients), and is worth 6 real patients (95 %" in said
    assert "is worth more than all 70 real patients (95 % interval more than" in exchange.longer_sentence(
        found, table, alone + 1
    )


def test_each_draw_stands_in_the_table():
    found = exchange.findings(table_of(SCRATCH_MEANS, {NONE: 0.4, "1": 0.5, "10": 0.7, ALL: 0.8}))
    row = found.table().iloc[0]
    each = np.subtract(found.sizes[0].simulated_by_draw, found.sizes[0].scratch_by_draw)
    assert row["by draw"] == f"{each.min():+.3f} to {each.max():+.3f}" and row["p"] == "< 0.001"
    assert row["difference (95 %)"].startswith(f"{found.sizes[0].difference.estimate:+.3f} (")


def test_a_curve_that_falls_by_chance_is_made_to_rise():
    after = {NONE: 0.5, "1": 0.5, "10": 0.7, "20": 0.7, ALL: 0.8}
    found = exchange.findings(table_of({"1": 0.2, "10": 0.6, "20": 0.3, ALL: 0.8}, after))
    # 10 and 20 have 0.45 together, so 0.5 is reached a seventh of the way from 20 to all.
    assert found.worth.estimate == pytest.approx(20 * (70 / 20) ** (1 / 7), rel=0.05)


def test_where_it_comes_from_is_told():
    # The phantom alone stands in a row of each fold, and was trained once.
    runs = [{"processor": "a GPU", "weights": weights, "seconds": 60.0} for weights in "0010"]
    said = exchange.described({"settings": {"folds": [0, 1, 2], "draws": [0]}, "runs": runs})
    assert (
        "in 3 of the reference edition's folds, with 1 draw of patients each: 2 trainings, 2.0 minutes on a GPU" in said
    )
    runs.append({"processor": "a CPU", "weights": "2", "seconds": 60.0})
    said = exchange.described({"settings": {"folds": [0, 1, 2], "draws": [0, 1]}, "runs": runs})
    assert "2 draws of patients each: 3 trainings, 3.0 minutes together (2 on a GPU; 1 on a CPU)" in said


def test_the_figure_marks_the_worth_where_there_is_one():
    after = {"1": 0.5, "10": 0.7, ALL: 0.8}
    inside, outside = (
        figures.exchange(exchange.findings(table_of(SCRATCH_MEANS, {NONE: alone, **after}))) for alone in (0.4, 0.9)
    )
    assert [text.get_text() for text in inside.axes[0].texts] == ["3"] and not outside.axes[0].texts
    found = exchange.findings(table_of(SCRATCH_MEANS, {NONE: 0.4, **after}))
    small = [tuple(line.get_ydata()) for line in inside.axes[0].lines if line.get_markersize() == 4]
    assert small == [size.scratch_by_draw for size in found.sizes] + [size.simulated_by_draw for size in found.sizes]
    alone = figures.exchange(exchange.findings(table_of(SCRATCH_MEANS, {NONE: 0.4, **after}, draws=(0,))))
    assert not [line for line in alone.axes[0].lines if line.get_markersize() == 4]
    assert [label.get_text() for label in inside.axes[0].get_xticklabels()] == ["1", "10", "all 70"]
