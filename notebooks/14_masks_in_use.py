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
# # Masks judged by their use
#
# **Question.** Can masks by a network replace drawn ones for a finding about shape and genes?
#
# :::{admonition} In this chapter
# :class: tip
# - **You will** measure the shapes of predicted masks, and ask whether they would lead to the finding that drawn masks led to.
# - **You will learn** how to judge masks by what they are for: agreement of numbers, strength of a link, and what else explains it.
# - **You need** [the three numbers of shape](12_shape) and [many tests at once](13_many_tests).
# - **It takes** about 25 minutes to read, and a few minutes to run once U-Net is trained.
# :::
#
# Can a network's masks replace the drawn ones? A common answer is to compare p values: both below 0.05, so both work. That is wrong twice. A p value jumps by a factor when
# one or two patients change halves. And two sources of masks can both find something, of very different strength. No {term}`Dice` answers it either: two masks can share most of
# their pixels and differ in shape.
#
# A shape is three numbers here: the {term}`angular standard deviation` (ASD), the {term}`bounding ellipsoid volume ratio` (BEVR) and the {term}`margin fluctuation` (MF).

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
recompute = False  # True trains networks by slice on real data too, instead of reading the kept tables

# %%
from functools import partial

import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from brainseg.chapters import study_run
from brainseg.cohort import index_cohort, read_patient_table
from brainseg.data import get_cohort
from brainseg.experiments.engine import get_tables
from brainseg.experiments.shape_genomics import analysis, association, study
from brainseg.experiments.shape_genomics.analysis import CODES, GRID, HONEST, LEAKY, MANUAL, TARGET
from brainseg.experiments.shape_genomics.features import FEATURES, features_table
from brainseg.experiments.shape_genomics.findings import EFFECT_MARGIN, findings
from brainseg.figures import shape as figures
from brainseg.figures import style
from brainseg.images.prepared import prepare
from brainseg.images.preprocess import Preprocessing
from brainseg.results import of_which_cohort
from brainseg.statistics import p_text

style.use_theme()
root = get_cohort(data)
table = index_cohort(root)
readable = partial(p_text, digits=4)

# %% [markdown]
# ## Sources of masks
#
# A prediction counts only if the network had the patient, or the slice, on its test side.
#
# - **manual**: the masks that come with the data.
# - **by patient**: U-Nets in folds by patient. Each patient is predicted by the reference networks that never saw the patient: the mean of all their seeds, as in [the page of results](15_results).
# - **by slice**: U-Nets in folds by slice, as in the article. Each slice is new to its network and its patient is not. A volume is put together from the slices of five networks, of one seed each.
# - **chapter 6**: where the cohort shares no patient with the reference runs, the U-Net of [chapter 6](06_train_unet), for the patients of its test side.

# %%
kept = get_tables("shape", table, recompute=recompute)
shapes = kept.tables["features"]
if HONEST not in set(shapes["source"]):
    run = study_run(
        "unet", data, seed=seed, image_size=image_size, contrast=contrast, crop=crop, split_by="patient",
        fold=fold, filters=filters, epochs=epochs, slices_per_epoch=slices_per_epoch,
    )  # fmt: skip
    shapes = pd.concat([shapes, features_table({"chapter 6": study.predicted([run])})])

# %% [markdown]
# One more source needs no network. A network sees slices with fewer pixels than the frame has, so its answer has to be enlarged. Here the drawn masks go the same way: they are made
# as coarse as the network's slices, and enlarged again. This is what a faultless network would give. We call it **manual, through the grid**, and it is the control of all that follows.

# %%
prepared = prepare(root, Preprocessing(image_size=image_size, contrast=contrast, crop=crop))
coarse = study.through_grid(prepared)
measured = set(shapes["patient"])
coarse = coarse._replace(patients=[patient for patient in coarse.patients if patient in measured])
shapes = pd.concat([shapes, features_table({GRID: coarse})], ignore_index=True)

others = [source for source in shapes["source"].unique() if source != MANUAL]
tables = {"features": shapes} | analysis.analyse(shapes, read_patient_table(root), seed)
found = findings(tables)

# %% tags=["hide-input"]
summary = shapes.groupby("source", sort=False).agg(
    patients=("patient", "size"),
    empty=("empty", "sum"),
    in_parts=("components", lambda count: (count > 1).sum()),
    **{f"median {name.upper()}": (name, "median") for name in FEATURES},
)
summary = summary.rename(columns={"in_parts": "in several parts"}).rename_axis(None)
display(summary.style.format("{:.3f}", subset=summary.columns[3:], na_rep="-"))
about = "Measured here, on the patients of this edition."
if kept.read:
    about = f"Read from the kept tables, of {kept.record['cohort']['patients']} patients."
    about += of_which_cohort(kept.record, table) + study.of_which_networks(kept.record)
Markdown(about)

# %% [markdown]
# An empty prediction has no shape. It stays in the table as empty and is counted above: to drop it in silence would flatter the source.
#
# ## Do the features agree?
#
# {numref}`fig-shape-agreement` shows differences against means {cite:p}`bland1986`, patient by patient, with the bias and the limits between which 95 % of the differences
# should lie. The {term}`ICC` {cite:p}`shrout1979` is 1 where both sources always give the same number, and 0 where the two agree no better than chance. It falls with a bias or another scale as well, because it
# asks for the same number and not for the same order.

# %% mystnb={"figure": {"name": "fig-shape-agreement", "caption": "Other masks against manual masks, one dot per patient and one row per source: difference against mean, with bias (line) and limits of agreement (dashed). Without a second mask of two patients a note stands in its place."}, "image": {"alt": "Three panels per source of masks, with dots around a horizontal line, and a dashed line above and below."}}
figures.bland_altman(shapes, others, tables["agreement"])

# %%
agreement = tables["agreement"].set_index(["source", "feature"]).rename(index=str.upper, level="feature")
agreement.columns = ["patients", "ICC", "95 % interval from", "to", "bias", "limit from", "limit to"]
display(agreement.style.format("{:.3f}", subset=agreement.columns[1:], na_rep="-"))
Markdown(
    "\n".join(f"- {source}" for source in found.agreed)
    or "Fewer than two patients have a second mask here, so this question stays open in this edition."
)

# %% [markdown]
# Are predicted margins smoother than drawn ones, and is it the grid that smooths them?

# %%
Markdown("\n\n".join(map(str, found.smoothed)) or "There are no predicted masks here.")

# %% [markdown]
# ## Is the link as strong?
#
# How strong a link is, its {term}`effect size` says. As in the chapter before, it is eta squared: about the share of a feature's variation that the clusters explain, about 0 without a link and 1 where they explain all of it.
#
# Draw patients with replacement, take the effect size by both sources on the same draw, and
# look at the difference. What makes a draw easy does so for both, and cancels. Here is one such difference.

# %%
wide = shapes.pivot(index="patient", columns="source", values="bevr")[[MANUAL, GRID]].dropna().reset_index()
drawn, gridded = wide[[MANUAL, GRID]].to_numpy().T
codes = analysis.codes_of(wide, read_patient_table(root))[TARGET[0]].to_numpy()
coded = np.isfinite(codes)  # some patients have no code
effect = association.compare_effects(gridded[coded], drawn[coded], codes[coded], seed=seed)
print(
    f"BEVR through the grid minus drawn: {effect.estimate:+.3f} (95 % interval {effect.low:+.3f} to {effect.high:+.3f})"
)
print("p value:", p_text(effect.p_value))

# %% [markdown]
# The p value is that of swapping: were the sources interchangeable, each patient's two numbers could as well have stood the other way round.
#
# What change would not matter? The answer is a margin, and it has to be named before one looks. By the usual names an eta squared of 0.06 is a medium effect and 0.14 a large one
# {cite:p}`cohen1988power`. A link of 0.16 or more that loses less than our margin is still at least a medium one. The differences of the first campaign had been seen when it was named, so it follows
# this convention and no data. {numref}`fig-shape-effects` shades it.

# %%
print(f"The margin: {EFFECT_MARGIN:.2f} of eta squared, to either side.")

# %% mystnb={"figure": {"name": "fig-shape-effects", "caption": "Effect size by other masks minus that by manual masks on the same patients, for all features and classifications, with 95 % intervals of the paired bootstrap. The shaded band holds the changes that do not matter."}, "image": {"alt": "Three panels, one per feature, with horizontal intervals around a dashed line at zero in a shaded band, one row per classification."}}
figures.effect_differences(tables["effects"], CODES, EFFECT_MARGIN)

# %% [markdown]
# ## The answer
#
# Is automatic segmentation good enough to replace the manual one **for this finding**, the links between shape and RNASeq? The study's one rule gives one of three answers for each
# feature: a difference, {term}`equivalent` within the margin, or the data cannot tell. p values are corrected by Holm for the three features of a source.
#
# This looks at all clusters of RNASeq at once. What the study's protocol asks is about one of them, and has its answer further below.

# %%
Markdown(
    "\n".join(map(str, found.replaced))
    or "Too few patients have a second mask and an RNASeq code, so this question stays open in this edition."
)

# %% [markdown]
# The answer is about these masks and no others: other trainings of the same networks give other masks, so the rule asks for three. The networks *by slice* have seen other slices of the patient, so only masks *by patient* answer
# for a new patient.
#
# Do networks that know the patient look better than they should? That asks about two ways to train, so it takes several trainings of each.

# %%
measures = {"icc": "ICC with manual masks", "effect": "effect size, RNASeq"}
view = tables["leak"].replace({"measure": measures}).set_index(["measure", "feature"]).sort_index()
view = view.rename(index=str.upper, level="feature")[["patients", "honest", "leaky", "difference", "low", "high"]]
view.columns = ["patients", HONEST, LEAKY, "difference", "95 % interval from", "to"]
if len(view):
    display(view.style.format("{:.2f}", subset=view.columns[1:3]).format("{:+z.2f}", subset=view.columns[3:]))
Markdown(str(found.leak))

# %% [markdown]
# ## One cluster told from the rest
#
# The paper for which the masks were drawn {cite:p}`buda2019association` looks closer at the RNASeq cluster **R2**. We take the code 2 for it. **That is our assumption**: the data set has no key.
# The {term}`AUC` is the chance that a patient of this cluster has a more irregular tumour than one of the rest {cite:p}`hanley1982`.
# Which end is irregular was fixed beforehand: low BEVR, high ASD, high MF. So an AUC below 0.5 is possible and would mean the opposite.
#
# A single feature needs no training. All three together need weights, and weights that were fitted to the patients they are tested on flatter. So the
# combination is a logistic regression in five folds, each patient scored by one that was fitted without the patient.
# Its interval draws these scores anew and fits nothing again, so it is too narrow by what another fit would change.

# %% mystnb={"figure": {"name": "fig-shape-auc", "caption": "How well shape tells RNASeq code 2 from the others: AUC with 95 % bootstrap intervals, by source of masks."}, "image": {"alt": "Four rows with a diamond and an interval for each source, and a dashed line at 0.5."}}
figures.aucs(tables["discrimination"])

# %%
Markdown("\n".join(f"- {source}" for source in found.told) or f"Too few patients have the code {TARGET[1]} here.")

# %% [markdown]
# **Do the shapes of predicted masks tell it as well?** This is the fifth question of the protocol, which was frozen before a network of the second campaign was trained: the AUC by other masks minus that by
# drawn ones, feature by feature, on the same patients, with intervals and p value made as above. A change within 0.10 does not matter. The protocol declares the question underpowered:
# so few patients have this code that only a large change could be shown.

# %%
Markdown("\n".join(map(str, found.carried)) or "Too few patients have a second mask and an RNASeq code here.")

# %% [markdown]
# ## What else could explain it
#
# If a cluster's patients were scanned in thicker slices, BEVR would differ without any biology. If they were older, or had a higher grade, shape might tell no more than a
# birthday does. So first: in what else does the cluster differ from the rest?

# %%
differing = tables["others"].set_index("what").rename_axis(None)
differing.columns = ["patients", "median in the cluster", "in the rest", "AUC", "p value"]
digits = dict.fromkeys(differing.columns[1:3], "{:g}") | {"AUC": "{:.2f}", "p value": readable}
differing.style.format(digits)

# %% [markdown]
# Then: does shape add anything to these? Two logistic regressions are compared, without and with the feature. The smaller the p value, the more the feature tells beyond the rest.

# %%
added = (
    tables["adjusted"].pivot(index="adjusted_for", columns="feature", values="p_value").reindex(analysis.ADJUSTMENTS)
)
display(added.rename(columns=str.upper).rename_axis(index="adjusted for", columns=None).style.format(readable))
Markdown(str(found.explained))

# %% tags=["answer"]
Markdown(f"**Answer.** {found.answer()}")

# %% [markdown]
# ## Take-away
#
# - Judge masks by what they are for. Overlap, features and findings are three different things.
# - Compare sources by effect sizes on the same patients, never by their p values.
# - Name the change that does not matter before you look. Without a margin, nothing can be called as good.
# - Ask what else differs. A link with a cluster may be a link with age or grade.
#
# ## Exercises
#
# **1. Recall.** Why is the AUC of the three features together cross-validated, and that of one feature not?
#
# **2. Compute.** Complete the function behind the dashed lines of {numref}`fig-shape-agreement`.


# %% tags=["solution", "hide-cell"]
def limits_of_agreement(first, second):
    """Bias of the second measurement, and the limits that hold about 95 % of the differences of single patients.

    Parameters
    ----------
    first, second : float arrays (patients,)

    Returns
    -------
    tuple of float
        Bias (mean of second minus first), and bias minus and plus 1.96 standard deviations (``ddof=1``).
    """
    differences = np.subtract(second, first)
    reach = 1.96 * differences.std(ddof=1)
    return differences.mean(), differences.mean() - reach, differences.mean() + reach


print("BEVR, through the grid: bias {:+.3f}, limits {:+.3f} and {:+.3f}".format(*limits_of_agreement(drawn, gridded)))

# %% tags=["check", "hide-cell"]
answer = limits_of_agreement([1, 2, 3], [2, 2, 5])  # differences of 1, 0 and 2: mean 1, standard deviation 1
assert answer is not None, (
    "The function returns nothing yet. What is the mean of the differences, and how far do they spread?"
)
assert np.isclose(answer[0], 1), f"The differences are 1, 0 and 2, so the bias is 1, and not {answer[0]:.2f}."
assert not np.isclose(answer[2], 1 + 1.96 / np.sqrt(3)), (
    "That is the interval of the mean. The limits are about single patients, so nothing is divided by the root of their number."
)
assert np.allclose(answer, (1, -0.96, 2.96)), (
    f"The limits lie 1.96 below and above the bias, and not at {answer[1]:.2f} and {answer[2]:.2f}."
)
print("Right.")

# %% [markdown]
# **3. Predict.** Suppose that a network draws all tumours right and its BEVR comes out 0.05 too high for every patient. What happens to the ICC, and what to the effect size?

# %% tags=["solution", "hide-cell"]
shifted = drawn + 0.05
print(f"ICC {float(association.icc(np.column_stack([drawn, shifted]))):.2f}")
change = association.compare_effects(shifted[coded], drawn[coded], codes[coded])
print(f"effect sizes differ by {change.estimate:.2f}")
# The ICC asks for the same number, so it falls. The effect size goes by ranks, so it stays: a biased measure may serve a purpose as well as one without bias.

# %% [markdown]
# **4. Open.** Which test patients would you need to learn whether shape tells R2 at another institution?

# %% [markdown] tags=["solution"]
# :::{dropdown} Answers in words
# **1.** Joining three features takes weights, and the weights are fitted to the patients. Scored on the same patients, they would look better than they are. One feature has no weight to fit.
#
# **4.** Patients of institutions that had no part in this, with tissue that was measured in the same way, with and without R2 in the share that is met there. Their masks must come from the same rules, or from one network.
# The feature, its direction and the number of patients are fixed before anyone looks.
# :::
