"""What the reference edition's tables say: how good the networks are on patients they never met, and where they fail.

Everything here reads tables; nothing is trained and no image is read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from brainseg.evaluation.headline import Line
from brainseg.evaluation.scores import summarise, summarise_empty
from brainseg.experiments.gallery import Failure, tail
from brainseg.networks.recipe import MODEL_NAMES
from brainseg.networks.record import reference_runs
from brainseg.results import AIM_OF_BEST, AIMS, CROSS_VALIDATED, REFERENCE, TWO_READERS, read_table
from brainseg.statistics import FEWEST_PATIENTS, bootstrap_interval

NEAR_ONE = 0.95
"""What counts as the "near 1" of the article's IoU."""


class Scores(NamedTuple):
    """The kept scores of one protocol on test patients: a row a network and patient, and a row a network and slice."""

    patients: pd.DataFrame
    slices: pd.DataFrame


def read_scores(protocol: str = "honest") -> Scores:
    """The scores of the reference edition on test patients, networks in the order of the chapters."""
    return Scores(*(_in_order(_of(read_table(REFERENCE, name), protocol)) for name in ("patients", "slices")))


def _of(table: pd.DataFrame, protocol: str) -> pd.DataFrame:
    return table[table["protocol"] == protocol]


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    return table.sort_values("model", key=lambda column: column.map(list(MODEL_NAMES).index), kind="stable")


def wide_dice(patients: pd.DataFrame) -> pd.DataFrame:
    """Per-volume Dice: a row a patient, a column a network."""
    return patients.pivot(index="patient", columns="model", values="dice")


# ---------------------------------------------------------------- what the scores say


def _met(summary: Mapping[str, float], aim: float) -> tuple[str, str]:
    """Whether a mean has reached an aim, and a clause where its interval reaches to the other side."""
    reached = summary["mean"] >= aim
    across = summary["low"] < aim <= summary["high"]  # other patients could well turn the answer
    clause = f", although the interval reaches {'below' if reached else 'above'} it" if across else ""
    return "reached" if reached else "missed", clause


@dataclass(frozen=True)
class NetworkOutcome:
    """One network on all its test patients.

    Attributes
    ----------
    model : str
    summary : mapping
        From :func:`brainseg.evaluation.scores.summarise`.
    folds : tuple of float
        Mean Dice of each fold.
    aim : float
        Mean Dice that was asked for beforehand.
    """

    model: str
    summary: Mapping[str, float]
    folds: tuple[float, ...]
    aim: float

    @property
    def name(self) -> str:
        """As in a sentence."""
        return MODEL_NAMES[self.model]

    def sentence(self) -> str:
        """As an item of a list, in Markdown."""
        said, reservation = _met(self.summary, self.aim)
        return (
            f"- **{self.name}** has a mean of {self.summary['mean']:.3f} over {self.summary['patients']} patients "
            f"({self.summary['low']:.3f} to {self.summary['high']:.3f}; by fold {min(self.folds):.3f} to "
            f"{max(self.folds):.3f}), and a median of {self.summary['median']:.3f}. The aim, {self.aim:g}, is "
            f"**{said}**{reservation}."
        )


@dataclass(frozen=True)
class Outcome:
    """What the page of results says first.

    Attributes
    ----------
    networks : tuple of NetworkOutcome
        The highest mean first.
    in_trials, others : int
        Patients by whom the recipe was chosen, as inner patients of the trials, and all others.
    """

    networks: tuple[NetworkOutcome, ...]
    in_trials: int
    others: int

    @property
    def unet(self) -> Mapping[str, float]:
        """U-Net's summary: the published mean is that of a U-Net."""
        return next(network for network in self.networks if network.model == "unet").summary

    def against_published(self) -> str:
        """Where U-Net's interval lies to the published mean: "above", "below" or "around"."""
        low, high = self.unet["low"], self.unet["high"]
        return "above" if low > CROSS_VALIDATED else "below" if high < CROSS_VALIDATED else "around"

    def against_readers(self) -> str:
        """Where U-Net's mean lies to one SD around the mean agreement of two readers: "above", "below" or "within"."""
        low, high = TWO_READERS
        return "above" if self.unet["mean"] > high else "below" if self.unet["mean"] < low else "within"

    def aim_of_best(self) -> str:
        """Whether the better one of U-Net and ResUNet has reached what was asked of it, in Markdown; or nothing."""
        both = [network for network in self.networks if network.model in ("unet", "resunet")]
        if len(both) < 2:
            return ""
        said, reservation = _met(both[0].summary, AIM_OF_BEST)
        return (
            f"- **The better one of U-Net and ResUNet** was to reach {AIM_OF_BEST:g}. {both[0].name} has "
            f"{both[0].summary['mean']:.3f}, so this aim is **{said}**{reservation}."
        )

    def choice(self) -> str:
        """Who had a part in the choice of the recipe, in Markdown."""
        return (
            f"All {self.in_trials + self.others} patients had a part in a choice: the recipe was chosen by the scores "
            f"of {self.in_trials} in other trainings, and pilot trainings had been scored on the other {self.others}. "
            "No network that scores a patient here was trained on that patient."
        )

    def answer(self, lowest: Sequence[Failure]) -> str:
        """How good the networks are and where they fail, in a sentence: what the page finds.

        Parameters
        ----------
        lowest : sequence of Failure
            From :func:`brainseg.experiments.gallery.failures`.
        """
        best, *others = self.networks
        behind = "".join(f", {network.name} {network.summary['mean']:.3f}" for network in others)
        return (
            f"{best.name} has a mean Dice of {best.summary['mean']:.3f} over {best.summary['patients']} patients "
            f"(95 % interval {best.summary['low']:.3f} to {best.summary['high']:.3f}){behind}. {tail(lowest)}"
        )

    def sentences(self) -> str:
        """All of it, in Markdown."""
        lines = [*(network.sentence() for network in self.networks), self.aim_of_best()]
        lines.append(f"\n{self.choice()}")
        published = {
            "above": f"U-Net's interval lies above the published mean of {CROSS_VALIDATED}",
            "below": f"U-Net's interval lies below the published mean of {CROSS_VALIDATED}",
            "around": f"U-Net's interval holds the published mean of {CROSS_VALIDATED}, so the two are not told apart",
        }[self.against_published()]
        low, high = TWO_READERS
        lies = {"above": "lies above", "below": "lies below", "within": "lies in"}[self.against_readers()]
        lines.append(
            f"\n{published}. That mean has an error of its own, and it comes from larger slices without the skull, "
            "from more training patients and from other folds, so the comparison is a hint at most. U-Net's mean "
            f"{lies} what the same page quotes for two human readers, without a source: {low:g} to {high:g}, which is "
            "their mean agreement with one standard deviation to each side. On how many patients or slices, it does "
            "not say, so this is no comparison with readers."
        )
        return "\n".join(lines)


def findings(patients: pd.DataFrame, trials: pd.DataFrame, seed: int = 0) -> Outcome:
    """What the scores of the honest protocol say.

    Parameters
    ----------
    patients : DataFrame
        From :func:`read_scores`.
    trials : DataFrame
        From :func:`brainseg.experiments.trials.score`, with the ``patient`` of each row.
    seed : int
        Of the bootstrap.
    """
    networks = [
        NetworkOutcome(model, summarise(scored, seed=seed), tuple(scored.groupby("fold")["dice"].mean()), AIMS[model])
        for model, scored in patients.groupby("model", sort=False)
    ]
    everyone = set(patients["patient"])
    in_trials = len(everyone & set(trials["patient"]))
    return Outcome(
        networks=tuple(sorted(networks, key=lambda network: -network.summary["mean"])),
        in_trials=in_trials,
        others=len(everyone) - in_trials,
    )


def read_findings(seed: int = 0) -> Outcome:
    """:func:`findings` of the kept tables."""
    return findings(read_scores().patients, read_table("trials", "patients"), seed)


# ---------------------------------------------------------------- tables


def headline_table(lines: Sequence[Line]) -> pd.DataFrame:
    """The headline as a table, a row a line: ``network, folds, seeds, patients, mean, from, to, median, worst``.

    A network of several ``seeds`` predicts the mean of their probabilities.
    """
    rows = [
        {
            "network": MODEL_NAMES[line.model],
            "folds": line.patients["fold"].nunique(),
            "seeds": int(line.patients["networks"].min()),
            **line.summary,
        }
        for line in lines
    ]
    return pd.DataFrame(rows).rename(columns={"low": "from", "high": "to"})


def training_table() -> pd.DataFrame:
    """The reference runs by patient, a row each: who trained them for how long and on what, and whether they are kept.

    The minutes of runs that shared a GPU are not what one of them alone would take.
    """
    rows = []
    for record in reference_runs(split_by="patient"):
        sides = record.sides()["part"].value_counts()
        rows.append(
            {
                "network": MODEL_NAMES[record.recipe.model],
                "fold": record.fold,
                "seed": record.recipe.seed,
                "training": sides["train"],
                "test": sides["test"],
                "epochs": record.recipe.epochs,
                "minutes": round(record.seconds / 60),
                "on": "a GPU" if re.search(r" cores?, ", record.processor) else "a CPU",  # its name follows the cores
                "weights": "kept" if record.has_weights else "not kept",
            }
        )
    return pd.DataFrame(rows)


def by_group(patients: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Mean Dice by institution and by missing sequence: a row a group, a column a network, as text with its interval.

    Groups of fewer than `FEWEST_PATIENTS` patients get no interval, because theirs would be far too narrow.
    """
    missing = patients["missing_sequence"].map({True: "a T1 missing", False: "all sequences"})
    labelled = pd.concat([patients.assign(group=patients["institution"]), patients.assign(group=missing)])
    cells = {}
    for (group, model), part in labelled.groupby(["group", "model"]):
        mean = bootstrap_interval(part["dice"].dropna().to_numpy(), seed=seed)
        text = f"{mean.estimate:.2f}"
        if len(part) >= FEWEST_PATIENTS:
            text += f" ({mean.low:.2f} to {mean.high:.2f})"
        cells[group, MODEL_NAMES[model]] = text
    table = pd.Series(cells).unstack()
    table = table[[name for name in MODEL_NAMES.values() if name in table]]
    counts = labelled.groupby("group")["patient"].nunique()
    table.insert(0, "patients", counts.reindex(table.index))
    return table.rename_axis(None)


def border_table(slices: pd.DataFrame) -> pd.DataFrame:
    """How well outlines fit on slices with tumour, a row a network. A missed tumour costs the diagonal of the frame."""
    tumour = slices[slices["tumour_px"] > 0]
    rows = {
        MODEL_NAMES[model]: {
            "tumour slices": len(part),
            "median HD95 (px)": part["hd95_px"].median(),
            "mean NSD at 1 px": part["nsd_1px"].mean(),
            "at 2 px": part["nsd_2px"].mean(),
            "missed": (part["tp"] == 0).mean(),
        }
        for model, part in tumour.groupby("model", sort=False)
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def empty_table(slices: pd.DataFrame) -> pd.DataFrame:
    """Slices without tumour, a row a network: :func:`brainseg.evaluation.scores.summarise_empty`."""
    by_model = slices.groupby("model", sort=False)
    return pd.DataFrame({MODEL_NAMES[model]: summarise_empty(part) for model, part in by_model}).T


# ---------------------------------------------------------------- the article's protocol


@dataclass(frozen=True)
class ArticleOutcome:
    """One network of the article's protocol, scored its way and ours.

    Attributes
    ----------
    model : str
    training_iou, test_iou : float
        Soft, smoothed, averaged over batches, in the cropped frame, as ``model.evaluate`` prints it.
    batch_dice : float
        Dice by the same convention, of the test slices.
    patient_dice, slice_dice : float
        Of the same predictions in the original frame: per patient, and per slice with tumour.
    honest_dice : float
        Per volume, of the network of the honest protocol, on new patients.
    """

    model: str
    training_iou: float
    test_iou: float
    batch_dice: float
    patient_dice: float
    slice_dice: float
    honest_dice: float

    @property
    def near_one(self) -> bool:
        """Whether the test IoU is what the article calls near 1."""
        return self.test_iou > NEAR_ONE


def article_findings(article: pd.DataFrame, leaky: Scores, honest: pd.DataFrame) -> list[ArticleOutcome]:
    """What the article's protocol gives, a network each.

    Parameters
    ----------
    article : DataFrame
        The kept table ``article``.
    leaky : Scores
        Of the article's protocol.
    honest : DataFrame
        Patients of the honest protocol.
    """
    whole = article[article["group"] == "all"].set_index(["model", "part"])
    means = honest.groupby("model")["dice"].mean()
    outcomes = []
    for model, part in leaky.slices.groupby("model", sort=False):
        outcomes.append(
            ArticleOutcome(
                model=model,
                training_iou=float(whole.loc[(model, "train"), "IoU"]),
                test_iou=float(whole.loc[(model, "test"), "IoU"]),
                batch_dice=float(whole.loc[(model, "test"), "Dice"]),
                patient_dice=float(leaky.patients.loc[leaky.patients["model"] == model, "dice"].mean()),
                slice_dice=float(part.loc[part["tumour_px"] > 0, "dice"].mean()),
                honest_dice=float(means.get(model, float("nan"))),
            )
        )
    return outcomes


def article_table(outcomes: list[ArticleOutcome]) -> pd.DataFrame:
    """:func:`article_findings` as a table, a row a network."""
    rows = {
        MODEL_NAMES[each.model]: {
            "IoU, training": each.training_iou,
            "IoU, test": each.test_iou,
            "Dice by batch": each.batch_dice,
            "Dice per patient": each.patient_dice,
            "per tumour slice": each.slice_dice,
            "per new patient": each.honest_dice,
        }
        for each in outcomes
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def article_sentence(outcomes: list[ArticleOutcome]) -> str:
    """Whether the article's IoU "near 1" was met here, in Markdown."""
    highest = max(outcomes, key=lambda each: each.test_iou)
    met = any(each.near_one for each in outcomes)
    trained = max(each.training_iou for each in outcomes)
    why = (
        ""
        if met or trained > NEAR_ONE
        else f" On training slices it is at most {trained:.2f}. So no network knows even these by heart, and whether "
        "memory would bring an IoU near 1 stays open."
    )
    return (
        f"The article reports an IoU near 1. The highest test IoU here, {highest.test_iou:.2f}, is that of "
        f"{MODEL_NAMES[highest.model]}: near 1 was **{'reached' if met else 'not reached'}**.{why}"
    )


# ---------------------------------------------------------------- looks at test patients


def looks(log: pd.DataFrame) -> pd.DataFrame:
    """The log of looks at test patients in short: a row for each day and each thing that was done.

    Returns
    -------
    DataFrame
        ``date, what``, how many ``looks`` (of a network, or of an experiment with several), at how many ``patients`` at
        most, and from where to where their ``mean Dice`` lies.
    """
    what = log["run"].where(log["run"].str.startswith("experiment"), log["why"])
    rows = []
    for (date, name), part in log.assign(what=what).groupby(["date", "what"], sort=False):
        scores = part["mean_dice"].dropna()
        ends = dict.fromkeys(f"{score:.3f}" for score in (scores.min(), scores.max())) if len(scores) else ["-"]
        rows.append(
            {
                "date": date.replace("-", "\u2011"),  # hyphens at which no line breaks
                "what": name,
                "looks": len(part),
                "patients": part["patients"].max(),
                "mean Dice": " to ".join(ends),
            }
        )
    return pd.DataFrame(rows, columns=["date", "what", "looks", "patients", "mean Dice"])
