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
# # Many tests at once
#
# **Question.** Does the shape of a tumour go with the genes of its cells?
#
# :::{admonition} In this chapter
# :class: tip
# - **You will** test three numbers of shape against seven genomic classifications, and then against shuffled ones.
# - **You will learn** what testing many pairs does, how to correct for it, and how to see what chance alone can do.
# - **You need** [the three numbers of shape](12_shape). No genetics.
# - **It takes** about 20 minutes to read, and less than a minute to run.
# :::
#
# Two tumours may look alike under the microscope and behave differently, because different genes have changed in their cells.
# A {term}`molecular subtype` groups tumours by such changes. In lower-grade glioma the groups differ in how the disease runs,
# more than the grades do {cite:p}`tcga2015comprehensive`, and today's classification of brain tumours is built on them {cite:p}`louis2021who`.
#
# All this needs tissue, and so an operation. A shape needs a scan. If the two went together, the scan would tell something about
# the genes. There is a reason why they might: how a tumour spreads depends on what its cells do. Earlier work on
# patients of the real data set found such links {cite:p}`mazurowski2017radiogenomics`, among them those of one classification, the cluster of clusters (COC), with the
# {term}`bounding ellipsoid volume ratio` (BEVR) and the {term}`angular standard deviation` (ASD) {cite:p}`mazurowski2017analysis`. The third number of shape is the {term}`margin fluctuation` (MF).

# %% tags=["install", "remove-cell"]
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("brainseg") is None:  # as in Colab
    repository = ""  # the project's address: whoever writes the .ipynb fills it in, where git knows it
    if not repository:
        raise ModuleNotFoundError(
            "The package brainseg is missing. In a copy of the project run: python -m pip install -e ., then restart the kernel."
        )
    package = f"brainseg @ git+{repository}"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", package], check=True)
    print("Installed. If a later cell fails, restart the kernel once: other versions may have been loaded already.")

# %% tags=["parameters"]
data = "phantom"  # "phantom", "kaggle", or a folder in Kaggle's layout
seed = 0  # of the shuffles

# %%
from functools import partial

import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from brainseg.cohort import index_cohort, read_patient_table
from brainseg.data import get_cohort
from brainseg.experiments.shape_genomics import association, findings, study
from brainseg.experiments.shape_genomics.analysis import CODES, MANUAL, analyse, codes_of
from brainseg.experiments.shape_genomics.features import FEATURES, features_table
from brainseg.figures import shape as figures
from brainseg.figures import style
from brainseg.statistics import p_text, rank_p_value

style.use_theme()
root = get_cohort(data)
table = index_cohort(root)

# %% [markdown]
# ## The table that is hardly ever opened
#
# One can measure a tumour in many ways: which genes are active (**RNASeq**), which are switched off by chemical marks
# (**methylation**), which stretches of DNA are lost or doubled (**copy number**, CN), small regulating RNAs (**microRNA**, miRNA), proteins (**RPPA**).
# For each, an algorithm put alike patients into one *cluster*. **OncoSign** and **COC**, the cluster of clusters, sum up several of these measurements.
#
# `data.csv` has a row per patient and a column per classification. A cluster's number is a name and no amount: 4 is not more than 2.
# The codes come without a key. The data set does not say which number is which cluster of the literature, and we invent no meanings.
# It says who died, too, but gives no time of follow-up, so nothing can be said about survival.

# %%
shapes = features_table({MANUAL: study.manual(table)})  # drawn masks, as in chapter 12
codes = codes_of(shapes, read_patient_table(root))

counted = pd.DataFrame({CODES[name]: codes[name].value_counts() for name in codes}).T
counted = counted.rename(columns=lambda code: f"code {code:g}").assign(missing=codes.isna().sum().to_numpy())
counted.rename(columns={"missing": f"missing (of {len(codes)})"}).style.format("{:.0f}", na_rep="")

# %% [markdown]
# ## First by eye
#
# {numref}`fig-shape-clusters` shows the three numbers in the RNASeq clusters.

# %% mystnb={"figure": {"name": "fig-shape-clusters", "caption": "One dot per patient: the three features by RNASeq cluster, manual masks. Bars are medians."}, "image": {"alt": "Three panels with columns of dots, one column per code, and a bar at each median."}}
figures.by_cluster(shapes, codes["RNASeqCluster"])

# %% [markdown]
# ## Then by test
#
# There are two tests for each pair of a feature and a classification.
#
# - **As in the paper** for which the masks were drawn {cite:p}`buda2019association`: cut the patients at the median of the feature into a lower and an upper half, and count. {term}`Fisher's exact test` asks how many tables with the same
#   totals are as unlikely as the one found. Cutting at the median throws away how far from it a patient lies.
# - **By ranks:** the {term}`Kruskal-Wallis test` {cite:p}`kruskal1952` compares the ranks of patients between clusters.

# %%
coded = codes["RNASeqCluster"].notna() & shapes["bevr"].notna()
values, labels = shapes.loc[coded, "bevr"].to_numpy(), codes.loc[coded, "RNASeqCluster"].to_numpy()

halves = association.median_split(values, labels)
by_split, by_ranks = association.fisher_exact(halves), rank_p_value(values, labels)
print(f"BEVR and RNASeq: p = {by_split:.5f} by the median split, and {by_ranks:.5f} by ranks")
pd.DataFrame(halves, index=[f"code {code:g}" for code in np.unique(labels)], columns=["lower half", "upper half"])

# %% [markdown]
# A {term}`p value` says how often chance alone does as much as was found. It does not say how *strong* a link is: with many patients a weak
# one has a small p value. The {term}`effect size` says that. For ranks we give eta squared {cite:p}`tomczak2014`, about the share of the variation that the clusters explain. Without
# any link it is 0 on average, and so can be negative. Here are the six pairs with the smallest p values.

# %%
tables = {"features": shapes} | analyse(shapes, read_patient_table(root), seed)
tests = tables["associations"]
readable = partial(p_text, digits=4)  # as many digits as the paper's smallest bound has

strongest = tests[tests["test"] == "kruskal"].sort_values("p_value").head(6)
pairs = strongest["feature"].str.upper() + " and " + strongest["code"].map(CODES)
view = strongest.set_index(pairs.rename(None))[["patients", "groups", "effect", "p_value", *association.CORRECTIONS]]
view.columns = ["patients", "groups", "effect", "p value", "Bonferroni", "Holm", "FDR"]
view.style.format(readable, subset=view.columns[3:]).format("{:.2f}", subset=["effect"], na_rep="-")

# %% [markdown]
# ## What many tests do
#
# Seven classifications and three features are 21 pairs. If nothing were there at all, one pair in twenty would still fall below 0.05.
# So p values are corrected for their number. **{term}`Bonferroni <Bonferroni correction>`** multiplies each by 21. **{term}`Holm <Holm's correction>`** {cite:p}`holm1979` does so for the smallest only, and by 20, 19, and so on for the next:
# it guards as well and loses less. **FDR** {cite:p}`benjamini1995` bounds the share of false findings among the findings, a weaker promise.
# The family is the 21 pairs by one test.

# %% mystnb={"figure": {"name": "fig-shape-map", "caption": "p values of all pairs, manual masks, by both tests. A star marks those below 0.05 after Holm's correction for the 21 tests of a panel."}, "image": {"alt": "Two maps of seven rows and three columns with a p value in each field, dark where it is small."}}
figures.heat_map(tests, CODES)

# %%
found = findings.findings(tables)
Markdown(str(found.links))

# %% [markdown]
# ## What chance can do
#
# How much chance can do is easily seen. Deal the codes out anew among the patients, a thousand times, and keep the smallest p value each time
# ({numref}`fig-shape-shuffles`). This is a **negative control**: whatever is found in it is false. A patient's seven codes stay together, so the shuffles also know how far the
# classifications go with one another.

# %%
shuffled = association.shuffled_p_values(shapes[list(FEATURES)], codes, shuffles=1000, seed=seed)
observed = tests.loc[tests["test"] == "kruskal", "p_value"]

# %% mystnb={"figure": {"name": "fig-shape-shuffles", "caption": "The smallest of the p values of all pairs (ranks), for a thousand shuffles of the codes and for the codes as they are."}, "image": {"alt": "A histogram of small p values on a logarithmic scale, with a line for the value of the true codes."}}
figures.shuffles(shuffled, observed.min())

# %%
Markdown(str(findings.chance(shuffled, observed)))

# %% [markdown]
# On simulated patients there is a **positive control** too: the tumours of each `RNASeqCluster` were grown by other rules, and all other codes are random.

# %%
simulated = table["synthetic"].all()
of_real = "The patients of this edition are real, so nobody knows which links there are to be found."
Markdown(str(found.control) if simulated else of_real)

# %% [markdown]
# ## How many findings are several links?
#
# The classifications sort the same patients, so links with two of them need not be two findings. {numref}`fig-shape-overlaps` has {term}`Cramér's V` of each two:
# 0 where they have nothing in common, and 1 where one fixes the other. With few patients chance alone lifts it above 0.

# %% mystnb={"figure": {"name": "fig-shape-overlaps", "caption": "How far any two classifications put the same patients together, by Cramér's V."}, "image": {"alt": "A triangle of fields with a number between 0 and 1 in each, dark where it is large."}}
overlaps = association.overlaps(codes)
figures.overlaps(overlaps)

# %%
by_chance = " The codes of simulated patients were drawn independently, so an overlap of theirs is the work of chance."
Markdown(f"{findings.overlap(overlaps)}{by_chance if simulated else ''}")

# %% [markdown]
# ## Beside the paper
#
# The paper's abstract gives upper bounds of p values, found with masks that its network drew of 110 patients {cite:p}`buda2019association`. It tested ten hypotheses and called
# a p value below 0.005 significant. For BEVR it says "all tested molecular subtypes"; the rows here are those that it names and that `data.csv` has. Here are the drawn masks.
# It named the pairs before we looked, so they are a family of their own.

# %%
beside = tests.dropna(subset="paper_p_below")
beside = beside.assign(pair=beside["feature"].str.upper() + " and " + beside["code"].map(CODES))
columns = {"fisher": "median split", "kruskal": "ranks"}
wide = beside.pivot_table(index="pair", columns="test", values="p_value", sort=False).reindex(columns=list(columns))
wide.insert(0, "paper, below", beside.groupby("pair")["paper_p_below"].first())
display(wide.rename_axis(index=None, columns=None).rename(columns=columns).style.format(readable))
of_simulated = "The patients are simulated, so what the paper found of real ones has no meaning here."
Markdown(of_simulated if simulated else str(found.repeated))

# %% tags=["answer"]
Markdown(f"**Answer.** {found.links.answer(bool(simulated))}")

# %% [markdown]
# ## Take-away
#
# - Say beforehand what is tested, and correct for all of it.
# - Let shuffled codes show what chance can do. They know how the tests hang together; a formula for independent tests does not.
# - A p value is no effect size, and a link that is not shown may be there.
# - Even the hundred patients of the real data set are few for four or five clusters. A link found here is a reason to look again elsewhere, and no test for a patient.
#
# ## Exercises
#
# **1. Recall.** Which of the three corrections would you take to pick pairs for an expensive second study, and which to claim one of them?
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


of_pairs = len(FEATURES) * len(CODES)
print(f"{of_pairs} independent tests would give a finding by chance in {chance_of_any(of_pairs):.0%} of all studies")
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
# **3. Try.** Leave out one patient at a time. How far does the p value of BEVR and RNASeq move, by either test?

# %% tags=["solution", "hide-cell"]
by_split, by_ranks = [], []
for patient in range(len(values)):
    rest = np.arange(len(values)) != patient
    by_split.append(association.fisher_exact(association.median_split(values[rest], labels[rest])))
    by_ranks.append(float(rank_p_value(values[rest], labels[rest])))
print(f"median split: {min(by_split):.5f} to {max(by_split):.5f}; ranks: {min(by_ranks):.5f} to {max(by_ranks):.5f}")
# One patient may move the median, and with it another patient into the other half. So p values of two studies are no measure of which is better.

# %% [markdown] tags=["solution"]
# :::{dropdown} Answers in words
# **1.** To pick, FDR: some of the pairs may be false, and the second study will tell. To claim one, Holm, because then a single false finding is the mistake.
# :::
