"""What the measured speeds say: medians, ratios within a turn, the goals, and what the study costs elsewhere.

The tables are those of ``python -m benchmarks`` in ``results/speed/``, a row a turn. A machine's speed drifts, so two
measures are compared within each turn, and the median of the turns stands with the lowest and the highest.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

STUDY = "as the study has it"
"""The setting that all others are held against."""

LOOP = "plain PyTorch loop"
BACKWARD = 3
"""A training step costs about three times the arithmetic of a prediction: forward, and on the way back the gradients
for a layer's input and for its weights (Kaplan et al. 2020, arXiv:2001.08361, section 2.1, count the same way)."""

FACTORS = (1, 2, 5, 10)
"""How much larger the cohorts become, on which growth is measured."""

FLAT = 0.1
"""Memory counts as flat where the largest cohort needs at most this share more than the smallest."""

FIXED, AUGMENTED = "the same batch again and again", "augmented batches"
"""What ``python -m benchmarks.gpu`` trains on: the first measures the network alone, the second as a training does."""

WORKERS = (2, 5, 10, 20)
"""Sizes of the clusters that the page reckons with."""


@dataclass(frozen=True)
class Measured:
    """The median of several turns, the lowest and the highest."""

    median: float
    low: float
    high: float

    @classmethod
    def over(cls, values: Iterable[float]) -> Measured:
        """Of the values of the turns.

        Raises
        ------
        ValueError
            Where there is none.
        """
        values = list(values)
        if not values:
            raise ValueError("there is no turn to take a median of")
        return cls(float(np.median(values)), float(min(values)), float(max(values)))

    def text(self, form: str = ".2f") -> str:
        """As in "1.52 (1.40 to 1.61)"."""
        return f"{self.median:{form}} ({self.low:{form}} to {self.high:{form}})"


@dataclass(frozen=True)
class Goal:
    """Something that was aimed at, and what was measured of it.

    Attributes
    ----------
    what : str
        As the beginning of a sentence.
    measured : Measured
    bound : float
        What the median should reach.
    at_most : bool
        Whether less is better.
    percent : bool
        Whether it is shown as a percentage.
    """

    what: str
    measured: Measured
    bound: float
    at_most: bool = False
    percent: bool = False

    @property
    def reached(self) -> bool:
        """Whether the median of the turns meets the bound."""
        return self.measured.median <= self.bound if self.at_most else self.measured.median >= self.bound

    def row(self) -> dict[str, str]:
        """One row of the table of goals."""
        form = ".1%" if self.percent else ".2f"
        return {
            "what": self.what,
            "goal": f"{'≤' if self.at_most else '≥'}\N{NO-BREAK SPACE}{self.bound:{'.0%' if self.percent else 'g'}}",
            "measured": self.measured.text(form),
            "reached": "yes" if self.reached else "no",
        }


def within_turns(over: pd.Series, under: pd.Series) -> Measured:
    """The ratio of two measures in each turn.

    Parameters
    ----------
    over, under : Series on the turns

    Raises
    ------
    ValueError
        Where the two do not have the same turns.
    """
    if set(over.index) != set(under.index):
        raise ValueError("the two measures do not have the same turns: run the benchmark anew")
    return Measured.over(over / under)


def by_turn(table: pd.DataFrame, column: str, value: str, figure: str) -> pd.Series:
    """One figure of the rows in which a column has a value, on their turns."""
    return table[table[column] == value].set_index("turn")[figure]


# ---------------------------------------------------------------- networks


def network_speeds(networks: pd.DataFrame) -> pd.DataFrame:
    """A row for each network and task: slices a second, and as a share of the matrix product of its turn.

    Returns
    -------
    DataFrame
        ``network, task``; ``median, low, high`` in slices a second; ``share`` and ``share_low, share_high`` of the
        bfloat16 product, ``share_float32`` of the other; NaN where the arithmetic of a network was not counted.
    """
    rows = []
    for name, turns in networks.groupby("network", sort=False):
        for task in ("training", "prediction"):
            row = {"network": name, "task": task, **vars(Measured.over(turns[task]))}
            share, slower = (matrix_share(networks, name, task, p) for p in ("bfloat16", "float32"))
            row |= {"share": share.median, "share_low": share.low, "share_high": share.high}
            rows.append({**row, "share_float32": slower.median})
    return pd.DataFrame(rows)


def matrix_share(networks: pd.DataFrame, network: str, task: str, precision: str) -> Measured:
    """The arithmetic that a network does in a second, as a share of the processor's best matrix product of the turn."""
    turns = networks[networks["network"] == network].set_index("turn")
    peak = networks.groupby("turn")[f"matrix_{precision}"].max()
    return Measured.over(turns[task] * turns["forward_gflop"] * (BACKWARD if task == "training" else 1) / peak)


def setting_ratios(settings: pd.DataFrame) -> pd.DataFrame:
    """A row for each setting that was tried: its speed over that of the study's setting in the same turn.

    Returns
    -------
    DataFrame
        ``setting, task, median, low, high``.
    """
    rows = []
    for task in ("training", "prediction"):
        study = by_turn(settings, "setting", STUDY, task)
        for name in settings["setting"].unique():
            ratio = within_turns(by_turn(settings, "setting", name, task), study)
            rows.append({"setting": name, "task": task, **vars(ratio)})
    return pd.DataFrame(rows)


def operation_shares(operations: pd.DataFrame) -> pd.DataFrame:
    """The share of each kind of operation in a training step: kinds as rows, the largest first, networks as columns."""
    table = operations.pivot_table(index="operation", columns="network", values="ms", aggfunc="sum", fill_value=0)
    shares = table / table.sum()
    return shares.loc[shares.mean(axis=1).sort_values(ascending=False).index, list(operations["network"].unique())]


# ---------------------------------------------------------------- growth


def growth(table: pd.DataFrame) -> pd.DataFrame:
    """Seconds a slice and memory of each step, held against the smallest cohort of the same turn.

    Returns
    -------
    DataFrame
        ``step, factor``; ``time`` and ``memory`` (medians over turns, 1 for the smallest cohort), each with ``_low``
        and ``_high``; ``seconds`` and ``memory_mib``, medians.
    """
    table = table.assign(each=table["seconds"] / table["slices"])
    smallest = table["patients"].min()
    rows = []
    for (step, patients), part in table.groupby(["step", "patients"], sort=False):
        first = table[(table["step"] == step) & (table["patients"] == smallest)].set_index("turn")
        part = part.set_index("turn")
        time, memory = (within_turns(part[name], first[name]) for name in ("each", "memory_mib"))
        rows.append(
            {"step": step, "factor": patients // smallest, "time": time.median, "time_low": time.low,
             "time_high": time.high, "memory": memory.median, "memory_low": memory.low, "memory_high": memory.high,
             "seconds": part["seconds"].median(), "memory_mib": part["memory_mib"].median()}
        )  # fmt: skip
    return pd.DataFrame(rows)


# ---------------------------------------------------------------- the goals


def goals(tables: Mapping[str, pd.DataFrame]) -> list[Goal]:
    """What was aimed at before it was measured, and what came out."""
    networks, files, pipeline = tables["networks"], tables["files"], tables["pipeline"]
    found = [
        Goal(f"{task} U-Net, beside a {LOOP} of the same network",
             within_turns(by_turn(networks, "network", "unet", name), by_turn(networks, "network", LOOP, name)), bound)
        for task, name, bound in (("Training", "training", 1.5), ("Predicting with", "prediction", 1.0))
    ]  # fmt: skip
    share = matrix_share(networks, "unet", "training", "bfloat16")
    found.append(Goal("Arithmetic of U-Net's training, as a share of the bfloat16 matrix product", share, 0.6))
    waited = within_turns(
        *(by_turn(pipeline, "step", s, "seconds") for s in ("waiting for the next batch", "training"))
    )
    found.append(Goal("Share of a training that waits for the next batch", waited, 0.05, at_most=True, percent=True))
    preparing = within_turns(
        *(by_turn(files, "step", s, "seconds") for s in ("preparing, as the study does", "reading the files"))
    )
    found.append(Goal("Preparing a cohort, beside reading its files in one process", preparing, 2.0, at_most=True))
    grown = growth(tables["growth"])
    largest = grown[grown["factor"] == grown["factor"].max()]
    for row in largest[largest["step"] != "check"].itertuples():
        memory = Measured(row.memory, row.memory_low, row.memory_high)
        what = {"prepare": "preparing", "train": "training", "evaluate": "evaluating"}[row.step]
        found.append(Goal(f"Memory of {what} a cohort {row.factor} times as large", memory, 1 + FLAT, at_most=True))
    return found


# ---------------------------------------------------------------- what the study costs


def makespan(seconds: Iterable[float], workers: int) -> float:
    """Seconds until the last of several workers is done, where the longest job that is left goes to whoever is free.

    Graham (1969), doi:10.1137/0117039; at most a third above the best schedule.

    Raises
    ------
    ValueError
        Without a worker.
    """
    if workers < 1:
        raise ValueError(f"{workers} workers do nothing: give 1 or more")
    busy = [0.0] * workers
    for job in sorted(seconds, reverse=True):
        heapq.heapreplace(busy, busy[0] + job)
    return max(busy)


def training_seconds(
    trainings: pd.DataFrame, networks: pd.DataFrame, size: int = 128, filters: int = 16
) -> pd.DataFrame:
    """The trainings of the study with the seconds that their steps take on the measured machine.

    A network was measured at one size and width. Another is reckoned by its arithmetic, and marked.

    Parameters
    ----------
    trainings : DataFrame
        ``experiment, model, image_size, filters, slices, forward_gflop``, a row a training.
    networks : DataFrame
        As for :func:`network_speeds`.

    Returns
    -------
    DataFrame
        With ``seconds`` and ``extrapolated`` (bool).
    """
    measured = networks.groupby("network")[["training", "forward_gflop"]].median()
    speed = trainings["model"].map(measured["training"])
    work = trainings["forward_gflop"] / trainings["model"].map(measured["forward_gflop"])
    other = (trainings["image_size"] != size) | (trainings["filters"] != filters)
    # What was measured is what the same network costs; where it is the same, the ratio of the work is one.
    return trainings.assign(seconds=trainings["slices"] / speed * np.where(other, work, 1.0), extrapolated=other)


def study_costs(seconds: pd.DataFrame) -> pd.DataFrame:
    """A row for each experiment: trainings, slices that pass through them, hours on the measured machine.

    Parameters
    ----------
    seconds : DataFrame
        From :func:`training_seconds`.
    """
    groups = seconds.groupby("experiment", sort=False)
    return pd.DataFrame(
        {
            "trainings": groups.size(),
            "slices": groups["slices"].sum(),
            "hours": groups["seconds"].sum() / 3600,
            "extrapolated": groups["extrapolated"].mean(),
        }
    ).reset_index()


def batch_bound(trainings: pd.DataFrame, pipeline: pd.DataFrame) -> float:
    """Hours in which one thread makes all batches of the trainings: no GPU that one thread feeds trains them faster."""
    alone = pipeline[pipeline["step"] == "making batches alone"]
    rate = Measured.over(alone["slices"] / alone["seconds"]).median
    return float(trainings["slices"].sum() / rate / 3600)


def gpu_hours(trainings: pd.DataFrame, gpu: pd.DataFrame) -> float:
    """Hours of some trainings at the best rate that processes together reached on augmented batches.

    It is an extrapolation: all networks are taken to be as fast as the one that was measured.

    Parameters
    ----------
    trainings : DataFrame
        As in :func:`training_seconds`.
    gpu : DataFrame
        Of ``python -m benchmarks.gpu``: ``work, network, processes, mps, seconds, steps_a_second, slices_a_second``
        and ``extrapolated``: whether a row is the rate of one process times their number.
    """
    rate = gpu.loc[gpu["work"] == AUGMENTED, "slices_a_second"].max()
    return float(trainings["slices"].sum() / rate / 3600)
