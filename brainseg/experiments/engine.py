"""The engine: it trains what an experiment plans, has it scored, and keeps the tables below ``results/``.

An experiment is a module with four names.

- ``Settings``: a frozen dataclass. Its fields are what the command line sets with ``-p NAME=VALUE``, and its defaults
  are those of the real cohort. A list may be empty where :data:`brainseg.experiments.plan.MAY_BE_EMPTY` says so.
- ``plan(cohort, settings)``: the trainings that it needs, a list of :class:`brainseg.experiments.plan.Training`.
- ``score(cohort, settings, runs)``: tidy tables by name, from the trained runs; and, where they are kept, masks
  (:class:`brainseg.evaluation.masks.Masks`), which become the files ``masks/NAME.npz`` beside the tables.
- ``findings(...)``: what a page says of the tables, as dataclasses with numbers, intervals and a verdict.

One experiment keeps its runs as well as its tables, and is in :data:`brainseg.experiments.KEPT`.

`cohort` is the table of :func:`brainseg.cohort.index_cohort`, which knows its folder. A training that was done is not
repeated, so an interrupted experiment goes on where it was stopped. Nor has a training whose scores are kept to be
repeated: tables in which every row is of one training can grow, on this machine or on the next.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, get_args, get_origin, get_type_hints

import pandas as pd
from tqdm import tqdm

from brainseg.chapters import of_type
from brainseg.cohort import index_cohort
from brainseg.data import get_cohort
from brainseg.evaluation.masks import Masks, save_masks
from brainseg.experiments import EXPERIMENTS, KEPT
from brainseg.experiments.plan import Training, to_do, workload
from brainseg.experiments.reference import participants
from brainseg.images.prepared import Prepared
from brainseg.networks.recipe import Recipe
from brainseg.networks.record import (
    RECORD,
    locked_patients,
    reference_digests,
    reference_patients,
    shares_reference_patients,
)
from brainseg.paths import BusyError
from brainseg.provenance import origin
from brainseg.results import changing, has_tables, log_test, read_record, read_tables, results_folder, write_tables

if TYPE_CHECKING:
    from brainseg.experiments.cluster import Cluster
    from brainseg.networks.runs import Run


class Tables(NamedTuple):
    """The tables of an experiment by name, what produced them, and whether they were read instead of computed."""

    tables: dict[str, pd.DataFrame]
    record: dict
    read: bool


class Unit(NamedTuple):
    """One training, as the processes that share the work see it.

    Attributes
    ----------
    recipe : Recipe
    split : Series
        As in :class:`brainseg.experiments.plan.Training`.
    folder : Path
        Where its run lies, beside the one that it starts from.
    prepare : callable
        Gives the arrays.
    """

    recipe: Recipe
    split: pd.Series
    folder: Path
    prepare: Callable[[], Prepared]

    @property
    def steps(self) -> int:
        """From its first epoch to its last."""
        return self.recipe.all_steps(int((self.split == "train").sum()))


def train_plan(plan: Iterable[Training], cohort: pd.DataFrame, cluster: Cluster | None = None) -> None:
    """Train what a plan lacks, with one bar over all steps; calls at once share the work, as :func:`share` says.

    Parameters
    ----------
    plan : iterable of Training
    cohort : DataFrame
        From :func:`brainseg.cohort.index_cohort`.
    cluster : Cluster, optional
        Where the trainings run; in this process without one.
    """
    missing = to_do(plan, cohort)
    if not missing:
        return
    with tqdm(total=sum(training.steps for training in missing), unit="step", mininterval=1, desc="training") as bar:
        if cluster is not None:
            cluster.train(missing, cohort, bar)
            return
        root = cohort.attrs["root"]
        units = [Unit(t.recipe, t.split, t.folder(cohort), functools.partial(t.prepare, root)) for t in missing]
        share(units, bar)


def share(units: Sequence[Unit], bar: tqdm) -> None:
    """Train networks, each once, whatever other processes that call this do meanwhile.

    A process takes what nobody holds and whose start is there. Where that is nothing, it waits for the first training
    that is left, and looks again: what starts from that one can be taken now.

    Parameters
    ----------
    units : sequence of Unit
        One that starts from the weights of another comes after it.
    bar : tqdm
        It counts the steps of all, whoever takes them.
    """
    left = list(units)
    while left:
        held = [unit for unit in left if not _take(unit, bar, wait=False)]
        if len(held) == len(left):
            _take(held.pop(0), bar, wait=True)
        left = held


def _take(unit: Unit, bar: tqdm, wait: bool) -> bool:
    """Train one network; False where another process is at it, or at the one that it starts from, and nobody waits."""
    before = bar.n
    if not (unit.folder / RECORD).is_file():
        from brainseg.networks.runs import train_or_load

        start = unit.recipe.start
        if start and not wait and not (unit.folder.parent / start / RECORD).is_file():
            return False
        try:
            train_or_load(unit.recipe, unit.prepare(), unit.split, wait=wait, bar=bar)
        except BusyError:
            return False
    bar.update(before + unit.steps - bar.n)  # where another process trained it
    return True


def load_plan(plan: Iterable[Training], cohort: pd.DataFrame) -> Iterator[tuple[Training, Run]]:
    """Each training of a plan with its run, in the plan's order; one at a time, so that one is in memory."""
    from brainseg.networks.runs import train_or_load

    for training in plan:
        prepared = training.prepare(cohort.attrs["root"])
        yield training, train_or_load(training.recipe, prepared, training.split)


def compute(
    experiment: ModuleType, cohort: pd.DataFrame, settings, cluster: Cluster | None = None
) -> tuple[dict[str, pd.DataFrame], dict]:
    """Train what an experiment needs and is not there, and score it.

    Returns
    -------
    tables : dict of DataFrame
        What the experiment's ``score`` gives, without its masks.
    record : dict
        ``settings``; ``runs``, for each its labels, the name of its folder (``run``), the digest of its weights,
        patients of each side and :meth:`brainseg.networks.record.RunRecord.summary`; ``networks``, the digests of the
        reference runs that the tables stand beside; `brainseg.provenance.origin`. Runs whose rows were taken from kept
        tables have a ``commit`` of their own.
    """
    tables, _, record = _carry_out(experiment.plan(cohort, settings), experiment, cohort, settings, cluster)
    return tables, record


def _carry_out(
    plan: list[Training], experiment: ModuleType, cohort: pd.DataFrame, settings, cluster: Cluster | None
) -> tuple[dict[str, pd.DataFrame], dict[str, Masks], dict]:
    """The rest of :func:`compute`, once the plan is made: tables, masks and record."""
    train_plan(plan, cohort, cluster)
    runs = []

    def noted() -> Iterator[tuple[Training, Run]]:
        for training, run in load_plan(plan, cohort):
            # Of the training's own cohort, which may be a phantom.
            patients = run.prepared.table["patient"].groupby(training.split.to_numpy()).nunique()
            sides = {part: int(patients.get(part, 0)) for part in ("train", "validation", "test")}
            known = {**training.labels, "run": run.record.folder.name, "weights": run.record.digest()}
            runs.append({**known, "patients": sides, **run.record.summary()})
            yield training, run

    scored = experiment.score(cohort, settings, noted())
    masks = {name: each for name, each in scored.items() if isinstance(each, Masks)}
    tables = {name: each for name, each in scored.items() if name not in masks}
    record = {
        "settings": asdict(settings),
        "runs": runs,
        "networks": reference_digests(),
        **origin(participants(cohort)),
    }
    return tables, masks, record


def get_tables(name: str, cohort: pd.DataFrame, settings: Mapping | None = None, recompute: bool = False) -> Tables:
    """The tables of an experiment that may speak for a cohort: read where they are there, computed otherwise.

    Kept tables speak for the cohort that they were made of. Those of the reference runs' patients speak also for a
    cohort that has some of these: a part of the data set, or all of it. Anybody else's patients get results of their
    own.

    Parameters
    ----------
    name : str
        A name of :data:`brainseg.experiments.EXPERIMENTS`.
    cohort : DataFrame
        From :func:`brainseg.cohort.index_cohort`.
    settings : mapping, optional
        What is computed, if anything is, with settings other than the experiment's own.
    recompute : bool
        Compute them in any case.
    """
    if not recompute and has_tables(name):
        record, tables = read_record(name), read_tables(name)
        same = record["cohort"]["fingerprint"] == cohort.attrs["fingerprint"]
        if same or (shares_reference_patients(cohort) and _of_reference_patients(tables)):
            return Tables(tables, record, read=True)
    experiment = _module(name)
    return Tables(*compute(experiment, cohort, _settings(name, experiment, settings or {})), read=False)


class Kept(NamedTuple):
    """What the kept tables have of a plan's trainings.

    Attributes
    ----------
    tables : dict of DataFrame
        Their rows.
    runs : list of dict
        Their part of the record, each with the ``commit`` by which it was scored.
    replaced : int
        Trainings of the kept tables that are others today: of older code, or of another recipe.
    """

    tables: dict[str, pd.DataFrame]
    runs: list[dict]
    replaced: int


class Planned(NamedTuple):
    """What an experiment needs, trained or not, of which cohort and with which settings.

    Attributes
    ----------
    plan : list of Training
        Those that are to be scored.
    kept : Kept, optional
        What is added to, where something is.
    cohort : DataFrame
    settings : object
    """

    plan: list[Training]
    kept: Kept | None
    cohort: pd.DataFrame
    settings: Any

    def sentence(self) -> str:
        """What there is to do, and what is kept."""
        if self.kept is None:
            return workload(self.plan, self.cohort).sentence()
        said = f"{len(self.kept.runs)} trainings have their rows in the kept tables. "
        if self.kept.replaced:
            said += f"The rows of {self.kept.replaced} are of older code or another recipe, and are replaced. "
        return said + (workload(self.plan, self.cohort).sentence() if self.plan else "Nothing is left to add.")


def plan_experiment(name: str, data: str | Path, settings: Mapping | None = None, add: bool = False) -> Planned:
    """Plan an experiment; parameters and errors as :func:`run_experiment`."""
    experiment = _module(name)
    chosen = _settings(name, experiment, settings or {})
    cohort = index_cohort(get_cohort(data))
    locked = locked_patients(cohort["patient"])
    if locked and not shares_reference_patients(cohort):
        raise ValueError(
            f"{min(locked)} in {cohort.attrs['root']} is a patient of the locked test, which only `python -m brainseg "
            "locked-test` scores. Name the folder of the others, or of the whole data set."
        )
    planned = Planned(experiment.plan(cohort, chosen), None, cohort, chosen)
    return _without_the_kept(name, planned) if add else planned


def run_experiment(
    name: str,
    data: str | Path,
    settings: Mapping | None = None,
    cluster: Cluster | None = None,
    add: bool = False,
) -> Path:
    """Compute an experiment and keep its tables.

    Parameters
    ----------
    name : str
        A name of :data:`brainseg.experiments.EXPERIMENTS` or :data:`brainseg.experiments.KEPT`.
    data : str or path
        As :func:`brainseg.data.get_cohort`.
    settings : mapping, optional
        Fields of the experiment's ``Settings`` that differ from the defaults.
    cluster : Cluster, optional
        Where the trainings run; in this process without one.
    add : bool
        Take the rows of trainings that the kept tables have, and train and score the others alone. Their weights need
        not be here.

    Returns
    -------
    Path
        The folder of the tables, ``results/NAME``.

    Raises
    ------
    ValueError
        For a name or a setting that is not known; the message lists those that are. For a value of another type, one
        value where a list belongs, and a list that is empty or names one twice. For patients of the locked test alone,
        and where results of the reference runs' patients would be replaced by those of others, or results of real
        patients by synthetic ones. With `add` also for tables that cannot grow, and kept ones that are of other
        slices or settings, beside networks that have been replaced since, or of trainings that are not named.
    """
    planned = plan_experiment(name, data, settings, add)
    plan, kept, cohort, chosen = planned
    _refuse_to_replace(name, cohort)
    print(planned.sentence())
    if kept is not None and not plan:
        return results_folder(name)
    if name in KEPT:
        train_plan(plan, cohort, cluster)
        return _module(name).keep_runs(cohort, chosen, load_plan(plan, cohort))
    tables, masks, record = _carry_out(plan, _module(name), cohort, chosen, cluster)
    whole = _beside_the_kept(kept, tables, record) if kept else (tables, record)
    _write_masks(results_folder(name), masks)
    folder = write_tables(name, *whole)
    if shares_reference_patients(cohort):
        # Another table may hold the whole cohort, as the design of an experiment does.
        scored = tables.get("patients", next(table for table in tables.values() if "patient" in table))
        log_test(
            run=f"experiment {name}",
            patients=scored["patient"].nunique(),
            commit=record["commit"],
            why="test patients scored by networks of the experiment",
        )
    return folder


def _write_masks(folder: Path, masks: Mapping[str, Masks]) -> None:
    """Replace the masks of a study. It has no record meanwhile, so no table is read beside masks of other networks."""
    with changing(folder.name):
        (folder / "record.json").unlink(missing_ok=True)
        for path in folder.glob("masks/*.npz"):
            path.unlink()
        for name, packed in masks.items():
            save_masks(folder / "masks" / f"{name}.npz", packed)


def _without_the_kept(name: str, planned: Planned) -> Planned:
    """The plan without the trainings whose rows are kept, and these rows; errors as :func:`run_experiment`."""
    plan, _, cohort, settings = planned
    if name in KEPT or not plan:
        raise ValueError(f"the tables of {name} are made as a whole: leave --add out")
    if not has_tables(name):
        return planned
    record, tables, labels = read_record(name), read_tables(name), list(plan[0].labels)
    if any(list(t.labels) != labels for t in plan) or any(not set(labels) <= set(table) for table in tables.values()):
        raise ValueError(f"the tables of {name} have rows of several trainings together: leave --add out")
    if record["cohort"]["fingerprint"] != cohort.attrs["fingerprint"]:
        raise ValueError(f"results/{name} was made of other slices than {cohort.attrs['root']} has: leave --add out")
    if not record["networks"].items() <= reference_digests().items():
        raise ValueError(f"results/{name} stands beside networks that have been replaced since: leave --add out")
    for key, value in asdict(settings).items():
        if not isinstance(value, tuple) and (then := record["settings"].get(key)) != value:
            raise ValueError(f"results/{name} was made with {key}={then}, and not {value}: leave --add out")

    def known(named: Mapping) -> tuple[str, ...]:
        return tuple(str(named[label]) for label in labels)

    runs = {known(run): run for run in record["runs"]}
    named = {known(training.labels): training.folder(cohort).name for training in plan}
    if strangers := [values for values in runs if values not in named]:
        told = ", ".join(f"{label} {value}" for label, value in zip(labels, strangers[0], strict=True))
        raise ValueError(
            f"results/{name} has a training that these settings do not name ({told}): name it too, or leave --add out"
        )
    # Before the record named runs there was nothing to know them by.
    same = {values for values, run in runs.items() if run.get("run") == named[values]}
    rows = {
        each: table[[values in same for values in table[labels].astype(str).itertuples(index=False, name=None)]]
        for each, table in tables.items()
    }
    kept = [{"commit": record["commit"], **run} for values, run in runs.items() if values in same]
    missing = [training for training in plan if known(training.labels) not in same]
    return Planned(missing, Kept(rows, kept, len(runs) - len(same)), cohort, settings)


def _beside_the_kept(kept: Kept, tables: dict[str, pd.DataFrame], record: dict) -> tuple[dict[str, pd.DataFrame], dict]:
    """New tables and their record after the kept rows and runs; the record's own origin is that of the new ones.

    Raises
    ------
    ValueError
        Where today's tables have other columns.
    """
    if not kept.runs:
        return tables, record
    if {name: list(table) for name, table in kept.tables.items()} != {name: list(t) for name, t in tables.items()}:
        raise ValueError("the kept tables have other columns than today's, so nothing can be added: leave --add out")
    grown = {name: pd.concat([kept.tables[name], table], ignore_index=True) for name, table in tables.items()}
    return grown, {**record, "runs": kept.runs + record["runs"]}


def _of_reference_patients(tables: Mapping[str, pd.DataFrame]) -> bool:
    """Whether tables name a patient whom the reference runs know."""
    known = reference_patients()
    return any(table["patient"].isin(known).any() for table in tables.values() if "patient" in table)


def _refuse_to_replace(name: str, cohort: pd.DataFrame) -> None:
    """Keep what is kept of other patients, where these may not take their place."""
    if not has_tables(name) or shares_reference_patients(cohort):
        return
    by_synthetic = cohort["synthetic"].any() and not read_record(name)["cohort"]["synthetic"]
    if by_synthetic or _of_reference_patients(read_tables(name)):
        raise ValueError(
            f"results/{name} holds results of real patients, and {cohort.attrs['root']} has none of them. Move that "
            "folder away first."
        )


def _module(name: str) -> ModuleType:
    modules = EXPERIMENTS | KEPT
    if name not in modules:
        raise ValueError(f"unknown experiment {name!r}: choose one of {', '.join(modules)}")
    return import_module(modules[name])


def _settings(name: str, experiment: ModuleType, given: Mapping):
    """The experiment's settings with the given values, which must have the types that its fields state."""
    kinds = get_type_hints(experiment.Settings)
    if unknown := given.keys() - kinds.keys():
        raise ValueError(f"{name} has no setting {', '.join(sorted(unknown))}: choose from {', '.join(kinds)}")
    may_be_empty = {field.name for field in fields(experiment.Settings) if field.metadata.get("may_be_empty")}
    values = {}
    for key, value in given.items():
        if get_origin(kinds[key]) is not tuple:
            values[key] = of_type(value, kinds[key], key)
            continue
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"{key} is a list, as in -p {key}=[{value}], and not {value!r}")
        listed = tuple(of_type(each, get_args(kinds[key])[0], key) for each in value)
        if not listed and key not in may_be_empty:
            raise ValueError(f"{key} is empty: name at least one, or leave -p {key} out")
        if len(set(listed)) < len(listed):
            raise ValueError(f"{key} names one twice: {', '.join(map(str, listed))}")
        values[key] = listed
    return experiment.Settings(**values)
