# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Results on real slices
#
# :::{admonition} In this chapter
# :class: tip
# - **You will** read the results of the networks that this project has trained on real patients.
# - **You will learn** how good they are on patients whom they have never met, and where they fail.
# - **You need** [the comparison](08_compare) and [the split evaluation](09_split_evaluation).
# - **It takes** about 15 minutes to read and seconds to run: nothing is trained here, and no image is read.
# :::
#
# Our scores come from the tables in `results/reference/`, `results/seeds/` and `results/variants/`, whatever cohort the other pages were executed on; what others published, from their pages.
# `make reproduce` computes the scores of the kept networks again, from weights and slices. All others need a new training: those of the later folds of ResUNet and FCN-32, of the article's protocol, of another seed and of the variants. Where the slices and masks come from, and
# under which licences, says the {doc}`data card <../data>`. Not for clinical use.

# %% tags=["install", "remove-cell"]
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("brainseg") is None:  # as in Colab
    repository = ""  # the project's address: whoever writes the .ipynb fills it in, where git knows it
    if not repository:
        raise ModuleNotFoundError(
            "The package brainseg is missing. In a copy of the project run: python -m pip install -e '.[networks]', then restart the kernel."
        )
    package = f"brainseg[networks] @ git+{repository}"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", package], check=True)
    print("Installed. If a later cell fails, restart the kernel once: other versions may have been loaded already.")

# %% tags=["parameters"]
seed = 0  # of the bootstrap

# %% tags=["hide-input"]
import json
from itertools import combinations

import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from brainseg import results, statistics
from brainseg.evaluation import headline
from brainseg.evaluation.scores import summarise, summarise_by_size, summarise_empty
from brainseg.figures import results as figures
from brainseg.figures import style
from brainseg.networks import models, record
from brainseg.networks.recipe import Recipe
from brainseg.results import has_tables, read_log, read_record, read_table

style.use_theme()
NAMES = style.MODEL_NAMES


def read(name):
    """A table of the reference edition, its networks in the order of the chapters."""
    return read_table("reference", name).sort_values(
        "model", key=lambda column: column.map(list(NAMES).index), kind="stable"
    )


patients, slices = read("patients"), read("slices")
record = read_record("reference")
log = read_log()
patients = patients[patients["part"] == "test"]
slices = slices[slices["part"] == "test"]
honest = patients[patients["protocol"] == "honest"]
honest_slices = slices[slices["protocol"] == "honest"]
shown_models = [name for name in NAMES if name in set(honest["model"])]

# %% [markdown]
# ## What was trained on what
#
# A row is a network. It was trained on patients of four folds, its best epoch was chosen by the validation patients among them, and
# it was scored on the patients of the fifth. The project keeps the weights of U-Net's folds and of the first fold of the others.
# {doc}`../reproduce` says how to train the rest again. The minutes are of shared processors, some twice as fast as others.

# %% tags=["hide-input"]
rows, last_epoch, machines = [], [], set()
for folder in record.reference_runs():
    run = json.loads((folder / "run.json").read_text())
    if run["split_by"] != "patient":
        continue
    recipe, steps = Recipe(**run["recipe"]), run["preprocessing"]
    network = models.build_model(recipe.model, steps["image_size"], channels=recipe.channels, **recipe.options)
    last_epoch.append(run["best_epoch"] == recipe.epochs)
    machines.add(f"{run['processor']}, Keras {run['versions']['keras']} on {run['versions']['backend']}")
    split = pd.read_csv(folder / "split.csv")
    counts = split.drop_duplicates(["patient", "part"])["part"].value_counts()
    rows.append(
        {
            "network": NAMES[recipe.model],
            "fold": run["fold"],
            "patients: training, validation, test": ", ".join(
                str(counts[part]) for part in ("train", "validation", "test")
            ),
            "best epoch": run["best_epoch"],
            "minutes": f"{run['seconds'] / 60:.0f}",
            "weights": "kept" if folder in record.reference_runs() else "not kept",
            "parameters (thousands)": f"{network.count_params() / 1e3:,.0f}",
            "GFLOPs per look (two per slice)": f"{2 * models.multiply_adds(network) / 1e9:.2f}",
        }
    )
display(pd.DataFrame(rows).style.hide(axis="index"))

cohort = record["cohort"]
display(
    Markdown(
        f"**Data:** {cohort['patients']} patients of TCGA-LGG, {cohort['slices']} slices, {cohort['tumour_slices']} with tumour. "
        f"**Slices:** {steps['image_size']} pixels, normalised by volume. "
        f"**Training:** {recipe.epochs} epochs of {recipe.slices_per_epoch} slices, batches of {recipe.batch_size}, "
        f"Adam from {recipe.learning_rate:g} down a cosine, seed {recipe.seed}. "
        f"**Machine:** {'; '.join(sorted(machines))}. "
        "**Command:** `python -m brainseg reference --data FOLDER`, for a row with `--models` and `--folds`. "
        f"\n\nOf {len(last_epoch)} networks, {sum(last_epoch)} did best in the last epoch. The steps shrink to zero at the end of a training of any "
        "length, so this does not tell whether a longer one would help."
    )
)

# %% [markdown]
# These are networks of a **second training**. Those of a first, half as long, had missed the aim on test patients, so we went on. What to change was decided
# on validation patients: the length by those of fold 0, with one training each, and the mirrored prediction by those of all folds
# (`results/mirror_selection.csv`). No test score made a choice, but whoever chose had seen the first ones: the log
# at the end of this page has them, and {doc}`../limits` tells the whole story. `results/reference/splits.csv` holds the folds, and who had a part in a choice.
#
# ## The headline
#
# {numref}`fig-reference-headline` shows every patient whom a network was tested on, beside what others have published.

# %% mystnb={"figure": {"name": "fig-reference-headline", "caption": "Per-volume Dice of patients whom the network has never met. A small dot is a patient, the large one is the mean, the bar its 95 % bootstrap interval over patients, which leaves out that another training gives another network. Only rows with the same number of patients are of the same patients. The dashed line is the published mean of a 22-fold cross-validation on all 110 patients, with other folds; the grey band is the agreement of two human readers, as the same page quotes it without a source."}, "image": {"alt": "Rows of dots between 0 and 1, each with a large dot and a bar for its mean, a dashed line and a narrow grey band."}} tags=["hide-input"]
lines = headline.headline(seed)
figures.headline(lines)

# %% tags=["hide-input"]
shown = pd.DataFrame([one.summary for one in lines], index=[NAMES[one.model] for one in lines])
shown.insert(0, "folds", [one.patients["fold"].nunique() for one in lines])
shown[["folds", "patients"]] = shown[["folds", "patients"]].astype(int)
shown = shown.rename(columns={"low": "95 % bootstrap interval from", "high": "to"}).reset_index(names="network")
display(shown.style.hide(axis="index").format("{:.3f}", subset=shown.columns[3:]))

by_model = {name: honest[honest["model"] == name].set_index("patient") for name in shown_models}
summaries = {name: summarise(table, seed=seed) for name, table in by_model.items()}
sentences = []
for name in shown_models:
    summary, aim = summaries[name], results.AIMS[name]
    reached = "reached" if summary["mean"] >= aim else "missed"
    inside = ", though the interval holds it" if reached == "missed" and summary["high"] >= aim else ""
    inside = ", though the interval reaches below it" if reached == "reached" and summary["low"] < aim else inside
    sentences.append(
        f"- **{NAMES[name]}**: mean {summary['mean']:.3f} over {summary['patients']} patients "
        f"({summary['low']:.3f} to {summary['high']:.3f}). The aim of this study, {aim}, is **{reached}**{inside}."
    )
widest = max(shown_models, key=lambda name: (len(by_model[name]), name == "unet"))  # the published mean is of a U-Net
folds = by_model[widest].groupby("fold")["dice"].mean()
if len(folds) > 1:
    sentences.append(f"\nBy fold, {NAMES[widest]}'s mean runs from {folds.min():.3f} to {folds.max():.3f}.")
splits = read_table("reference", "splits").set_index("patient").reindex(by_model[widest].index)
settings, mirror = (splits[column].eq(True).to_numpy() for column in ("chose_the_recipe", "judged_the_mirror"))
chose = settings | mirror
if chose.any():
    sentences.append(
        f"\n{chose.sum()} of the {len(chose)} patients had a part in a choice, though no network that scores them was trained on "
        f"them: {settings.sum()} in the settings or the length of the training, {mirror.sum()} in the mirrored prediction. {NAMES[widest]}'s mean on them is "
        f"{by_model[widest].loc[chose, 'dice'].mean():.3f}, on **the {(~chose).sum()} others {by_model[widest].loc[~chose, 'dice'].mean():.3f}**. "
        "These are different patients, so the gap is not the size of the bias."
    )
against = (
    "above"
    if summaries[widest]["low"] > results.CROSS_VALIDATED
    else ("below" if summaries[widest]["high"] < results.CROSS_VALIDATED else "not told apart from")
)
sentences.append(
    f"\nThe published mean of {results.CROSS_VALIDATED} comes from larger slices whose skull was stripped, more training patients and other folds, "
    f"and has an error of its own. {NAMES[widest]}'s mean here is **{against}** it, by our interval: unpaired, and no more than a hint."
)
before = log[log["weights"].notna() & log["run"].str.contains("-by-patient-") & (log["epochs"] < recipe.epochs)]
before = before.drop_duplicates("run", keep="last")
if len(before):
    before = before.assign(model=before["run"].str.split("-").str[0], total=before["mean_dice"] * before["patients"])
    first = before.groupby("model")[["total", "patients"]].sum()
    sentences.append(
        "\nThe aims were set beforehand; no result stands behind them. The networks of the first training had "
        + ", ".join(
            f"{NAMES[name]} {first.loc[name, 'total'] / first.loc[name, 'patients']:.3f} over {first.loc[name, 'patients']:.0f} patients"
            for name in shown_models if name in first.index
        ) + "."
    )  # fmt: skip
display(Markdown("\n".join(sentences)))

# %% [markdown]
# ## Patient by patient
#
# Two networks are compared on the test patients whom both share, by the rule of [chapter 8](08_compare): a difference is clear
# where ten patients or more share it, its interval excludes zero, and Wilcoxon's p, corrected by Holm for the number of pairs, is below 0.05.
# One training per network and fold counts, so an order would be one of these networks, not of the architectures.

# %% tags=["hide-input"]
wide = honest.pivot(index=["fold", "patient"], columns="model", values="dice")
rows = {}
later = []
pairs = list(combinations(reversed(shown_models), 2))
for first, second in pairs:
    both = wide[[first, second]].dropna()
    difference = statistics.paired_difference(both[first], both[second], seed=seed)
    excludes_zero = difference.low > 0 or difference.high < 0
    rows[f"{NAMES[first]} minus {NAMES[second]}"] = {
        "patients": len(both), "median": (both[first] - both[second]).median(),
        "mean": difference.estimate, "low": difference.low, "high": difference.high,
        "p corrected": difference.p_value, "clear": excludes_zero and len(both) >= statistics.FEWEST_PATIENTS,
    }  # fmt: skip
    after = both[both.index.get_level_values("fold") != 0]
    if 0 < len(after) < len(both):
        added = statistics.paired_difference(after[first], after[second], seed=seed)
        later.append((f"{NAMES[first]} minus {NAMES[second]}", len(after), added))
differences = pd.DataFrame.from_dict(rows, orient="index")
if len(differences):
    differences["p corrected"] = statistics.holm(differences["p corrected"])
    differences["clear"] &= differences["p corrected"] < statistics.LARGEST_P
    shown = differences.replace({"clear": {True: "yes", False: "no"}})
    display(
        shown.style.format(
            {
                "median": "{:+z.3f}",
                "mean": "{:+z.3f}",
                "low": "{:+z.3f}",
                "high": "{:+z.3f}",
                "p corrected": statistics.p_text,
            }
        )
    )
if later:
    names = [NAMES[name] for name in shown_models if name != "unet" and by_model[name]["fold"].nunique() > 1]
    corrected = statistics.holm([added.p_value for _, _, added in later])
    display(Markdown(
        f"The later folds of {' and '.join(names)} were trained after the scores of fold 0 were known. So here are "
        "the differences without fold 0, p corrected among themselves: "
        + "; ".join(
            f"{label} {added.estimate:+z.3f} ({added.low:+z.3f} to {added.high:+z.3f}) over {n} patients, {statistics.p_text(p, name='p')}"
            for (label, n, added), p in zip(later, corrected, strict=True)
        ) + "."
    ))  # fmt: skip
again = log[log["weights"].notna() & log["run"].str.contains("-by-patient-") & (log["epochs"] == recipe.epochs)]
for name, of in again.groupby("run"):
    if len(of) > 1:
        model, fold = name.split("-by-patient-fold")
        display(
            Markdown(
                f"{NAMES[model]} in fold {fold} was trained {'twice' if len(of) == 2 else f'{len(of)} times'} by the same recipe and seed. Sums of floats depend on the machine and on their order, and training "
                f"makes much of little: the mean Dice over {of['patients'].iloc[0]} patients was {' and '.join(f'{mean:.3f}' for mean in of['mean_dice'])}. The last one counts."
            )
        )

# %% [markdown]
# ## How much is luck?
#
# A training is one draw. A seed decides the starting weights, the order of the slices and how they are augmented. So U-Net and ResUNet
# were trained again in every fold with another seed, by the same recipe on the same slices and splits. Most of the first networks had been trained before
# the training loop was rewritten, with the same steps; a part of each difference is that, and the order of sums.
#
# The first rows set a network beside itself. The last ones set the two beside each other: with each seed, and in the mean over the seeds.
# Mean, interval, median and p are of the differences in Dice; so many patients have two scores that lie 0.05 or more apart.
#
# What would be measured was written down before these networks were scored, when the scores of the first seed were known: a network beside itself, and
# the two in the mean over the seeds. Those rows are tested, with p corrected by Holm; the rows of single seeds are not. An interval is over patients and takes
# the trainings as they are. Two seeds are too few for an interval over seeds.

# %% tags=["hide-input"]
drawn = read_table("seeds", "patients") if has_tables("seeds") else None
now = pd.concat({name: table["dice"] for name, table in by_model.items()}, names=["model"])
if drawn is None:
    display(Markdown("Not computed yet: the page on rerunning has the command."))
elif not np.allclose(
    drawn["reference_dice"], now.reindex(pd.MultiIndex.from_frame(drawn[["model", "patient"]])), equal_nan=True
):
    display(
        Markdown(
            "Networks have been replaced since this was computed, so there is nothing to compare with: the page on rerunning has the command."
        )
    )
else:
    first_seed = drawn["reference_seed"].iloc[0]
    by_seed = drawn.pivot(index=["fold", "patient"], columns=["model", "seed"], values="dice").join(
        drawn.drop_duplicates(["model", "patient"]).pivot(
            index=["fold", "patient"], columns=["model", "reference_seed"], values="reference_dice"
        )
    )
    drawn_models = [name for name in NAMES if name in by_seed]
    of_seeds = sorted(by_seed.columns.get_level_values(1).unique())

    def set_beside(one, other):
        gap = (one - other).dropna()
        difference = statistics.paired_difference(one[gap.index], other[gap.index], seed=seed)
        return {
            "patients": len(gap), "mean": difference.estimate, "low": difference.low, "high": difference.high,
            "median": gap.median(), "0.05 apart": int((gap.abs() >= 0.05).sum()), "p": difference.p_value,
        }  # fmt: skip

    rows, sentences = {}, []
    for name in drawn_models:
        for other in of_seeds:
            if other == first_seed:
                continue
            gap = (by_seed[name, other] - by_seed[name, first_seed]).dropna()
            most = gap.abs().idxmax()
            row = rows[f"{NAMES[name]}, seed {other} minus {first_seed}"] = set_beside(
                by_seed[name, other], by_seed[name, first_seed]
            )
            sentences.append(
                f"- **{NAMES[name]}**, {row['patients']} patients: mean Dice {by_seed[name, first_seed].mean():.3f} with seed {first_seed}, "
                f"{by_seed[name, other].mean():.3f} with seed {other}: {row['mean']:+z.3f} ({row['low']:+z.3f} to {row['high']:+z.3f}). "
                f"One patient moved by {gap[most]:+z.3f}; without that one it would be {gap.drop(most).mean():+z.3f}."
            )
    tested, pooled = list(rows), "ResUNet minus U-Net, mean of seeds"
    if set(drawn_models) >= {"unet", "resunet"}:
        ahead = {}
        for one in of_seeds:
            row = rows[f"ResUNet minus U-Net, seed {one}"] = set_beside(by_seed["resunet", one], by_seed["unet", one])
            ahead[one] = "ResUNet" if row["mean"] > 0 else "U-Net"
        rows[pooled] = set_beside(by_seed["resunet"].mean(axis=1), by_seed["unet"].mean(axis=1))
        tested.append(pooled)
    luck = pd.DataFrame.from_dict(rows, orient="index")
    luck["p"] = pd.Series(statistics.holm(luck.loc[tested, "p"]), index=tested).reindex(luck.index)
    if pooled in luck.index:
        row = luck.loc[pooled]
        clear = (
            (row["low"] > 0 or row["high"] < 0)
            and row["p"] < statistics.LARGEST_P
            and row["patients"] >= statistics.FEWEST_PATIENTS
        )
        verdict = f"{'ResUNet' if row['mean'] > 0 else 'U-Net'} is clearly better" if clear else "not told apart"
        chance = (
            ""
            if clear or len(set(ahead.values())) > 1
            else f" By chance, {len(of_seeds)} seeds agree once in {2 ** (len(of_seeds) - 1)} times."
        )
        sentences.append(
            f"- The higher mean has {', '.join(f'{name} with seed {one}' for one, name in ahead.items())}.{chance} In the mean over the seeds, ResUNet minus U-Net is "
            f"{row['mean']:+z.3f} ({row['low']:+z.3f} to {row['high']:+z.3f}), {statistics.p_text(row['p'], name='p')}: **{verdict}**."
        )
    shown = luck.drop(columns=["low", "high"])
    shown.insert(
        2,
        "95 % interval",
        [f"{low:+z.3f}\u00a0to\u00a0{high:+z.3f}" for low, high in zip(luck["low"], luck["high"], strict=True)],
    )
    display(shown.style.format("{:+z.3f}", subset=["mean", "median"]).format(statistics.p_text, subset="p"))
    display(Markdown("\n".join(sentences)))

# %% [markdown]
# ## Two harder questions
#
# **What is the recipe worth?** A *plain* U-Net is the floor: the whole frame, grey levels as they are, slices as they come, no augmentation, one prediction
# per slice, no piece dropped. Its training is as long, on the same patients.
#
# **What does a new hospital cost?** The folds mix institutions, so the networks above have met the hospital of their test patients, unless it sent a single patient.
# A network *without* an institution has not. It also learns from another number of patients and from other ones, so not all of a difference is the hospital.
#
# Each is compared with the kept U-Nets on the same patients: mean, interval, median and p are of the differences, and p is corrected by Holm. There is one training of each, so a difference is one of these networks.
# A few patients can make most of a mean, so the median of the differences stands beside it.
# The pooled row was added after the single ones had been seen. It holds the same patients once more, so it is not tested.
# The plain U-Net was trained in fold 0 first, which left the order open. The other folds were added after that was seen.

# %% tags=["hide-input"]
if not has_tables("variants"):
    display(Markdown("Not computed yet: the page on rerunning has the command."))
elif read_record("variants")["networks"] != record.reference_digests("unet"):
    display(
        Markdown(
            "The kept U-Nets have been replaced since this was computed, so there is nothing to compare with: the page on rerunning has the command."
        )
    )
else:
    trained = (
        pd.DataFrame([{"variant": run["variant"], **run["patients"]} for run in read_record("variants")["runs"]])
        .groupby("variant")["train"]
        .mean()
    )
    kept_trained = np.mean(
        [
            len(json.loads((folder / "run.json").read_text())["patients"]["train"])
            for folder in record.reference_runs("unet")
        ]
    )
    tested = read_table("variants", "patients").join(
        by_model["unet"][["fold", "dice"]].rename(columns={"dice": "kept"}), on="patient"
    )
    tested = tested.dropna(subset=["dice", "kept"])

    def against_kept(part):
        """The Dice of a variant's patients, and how far it lies from that of the same patients by the kept U-Nets."""
        difference = statistics.paired_difference(part["dice"], part["kept"], seed=seed)
        return {
            "patients": len(part), "Dice": part["dice"].mean(),
            "mean": difference.estimate, "low": difference.low, "high": difference.high, "median": (part["dice"] - part["kept"]).median(),
            "p corrected": difference.p_value,
        }  # fmt: skip

    def verdict(row):
        if row["patients"] < statistics.FEWEST_PATIENTS:
            return "too few patients for a verdict"
        if (row["low"] > 0 or row["high"] < 0) and row["p corrected"] < statistics.LARGEST_P:
            return f"clearly {'below' if row['mean'] < 0 else 'above'} the kept U-Nets"
        return "not told apart from the kept U-Nets"

    def written(row):
        return f"{row['mean']:+z.3f} ({row['low']:+z.3f} to {row['high']:+z.3f})"

    def of_median(row):
        apart = row["median"] < row["low"] or row["median"] > row["high"]
        return (
            f" The median, {row['median']:+z.3f}, lies outside this interval: a few patients pull the mean."
            if apart
            else ""
        )

    parts = dict(list(tested.groupby("variant", sort=False)))
    compared = pd.DataFrame.from_dict({variant: against_kept(part) for variant, part in parts.items()}, orient="index")
    compared["p corrected"] = statistics.holm(compared["p corrected"])
    compared.insert(1, "trained on", trained[compared.index])
    left_out = [variant for variant in parts if variant != "plain"]
    plain_folds = sorted(parts["plain"]["fold"].unique()) if "plain" in parts else []
    labels = {
        "plain": f"plain, fold{'s' if len(plain_folds) > 1 else ''} {', '.join(f'{fold:.0f}' for fold in plain_folds)}"
    }
    if len(left_out) > 1:
        row = against_kept(tested[tested["variant"].isin(left_out)])
        compared.loc["pooled"] = pd.Series({**row, "trained on": trained[left_out].mean(), "p corrected": np.nan})

    shown = compared.rename(index=lambda label: label.replace(" ", "\u00a0"), columns={"p corrected": "p"}).drop(
        columns=["low", "high"]
    )
    interval = [
        f"{low:+z.3f}\u00a0to\u00a0{high:+z.3f}" for low, high in zip(compared["low"], compared["high"], strict=True)
    ]
    shown.insert(shown.columns.get_loc("mean") + 1, "95 % interval", interval)
    display(
        shown.style.format("{:+z.3f}", subset=["mean", "median"])
        .format("{:.3f}", subset="Dice")
        .format("{:.0f}", subset=["patients", "trained on"])
        .format(statistics.p_text, subset="p")
    )

    sentences = [f"The kept U-Nets were trained on {kept_trained:.0f} patients each, on average.\n"]
    for variant in parts:
        row, label = compared.loc[variant], labels.get(variant, variant)
        sentences.append(f"- **{label[0].upper()}{label[1:]}**, {written(row)}: {verdict(row)}.{of_median(row)}")
        if variant == "plain" and plain_folds[0] == 0 and len(plain_folds) > 1:
            later = against_kept(parts["plain"].query("fold > 0"))
            sentences.append(
                f"- Plain without fold 0, which was seen first, {written(later)}: {later['patients']} patients, not tested.{of_median(later)}"
            )
    if not plain_folds:
        sentences.append("- The first question is **open**: no plain U-Net has been trained yet.")
    if not left_out:
        sentences.append("- The second question is **open**: no institution has been left out yet.")
    display(Markdown("\n".join(sentences)))

# %% [markdown]
# ## Where they fail
#
# A mean over patients can hide the tail. These are the lowest scores of each network. Where nothing was called tumour, there is no precision.

# %% tags=["hide-input"]
worst = honest.sort_values("dice").groupby("model", sort=False).head(5)
worst = worst.sort_values(["model", "dice"]).assign(
    network=worst["model"].map(NAMES), missing=worst["missing_sequence"].map({True: "yes", False: "no"})
)
shown = worst[["network", "patient", "dice", "recall", "precision", "tumour_px", "missing"]].rename(
    columns={"tumour_px": "tumour pixels", "missing": "a T1 missing"}
)
display(
    shown.style.hide(axis="index")
    .format("{:.2f}", subset=["dice", "recall", "precision"], na_rep="-")
    .format("{:,}", subset=["tumour pixels"])
)

# %% [markdown]
# ### By institution, and where a sequence is missing
#
# A missing T1 is filled with a copy of FLAIR in this data set. The networks were trained with such copies on purpose.
# Two capitals are an institution. Groups of fewer than ten patients get no interval.

# %% tags=["hide-input"]
groups = {}
for name in shown_models:
    table = by_model[name]
    for institution, part in table.groupby("institution"):
        groups[(institution, NAMES[name])] = part
    for missing, part in table.groupby("missing_sequence"):
        groups[("a T1 missing" if missing else "all sequences", NAMES[name])] = part


def mean_with_interval(dice):
    """As in "0.80 (0.76 to 0.84)"; with few patients there is no interval to be trusted."""
    mean = statistics.bootstrap_interval(dice.to_numpy(), seed=seed)
    return f"{mean.estimate:.2f}" + (
        f" ({mean.low:.2f} to {mean.high:.2f})" if len(dice) >= statistics.FEWEST_PATIENTS else ""
    )


rows = {
    key: {"patients": str(len(part)), "mean Dice": mean_with_interval(part["dice"].dropna())}
    for key, part in groups.items()
}
shown = pd.DataFrame.from_dict(rows, orient="index")
shown.index = pd.MultiIndex.from_tuples(shown.index, names=["group", "network"])
shown = shown.unstack("network").swaplevel(axis=1).rename_axis(index=None, columns=(None, None))
shown = shown[[(NAMES[name], column) for name in shown_models for column in ("patients", "mean Dice")]]
display(shown.style.format(na_rep="-"))

# %% [markdown]
# ### Tumour slices by size
#
# One pixel of outline costs a small tumour far more Dice than a large one.

# %% tags=["hide-input"]
shown = pd.concat({NAMES[name]: summarise_by_size(part) for name, part in honest_slices.groupby("model", sort=False)})
shown = shown.rename(columns=lambda column: column.replace("_", " ").replace("dice", "Dice"))
display(shown.style.format("{:.2f}", subset=["mean Dice", "median Dice", "tenth percentile"], na_rep="-"))

# %% mystnb={"figure": {"name": "fig-reference-size", "caption": "Dice of each test slice with tumour against the size of its tumour, on a logarithmic scale."}, "image": {"alt": "Clouds of dots, one per network: small tumours scatter over the whole range of Dice, large ones gather near the top."}} tags=["hide-input"]
figures.dice_against_size(honest_slices)

# %% tags=["hide-input"]
tumour = honest_slices[honest_slices["tumour_px"] > 0]
rows = {
    NAMES[name]: {
        "tumour slices": len(part),
        "median HD95 (px)": part["hd95_px"].median(),
        "mean NSD at 1 px": part["nsd_1px"].mean(),
        "at 2 px": part["nsd_2px"].mean(),
        "missed": (part["tp"] == 0).mean(),
    }
    for name, part in tumour.groupby("model", sort=False)
}
shown = pd.DataFrame.from_dict(rows, orient="index")
display(
    shown.style.format("{:.0f}", subset=["tumour slices"]).format("{:.1f}", subset=["median HD95 (px)"])
    .format("{:.2f}", subset=["mean NSD at 1 px", "at 2 px"]).format("{:.1%}", subset=["missed"])
)  # fmt: skip

# %% [markdown]
# HD95 counts the diagonal of the frame for a slice on which nothing was found.
#
# ### Slices without tumour
#
# They have no Dice. The question is whether the network keeps quiet.

# %% tags=["hide-input"]
empty = pd.DataFrame(
    {NAMES[name]: summarise_empty(part) for name, part in honest_slices.groupby("model", sort=False)}
).T
display(
    empty.style.format(
        {
            "slices": "{:.0f}", "left clean": "{:.1%}", "median false pixels in an alarm": "{:.0f}",
            "most false pixels": "{:.0f}", "specificity of pixels": "{:.5f}",
        },
        na_rep="-",
    )
)  # fmt: skip

# %% [markdown]
# ## The article's protocol
#
# The same architectures, trained anew on slices prepared as in the article (CLAHE, a box per slice), with slices split at random.
# What the article leaves open is our reading. These networks are scored twice. First as the article does it: loss, IoU and Dice
# as `model.evaluate` gives them, softly, with smoothing, in the cropped frame, averaged over batches.

# %% tags=["hide-input"]
try:
    article = read("article")
except FileNotFoundError:
    article = None
    display(Markdown("No network of the article's protocol is kept yet."))
else:
    article["network"] = article["model"].map(NAMES)
    article["slices of"] = article["part"].where(article["group"] == "all", article["part"] + ", " + article["group"])
    shown = article.set_index(["network", "slices of"])[["slices", "loss", "IoU", "Dice"]]
    display(shown.style.format("{:.3f}", subset=["loss", "IoU", "Dice"]))

# %% [markdown]
# Then the same predictions as binary masks in the original frame, where tumour outside the box counts as missed.
# "Per patient" counts together the test slices of a patient; the others were training slices of the same network.

# %% tags=["hide-input"]
if article is not None:
    leaky, leaky_slices = (of[of["protocol"] == "article"] for of in (patients, slices))
    rows = {}
    for name, part in leaky_slices.groupby("model", sort=False):
        with_tumour, without = part[part["tumour_px"] > 0], part[part["tumour_px"] == 0]
        rows[NAMES[name]] = {
            "Dice per patient": leaky.loc[leaky["model"] == name, "dice"].mean(),
            "Dice per tumour slice": with_tumour["dice"].mean(),
            "tumour slices missed": (with_tumour["tp"] == 0).mean(),
            "empty slices left clean": (without["fp"] == 0).mean(),
        }
    shown = pd.DataFrame.from_dict(rows, orient="index")
    display(shown.style.format("{:.3f}", subset=shown.columns[:2]).format("{:.1%}", subset=shown.columns[2:]))
    whole = article[(article["part"] == "test") & (article["group"] == "all")].set_index("model")["Dice"]
    compared = [
        f"- **{NAMES[name]}**: {whole[name]:.3f} by the article's convention, {rows[NAMES[name]]['Dice per patient']:.3f} per patient "
        f"in the original frame, and {summaries[name]['mean']:.3f} per volume where the patients are new (honest protocol)."
        for name in whole.index if name in summaries
    ]  # fmt: skip
    epochs = {
        of: log.loc[log["run"].isin(set(part["run"])), "epochs"]
        for of, part in (("article", leaky), ("honest", honest))
    }
    shorter = epochs["article"].max() != epochs["honest"].max()
    iou = article[article["group"] == "all"].pivot(index="model", columns="part", values="IoU")
    display(
        Markdown(
            "The article reports an IoU near 1. By this protocol the test IoU is "
            + ", ".join(
                f"{iou.loc[name, 'test']:.2f} ({NAMES[name]}; {iou.loc[name, 'train']:.2f} on training slices)"
                for name in iou.index
            )
            + f". So it was **{'reached' if iou['test'].max() > 0.95 else 'not reached'}** here, and its text does not say enough to tell why."
        )
    )
    caution = (
        f"\nThe first two are of networks trained for {epochs['article'].max():.0f} epochs, the third of others trained for {epochs['honest'].max():.0f}. "
        "So the third cannot be held against them."
        if shorter else ""
    )  # fmt: skip
    display(Markdown("\n".join(["One network architecture, three numbers called Dice:", "", *compared, caution])))

# %% [markdown]
# [Chapter 10](10_leakage) takes the two protocols apart.
#
# ## Every look at the test patients
#
# Who looks often enough finds a lucky number. So every evaluation of test patients that led to a result or to a change is written down.
# A page that is executed again scores them again; that adds no line.

# %% tags=["hide-input"]
shown = log.drop(columns=["weights", "slices"])
shown["run"] = (
    shown["run"]
    .replace({rf"\b{name}\b": of for name, of in NAMES.items()}, regex=True)
    .str.replace("-by-patient-fold", ", fold ")
    .str.replace("-by-slice-fold", ", by slice, fold ")
)
shown["commit"] = (
    shown["commit"].str.replace(r"^([0-9a-f]{7})[0-9a-f]*", r"\1", regex=True).str.replace("-dirty", " and changes")
)
shown["date"] = shown["date"].str.replace("-", "\u2011")  # hyphens at which no line breaks
shown = shown.rename(columns={"validation_dice": "validation Dice", "mean_dice": "mean Dice"})
display(
    shown.style.hide(axis="index")
    .format(na_rep="-")
    .format("{:.3f}", subset=["validation Dice", "mean Dice"], na_rep="-")
)

# %% [markdown]
# ## Take-away
#
# - A result is a mean, an interval, and the list of patients behind it.
# - The tail of low scores matters more than the third digit of the mean.
# - Weights know whom they have seen. Score them on nobody else.
#
# ## Exercises
#
# **1. Recall.** Why is hardly any fold untouched, although no network was trained on the patients that it is scored on?
#
# **2. Compute.** In how many patients does U-Net find less than half of the tumour's pixels? Complete the function, and use it on `by_model["unet"]`.


# %% tags=["solution", "hide-cell"]
def poorly_found(patients):
    """How many patients have less than half of their tumour's pixels found.

    Parameters
    ----------
    patients : DataFrame
        One row per patient: ``tumour_px``, pixels of tumour in the truth, and ``tp``, those of them that were found.

    Returns
    -------
    int
    """
    return int((2 * patients["tp"] < patients["tumour_px"]).sum())


assert poorly_found(by_model["unet"]) == by_model["unet"]["recall"].lt(0.5).sum()
f"{poorly_found(by_model['unet'])} of {len(by_model['unet'])}"

# %% tags=["check", "hide-cell"]
three_patients = pd.DataFrame({"tumour_px": [100, 100, 100], "tp": [49, 50, 80], "fp": [0, 100, 300]})
answer = poorly_found(three_patients)
assert answer is not None, "The function returns nothing yet. Which share of each patient's tumour was found?"
assert answer == 1, (
    f"Of 100 pixels each, 49, 50 and 80 were found. Only the first is less than half: 1, and not {answer}. False alarms do not count here."
)
print("Right.")

# %% [markdown]
# **3. Try.** Run `python -m brainseg predict` with a kept network on two patients of the cohort, one of its training side and one of its test side (`split.csv` beside its weights).
# What does `seen_in_training` say?
#
# **4. Open.** What would you change first to lift the lowest scores? How would you find out without looking at test patients?

# %% [markdown] tags=["solution"]
# :::{dropdown} Answers in words
# **1.** Patients of folds 1 to 4 helped to choose the settings and the length. Patients of every fold, as validation patients of other networks, judged the mirror.
# And the test scores of the first training were known.
#
# **3.** Whether a patient of that name was among those that the network was trained or chosen on. A score on such a patient is no result.
#
# **4.** Look at the lowest *validation* patients, guess what they share, change one thing, and compare on validation patients of several folds. Test patients come once, at the end.
# :::
