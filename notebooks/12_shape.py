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
# # From mask to molecule
#
# :::{admonition} In this chapter
# :class: tip
# - **You will** turn each mask into three numbers of shape, and ask whether they go with the tumour's genomic clusters.
# - **You will learn** how to define a shape, what testing many pairs does, and how to judge masks by what they are for.
# - **You need** the chapters on [the slices](01_explore) and [the metrics](04_metrics). No genetics.
# - **It takes** about 30 minutes to read, and a few minutes to run once U-Net is trained.
# :::
#
# The masks of this data set were drawn for one question: does the shape of a tumour on {term}`FLAIR` tell its genomic subtype
# {cite:p}`buda2019association`? A Dice was a means to that end. This chapter asks the question itself.

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
data = "phantom"  # "phantom", "kaggle", or a folder in Kaggle's layout
seed = 0
image_size = 96  # side of the prepared slices in pixels, a multiple of 32
contrast = "none"  # "none", "he", or "clahe" as in the article
crop = "patient"  # "none", "slice" or "patient"
fold = 0  # which of the five folds is the test set
filters = 16  # width of the first level
epochs = 12
slices_per_epoch = 480  # 0 takes every training slice once
recompute = False  # measure all masks here, also where the project keeps the results

# %% tags=["hide-input"]
from functools import partial

import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from scipy import stats

from brainseg import statistics
from brainseg.chapters import study_run
from brainseg.cohort import index_cohort, read_patient, read_patient_table
from brainseg.data import get_cohort
from brainseg.experiments.engine import get_tables
from brainseg.experiments.shape_genomics import association, features, study
from brainseg.experiments.shape_genomics.study import CODES, HONEST, LEAKY, MANUAL, TARGET
from brainseg.figures import shape as figures
from brainseg.figures import style
from brainseg.networks.record import reference_digests
from brainseg.results import of_which_cohort, read_log, read_record, read_table

style.use_theme()
root = get_cohort(data)
table = index_cohort(root)
clinical = read_patient_table(root)
synthetic = bool(table["synthetic"].all())
NAMES = list(features.FEATURES)

# %% [markdown]
# ## What a molecular subtype is
#
# Two tumours may look alike under the microscope and behave differently, because different genes have changed in their cells.
# A {term}`molecular subtype` groups tumours by such changes. In lower-grade glioma the groups differ in how the disease runs,
# more than the grades do {cite:p}`tcga2015comprehensive`, and today's classification of brain tumours is built on them {cite:p}`louis2021who`.
#
# One can measure a tumour in many ways: which genes are active (**RNASeq**), which are switched off by chemical marks
# (**methylation**), which stretches of DNA are lost or doubled (**copy number**), small regulating RNAs (**microRNA**), proteins (**RPPA**).
# For each, an algorithm put alike patients into one *cluster*. A cluster's number is a name and no amount: 4 is not more than 2.
# **OncoSign** and **COC**, the cluster of clusters, sum up several of these measurements.
#
# All this needs tissue, and so an operation. A shape needs a scan. If the two went together, the scan would tell something about
# the genes. There is a reason why they might: how a tumour spreads depends on what its cells do. Earlier work on
# these patients found such links {cite:p}`mazurowski2017radiogenomics`.
#
# ## The table that is hardly ever opened
#
# `data.csv` has a row per patient. Its codes come without a key: the data set does not say which number is which
# cluster of the literature, and we invent no meanings.

# %% tags=["hide-input"]
columns = pd.DataFrame(
    {
        "patients": clinical.notna().sum(),
        "gaps": clinical.isna().sum(),
        "codes": [
            ", ".join(f"{float(v):g}" for v in sorted(c.dropna().unique()))
            if c.nunique() < 8
            else f"{c.nunique()} values"
            for _, c in clinical.items()
        ],
    }
)
columns = columns.rename(columns={"gaps": f"gaps (of {len(clinical)})"})
columns.insert(0, "what was clustered", [CODES.get(name, "") for name in columns.index])
display(columns)

# %% tags=["hide-input"]
with_images = clinical.reindex(table["case"].unique())
codes_here = [name for name in CODES if name in clinical]
counted = (
    pd.DataFrame({name: with_images[name].value_counts() for name in codes_here})
    .T.rename_axis(None)
    .rename(columns=lambda c: f"code {c:g}")
)
counted["missing"] = with_images[codes_here].isna().sum()
display(counted.rename(columns={"missing": f"missing (of {len(with_images)})"}).style.format("{:.0f}", na_rep=""))
deaths = with_images["death01"] if "death01" in with_images else pd.Series(dtype=float)
display(
    Markdown(
        f"{len(with_images)} patients have images here. The fewest that share a code are "
        f"**{counted.drop(columns='missing').min().min():.0f}**. "
        + (
            f"`death01` is 1 for {int((deaths == 1).sum())} of {int(deaths.notna().sum())} patients. No time of follow-up is given, "
            "so nothing can be said about survival: who died late and who was watched for long look the same."
            if len(deaths)
            else ""
        )
    )
)

# %% [markdown]
# ## Shape as a number
#
# The paper measures three things, each a number without a unit. Two look at the outline in one slice, the one with the most tumour.
# Both start from the distances between the tumour's centroid and the pixels of its outline, divided by their mean, so that
# size does not count.
#
# **{term}`Angular standard deviation` (ASD).** Cut the outline into ten equal angles, as a cake. How much do the distances vary within a
# slice of cake? Average the ten standard deviations. Here it is in full, on a patient with a large tumour.

# %%
sizes = table.groupby("patient")["tumour_px"].sum().sort_values()
patient = sizes.index[-len(sizes) // 4]
images, mask = read_patient(table, patient)

part, _ = features.largest_part(mask)
number = features.largest_slice(part)
outline = features.radii(part[number])

angles = np.arctan2(*(outline.points - outline.centre).T)
distances = np.hypot(*(outline.points - outline.centre).T)
distances = distances / distances.mean()
cake = np.minimum((angles + np.pi) // (2 * np.pi / 10), 9)
asd = np.mean([distances[cake == piece].std() for piece in np.unique(cake)])

assert np.isclose(asd, features.angular_standard_deviation(outline))
print(f"ASD = {asd:.3f}")

# %% mystnb={"figure": {"name": "fig-shape-asd", "caption": "Angular standard deviation. Left: the outline in ten angles from the centroid. Right: the distance of each pixel of the outline, with mean and standard deviation in each angle."}, "image": {"alt": "Left, a slice with a tumour outline cut into ten coloured parts. Right, ten clusters of dots with a shaded band each."}} tags=["hide-input"]
figures.angular_bins(images[number], outline)

# %% [markdown]
# **{term}`Margin fluctuation` (MF).** Walk along the outline and write the distances down. Smooth them by a moving average
# over a tenth of the outline. What smoothing takes away is the fine raggedness, and MF is its standard deviation.

# %% mystnb={"figure": {"name": "fig-shape-mf", "caption": "Margin fluctuation: the distances along the outline, their moving average, and the difference between them."}, "image": {"alt": "Left, a slice with the outline of a tumour. Right, a wavy line with a smoother one through it and the gap between them filled."}} tags=["hide-input"]
figures.margin_profile(images[number], outline)

# %% [markdown]
# The two are not the same. {numref}`fig-shape-drawn` has shapes for which we know what to expect.

# %% tags=["hide-input"]
rows, across = np.mgrid[-80:81, -80:81]
turn, reach = np.arctan2(rows, across), np.hypot(rows, across)
drawn = {
    "disc": reach < 55,
    "ellipse": (across / 72) ** 2 + (rows / 36) ** 2 < 1,
    "soft star": reach < 50 * (1 + 0.3 * np.cos(5 * turn)),
    "ragged disc": reach < 55 * (1 + 0.09 * np.cos(29 * turn)),
}
measured = {}
for name, drawing in drawn.items():
    r = features.radii(drawing)
    measured[name] = {"asd": features.angular_standard_deviation(r), "mf": features.margin_fluctuation(r)}

# %% mystnb={"figure": {"name": "fig-shape-drawn", "caption": "Four drawn shapes and what their outlines measure."}, "image": {"alt": "A disc, an ellipse, a star with five soft arms, and a disc with a ragged rim, each with two numbers."}} tags=["hide-input"]
figures.silhouettes(drawn, measured)

# %% tags=["hide-input"]
ratio = {key: measured["ellipse"][key] / measured["ragged disc"][key] for key in ("asd", "mf")}
display(
    Markdown(
        f"The ellipse is smooth and not round. It has **{ratio['asd']:.1f} times the ASD** of the ragged disc, and "
        f"**{ratio['mf']:.1f} times its MF**. The disc has nearly none of either; what is left is the grid of pixels."
    )
)

# %% [markdown]
# **{term}`Bounding ellipsoid volume ratio` (BEVR).** The third number looks at the whole volume. Find the smallest {term}`ellipsoid` that
# holds the tumour. What share of it does the tumour fill? An ellipsoid fills all, a ragged or bent tumour little.

# %%
ellipsoid = features.enclosing_ellipsoid(features.corners(part))
bevr = part.sum() / ellipsoid.volume
print(f"{part.sum()} of {ellipsoid.volume:.0f} voxels: BEVR = {bevr:.3f}")

# %% mystnb={"figure": {"name": "fig-shape-bevr", "caption": "Slices through the tumour: the mask's outline, and the cut through the smallest ellipsoid that holds the whole tumour. It touches the mask in a few places only."}, "image": {"alt": "Six slices with the outline of a mask inside a larger ellipse."}} tags=["hide-input"]
figures.ellipsoid_slices(images, part, ellipsoid)

# %% [markdown]
# The files do not say how far apart slices are. For BEVR that does not matter: pull the volume along the stack, and the smallest
# ellipsoid is pulled with it. Both volumes grow by the same factor.

# %%
stretched = np.repeat(part, 4, axis=0)  # four times as thick
print(f"as it is: {bevr:.6f}, stretched: {features.bounding_ellipsoid_volume_ratio(stretched):.6f}")

# %% [markdown]
# That holds for the *true* smallest ellipsoid, which we compute {cite:p}`khachiyan1996rounding,todd2007khachiyan`, and not for every shortcut:
# half-axes that are read off along the main directions of the tumour change with the spacing, because the directions do.
#
# It does not follow that the *number* of slices is harmless. A tumour in three thick slices is a stack of three plates.
# {numref}`fig-shape-slices` cuts the same ball into more and more slices.

# %% tags=["hide-input"]
cuts = [1, 2, 3, 5, 8, 12, 20, 40]


def ball(slices):
    heights = ((np.arange(slices) + 0.5) / slices * 2 - 1)[:, None, None]
    return heights**2 + (rows / 20.2) ** 2 + (across / 20.2) ** 2 <= 1


balls = [features.bounding_ellipsoid_volume_ratio(ball(n)) for n in cuts]

# %% mystnb={"figure": {"name": "fig-shape-slices", "caption": "BEVR of the same ball, 40 pixels across, in a growing number of slices. With ever more slices and ever finer pixels it would reach 1."}, "image": {"alt": "A line that rises from left to right towards a dashed line at 1."}} tags=["hide-input"]
figures.ratio_by_slices(cuts, balls)

# %% [markdown]
# So two choices are ours, and the chapter states them. We take the corners of voxels rather than their centres, so that a tumour of one slice has
# a volume. Where a mask falls into parts, we measure the largest in 3D and count the others.
#
# ## Three numbers per patient
#
# Now all patients, by each source of masks that there is. A prediction counts only if the network had the patient, or the slice, on its test side.

# %%
kept = not recompute and get_tables("shape", table)
if kept:
    features = read_table("shape", "features")
else:
    run = study_run(
        "unet", data, seed=seed, image_size=image_size, contrast=contrast, crop=crop,
        split_by="patient", fold=fold, filters=filters, epochs=epochs,
        slices_per_epoch=slices_per_epoch,
    )  # fmt: skip
    sources = {MANUAL: study.manual(table), "chapter 6": study.predicted([run])}
    features = features.features_table(sources, progress=False)
results = study.analyse(features, clinical, seed)
others = [source for source in features["source"].unique() if source != MANUAL]

# %% tags=["hide-input"]
EXPLAINED = {
    MANUAL: "the masks that come with the data",
    "chapter 6": "the U-Net of [chapter 6](06_train_unet.html), for the patients of its test side",
    HONEST: "U-Nets in folds by patient, each patient predicted by the one network that never saw the patient",
    LEAKY: "U-Nets in folds by slice, as in the article: each slice is new to its network, its patient is not, and a volume is put together from the slices of five networks",
}
summary = features.groupby("source", sort=False).agg(
    patients=("patient", "size"), empty=("empty", "sum"),
    in_several_parts=("components", lambda c: (c > 1).sum()),
    smallest_share_measured=("largest_share", "min"),
    **{name: (name, "median") for name in NAMES},
).rename_axis(None)  # fmt: skip
shown = summary.rename(columns=lambda c: f"median {c.upper()}" if c in NAMES else c.replace("_", " "))
display(
    shown.style.format("{:.3f}", subset=shown.columns[4:], na_rep="-").format(
        "{:.0%}", subset=["smallest share measured"], na_rep="-"
    )
)
text = (
    "Sources here: "
    + "; ".join(f"**{name}**, {EXPLAINED.get(name, 'given by the caller')}" for name in summary.index)
    + ". "
)
absent = [name for name in (HONEST, LEAKY) if name not in others]
if absent:
    text += (
        "Networks in folds " + " and ".join(absent) + " are left out: no such predictions are kept for this cohort. "
    )
if kept:
    record = read_record("shape")
    text += (
        f"Read from the results that the project keeps: {record['cohort']['patients']} patients, seed {record['seed']}, "
        f"computed in {record['seconds']:.0f} s on {record['processor']}." + of_which_cohort(record, table)
    )
    if record["networks"] != reference_digests(record["model"]):
        log = read_log()
        epochs = log.loc[log["weights"].isin(record["networks"].values()), "epochs"]
        text += (
            f" The networks of these predictions, trained for {epochs.max():.0f} epochs, have been replaced since in the "
            "[page of results](15_results.html). What this page compares with each other is of one edition; its numbers are not those of the networks kept now."
        )
display(Markdown(text))

# %% [markdown]
# An empty prediction has no shape. It stays in the table as empty and is counted above: to drop it in silence would flatter the source.
#
# ## Do shapes differ between clusters?
#
# First by eye, with the manual masks. {numref}`fig-shape-clusters` shows the RNASeq clusters.

# %% mystnb={"figure": {"name": "fig-shape-clusters", "caption": "One dot per patient: the three features by RNASeq cluster, manual masks. Bars are medians."}, "image": {"alt": "Three panels with columns of dots, one column per code, and a bar at each median."}} tags=["hide-input"]
drawn_by_hand = features[features["source"] == MANUAL].reset_index(drop=True)
codes = study.codes_of(drawn_by_hand, clinical)
figures.by_cluster(drawn_by_hand, codes["RNASeqCluster"])

# %% [markdown]
# Then by test. There are two for each pair of a feature and a classification.
#
# - **As in the paper:** cut the patients at the median of the feature into a lower and an upper half, and count. {term}`Fisher's exact test` asks how many tables with the same
#   totals are as unlikely as the one found. Cutting at the median throws away how far from it a patient lies.
# - **By ranks:** the {term}`Kruskal-Wallis test` {cite:p}`kruskal1952` compares the ranks of patients between clusters.
#
# A {term}`p value` says how often chance alone does as much as was found. It does not say how *strong* a link is: with many patients a weak
# one has a small p value. The {term}`effect size` says that. For ranks we give eta squared, about the share of the variation that the clusters explain. Without
# any link it is 0 on average, and so can be negative.

# %% tags=["hide-input"]
by_hand = results["associations"].query("source == @MANUAL")
strongest = by_hand[by_hand["test"] == "kruskal"].sort_values("p_value").head(6)


readable = partial(statistics.p_text, digits=4)  # as many as the paper's smallest bound has


def shown_tests(tests):
    view = (
        tests.assign(pair=tests["feature"].str.upper() + " and " + tests["code"].map(CODES))
        .set_index("pair")
        .rename_axis(None)
    )
    view = view[["patients", "missing", "groups", "p_value", "bonferroni", "holm", "fdr", "effect"]].rename(
        columns={"p_value": "p value", "fdr": "FDR"}
    )
    return view.style.format(readable, subset=["p value", "bonferroni", "holm", "FDR"]).format(
        "{:.2f}", subset=["effect"], na_rep="-"
    )


display(shown_tests(strongest))

# %% mystnb={"figure": {"name": "fig-shape-map", "caption": "p values of all pairs, manual masks, by both tests. A star marks those below 0.05 after Holm's correction for the 21 tests of a panel."}, "image": {"alt": "Two maps of seven rows and three columns with a p value in each field, dark where it is small."}} tags=["hide-input"]
figures.heat_map(by_hand, CODES)

# %% [markdown]
# ## What many tests do
#
# Seven classifications and three features are 21 pairs. If nothing were there at all, one pair in twenty would still fall below 0.05.
# So p values are corrected for their number. **{term}`Bonferroni <Bonferroni correction>`** multiplies each by 21. **Holm** {cite:p}`holm1979` does so for the smallest only, and by 20, 19, and so on for the next:
# it guards as well and loses less. **FDR** {cite:p}`benjamini1995` bounds the share of false findings among the findings, a weaker promise.
# The family is the 21 pairs by one test and one source of masks.
#
# How much chance can do is easily seen. Deal the codes out anew among the patients, a thousand times, and keep the smallest p value each time.
# This is a **negative control**: whatever is found in it is false.

# %%
shuffled = association.shuffled_p_values(drawn_by_hand[NAMES], codes, shuffles=1000, seed=seed)
observed = by_hand.loc[by_hand["test"] == "kruskal", "p_value"].min()

# %% mystnb={"figure": {"name": "fig-shape-shuffles", "caption": "The smallest of the p values of all pairs (ranks), for a thousand shuffles of the codes and for the codes as they are."}, "image": {"alt": "A histogram of small p values on a logarithmic scale, with a line for the value of the true codes."}} tags=["hide-input"]
figures.shuffles(shuffled, observed)

# %% tags=["hide-input"]
least = np.nanmin(shuffled, axis=1)
tests = int(np.isfinite(shuffled[0]).sum())
as_small = int((least <= observed).sum())
text = (
    f"With shuffled codes, **{(least < 0.05).mean():.0%}** of the shuffles have at least one p value below 0.05, and "
    f"{(tests * least < 0.05).mean():.1%} after Bonferroni's correction for {tests} tests, which promises at most 5 %. "
    f"The codes as they are give {readable(observed)} at best; {as_small} of {len(least)} shuffles give as little or less."
)
if synthetic:
    rna = by_hand[(by_hand["test"] == "kruskal") & (by_hand["code"] == "RNASeqCluster")]
    rest = by_hand[(by_hand["test"] == "kruskal") & (by_hand["code"] != "RNASeqCluster")]
    text += (
        " On simulated patients there is a **positive control** too: the tumours of each `RNASeqCluster` were grown by other rules, and all other codes are random. "
        f"After Holm's correction {int((rna['holm'] < 0.05).sum())} of {len(rna)} features differ between the RNASeq clusters "
        f"({', '.join(rna.loc[rna['holm'] < 0.05, 'feature'].str.upper()) or 'none'}), and {int((rest['holm'] < 0.05).sum())} of the other {len(rest)} pairs do. "
        f"A feature that is built in and not found may be too weak for {len(drawn_by_hand)} patients, or may not be what the growth changes."
    )
display(Markdown(text))

# %% [markdown]
# ## Beside the paper
#
# The paper's abstract gives upper bounds of p values, found with masks that its network drew of 110 patients {cite:p}`buda2019association`. It tested ten hypotheses and called
# a p value below 0.005 significant. For BEVR it says "all tested molecular subtypes"; the rows here are those that it names and that `data.csv` has.

# %% tags=["hide-input"]
beside = results["associations"].dropna(subset="paper_p_below")
beside = beside.assign(pair=beside["feature"].str.upper() + " and " + beside["code"].map(CODES))
wide = beside.pivot_table(index="pair", columns=["source", "test"], values="p_value", sort=False)
effect = beside[beside["test"] == "kruskal"].pivot_table(index="pair", columns="source", values="effect", sort=False)
wide.columns = [f"{source}: {'Fisher' if test == 'fisher' else 'ranks'}" for source, test in wide.columns]
if MANUAL in effect:
    wide["manual: eta squared"] = effect[MANUAL]
wide.insert(0, "paper, below", beside.groupby("pair")["paper_p_below"].first())
wide = wide.rename_axis(None)
display(wide.style.format(readable).format("{:.2f}", subset=[c for c in wide if "eta" in c], na_rep="-"))
if not synthetic:
    fisher = beside[(beside["source"] == MANUAL) & (beside["test"] == "fisher")]
    ranks = beside[(beside["source"] == MANUAL) & (beside["test"] == "kruskal")]
    display(
        Markdown(
            f"With manual masks of {len(drawn_by_hand)} patients, **{int((fisher['p_value'] < 0.05).sum())} of {len(fisher)}** of these pairs have a p value below 0.05 by Fisher's test and "
            f"**{int((ranks['p_value'] < 0.05).sum())}** by ranks; after Holm's correction for all 21 pairs, {int((fisher['holm'] < 0.05).sum())} and {int((ranks['holm'] < 0.05).sum())}. "
            "These are the same patients that the paper had, or a part of them, so nothing here is a second cohort."
        )
    )
    by_rank = beside[beside["test"] == "kruskal"]
    missed = {
        source: list(part.loc[~(part["p_value"] < 0.05), "pair"])
        for source, part in by_rank.groupby("source", sort=False)
    }
    counts = [
        f"**{source}** masks {len(part) - len(missed[source])} of {len(part)} ({part['patients'].max()} patients"
        + (f"; not {', '.join(missed[source])})" if missed[source] else ")")
        for source, part in by_rank.groupby("source", sort=False)
    ]
    text = "By ranks, uncorrected: " + "; ".join(counts) + ". "
    fewer = [source for source in others if summary.loc[source, "patients"] < summary.loc[MANUAL, "patients"]]
    if not others:
        text += "Without predicted masks this page cannot tell whether the paper's finding hangs on how the masks were made."
    elif fewer:
        text += f"The source {' and '.join(fewer)} has fewer patients, and would find less for that alone. So the counts cannot be compared."
    elif not any(missed.values()):
        text += "Every pair is found with every source, so nothing here suggests that the finding hangs on how the masks were made and measured."
    elif missed[MANUAL] and all(missed[source] == missed[MANUAL] for source in others):
        text += "A part of the paper's finding is not found again, with whatever masks."
    else:
        text += "**The sources do not find the same pairs, so a part of the finding may hang on how the masks were made.** A p value crosses 0.05 easily, so the next section compares the strength of the links."
    display(Markdown(text))
else:
    display(Markdown("The patients here are simulated, so agreement or disagreement with the paper means nothing."))

# %% [markdown]
# ## Can a network's masks replace the manual ones?
#
# A common answer is to compare p values: both below 0.05, so both work. That is wrong twice. A p value jumps by a factor when one or two patients change halves. And
# two sources can both find something, of very different strength.
#
# We ask twice. First, **do the features agree**, patient by patient? {numref}`fig-shape-agreement` shows differences against means {cite:p}`bland1986`, with the bias and the limits between which 95 % of the differences
# should lie. The {term}`ICC` {cite:p}`shrout1979` is 1 where both sources always give the same number. 0: the two agree no better than chance. It falls with a bias or another scale as well, because it
# asks for the same number and not for the same order.

# %% mystnb={"figure": {"name": "fig-shape-agreement", "caption": "Predicted against manual masks, one dot per patient and one row per source: difference against mean, with bias (line) and limits of agreement (dashed). Without predictions for two patients a note stands in its place."}, "image": {"alt": "Three panels per source of masks, with dots around a horizontal line, and a dashed line above and below."}} tags=["hide-input"]
figures.bland_altman(features, others, results["agreement"])

# %% tags=["hide-input"]
agreement = results["agreement"]
if len(agreement):
    view = agreement.assign(feature=agreement["feature"].str.upper()).set_index(["source", "feature"])
    view = view.rename(
        columns={
            "icc": "ICC",
            "icc_low": "95 % interval from",
            "icc_high": "to",
            "low": "limit from",
            "high": "limit to",
        }
    )
    display(view.style.format("{:.3f}", subset=view.columns[1:], na_rep="-"))
    sentences = []
    for source, of_source in agreement.dropna(subset="icc").groupby("source", sort=False):
        worst = of_source.loc[of_source["icc"].idxmin()]
        sentences.append(
            f"- **{source}**: the weakest agreement is that of **{worst['feature'].upper()}**, an ICC of {worst['icc']:.2f} "
            f"(95 % interval {worst['icc_low']:.2f} to {worst['icc_high']:.2f}, {worst['patients']} patients)."
            + (
                " With so few patients the interval is too narrow, and the ICC may be far from its true value."
                if worst["patients"] < 30
                else ""
            )
            + (
                f" Predicted masks have less of it, by {-worst['bias']:.3f} on average. The network answers on fewer pixels than the frame has, and "
                "enlarging smooths an outline; it may also draw smoothly by itself. Which of the two it is was not measured."
                if worst["feature"] == "mf"
                and worst["bias"] < -(worst["high"] - worst["low"]) / 2 / np.sqrt(worst["patients"])
                else ""
            )
        )
    display(
        Markdown(
            "\n".join(
                [*sentences, "", "No Dice tells this: two masks can share most of their pixels and differ in shape."]
            )
        )
    )
else:
    display(
        Markdown("**Fewer than two patients have a second mask here**, so this question stays open in this edition.")
    )

# %% [markdown]
# Second, **does the link have the same strength?** Draw patients with replacement, take the effect size by both sources on the same draw, and
# look at the difference ({numref}`fig-shape-effects`). What makes a draw easy does so for both, and cancels.

# %% mystnb={"figure": {"name": "fig-shape-effects", "caption": "Effect size by predicted masks minus that by manual masks on the same patients, for all features and classifications, with 95 % intervals of the paired bootstrap."}, "image": {"alt": "Three panels, one per feature, with horizontal intervals around a dashed line at zero, one row per classification."}} tags=["hide-input"]
figures.effect_differences(results["effects"], CODES)

# %% tags=["hide-input"]
effects = results["effects"].dropna(subset=["low", "high"])
of_rna = effects[effects["code"] == TARGET[0]]
if len(of_rna):
    view = of_rna.assign(feature=of_rna["feature"].str.upper()).set_index(["source", "feature"])
    view = view[["patients", "manual", "effect", "difference", "low", "high", "manual_p", "p_value"]]
    view.columns = [
        "patients",
        "manual masks",
        "predicted masks",
        "difference",
        "95 % interval from",
        "to",
        "p, manual",
        "p, predicted",
    ]
    display(
        view.style.format("{:.2f}", subset=view.columns[1:3])
        .format("{:+.2f}", subset=view.columns[3:6])
        .format(readable, subset=view.columns[6:])
    )
    apart = effects[(effects["low"] > 0) | (effects["high"] < 0)]
    named = [
        f"{row.feature.upper()} and {CODES[row.code]} ({row.source}, {row.difference:+.2f})"
        for row in apart.itertuples()
    ]
    display(
        Markdown(
            f"The table has the effect sizes for RNASeq. Of all **{len(effects)}** intervals of the figure, **{len(apart)}** "
            f"{'excludes' if len(apart) == 1 else 'exclude'} 0{': ' + '; '.join(named) if named else ''}. "
            "They are not corrected for their number: where nothing differs, about one in twenty would exclude 0 by chance. "
            "An interval that includes 0 is no proof that two sources are equal, the less so the wider it is."
        )
    )
else:
    display(Markdown("Too few patients have both masks and an RNASeq code: nothing to compare."))

# %% [markdown]
# ### The answer
#
# Is automatic segmentation good enough to replace the manual one **for this finding**, the links between shape and RNASeq? Say that a link *survives* if the rank test has a p value below 0.05
# with predicted masks too, on the same patients, and its effect size is not clearly smaller: the interval of the difference does not lie below 0.
# p values cannot rank the sources, but they are what a study with these masks would have reported.

# %% tags=["hide-input"]
FEWEST = 20  # patients; with fewer, a link that is there is easily missed with any masks


def links(rows):
    return ", ".join(
        f"{row.feature.upper()} ({readable(row.manual_p, name='p')} by manual, {readable(row.p_value, name='p')} by predicted masks)"
        for row in rows.itertuples()
    )


lines = []
for source, of_source in of_rna.groupby("source", sort=False):
    there = of_source[of_source["manual_p"] < 0.05]
    stays = (there["p_value"] < 0.05) & (there["high"] >= 0)
    most = int(of_source["patients"].max())
    if most < FEWEST:
        verdict = f"{most} patients have both masks and a code. That is **too few to tell**."
    elif there.empty:
        verdict = "With manual masks no link is shown on these patients, so **there is no finding to replace**."
    else:
        verdict = f"Survives: {links(there[stays]) or 'none'}. Does not survive: {links(there[~stays]) or 'none'}. " + (
            "So **nothing here speaks against these masks for this finding**, within wide intervals."
            if stays.all()
            else "So these masks replace the manual ones **for a part of the finding only**."
            if stays.any()
            else "So these masks **do not replace the manual ones for this finding**."
        )
    lines.append(f"- **{source}**: {verdict}")
if LEAKY in others:
    lines.append(
        f"\nThe networks of *{LEAKY}* have seen other slices of the patient, so only masks of *{HONEST}* answer for a new patient."
    )
display(
    Markdown(
        "\n".join(lines)
        or "Without predicted masks of patients who have an RNASeq code, the question stays open in this edition."
    )
)

# %% [markdown]
# Do networks that know the patient look better than they should? The next cell compares the two divisions into folds where both are there: agreement with the manual masks, and the
# effect size for RNASeq, on the same patients and the same draws.

# %% tags=["hide-input"]
leak = results["leak"]
MEASURES = {"icc": "ICC with manual masks", "effect": "effect size, RNASeq"}
if len(leak):
    view = (
        leak.assign(what=leak["measure"].map(MEASURES), feature=leak["feature"].str.upper())
        .set_index(["what", "feature"])
        .sort_index()
    )
    view = view[["patients", "honest", "leaky", "difference", "low", "high"]]
    view.columns = ["patients", HONEST, LEAKY, "difference", "95 % interval from", "to"]
    display(
        view.style.format("{:.2f}", subset=view.columns[1:3], na_rep="-").format(
            "{:+.2f}", subset=view.columns[3:], na_rep="-"
        )
    )

    def named(rows):
        return ", ".join(
            f"{row.feature.upper()} ({MEASURES[row.measure]}, {row.difference:+.2f})" for row in rows.itertuples()
        )

    better, worse = leak[leak["low"] > 0], leak[leak["high"] < 0]
    if leak["patients"].max() < FEWEST:
        text = "There are too few patients to tell."
    elif len(better):
        text = (
            f"Networks that know the patient **look better** by {len(better)} of {len(leak)} measures: {named(better)}."
        )
    else:
        text = f"By none of {len(leak)} measures do networks that know the patient look better, as far as the intervals tell. **That they do was not shown here.**"
    if len(worse) and leak["patients"].max() >= FEWEST:
        text += f" By {len(worse)} they look worse: {named(worse)}."
    display(Markdown(text + " The intervals are not corrected for their number."))
else:
    absent = " and ".join(f"*{name}*" for name in (HONEST, LEAKY) if name not in others)
    display(
        Markdown(
            f"Masks {absent} are missing here, so this question stays open in this edition."
            if absent
            else "Too few patients have all masks."
        )
    )

# %% [markdown]
# ## One cluster told from the rest
#
# The paper looks closer at the RNASeq cluster **R2**. We take the code 2 for it. **That is our assumption**: the data set has no key.
# The {term}`AUC` is the chance that a patient of this cluster has the more irregular tumour of two, the other being from the rest {cite:p}`hanley1982`.
# Which end is irregular was fixed beforehand: low BEVR, high ASD, high MF. So an AUC below 0.5 is possible and would mean the opposite.
#
# A single feature needs no training. All three together need weights, and weights that were fitted to the patients they are tested on flatter. So the
# combination is a logistic regression in five folds, each patient scored by one that was fitted without the patient.

# %% mystnb={"figure": {"name": "fig-shape-auc", "caption": "How well shape tells RNASeq code 2 from the others: AUC with 95 % bootstrap intervals, by source of masks."}, "image": {"alt": "Four rows with a diamond and an interval for each source, and a dashed line at 0.5."}} tags=["hide-input"]
figures.aucs(results["discrimination"])

# %% tags=["hide-input"]
told = results["discrimination"].query("source == @MANUAL")
if len(told):
    single, joint = told[told["score"].isin(NAMES)], told[told["score"] == "all three"].iloc[0]
    best = single.loc[single["auc"].idxmax()]
    display(
        Markdown(
            f"With manual masks, {best['score'].upper()} alone has an AUC of **{best['auc']:.2f}** ({best['low']:.2f} to {best['high']:.2f}), with {best['positive']} patients of code {TARGET[1]} among {best['patients']}. "
            f"All three together have **{joint['auc']:.2f}** ({joint['low']:.2f} to {joint['high']:.2f}): "
            + (
                "more than the best of them alone, by chance or not."
                if joint["auc"] > best["auc"]
                else "no more than the best of them alone, which was picked after looking."
            )
        )
    )
else:
    display(Markdown(f"Too few patients have the code {TARGET[1]} here."))

# %% [markdown]
# ## What else could explain a link
#
# A shape is measured on a grid, and the grid differs between patients. {numref}`fig-shape-slices` shows that few slices mean a low BEVR.
# If one cluster's patients were scanned in thicker slices, BEVR would differ without any biology.

# %% tags=["hide-input"]
measured_by_hand = drawn_by_hand.dropna(subset=NAMES)
pairs = {
    (name.upper(), other): stats.spearmanr(measured_by_hand[name], measured_by_hand[column]).statistic
    for name in NAMES
    for other, column in {"slices with tumour": "slices", "tumour size in pixels": "tumour_px"}.items()
}
display(pd.Series(pairs).unstack().rename_axis(None).style.format("{:+.2f}"))
institution = measured_by_hand["patient"].str.split("_").str[1]
known = codes["RNASeqCluster"].reindex(measured_by_hand.index)
by_place = (
    association.associations(
        measured_by_hand[["slices", "bevr"]],
        pd.DataFrame({"institution": pd.factorize(institution)[0]}, index=measured_by_hand.index),
    )
    .query("test == 'kruskal'")
    .set_index("feature")
)
of_slices = association.associations(measured_by_hand[["slices"]], known.to_frame()).query("test == 'kruskal'").iloc[0]
text = "The table has rank correlations of the features with size. "
if by_place["effect"].notna().all():
    text += (
        f"Between institutions, the number of slices with tumour differs with an effect size of {by_place.loc['slices', 'effect']:.2f}, "
        f"BEVR with {by_place.loc['bevr', 'effect']:.2f}. "
    )
if pd.notna(of_slices["p_value"]):
    text += (
        f"Between RNASeq clusters, the number of slices differs with {of_slices['effect']:.2f} ({readable(of_slices['p_value'], name='p')}). "
        + (
            "**So the number of slices could carry a part of a link with BEVR.**"
            if of_slices["p_value"] < 0.05
            else "No difference is shown, which does not rule the number of slices out."
        )
    )
display(Markdown(text))

# %% [markdown]
# ## Take-away
#
# - Judge masks by what they are for. Overlap, features and findings are three different things.
# - A feature needs a definition that says what happens at the edges: parts, empty masks, one-slice tumours, pixels.
# - Correct for the number of tests, and let shuffled codes show what chance can do.
# - Compare sources by effect sizes on the same patients, never by their p values.
# - A hundred patients in four or five clusters are few. A link found here is a reason to look again elsewhere, and no test for a patient.
#
# ## Exercises
#
# **1. Recall.** Why is the AUC of the three features together cross-validated, and that of one feature not?
#
# **2. Compute.** How likely is a finding where nothing is to be found? Complete the function, and use it for as many pairs as this chapter tests.


# %% tags=["solution", "hide-cell"]
def chance_of_any(tests, level=0.05):
    """Probability that at least one of several tests falls below the level although nothing is there.

    Parameters
    ----------
    tests : int
        How many, independent of one another.
    level : float
        The p value below which one test counts as a finding.

    Returns
    -------
    float
    """
    return 1 - (1 - level) ** tests


pairs = len(NAMES) * len(CODES)
print(f"{pairs} independent tests would give a finding by chance with a probability of {chance_of_any(pairs):.0%}")
# The tests of this chapter are not independent, because patients, features and codes go together. The shuffled codes take care of that.

# %% tags=["check", "hide-cell"]
answer = chance_of_any(1, 0.2)
assert answer is not None, (
    "The function returns nothing yet. How likely is it that one test finds nothing? And that all of them find nothing?"
)
assert np.isclose(answer, 0.2), f"A single test at 0.2 is wrong with a probability of 0.2, and not {answer:.3f}."
assert not np.isclose(chance_of_any(2, 0.5), 1), (
    "With two coins, heads at least once is not certain. Adding the levels counts double findings twice."
)
assert np.isclose(chance_of_any(2, 0.5), 0.75), (
    f"Two tests at 0.5 both stay silent with a probability of 0.25, so 0.75, and not {chance_of_any(2, 0.5):.3f}."
)
print("Right.")

# %% [markdown]
# **3. Try.** Turn the large tumour's slice by 90 degrees and by 18. How much do ASD and MF change, and why at all?

# %% tags=["solution", "hide-cell"]
# A quarter turn maps pixels on pixels; the angles of ASD start elsewhere. Other turns draw the outline anew.
from scipy import ndimage

for degrees in (0, 90, 18):
    turned = ndimage.rotate(part[number].astype(float), degrees, order=1) > 0.5
    r = features.radii(turned)
    print(
        f"{degrees:2d} degrees: ASD {features.angular_standard_deviation(r):.4f}, MF {features.margin_fluctuation(r):.4f}"
    )

# %% [markdown]
# **4. Predict.** Smooth the manual masks with a small opening. What happens to Dice, MF and BEVR?

# %% tags=["solution", "hide-cell"]
opened = np.stack([ndimage.binary_opening(s, iterations=3) for s in mask])
if opened.any():
    dice = 2 * (opened & mask).sum() / (opened.sum() + mask.sum())
    before, after = features.shape_features(mask), features.shape_features(opened)
    print(
        f"Dice {dice:.3f}; MF {before['mf']:.4f} to {after['mf']:.4f}; BEVR {before['bevr']:.3f} to {after['bevr']:.3f}"
    )

# %% [markdown]
# **5. Open.** Which test patients would you need to learn whether shape tells R2 in another hospital?

# %% [markdown] tags=["solution"]
# :::{dropdown} Answers in words
# **1.** Joining three features takes weights, and the weights are fitted to the patients. Scored on the same patients, they would look better than they are. One feature has no weight to fit.
#
# **5.** Patients of hospitals that had no part in this, with tissue that was measured in the same way, with and without R2 in the share that is met there. Their masks must come from the same rules, or from one network.
# The feature, its direction and the number of patients are fixed before anyone looks.
# :::
