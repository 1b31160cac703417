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
# # The article's claims put to the test
#
# :::{admonition} In this chapter
# :class: tip
# - **You will** put three sentences of the article to the test, and score one prediction in every way you may meet.
# - **You will learn** how to compare several treatments without fooling yourself, and how a way of scoring makes a number.
# - **You need** [the metrics](04_metrics) and [the comparison](08_compare).
# - **It takes** about 20 minutes to read. Where results are kept they are read. Otherwise small networks are trained:
#   two minutes, and some more if chapters 5 to 7 were not run.
# :::
#
# The article says: enhancing the contrast "will greatly improve the performance of the models".
# It says that ResUNet performs best. And it concludes that its score is not high because of the empty slices.
# Each of these can be tested. None needs a better network than the article's, only a comparison.

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
fold = 0  # which of the five folds is the test set
recompute = False  # train anew on real data, instead of reading the kept tables
# The six arms, where they are trained here
arms_image_size = 64
arms_filters = 8
arms_epochs = 4
arms_slices_per_epoch = 320
arms_seeds = 1
# The three networks of chapters 5 to 7
image_size = 96  # side of the prepared slices in pixels, a multiple of 32
contrast = "none"  # "none", "he", or "clahe" as in the article
crop = "patient"  # "none", "slice" or "patient"
filters = 16  # width of the first level
epochs = 12
slices_per_epoch = 480  # 0 takes every training slice once

# %% tags=["hide-input"]
import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from brainseg import results, statistics
from brainseg.chapters import study_run
from brainseg.cohort import index_cohort, read_patient
from brainseg.data import get_cohort
from brainseg.evaluation import conventions, predict, scores
from brainseg.experiments import claims
from brainseg.experiments.engine import get_tables
from brainseg.figures import claims as draw
from brainseg.figures import results, style
from brainseg.figures.training import message
from brainseg.images.crop import crop_and_resize
from brainseg.images.preprocess import boxes_and_images
from brainseg.splits import split_by_patient

style.use_theme()

# %% [markdown]
# ## Claim 1: "Enhancing the contrast will greatly improve the models"
#
# Six **arms** are compared. An arm is a way to prepare the slices: {numref}`fig-claims-arms`.
# All else is the same in each: U-Net, the slices and their order, the number of steps, the learning rate, the loss, the seeds.
#
# The article normalises no volume and names no augmentation, so no arm has either.
# Both are other remedies for dark slices. With them, we would no longer test what contrast does in the article's pipeline.
# Nor is a slice predicted both ways, nor are small pieces of a prediction dropped.
#
# The slice crop finds its box with CLAHE, as in the article, also where the slices are not enhanced.
# The patient crop is ours, from [chapter 3](03_crop).

# %%
root = get_cohort(data)
table = index_cohort(root)
kept = not recompute and get_tables("claims", table)

# %% mystnb={"figure": {"name": "fig-claims-arms", "caption": "What the network sees in each arm: FLAIR of one training slice, with the tumour's outline. It is the largest tumour slice of the darkest training patient."}, "image": {"alt": "Six squares with the same slice: as it is, after histogram equalisation, after CLAHE, cropped to the slice's box, cropped to the patient's box, and after CLAHE cropped to the slice's box."}} tags=["hide-input"]
training = table[(split_by_patient(table, fold=fold, seed=seed) == "train")]
with_tumour = training[training["tumour_px"] > 0]
darkest = with_tumour.groupby("patient")["mean_flair"].mean().idxmin()
slices_of_darkest = table[table["patient"] == darkest].reset_index(drop=True)
position = int(slices_of_darkest["tumour_px"].idxmax())
images, masks = read_patient(table, darkest)
seen, outlined = {}, {}
for arm in claims.ARMS:
    boxes, enhanced = boxes_and_images(images, claims.arm_preprocessing(arm, 256))
    seen[arm] = crop_and_resize(enhanced[position], boxes[position], 256)
    outlined[arm] = crop_and_resize(masks[position], boxes[position], 256) >= 128
draw.arms_of_a_slice(seen, outlined)

# %% [markdown]
# ### What was laid down before anything was trained
#
# - **One primary contrast**: CLAHE and slice crop, the article's pipeline, against neither. It changes two things at once, so its
#   verdict is one on the pipeline. What contrast does alone is asked of CLAHE against neither, one of the others.
# - **The effect** is the difference in Dice of a patient's {term}`volume`, in the original {term}`frame`, averaged over test patients.
#   Several trainings with different seeds count as one: a patient's score is their mean.
# - **"Great"** is five points of Dice or more. That is about what one wrong pixel all round costs ([chapter 4](04_metrics)).
# - **No verdict** with fewer than ten test patients.
#
# Added later, on 2026-11-22, after a page with one training per arm had called the claim confirmed: no verdict from fewer than
# three trainings per arm.

# %%
if kept:
    patients = results.read_table("claims", "patients")
    scored = results.read_table("claims", "conventions")
    record = results.read_record("claims")
else:
    made, record = claims.compute(
        root,
        fold=fold,
        seed=seed,
        image_size=arms_image_size,
        filters=arms_filters,
        epochs=arms_epochs,
        slices_per_epoch=arms_slices_per_epoch,
        seeds=arms_seeds,
    )
    patients, scored = made["patients"], made["conventions"]

# %% tags=["hide-input"]
cohort, parts, n_seeds = record["cohort"], record["patients"], len(record["training_seeds"])
where = (
    "The tables were **read** from `results/claims`"
    if kept
    else "The networks were **trained for this page**, or found where an earlier run left them"
)
small = (
    ""
    if kept
    else (
        "These are small networks and short trainings, so that the page is made in minutes: they show the method. "
        "The experiment itself is `python -m brainseg experiment claims --data FOLDER`. "
    )
)
display(
    Markdown(
        f"{where}. Cohort: {cohort['patients']} patients, {cohort['slices']} slices.{results.of_which_cohort(record, table)} "
        f"Patients: {parts.get('train', 0)} for training, {parts.get('validation', 0)} for validation, {parts.get('test', 0)} for the test "
        f"(fold {record['fold']}). Each arm: {n_seeds} training{'s' if n_seeds > 1 else ''} of {record['epochs']} epochs with "
        f"{record['slices_per_epoch']} slices of {record['image_size']} pixels, {record['filters']} filters. "
        f"Together {record['training_seconds'] / 60:.0f} minutes on {record['processor']}. {small}"
    )
)

# %% mystnb={"figure": {"name": "fig-claims-effects", "caption": "Each arm against neither contrast nor crop, on the same test patients. The coloured row is the primary contrast. To the right of zero is better than doing nothing."}, "image": {"alt": "Five rows, one per arm. In each, a dot per patient, and below a diamond with an interval, around a line at zero. A dashed line marks where a great improvement begins."}} tags=["hide-input"]
scores = claims.mean_over_seeds(patients)
comparisons = claims.compare_arms(patients).set_index("first").rename_axis(None)
differences = scores.sub(scores[claims.NEITHER], axis=0)
draw.effects(comparisons, differences, claims.PRIMARY, claims.GREAT)

# %% [markdown]
# ### Several comparisons, one chance each
#
# {numref}`fig-claims-effects` holds five comparisons. Try enough of them, and one will look significant by luck.
# There are two remedies, and both are needed.
#
# The first is to name one comparison beforehand. It has one chance, so its p value stands as it is.
#
# The second is for the rest: correct their p values. Holm's way {cite:p}`holm1979` sorts them. The smallest is multiplied by
# their number $m$, the next by $m - 1$, and so on. None may fall below the one before it:
#
# $$\tilde p_{(i)} = \min\Bigl(1,\; \max_{j \le i}\, (m - j + 1)\, p_{(j)}\Bigr)$$


# %%
def holm_sorted(p_values):
    p = np.sort(p_values)
    factors = np.arange(len(p), 0, -1)  # m, m - 1, ..., 1
    return np.minimum(np.maximum.accumulate(factors * p), 1)


others = comparisons.drop(claims.PRIMARY)
corrected = holm_sorted(others["p"])
assert np.allclose(corrected, np.sort(others["p_corrected"]))  # the package's, in its own order
[statistics.p_text(p) for p in corrected]

# %% tags=["hide-input"]
lost = patients.groupby("arm")[["lost_px", "tumour_px"]].sum()
shown = comparisons[["mean", "low", "high", "p", "p_corrected", "better_on"]].assign(
    lost=(lost["lost_px"] / lost["tumour_px"]).reindex(comparisons.index)
)
shown.columns = ["mean difference", "95 % interval from", "to", "p", "p corrected", "better on", "tumour cut off"]
display(
    shown.style.format("{:+.3f}", subset=shown.columns[:3], na_rep="-")
    .format(statistics.p_text, subset=["p", "p corrected"])
    .format("{:.1%}", subset=["tumour cut off"], na_rep="-")
)

# %% tags=["hide-input"]
if n_seeds > 1:
    spread = claims.seed_means(patients)
    view = spread.rename(
        columns={"mean": "mean Dice", "smallest": "training with the smallest mean", "largest": "with the largest"}
    )
    display(view.style.format("{:.3f}", subset=view.columns[1:]))
    widest = (spread["largest"] - spread["smallest"]).idxmax()
    display(
        Markdown(
            f"Trainings of one arm differ by their seed alone. Their means lie up to **{spread.loc[widest, 'largest'] - spread.loc[widest, 'smallest']:.3f}** apart "
            f"({widest}). The intervals above draw patients and do not hold this spread."
        )
    )

# %% tags=["hide-input"]
main = comparisons.loc[claims.PRIMARY]
n = int(main["patients"])


def said(row):
    return claims.verdict(row["low"], row["high"], row["p_corrected"], n, n_seeds)


def difference_of(row):
    interval = (
        f"95 % interval {row['low']:+.3f} to {row['high']:+.3f}, {statistics.p_text(row['p'], name='p')}"
        if n > 1
        else "one patient, no interval"
    )
    return f"**{row['mean']:+.3f}** ({interval}), better on {int(row['better_on'])} of {n} patients"


alone = comparisons.loc["CLAHE"]
within = claims.compare(scores, [(claims.PRIMARY, "slice crop")], seed=seed).iloc[0]
of_within = claims.verdict(within["low"], within["high"], within["p"], n, n_seeds)
undecided = f"With {n} test patient{'s' if n > 1 else ''} and {n_seeds} training{'s' if n_seeds > 1 else ''} per arm the claim is **neither confirmed nor refuted**."
of_pipeline = (
    f"**The primary contrast**: {claims.PRIMARY} changes Dice by {difference_of(main)}: **{said(main)}**. "
    "This is the verdict on the article's pipeline, contrast and crop together."
)
of_contrast = (
    f"**Contrast alone**: CLAHE against neither changes Dice by {difference_of(alone)}; corrected, {statistics.p_text(alone['p_corrected'], name='p')}: **{said(alone)}**. "
    f"Where both arms are cropped, CLAHE changes it by {difference_of(within)}: {of_within}. "
    "This second comparison was not planned, and its p value is not corrected, so take it as a hint."
)
lines = [
    of_pipeline,
    "",
    *(f"- {arm}: {row['mean']:+.3f}, {said(row)}." for arm, row in comparisons.drop(claims.PRIMARY).iterrows()),
    "",
    of_contrast,
    "",
    {
        "a great improvement": "So the article's claim about contrast **holds here**.",
        "a loss": "So here the article's claim about contrast is **wrong in its direction**.",
        "too few patients to tell": undecided,
        "too few trainings to tell": undecided,
    }.get(said(alone), "So a *great* improvement by contrast alone was **not shown here**."),
]
display(Markdown("\n".join(lines)))

# %% [markdown]
# The verdict is about U-Net with this budget. A longer training may need the help less, or use it better.
# Nor does it say that dark slices are harmless. The study's own remedy is normalisation within the volume, which no arm had.
#
# ### Does it help the dark ones?
#
# The article shows a slice that is nearly black, and argues from it. If the argument is right,
# dark patients gain most: in {numref}`fig-claims-dark` the dots would fall from left to right.

# %% mystnb={"figure": {"name": "fig-claims-dark", "caption": "What CLAHE alone gained or lost on each test patient, against neither contrast nor crop, and how bright the patient's FLAIR slices are as they come."}, "image": {"alt": "A dot per test patient: the mean grey level of its FLAIR slices to the right, the gain in Dice upwards, with a line at zero."}} tags=["hide-input"]
brightness = patients.groupby("patient")["mean_flair"].first().reindex(scores.index)
gain = differences["CLAHE"]
draw.by_brightness(brightness.to_numpy(), gain.to_numpy())

# %% tags=["hide-input"]
if n >= statistics.FEWEST_PATIENTS:
    ranks = statistics.rank_correlation(brightness.to_numpy(), gain.to_numpy(), seed=seed)
    half = brightness <= brightness.median()
    display(
        Markdown(
            f"The darker half of the test patients changes by {gain[half].mean():+.3f} on average, the brighter half by {gain[~half].mean():+.3f}. "
            f"The rank correlation of brightness and gain is {ranks.estimate:+.2f} (95 % interval {ranks.low:+.2f} to {ranks.high:+.2f}): "
            + (
                "dark patients gain more, as the article argues."
                if ranks.high < 0
                else "bright patients gain more, against the article's argument."
                if ranks.low > 0
                else "the interval includes 0, so this page cannot tell whether dark patients gain more."
            )
            + " This was not among the planned comparisons, so take it as a hint."
        )
    )
else:
    display(Markdown(f"With {n} test patient{'s' if n > 1 else ''}, no pattern can be told from chance."))

# %% [markdown]
# ## Claim 2: "The score is not high because of the empty slices"
#
# A way of scoring has a **convention**: what is counted together, what an empty slice scores, what is added to keep a ratio defined.
# We take the conventions that papers, notebooks and libraries use, and give them predictions that know nothing about tumours:
#
# - **nothing**: no tumour anywhere,
# - **everything**: every pixel is tumour,
# - **the usual spot**: the pixels that are tumour most often in training patients, on every slice,
# - **Otsu on FLAIR**: the bright part of the head {cite:p}`otsu1979`.
#
# Beside them stands the U-Net of the article's pipeline. A score that "nothing" can have is no praise.

# %% mystnb={"figure": {"name": "fig-claims-baselines", "caption": "One network and four predictions that know nothing, by convention, on the same test slices. Below the line are the conventions that this book reports."}, "image": {"alt": "A table of shaded cells: twelve conventions down, five predictions across, a score in each cell."}} tags=["hide-input"]
in_frame = scored[scored["convention"].isin(conventions.CONVENTIONS)]
by_predictor = in_frame.pivot(index="convention", columns="predictor", values="score")
by_predictor = by_predictor.reindex(
    index=list(conventions.CONVENTIONS), columns=list(dict.fromkeys(in_frame["predictor"]))
)
draw.conventions(by_predictor, conventions.HONEST)

# %% tags=["hide-input"]
wild = by_predictor.drop(index=list(conventions.HONEST))
nothing, unet = wild["nothing"], by_predictor["U-Net"]
per_slice, per_tumour_slice = "Dice per slice, empty counts as 1", "Dice per tumour slice"
lift = unet[per_slice] - unet[per_tumour_slice]
beaten = [name for name in wild.index if nothing[name] >= unet[name]]
display(
    Markdown(
        f"Finding *nothing* scores {nothing.max():.2f} by *{nothing.idxmax()}*, {nothing[per_slice]:.2f} by *{per_slice}*, "
        f"and {by_predictor.loc['Dice per volume', 'nothing']:.2f} per volume. "
        + (
            f"It is at least as good as the network by {len(beaten)} of these {len(wild)} conventions: *{'*, *'.join(beaten)}*. "
            if beaten
            else f"The network beats it by all {len(wild)} of these conventions, but by as little as {(unet[wild.index] - nothing).min():.3f}. "
        )
        + f"\n\nThe network scores {unet[per_slice]:.2f} per slice when empty slices join in, and {unet[per_tumour_slice]:.2f} on tumour slices: "
        f"a difference of **{lift:+.2f}**. "
        + (
            "So the empty slices **do lift** such a score, and the article's conclusion does not hold for it."
            if lift > 0.005
            else "So the empty slices do not lift this score, and the article's conclusion holds for it, "
            "with a network that sees tumour where there is none."
        )
        + " By the article's own convention, as we read it, it can come out the other way ([chapter 9](09_split_evaluation.html)): the rule decides."
    )
)

# %% [markdown]
# The article checked the right thing, tumour slices apart. But it did not ask what a score of the *empty* slices is made of.
# On them, Dice is $0/0$. The convention fills the gap, and the convention alone decides the number ([chapter 9](09_split_evaluation)).
#
# ## One set of predictions, every convention
#
# Now only the network. {numref}`fig-claims-inflation` holds its predictions still and changes nothing but the way of scoring.
# Two more conventions join in: scored in the cropped frame, what the crop cut off is forgotten.

# %% mystnb={"figure": {"name": "fig-claims-inflation", "caption": "The same predictions of one U-Net on the same test slices by every convention, sorted."}, "image": {"alt": "Fourteen horizontal bars, sorted from the highest score to the lowest. Two are coloured: Dice per tumour slice and Dice per volume."}} tags=["hide-input"]
bars = scored[scored["predictor"] == "U-Net"].set_index("convention")["score"]
draw.inflation(bars, conventions.HONEST)

# %% tags=["hide-input"]
reported = bars["Dice per volume"]
above = int((bars > reported).sum())
display(
    Markdown(
        f"One set of masks reads anything from **{bars.min():.2f}** (*{bars.idxmin()}*) to **{bars.max():.2f}** (*{bars.idxmax()}*). "
        f"This book reports {reported:.2f}, *Dice per volume*: {above} of the other {len(bars) - 1} conventions would read higher. "
        "So two scores can be compared only if both say how they were made."
    )
)

# %% [markdown]
# ## Claim 3: "ResUNet performs best"
#
# [Chapter 8](08_compare) compares the three networks. Here the question is put once more, to the best evidence at hand.
# For the patients that the project keeps networks of, that are the kept results of the honest protocol: every patient is scored by
# a network that never saw it, and only patients that all three networks were tested on take part.
# For all others, as on the phantom, it is the runs of chapters 5 to 7.

# %%
NAMES = style.MODEL_NAMES
if not recompute and get_tables("reference", table):
    source, note = "`results/reference`", results.of_which_cohort(results.read_record("reference"), table)
    reference = results.read_table("reference", "patients")
    reference = reference[(reference["protocol"] == "honest") & (reference["part"] == "test")]
    networks = reference.pivot_table(index="patient", columns="model", values="dice")
    networks = networks.reindex(columns=list(NAMES)).dropna()
    trainings = reference[reference["patient"].isin(networks.index)].groupby("model")["run"].nunique()
else:
    source, note = "the runs of chapters 5 to 7", ""
    dice, trainings = {}, pd.Series(1, index=list(NAMES))
    for name in NAMES:
        run = study_run(
            name,
            data,
            seed=seed,
            image_size=image_size,
            contrast=contrast,
            crop=crop,
            split_by="patient",
            fold=fold,
            filters=filters,
            epochs=epochs,
            slices_per_epoch=slices_per_epoch,
        )
        dice[name] = scores.score_patients(predict.evaluate(run, "test"))["dice"]
    networks = pd.DataFrame(dice).dropna()

# %% mystnb={"figure": {"name": "fig-claims-networks", "caption": "Differences in per-volume Dice on the same test patients: mean and 95 % bootstrap interval over patients."}, "image": {"alt": "Three horizontal intervals, one for each pair of networks, around a dashed vertical line at zero."}} tags=["hide-input"]
if len(networks):
    pairs = claims.compare(networks, [("resunet", "unet"), ("resunet", "fcn32"), ("unet", "fcn32")], seed=seed)
    pairs["p_corrected"] = statistics.holm(pairs["p"])
    pairs.index = [f"{NAMES[one]} minus {NAMES[other]}" for one, other in zip(pairs["first"], pairs["second"])]
    figure = results.paired_differences(pairs)
else:
    figure = message("No patient was tested by all three networks.")
figure

# %% tags=["hide-input"]
if networks.empty:
    text = f"In {source} there is no patient that all three networks were tested on.{note}"
else:
    count = len(networks)
    lines = [f"From {source}, {count} test patient{'s' if count > 1 else ''}.{note}", ""]
    for label, row in pairs.iterrows():
        lines.append(
            f"- **{label}**: {row['mean']:+.3f}, corrected {statistics.p_text(row['p_corrected'], name='p')}, better on {row['better_on']} of {count}."
        )
    of_resunet = pairs[pairs["first"] == "resunet"]
    significant = (of_resunet["p_corrected"] < statistics.LARGEST_P) & (count >= statistics.FEWEST_PATIENTS)
    better, worse = significant & (of_resunet["low"] > 0), significant & (of_resunet["high"] < 0)
    if count < statistics.FEWEST_PATIENTS:
        outcome = "That is too few patients to order networks: the claim is **neither confirmed nor refuted here**."
    elif better.all():
        outcome = "ResUNet is better than both others: the claim **holds here**."
    elif worse.any():
        behind = " and ".join(label.removeprefix("ResUNet minus ") for label in of_resunet.index[worse])
        outcome = f"ResUNet is behind {behind}: the claim **does not hold here**."
    else:
        level = " and ".join(label.removeprefix("ResUNet minus ") for label in of_resunet.index[~better])
        outcome = f"Between ResUNet and {level} the order stays open: that ResUNet is *best* was **not shown here**."
    if (trainings == 1).any():
        outcome += " One training each: the order is of these networks, not of the architectures."
    else:
        outcome += (
            f" Each was trained in {trainings.min()} folds{'' if trainings.nunique() == 1 else ' or more'}, and one training per fold counts. "
            "Some networks of the later folds were trained after fold 0 was scored: [chapter 15](15_results.html) has the differences without it, and asks what another seed does."
        )
    text = "\n".join([*lines, "", outcome])
display(Markdown(text))

# %% [markdown]
# ## Take-away
#
# - A claim about an improvement needs a comparison in which all else is the same, on the same patients.
# - Name the one comparison that counts beforehand, and correct the rest.
# - Give every score to a prediction that finds nothing. What that one scores is the true zero of the scale.
# - The way of scoring belongs to the number, as a unit does.
#
# ## Exercises
#
# **1. Recall.** Why is the p value of the primary contrast not corrected, and when would that be cheating?
#
# **2. Compute.** Let the score of *nothing* be the zero of the scale. Complete the function, and use it on U-Net by every convention. Which convention leaves the network least?


# %% tags=["solution", "hide-cell"]
def above_nothing(score, nothing):
    """What is left of a score if a prediction that finds nothing is the zero of the scale.

    Parameters
    ----------
    score, nothing : float
        Scores by the same convention, at most 1.

    Returns
    -------
    float
        1 for a perfect score, 0 for that of nothing, negative below it; NaN where nothing is perfect already.
    """
    return (score - nothing) / (1 - nothing) if nothing < 1 else np.nan


left = {name: above_nothing(row["U-Net"], row["nothing"]) for name, row in by_predictor.iterrows()}
pd.Series(left).dropna().sort_values().round(3)

# %% tags=["check", "hide-cell"]
answer = above_nothing(0.9, 0.8)
assert answer is not None, (
    "The function returns nothing yet. How far is it from the score of nothing to the best score? How much of this way was made?"
)
assert np.isclose(answer, 0.5), f"From 0.8 to 1 it is 0.2, and 0.9 is half of the way: 0.5, and not {answer:.3f}."
assert np.isclose(above_nothing(0.7, 0.8), -0.5), "Below the score of nothing the result is negative."
assert np.isnan(above_nothing(1.0, 1.0)), "Where nothing scores 1 already, there is no way to go: return np.nan."
print("Right.")

# %% [markdown]
# **3. Try.** Run this notebook on the phantom with `arms_seeds = 3`. How far apart are the seeds of one arm, next to the differences between the arms?
#
# **4. Open.** Design the comparison that would change your mind about contrast. What is its one primary contrast?

# %% [markdown] tags=["solution"]
# :::{dropdown} Answers in words
# **1.** It was named before the results were seen, so it had one chance to be wrong. It is cheating when the "primary" comparison is chosen afterwards, because it came out best.
#
# **3.** Take the spread of the seeds within an arm as the unit. A difference between arms that is smaller than this spread says nothing about contrast or crop.
#
# **4.** For example: the same network and crop, with CLAHE and without, on as many patients as the spread of the differences demands, with several seeds each, and with the dark patients named beforehand. One primary contrast: CLAHE minus none, Dice per volume, over patients.
# :::
