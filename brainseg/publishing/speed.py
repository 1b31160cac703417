"""The page on speed: the kept tables of the benchmark, as figures, tables and sentences at the page's marks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from brainseg.chapters import study_recipe
from brainseg.experiments import speed
from brainseg.figures import speed as figures
from brainseg.networks.recipe import MODEL_NAMES
from brainseg.publishing.marks import as_figure, as_table, fill_marks
from brainseg.results import read_record

ABOUT = "≈\N{NO-BREAK SPACE}"  # before hours that are extrapolated
UNMEASURED = "This part has not been measured yet: `make bench` does it, and on a GPU `python -m benchmarks.gpu`."


def fill_speed(target: Path) -> None:
    """Put the kept tables at the marks of the staged page ``speed.md``, and draw its figures beside it."""
    fill_marks(target, "speed", PARTS, UNMEASURED)


def _machine(tables: dict[str, pd.DataFrame], target: Path) -> str:
    parts = {name: record for name, record in read_record("speed")["parts"].items() if name != "gpu"}
    rows = [
        [f"`{name}`", record["date"].replace("-", "\u2011"), f"`{record['commit'][:7]}`", record["turns"]]
        for name, record in parts.items()
    ]
    processors = "; ".join(sorted({record["processor"] for record in parts.values()}))
    libraries: dict[str, set[str]] = {}
    for record in parts.values():
        for name, number in record["versions"].items():
            libraries.setdefault(name, set()).add(number)
    versions = ", ".join(f"{name} {' and '.join(sorted(numbers))}" for name, numbers in libraries.items())
    cohort = parts[next(iter(parts))]["cohort"]
    return (
        f"Steps on files and slices were measured on {cohort['patients']} patients with {cohort['slices']} slices; a "
        "growing cohort is of phantoms.\n\n:::{dropdown} Where and when each table was measured\n"
        + as_table(["table", "date", "commit", "turns"], rows)
        + f"\n\nOn {processors}, with {versions}.\n:::"
    )


def _goals(tables: dict[str, pd.DataFrame], target: Path) -> str:
    rows = [list(goal.row().values()) for goal in speed.goals(tables)]
    reached = sum(row[-1] == "yes" for row in rows)
    return (
        f"The goals were set beforehand. The median of the turns reaches {reached} of {len(rows)}. It stands in the "
        "table with the lowest and the highest turn.\n\n" + as_table(["what", "goal", "measured", "reached"], rows)
    )


def _networks(tables: dict[str, pd.DataFrame], target: Path) -> str:
    speeds = speed.network_speeds(tables["networks"])
    rates: dict[str, list[str]] = {}
    shares: dict[str, list[str]] = {}
    for row in speeds.itertuples():  # training, then prediction
        name = MODEL_NAMES.get(row.network, row.network)
        rates.setdefault(name, []).append(f"{row.median:.0f} ({row.low:.0f} to {row.high:.0f})")
        if row.share == row.share:  # its arithmetic was counted
            shares.setdefault(name, []).append(f"{row.share:.2f} ({row.share_low:.2f} to {row.share_high:.2f})")
    slower = speeds["share_float32"].dropna()
    peaks = (
        f"{precision} {speed.Measured.over(tables['networks'][f'matrix_{precision}'].dropna()).text('.0f')} GFLOP/s"
        for precision in ("float32", "bfloat16")
    )
    figure = as_figure(
        figures.networks(speeds),
        target,
        "speed-networks",
        "Slices a second in training and in prediction: a bar is the median of the turns, the line on it reaches from "
        "the lowest to the highest.",
        "Two panels of horizontal bars, one bar for each network: " + _bars(speeds) + ".",
    )

    def table(cells: dict[str, list[str]]) -> str:
        return as_table(["network", *TASKS], [[name, *row] for name, row in cells.items()])

    return (
        f"{figure}\n\nSlices a second, median of the turns (lowest to highest):\n\n{table(rates)}\n\n"
        f"Arithmetic of the study's networks, as a share of the bfloat16 matrix product:\n\n{table(shares)}\n\n"
        f"Of the float32 product it is {slower.min():.2f} to {slower.max():.2f} times as much. The matrix product "
        f"itself, over all turns: {', '.join(peaks)}."
    )


def _operations(tables: dict[str, pd.DataFrame], target: Path) -> str:
    shares = speed.operation_shares(tables["operations"])
    figure = as_figure(
        figures.operations(shares),
        target,
        "speed-operations",
        "Share of each kind of operation in the time of a training step, summed over the threads, by TensorFlow's "
        "profiler.",
        "A stacked bar for each network. "
        + " ".join(
            f"{MODEL_NAMES.get(name, name)}: "
            + ", ".join(f"{kind} {share:.0%}" for kind, share in shares[name].items() if share >= 0.01)
            + "."
            for name in shares
        ),
    )
    heads = ["operation", *(MODEL_NAMES.get(name, name) for name in shares)]
    rows = [[kind, *(f"{share:.1%}" for share in row)] for kind, row in shares.iterrows()]
    return f"{figure}\n\n{as_table(heads, rows)}"


def _settings(tables: dict[str, pd.DataFrame], target: Path) -> str:
    ratios = speed.setting_ratios(tables["settings"])
    wide = ratios.pivot(index="setting", columns="task").loc[list(ratios["setting"].unique())]
    rows = [
        [name, *(f"{row['median', t]:.2f} ({row['low', t]:.2f} to {row['high', t]:.2f})" for t in TASKS)]
        for name, row in wide.iterrows()
    ]
    figure = as_figure(
        figures.settings(ratios),
        target,
        "speed-settings",
        "Speed of U-Net by other settings, as a ratio to the study's setting in the same turn: median, lowest and "
        "highest. Right of the dashed line is faster.",
        "A row of two dots for each setting; the table below has their values.",
    )
    return f"{figure}\n\nThe same ratios:\n\n{as_table(['setting', *TASKS], rows)}"


def _pipeline(tables: dict[str, pd.DataFrame], target: Path) -> str:
    files, pipeline = tables["files"], tables["pipeline"]
    read = speed.by_turn(files, "step", "reading the files", "seconds")
    rows = []
    for step, part in files.groupby("step", sort=False):
        part = part.set_index("turn")
        ratio = speed.within_turns(part["seconds"], read)
        rate = speed.Measured.over(part["slices"] / part["seconds"])
        rows.append([step, rate.text(",.0f"), ratio.text()])
    first = as_table(["step", "slices a second", "times reading"], rows)
    article = speed.within_turns(
        *(
            speed.by_turn(files, "step", step, "seconds")
            for step in ("preparing, as the article does", "the article's steps as a plain loop")
        )
    )
    predicted = pipeline[pipeline["step"] == "predicting both ways"].set_index("turn")
    scored = pipeline[pipeline["step"] == "scoring with all metrics"].set_index("turn")
    alone = pipeline[pipeline["step"] == "making batches alone"].set_index("turn")
    rates = {name: part["slices"] / part["seconds"] for name, part in
             (("predicting", predicted), ("scoring", scored), ("batches", alone))}  # fmt: skip
    waited = speed.within_turns(
        *(speed.by_turn(pipeline, "step", step, "seconds") for step in ("waiting for the next batch", "training"))
    )
    return (
        "Reading is the floor: every file is decoded once, in one process, and nothing is done with it. Preparing "
        "reads the same files, finds the heads, normalises, crops, resizes, and writes the arrays to the disk, on all "
        "cores. The last row is the article's procedure as one would write it for a tutorial, in one process with "
        "OpenCV, without checking files and without writing anything. The table gives slices a second, and how many "
        f"times as long a step takes as reading.\n\n{first}\n\n"
        f"Preparing as the article does takes {article.text()} times as long as that plain loop.\n\n"
        "In training, threads make the next batches while the network works on this one. The training waits for them "
        f"during {waited.text('.1%')} of its time; one thread alone makes "
        f"{speed.Measured.over(rates['batches']).text(',.0f')} augmented slices a second.\n\n"
        "The reported masks are predicted from a slice and its mirror image, put back into the original frame, and "
        f"freed of small pieces: {speed.Measured.over(rates['predicting']).text(',.0f')} slices a second. Scoring them "
        "with all metrics, outlines included, "
        f"handles {speed.Measured.over(rates['scoring']).text(',.0f')} slices a second, which is "
        f"{speed.within_turns(rates['scoring'], rates['predicting']).text('.1f')} times the speed of predicting."
    )


def _growth(tables: dict[str, pd.DataFrame], target: Path) -> str:
    grown = speed.growth(tables["growth"])
    largest = grown[grown["factor"] == grown["factor"].max()]
    figure = as_figure(
        figures.growth(grown),
        target,
        "speed-growth",
        "Time a slice and memory for cohorts of growing size, as ratios to the smallest of the same turn: median, "
        "lowest and highest.",
        "Two panels with a line for each step over the number of patients. At the largest cohort: "
        + ", ".join(f"{row.step} time {row.time:.2f}, memory {row.memory:.2f}" for row in largest.itertuples())
        + ".",
    )
    rows = [
        [figures.STEPS[row.step][0], f"{row.time:.2f} ({row.time_low:.2f} to {row.time_high:.2f})",
         f"{row.memory:.2f} ({row.memory_low:.2f} to {row.memory_high:.2f})", f"{row.memory_mib:,.0f}"]
        for row in largest.itertuples()
    ]  # fmt: skip
    smallest = tables["growth"]["patients"].min()
    heads = ["step", "time", "memory", "MiB"]

    def largest_patient(patients: int) -> int:
        return int(tables["growth"].loc[tables["growth"]["patients"] == patients, "largest"].max())

    return (
        f"The same steps run on phantom cohorts of {smallest} patients and of up to {grown['factor'].max()} times as "
        "many, each step in a process of its own, with a small network. Where the time is linear, the time a slice "
        "stays the same. It falls where a fixed cost is shared by more slices. Memory is what a process holds of its "
        "own, without the pages of mapped arrays, which the system takes back when it needs the room. Preparing and "
        "evaluating hold whole patients, so their memory follows the largest one: of "
        f"{largest_patient(smallest)} slices in the smallest cohort, of "
        f"{largest_patient(tables['growth']['patients'].max())} in the largest.\n\n"
        f"{figure}\n\nThe largest cohort: time a slice and memory, as ratios to the smallest, and the memory in "
        f"MiB.\n\n{as_table(heads, rows)}"
    )


def _book(tables: dict[str, pd.DataFrame], target: Path) -> str:
    empty = speed.Measured.over(tables["notebooks"]["seconds"])
    said = (
        "A chapter that does nothing takes "
        f"{empty.text('.1f')} s: the kernel starts, papermill talks to it, and the executed copy is written."
    )
    if "chapters" not in tables:
        return said
    chapters = tables["chapters"]
    beside = chapters["seconds"] - chapters["cells"]
    rows = [
        [f"{{doc}}`notebooks/{row.chapter}`", f"{row.seconds:.1f}", f"{row.cells:.1f}", f"{row.memory_mib:,.0f}"]
        for row in chapters.itertuples()
    ]
    return (
        f"{said} In the default book a chapter costs {speed.Measured.over(beside).text('.1f')} s beside its cells, "
        f"{beside.sum():.0f} s of {chapters['seconds'].sum():.0f} s in all.\n\n:::{{dropdown}} Chapter by chapter\n"
        "Seconds from start to end, seconds in its cells, and the most memory in MiB.\n\n"
        + as_table(["chapter", "seconds", "in cells", "MiB"], rows)
        + "\n:::"
    )


def _gpu(tables: dict[str, pd.DataFrame], target: Path) -> str:
    gpu, record = tables["gpu"], read_record("speed")["parts"]["gpu"]
    rows = [
        [f"{MODEL_NAMES[row.network]}, {row.work}", f"{row.processes}{', with MPS' if row.mps else ''}",
         f"{ABOUT if row.extrapolated else ''}{row.steps_a_second:.1f}",
         f"{ABOUT if row.extrapolated else ''}{row.slices_a_second:,.0f}"]
        for row in gpu.itertuples()
    ]  # fmt: skip
    unet = gpu[(gpu["network"] == "unet") & (gpu["work"] == speed.FIXED)]
    (alone,) = unet.loc[unet["processes"] == 1, "steps_a_second"]
    best = unet.loc[unet["steps_a_second"].idxmax()]
    reference = tables["trainings"][tables["trainings"]["experiment"] == "reference"]
    steps = reference["slices"].sum() / len(reference) / study_recipe().batch_size
    libraries = ", ".join(f"{name} {number}" for name, number in record["versions"].items() if name != "backend")
    return (
        f"Measured once, on {record['date']}, on {record['processor']}, with {libraries}: these are single "
        "measurements, and no medians of turns. ≈ marks the rate of one process times "
        f"their number.\n\n{as_table(['what is trained', 'processes', 'steps a second', 'slices a second'], rows)}\n\n"
        f"{record['how']}\n\n"
        f"One process does not fill this GPU: {best['processes']} of them{' with MPS' if best['mps'] else ''} do "
        f"{best['steps_a_second'] / alone:.1f} times the steps of one. The processor's cores make the augmented "
        "batches, so beside so fast a GPU they are the limit. At the rate with augmentation, the "
        f"{len(reference)} trainings of the reference edition, {steps:,.0f} steps each, would take "
        f"{ABOUT}{60 * speed.gpu_hours(reference, gpu):.1f} minutes. This is extrapolated from U-Net to all three "
        "networks. Compiling, preparing and scoring come on top, and so do the trainings that they start from."
    )


def _scaling(tables: dict[str, pd.DataFrame], target: Path) -> str:
    networks, pipeline = tables["networks"], tables["pipeline"]
    trained = speed.training_seconds(tables["trainings"], networks)
    costs = speed.study_costs(trained)
    rows = [
        [
            row.experiment,
            row.trainings,
            f"{row.slices:,}",
            f"{ABOUT if row.extrapolated else ''}{row.hours:.2f}",
        ]
        for row in costs.itertuples()
    ]
    hours = trained["seconds"].sum() / 3600
    rows.append(["**all**", costs["trainings"].sum(), f"{costs['slices'].sum():,}", f"{hours:.2f}"])
    cluster = [
        [
            f"{workers} machines like this",
            f"{ABOUT}{speed.makespan(trained['seconds'], workers) / 3600:.1f}",
        ]
        for workers in speed.WORKERS
    ]
    bound = speed.batch_bound(tables["trainings"], pipeline)
    places = [
        ["this machine: a laptop's worth of cores", f"{hours:.1f}"],
        *cluster,
        ["one GPU, with one thread that makes its batches", f"≥\N{NO-BREAK SPACE}{bound:.1f}"],
    ]
    work = float((tables["trainings"]["slices"] * tables["trainings"]["forward_gflop"]).sum()) * speed.BACKWARD / 1e6
    return (
        "The steps of every training are counted, from the records of the reference edition and the plans of the "
        "experiments, and multiplied by the measured time of a step. Where a training has another size or width than "
        "the networks above, its time is reckoned by its arithmetic, and ≈ marks the experiment. A training that two "
        "experiments share counts once. "
        "Validation after each epoch, preparing and scoring come on top. The hours are those of the measured machine, "
        "and a slice counts each time that a network sees it.\n\n"
        + as_table(["experiment", "trainings", "slices", "hours"], rows)
        + f"\n\nTogether that is {work:,.1f} PFLOP of arithmetic. Trainings do not wait for each other, so a cluster "
        "shares them out, the longest first; no cluster finishes before its longest training does "
        f"({trained['seconds'].max() / 3600:.2f} hours).\n\n"
        + as_table(["where", "hours"], places)
        + "\n\nThe hours of a GPU are a bound: threads on the processor make the batches, and no GPU trains faster "
        "than they come. Half of the cores do this, so a GPU beside many cores has a lower bound than the one in the "
        "table. {doc}`reproduce` has the commands."
    )


PARTS: dict[str, tuple[set[str], Callable[[dict[str, pd.DataFrame], Path], str]]] = {
    "machine": ({"files"}, _machine),
    "goals": ({"networks", "files", "pipeline", "growth"}, _goals),
    "networks": ({"networks"}, _networks),
    "operations": ({"operations"}, _operations),
    "settings": ({"settings"}, _settings),
    "pipeline": ({"files", "pipeline"}, _pipeline),
    "growth": ({"growth"}, _growth),
    "book": ({"notebooks"}, _book),
    "gpu": ({"gpu", "trainings"}, _gpu),
    "scaling": ({"networks", "pipeline", "trainings"}, _scaling),
}
"""A part of the page -> the tables that it needs, and what writes it."""

TASKS = ("training", "prediction")


def _bars(speeds: pd.DataFrame) -> str:
    return ", ".join(
        f"{MODEL_NAMES.get(row.network, row.network)} {row.median:.0f} in {row.task}" for row in speeds.itertuples()
    )
