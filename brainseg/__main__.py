"""The command line: ``python -m brainseg COMMAND``. Most targets of the Makefile are such calls.

The modules that do the work are imported inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from brainseg.experiments import EXPERIMENTS, KEPT
from brainseg.paths import provide_home, refuse_misspelt

DATA_HELP = (
    '"phantom": the embedded synthetic cohort, made when absent ("phantom:4": one of four patients, "phantom:4:1": '
    "with seed 1); "
    '"kaggle": the real one, downloaded when absent; or a folder in Kaggle\'s layout'
)

# What the build folder holds. BRAINSEG_BUILD may name any folder, so nothing else in it is ever removed.
BOOK = ("executed", "src", "html", "site", "student", "examples", "book.log")
DATA = ("cohorts", "prepared", "crops", "runs", "arrays", "home")


def data(arguments: argparse.Namespace) -> None:
    """Find a cohort, download it where it is absent, check every file, and print what it holds."""
    from brainseg.cohort import index_cohort
    from brainseg.data import get_cohort

    root = get_cohort(arguments.data)
    table = index_cohort(root)
    print(
        f"{table['patient'].nunique()} patients, {len(table)} slices, {(table['tumour_px'] > 0).sum()} with tumour\n"
        f"in {root}\nThe same folder for the book: python -m brainseg book --data {arguments.data}"
    )


def phantom(arguments: argparse.Namespace) -> None:
    """Write a synthetic cohort to a folder of your choice, with its data card. Nobody's images, free to use.

    An interrupted call goes on where it was. A cohort that is there is left alone, so --truth is refused where it was
    made without.
    """
    from brainseg.data import refuse_many
    from brainseg.phantom import make_phantom

    refuse_many(arguments.patients)
    root = make_phantom(arguments.folder, arguments.patients, arguments.seed, arguments.workers, arguments.truth)
    if arguments.truth and not all((root / name).is_dir() for name in ("__tissue", "__bias")):
        raise FileExistsError(f"{root} holds this cohort without its truth: remove it or choose another folder")
    print(root)


def prepare(arguments: argparse.Namespace) -> None:
    """Write a cohort's enhanced and cropped images with their masks as TIFFs, as the article does."""
    from brainseg.data import get_cohort
    from brainseg.images.export import save_crops

    root = get_cohort(arguments.data)
    print(save_crops(root, arguments.folder, arguments.contrast, arguments.crop, arguments.margin_px))


def book(arguments: argparse.Namespace) -> None:
    """Execute the notebooks that changed, build the book, and print where it is and its short table of results."""
    from brainseg.publishing import make_book

    page, results = make_book(arguments.profile, _parameters(arguments), train=arguments.train)
    if results:
        print(f"\n{results}\n")
    print(f"The book: {page}")


def notebook(arguments: argparse.Namespace) -> None:
    """Execute one notebook and print where the executed copy is."""
    from brainseg.publishing import make_notebook

    print(make_notebook(arguments.name, arguments.profile, _parameters(arguments), train=arguments.train))


def predict(arguments: argparse.Namespace) -> None:
    """Segment slices or volumes with trained runs: masks, overlays and tables. Not for clinical use."""
    from brainseg.cohort.examinations import Wanted
    from brainseg.evaluation.folder import predict_folder
    from brainseg.networks import require_keras

    require_keras()
    table, patients = predict_folder(
        arguments.slices, arguments.out, arguments.run, arguments.threshold, truth=arguments.truth,
        wanted=Wanted(arguments.flair, arguments.pre, arguments.post),
    )  # fmt: skip
    print(f"{len(table)} slices, tumour seen on {(table['predicted_px'] > 0).sum()}, written to {arguments.out}")
    if arguments.truth:
        print(f"Dice of a patient's volume: {patients['dice'].mean():.3f}, the mean of {patients['dice'].count()}")
    for patient, said in patients.loc[patients["warning"] != "", ["patient", "warning"]].to_numpy():
        print(f"do not trust {patient}: {said}")
    print("For research and teaching only. Not for clinical use.")
    seen = patients["seen_in_training"]
    if met := seen.fillna(False).sum():
        print(f"warning: the run was trained or chosen on {met} of these patients (column seen_in_training)")
    if untold := seen.isna().sum():
        print(
            f"warning: {untold} of these patients have no name such as TCGA_CS_4941_19960909, so it cannot be told "
            "whether the run was trained on them"
        )


def export_onnx(arguments: argparse.Namespace) -> None:
    """Write networks as ONNX files, for programs without Keras. The metadata says how slices are prepared for them."""
    from brainseg.networks.record import RunRecord, reference_runs
    from brainseg.publishing.onnx_export import export_onnx as export

    records = [RunRecord.read(run) for run in arguments.run or []] or reference_runs(with_weights=True)
    for record in records:
        print(f"written: {export(record, arguments.folder / f'{record.name}.onnx')}")


def experiment(arguments: argparse.Namespace) -> None:
    """Compute the tables of an experiment and keep them in results/. Trainings that were done are not repeated.

    The experiment "reference" trains runs of the reference edition, keeps them in results/reference/ and scores them on
    their test side. A run that is kept with its weights is left alone.
    """
    from brainseg.experiments.cluster import get_cluster
    from brainseg.experiments.engine import plan_experiment, run_experiment
    from brainseg.networks import require_keras

    settings = _settings(arguments.parameters)
    if arguments.dry_run:
        print(plan_experiment(arguments.name, arguments.data, settings, arguments.add).sentence())
        return
    require_keras()
    with get_cluster(arguments.scheduler, arguments.workers, arguments.storage) as cluster:
        folder = run_experiment(arguments.name, arguments.data, settings, cluster, arguments.add)
    print(f"tables: {folder}")


def bundle(arguments: argparse.Namespace) -> None:
    """Pack the trainings of an experiment for a machine with a GPU and without network: arrays, plan and package.

    There: cat bundle.tar.gz.* | tar xz; python train.py. Then bring the folder runs back, for unbundle.
    """
    from brainseg.experiments.bundle import pack
    from brainseg.experiments.engine import plan_experiment

    planned = plan_experiment(arguments.name, arguments.data, _settings(arguments.parameters), arguments.add)
    for part in pack(planned.plan, planned.cohort, arguments.out):
        print(f"written: {part} ({part.stat().st_size / 2**20:.0f} MiB)")


def unbundle(arguments: argparse.Namespace) -> None:
    """Take the runs of a trained bundle into the build folder, where the experiment finds them."""
    from brainseg.experiments.bundle import unpack

    taken = unpack(arguments.place)
    nothing = "nothing new: all of these runs are here already, or are being trained here"
    print("\n".join(f"taken: {name}" for name in taken) or nothing)


def reproduce(arguments: argparse.Namespace) -> None:
    """Score kept weights and masks on their patients again, and compare with the kept tables; fails on a difference."""
    from brainseg.networks import require_keras

    require_keras()
    from brainseg.experiments.reference import TOLERANCE
    from brainseg.experiments.reproduce import reproduce

    table = reproduce(arguments.data)
    differing = table[~table["same"]]
    if len(differing):
        print(differing.to_string(index=False))
    print(
        f"{len(table)} scores of test patients computed again, {len(differing)} of them further than {TOLERANCE} "
        f"from the kept ones; the largest difference is {table['difference'].abs().max():.4f}"
    )
    if len(differing):
        sys.exit(1)


def locked_test(arguments: argparse.Namespace) -> None:
    """Score the locked patients with all kept networks, once: the table goes to results/locked/, the look to the log.

    A second call is refused. So is one after a call that was interrupted, until the log says that no score was seen.
    """
    from brainseg.experiments.locked import run_locked_test, sentences

    print(f"written: {run_locked_test(arguments.data)}\n{sentences()}")


def readme(arguments: argparse.Namespace) -> None:
    """Keep an edition's results in results/ and write all kept results into the README."""
    from brainseg.publishing import make_readme

    print(f"written: {make_readme(arguments.profile, _parameters(arguments))} and README.md")


def pdf(arguments: argparse.Namespace) -> None:
    """Print the built book into one PDF, by a Chromium on this machine, and link it from the book's first page."""
    from brainseg.publishing import make_pdf

    path, pages = make_pdf()
    print(f"The book on {pages} pages: {path}")


def pair(arguments: argparse.Namespace) -> None:
    """Write the paired .ipynb files from their .py sources.

    With --check say which differ from them; with --take write what was edited in an .ipynb into its source first.
    """
    from brainseg.publishing import pair as pair_notebooks
    from brainseg.publishing import study_root
    from brainseg.publishing.notebooks import take, unpaired

    if arguments.take:
        print(f"written: {take(study_root() / 'notebooks', arguments.take).name}")
    if arguments.check:
        if problems := unpaired(study_root() / "notebooks"):
            sys.exit("\n".join([*problems, "Run: python -m brainseg pair"]))
        return
    for path in pair_notebooks(study_root() / "notebooks"):
        print(f"written: {path.name}")


def student(arguments: argparse.Namespace) -> None:
    """Write the student edition: the notebooks without their solutions, with stubs and checks, and one zip of them."""
    from brainseg.publishing import make_student

    print(f"written: {make_student(arguments.folder)}, and its notebooks beside it")


def clean(arguments: argparse.Namespace) -> None:
    """Remove the executed notebooks and the book; with --all also cohorts, prepared arrays and weights.

    Only what this project writes into its build folder is removed.
    """
    import shutil

    from brainseg.paths import build_folder

    build = build_folder()
    for name in [*BOOK, *(DATA if arguments.all else ())]:
        part = build / name
        if part.is_dir():
            shutil.rmtree(part)
        elif part.is_file():
            part.unlink()
        else:
            continue
        print(f"removed: {part}")
    if arguments.all and build.is_dir() and not any(build.iterdir()):
        build.rmdir()


def test(arguments: argparse.Namespace) -> None:
    """Run the tests, two files at a time. What follows goes to pytest, as in: test -k crop, or test -n 0.

    Those marked "rest", which CONTRIBUTING.md lists, are left out; they run by: test -m rest.
    """
    import pytest

    from brainseg.publishing import study_root

    # A file's tests share what is dear to make, such as a training, so a file stays with one worker. The order is that
    # of tests/conftest.py: the file that makes the book first, for both workers.
    workers = ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]
    chosen = [*workers, "-m", "not rest", *arguments.options]  # of several -m, the last one counts
    sys.exit(pytest.main(["--rootdir", str(study_root()), str(study_root() / "tests"), *chosen]))


def _place(text: str) -> Path:
    """A path as it was typed. A shell leaves ~ as it stands in quotes, and behind a sign such as =."""
    return Path(os.path.expanduser(text))


def _parameters(arguments: argparse.Namespace) -> dict:
    """The overrides of a notebook's parameters: --data, and each -p."""
    return ({"data": arguments.data} if arguments.data else {}) | _settings(arguments.parameters)


def _settings(pairs: list[str]) -> dict:
    """Each -p NAME=VALUE, its value read as YAML."""
    import yaml

    settings = {}
    for pair_ in pairs:
        name, equals, value = pair_.partition("=")
        if not equals:
            raise ValueError(f"-p takes NAME=VALUE, as in -p epochs=10, and not {pair_!r}.")
        try:
            settings[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ValueError(
                f"-p {pair_} cannot be read: {getattr(error, 'problem', error)}. A list is written as in "
                '-p folds=[0,1], and in quotes where it has spaces, as in -p "others=[wide ranges]".'
            ) from None
    return settings


def _commands() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m brainseg",
        description="Brain-tumour segmentation from MRI slices: a reproducible study. Not for clinical use.",
        epilog="python -m brainseg COMMAND --help explains a command.",
    )
    parser.add_argument("--traceback", action="store_true", help="show the whole traceback of an error")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(command, summary):
        added = commands.add_parser(
            command.__name__.replace("_", "-"),
            help=summary,
            description=command.__doc__,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        added.set_defaults(command=command)
        return added

    of_data = add(data, "get a cohort, check it, and count it")
    of_data.add_argument("data", nargs="?", default="kaggle", help=DATA_HELP)

    of_phantom = add(phantom, "write a synthetic cohort to a folder")
    of_phantom.add_argument("folder", type=_place, help="the folder to make")
    of_phantom.add_argument("--patients", type=int, default=24, help="how many")
    of_phantom.add_argument("--seed", type=int, default=0, help="the same seed gives the same files")
    of_phantom.add_argument("--truth", action="store_true", help="write tissue labels and bias fields too")
    of_phantom.add_argument("--workers", type=int, help="processes; by default one a processor core")

    of_prepare = add(prepare, "write cropped images and masks to a folder")
    of_prepare.add_argument("folder", type=_place, help="the folder to make")
    of_prepare.add_argument("--data", default="phantom", help=DATA_HELP)
    contrasts, crops = ("none", "he", "clahe"), ("none", "slice", "patient")
    of_prepare.add_argument("--contrast", choices=contrasts, default="clahe", help="applied to each channel")
    of_prepare.add_argument(
        "--crop", choices=crops, default="slice", help="a box per slice, as in the article, or per patient"
    )
    of_prepare.add_argument("--margin-px", type=int, default=0, help="pixels added on each side of the box")

    for command, summary in (
        (book, "execute the notebooks and build the book"),
        (notebook, "execute one notebook"),
        (readme, "keep an edition's results and write them into the README"),
    ):
        of_study = add(command, summary)
        if command is notebook:
            of_study.add_argument("name", help="its name, such as 06_train_unet, or its number")
        of_study.add_argument("--data", help=DATA_HELP + "; by default as the profile says")
        of_study.add_argument(
            "--profile",
            help="a file of notebooks/profiles: smoke, lesson, quick or reference; by default quick, and reference on "
            "TCGA-LGG",
        )
        if command is not readme:
            of_study.add_argument(
                "--train", action="store_true", help="with profile reference: train networks that are no reference runs"
            )
        of_study.add_argument(
            "-p", dest="parameters", metavar="NAME=VALUE", action="append", default=[],
            help="a parameter of the notebooks that goes before the profile's; may be repeated",
        )  # fmt: skip

    of_experiment = add(experiment, "compute the tables of an experiment")
    of_bundle = add(bundle, "pack an experiment's trainings for another machine")
    for of_plan in (of_experiment, of_bundle):
        names = ", ".join(EXPERIMENTS | KEPT)
        of_plan.add_argument("name", help=f"one of {names}; variants wants its -p: see book/reproduce.md")
        of_plan.add_argument("--data", default="kaggle", help=DATA_HELP)
        of_plan.add_argument(
            "-p", dest="parameters", metavar="NAME=VALUE", action="append", default=[],
            help="a setting of the experiment, as in -p epochs=5; may be repeated",
        )  # fmt: skip
        of_plan.add_argument(
            "--add",
            action="store_true",
            help="take the rows that results/ has of these trainings; train and score the others",
        )
    of_experiment.add_argument(
        "--dry-run", action="store_true", help="say what would be trained, and how long it takes"
    )
    where = of_experiment.add_mutually_exclusive_group()
    where.add_argument("--workers", type=int, default=0, help="train in so many processes of this machine, by Dask")
    where.add_argument("--scheduler", metavar="ADDRESS", help="train on the workers of this Dask scheduler")
    of_experiment.add_argument(
        "--storage",
        metavar="ADDRESS",
        help="for workers that do not see this machine's folders: where arrays and runs pass between them, a folder or "
        "an address of fsspec such as s3://bucket/study",
    )
    of_bundle.add_argument("out", type=_place, help="the folder to make, for parts of at most 60 MiB")
    of_unbundle = add(unbundle, "take a trained bundle's runs back")
    of_unbundle.add_argument("place", type=_place, help="the folder in which train.py was run")

    of_reproduce = add(reproduce, "score the kept networks again and compare")
    of_reproduce.add_argument("--data", default="kaggle", help=DATA_HELP)

    of_locked = add(locked_test, "score the locked patients, once")
    of_locked.add_argument("data", help="the folder of the locked patients, or of the whole data set")

    of_predict = add(predict, "segment slices or volumes with trained runs")
    of_predict.add_argument(
        "slices",
        type=_place,
        help="a file or folder: slices as the data set has them, PNG or JPEG, NIfTI, DICOM series",
    )
    of_predict.add_argument("out", type=_place, help="the folder for masks, overlays and tables")
    of_predict.add_argument(
        "--run",
        type=_place,
        nargs="+",
        default=[],
        help="folders of runs, whose mean counts; by default the reference U-Nets that have not met the patient",
    )
    of_predict.add_argument(
        "--truth", action="store_true", help="score against the masks beside the slices; not of locked patients"
    )
    for sequence in ("flair", "pre", "post"):
        of_predict.add_argument(
            f"--{sequence}",
            default="",
            help=f"part of the name of volumes that are {sequence}",
        )
    of_predict.add_argument("--threshold", type=float, default=0.5, help="probability from which a pixel is tumour")

    of_export = add(export_onnx, "write networks as ONNX files, for programs without Keras")
    of_export.add_argument("folder", type=_place, help="where to write, a file a network")
    of_export.add_argument(
        "--run",
        type=_place,
        nargs="+",
        help="folders of runs; by default those that results/reference/ keeps weights of",
    )

    add(pdf, "print the built book into one PDF")
    of_pair = add(pair, "write the .ipynb files from their sources").add_mutually_exclusive_group()
    of_pair.add_argument(
        "--check", action="store_true", help="write nothing; fail where a pair is missing, differs or holds outputs"
    )
    of_pair.add_argument(
        "--take", metavar="NAME", help="a notebook, such as 01_explore, whose edited .ipynb is taken over"
    )
    of_student = add(student, "write the notebooks without their solutions")
    of_student.add_argument("folder", nargs="?", type=_place, help="where to write; _build/student by default")
    of_clean = add(clean, "remove what was generated")
    of_clean.add_argument("--all", action="store_true", help="cohorts, prepared arrays and weights too")
    add(test, "run the tests")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Read the command line and call its command; an error is one sentence, and the exit status 1."""
    parser = _commands()
    given = sys.argv[1:] if argv is None else argv
    arguments, arguments_left = parser.parse_known_args(given)
    if arguments.command is test:
        arguments.options = arguments_left  # they belong to pytest
    elif arguments_left:
        parser.error(f"unrecognized arguments: {' '.join(arguments_left)}")
    elif any(not word.strip() or (word.startswith("--") and word.endswith("=")) for word in given):
        # It would pass for an option that was left out, or for the folder where the call is made.
        parser.error("an argument is empty, as where a variable of the shell was not set")
    for stream in (sys.stdout, sys.stderr):  # a console that knows no ü shows \\xfc, and the work is not lost
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        refuse_misspelt()
        provide_home()
        arguments.command(arguments)
    except KeyboardInterrupt:
        sys.exit("stopped")
    except Exception as error:
        if arguments.traceback:
            raise
        sys.exit(f"error: {_sentence(error)}")


def _sentence(error: Exception) -> str:
    """What the package raises on wrong input says what to do; of the rest, the kind, and how to see more."""
    from brainseg.paths import way_out

    if isinstance(error, OSError):
        named = error.strerror or str(error)
        if error.filename and str(error.filename) not in named:
            named = f"{named}: {error.filename}."
        return f"{named} {way_out(error)}".rstrip()
    if isinstance(error, ImportError):
        return f"{error}. Install what is missing: python -m pip install -e '.[networks,book]'"
    if isinstance(error, ValueError):
        return str(error)
    return (
        f"{type(error).__name__}: {error}. This was not foreseen: --traceback before the command shows where it arose."
    )


if __name__ == "__main__":
    main()
