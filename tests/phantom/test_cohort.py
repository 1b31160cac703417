"""The synthetic cohort: layout, determinism, contrasts, and that it is whole or absent."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import tifffile

from brainseg.__main__ import main
from brainseg.cohort import FLAIR, POST, PRE, index_cohort
from brainseg.data import prepare_phantom
from brainseg.images.prepared import prepare
from brainseg.images.preprocess import Preprocessing
from brainseg.phantom import make_phantom
from brainseg.phantom.anatomy import load_head
from brainseg.phantom.plan import CLINICAL_COLUMNS, GROWTH_BY_CLUSTER, plan_cohort
from brainseg.phantom.scanner import Pose, slice_grid
from brainseg.phantom.sequences import TISSUES, Signals, Tissues
from brainseg.phantom.tumour import VISIBLE_DENSITY, annotate, grow

RESUMED = """
import sys
from pathlib import Path
from brainseg.phantom import cohort, make_phantom

root, write, drawn = Path(sys.argv[1]), cohort._write_patient, []

def write_and_note(folder, plan, head, truth):
    if stop and len(drawn) == 2:
        raise KeyboardInterrupt
    write(folder, plan, head, truth)
    drawn.append(plan.name)

cohort._write_patient = write_and_note
for stop in (True, False):
    try:
        make_phantom(root, patients=4, seed=0, workers=1, truth=True)
    except KeyboardInterrupt:
        assert stop and not root.exists()
        print("interrupted")
print(*drawn)
"""


@pytest.fixture(scope="module")
def resumed(tmp_path_factory):
    """The phantom once more, with its truth, and what was said of it: interrupted after two patients, then finished.

    It is drawn on another processor: without the newer instructions of this one, by which NumPy and its linear algebra
    choose their code.
    """
    root = tmp_path_factory.mktemp("resumed") / "phantom"
    simd = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    older = {"NPY_DISABLE_CPU_FEATURES": " ".join(simd), "OPENBLAS_CORETYPE": "Prescott"}
    call = [sys.executable, "-c", RESUMED, str(root)]
    done = subprocess.run(call, env={**os.environ, **older}, check=True, capture_output=True, text=True)
    return root, done.stdout.split()


def patient_folders(root):
    return sorted(folder for folder in root.iterdir() if folder.is_dir())


def contents(root):
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def read(folder):
    count = len(list(folder.glob("*_mask.tif")))
    names = [folder / f"{folder.name}_{number}" for number in range(1, count + 1)]
    images = np.stack([tifffile.imread(f"{name}.tif") for name in names])
    return images, np.stack([tifffile.imread(f"{name}_mask.tif") for name in names])


@pytest.mark.slow
def test_layout_is_kaggles(phantom):
    folders = patient_folders(phantom)
    assert len(folders) == 4
    for folder in folders:
        fields = folder.name.split("_")
        assert fields[0] == "PHANTOM" and len(fields) == 4
        assert len(fields[1]) == 2 and fields[2].isdigit() and len(fields[3]) == 8
        images, masks = read(folder)
        assert images.shape == (len(images), 256, 256, 3) and images.dtype == np.uint8
        assert masks.shape == (len(images), 256, 256) and masks.dtype == np.uint8
        assert set(np.unique(masks)) == {0, 255}
        assert 20 <= len(images) <= 40
        assert len(list(folder.iterdir())) == 2 * len(images)


@pytest.mark.slow
def test_clinical_table_has_kaggles_columns_and_every_case(phantom):
    table = pd.read_csv(phantom / "data.csv")
    assert tuple(table.columns) == CLINICAL_COLUMNS
    assert set(table["Patient"]) == {"_".join(folder.name.split("_")[:3]) for folder in patient_folders(phantom)}


def test_clinical_table_has_gaps_but_few():
    _, clinical = plan_cohort(24, seed=0)
    missing = clinical.isna().to_numpy()
    assert not missing[:, 0].any()
    assert 0 < missing.mean() < 0.1


@pytest.mark.slow
def test_notice_says_synthetic_and_carries_the_template_notice(phantom):
    notice = (phantom / "NOTICE.txt").read_text(encoding="utf-8")
    assert "not patient data" in notice
    assert "Louis Collins, McConnell Brain Imaging Centre" in notice
    assert "the above copyright notice appear in all copies" in notice


def test_another_seed_gives_other_patients():
    assert plan_cohort(4, seed=0)[0] != plan_cohort(4, seed=1)[0]


@pytest.mark.slow
def test_about_a_third_of_the_slices_hold_tumour(phantom):
    masks = np.concatenate([read(folder)[1] for folder in patient_folders(phantom)])
    assert 0.2 < masks.any(axis=(1, 2)).mean() < 0.5


@pytest.mark.slow
def test_missing_sequence_is_a_copy_of_flair(phantom):
    copies = {folder.name.split("_")[2]: [c for c in (PRE, POST) if (images[..., c] == images[..., FLAIR]).all()]
              for folder in patient_folders(phantom) for images in [read(folder)[0]]}  # fmt: skip
    assert copies == {"0001": [], "0002": [], "0003": [], "0004": [POST]}


def test_default_cohort_lacks_both_kinds_of_sequence():
    plans, _ = plan_cohort(24, seed=0)
    assert sorted(plan.missing for plan in plans if plan.missing) == ["post", "post", "pre"]


@pytest.mark.slow
def test_one_institution_is_nearly_black(phantom):
    brightest = {folder.name.split("_")[1]: np.percentile(read(folder)[0], 99) for folder in patient_folders(phantom)}
    assert brightest.pop("XD") < 60 < min(brightest.values())


@pytest.mark.slow
def test_slices_run_from_the_skull_base_to_beyond_the_vertex(phantom):
    for folder in patient_folders(phantom):
        flair = read(folder)[0][..., FLAIR].astype(float)
        content = flair.mean(axis=(1, 2))
        assert content[-1] < 0.35 * content[len(content) // 2] < content[0]


@pytest.mark.slow
def test_frame_border_is_background(phantom):
    for folder in patient_folders(phantom):
        images, _ = read(folder)
        corners = np.concatenate([images[:, :16, :16], images[:, :16, -16:]])
        assert corners.mean() < 6


def test_lesion_is_bright_on_flair_and_fluid_is_dark():
    """On the noise-free signals, where the tissues are known."""
    head = load_head()
    plan = plan_cohort(4, seed=0)[0][0]
    axes = slice_grid(plan, np.random.default_rng(0))
    pose = Pose(axes, np.random.default_rng(0))
    block = (slice(0, plan.slices, 2), *pose.window(head))
    points = pose.points(block)
    anatomy = Tissues(axes, 0.0, np.random.default_rng(0)).at(head, points, block)
    tumour = grow(head, plan.growth, plan.seed_mm, 60.0, np.random.default_rng(0))
    signal, density = Signals(plan, axes, np.random.default_rng(0)).of(anatomy, tumour, points, block)

    def median(channel, where):
        return float(np.median(signal[channel][where]))

    healthy = density < 0.01
    white, grey, fluid = (healthy & (anatomy.fractions[name] > 0.9) for name in ("white", "grey", "fluid"))
    lesion = (density > 0.8) & (anatomy.fractions["white"] > 0.5)
    assert median(FLAIR, fluid) < 0.5 * median(FLAIR, white) < 0.5 * median(FLAIR, lesion)
    assert median(FLAIR, grey) > median(FLAIR, white)
    assert median(PRE, white) > median(PRE, grey) > median(PRE, fluid)
    assert median(PRE, lesion) < median(PRE, white)


def test_fractions_sum_to_one_inside_the_head_and_labels_follow_them():
    head = load_head()
    plan = plan_cohort(4, seed=0)[0][0]
    axes = slice_grid(plan, np.random.default_rng(0))
    pose = Pose(axes, np.random.default_rng(0))
    block = (slice(8, 12), *pose.window(head))
    anatomy = Tissues(axes, 0.0, np.random.default_rng(0)).at(head, pose.points(block), block)
    total = sum(anatomy.fractions.values())
    assert (
        total[anatomy.cranium_mm < 0].min() > 0.99 and total.max() < 1.01 and total[anatomy.outline_mm > 2].max() == 0
    )
    labels = anatomy.labels()
    assert (labels[total == 0] == TISSUES.index("air")).all()
    assert (labels[anatomy.fractions["white"] > 0.6] == TISSUES.index("white")).all()


def test_mask_follows_the_density_within_a_few_pixels():
    rows, columns = np.mgrid[:256, :256]
    radius = np.hypot(rows - 120, columns - 140)
    # The density falls to the visible one at a radius of 30 pixels, over a few pixels.
    density = 1 / (1 + np.exp((radius - 30) / 3) * (1 / VISIBLE_DENSITY - 1))
    masks = annotate(np.stack([density] * 8).astype(np.float32), np.random.default_rng(0))
    truth = density > VISIBLE_DENSITY
    dice = 2 * (masks & truth).sum((1, 2)) / (masks.sum((1, 2)) + truth.sum())
    assert (dice > 0.9).all() and (dice < 1).all()
    assert not masks[:, radius > 38].any() and masks[:, radius < 22].all()
    assert len({mask.tobytes() for mask in masks}) == 8


def test_shape_differs_by_cluster_by_design():
    assert len({(growth.roughness, growth.anisotropy) for growth in GROWTH_BY_CLUSTER.values()}) == len(
        GROWTH_BY_CLUSTER
    )
    plans, clinical = plan_cohort(24, seed=3)
    for plan, cluster in zip(plans, clinical["RNASeqCluster"], strict=True):
        if not np.isnan(cluster):
            assert plan.growth == GROWTH_BY_CLUSTER[int(cluster)]


@pytest.mark.slow
def test_a_cohort_that_is_there_is_left_alone(phantom, monkeypatch):
    monkeypatch.setattr("brainseg.phantom.cohort.load_head", lambda: pytest.fail("made again"))
    assert make_phantom(phantom, patients=4) == phantom


@pytest.mark.slow
def test_an_interrupted_making_goes_on_where_it_was(resumed):
    root, (interrupted, *drawn) = resumed
    assert interrupted == "interrupted" and len(drawn) == len(set(drawn)) == 4
    assert [path.name for path in root.parent.iterdir() if path.is_dir()] == ["phantom"]


@pytest.mark.slow
def test_same_seed_gives_the_same_files_whatever_the_workers_and_the_processor_and_with_its_truth_or_without(
    phantom, resumed
):
    """The phantom was drawn by several processes, where there are several cores, and this one by one, in two goes.

    A drawing takes seconds, so that one differs in everything that must not matter.
    """
    found, wanted = contents(resumed[0]), contents(phantom)
    assert {path: found[path] for path in wanted if path.name != "CARD.md"} == {
        path: content for path, content in wanted.items() if path.name != "CARD.md"
    }
    assert {path.parts[0] for path in found.keys() - wanted.keys()} == {"__tissue", "__bias"}


@pytest.mark.slow
def test_the_truth_comes_on_request(phantom, resumed):
    root, _ = resumed
    for folder in patient_folders(phantom):
        images, masks = read(folder)
        tissue, bias = (tifffile.imread(root / name / f"{folder.name}.tif") for name in ("__tissue", "__bias"))
        assert tissue.shape == masks.shape and tissue.dtype == np.uint8 and tissue.max() == len(TISSUES) - 1
        assert bias.shape == images.shape and bias.dtype == np.float32
        assert 0.3 < bias.min() < 0.95 and 1.05 < bias.max() < 3
        brain = np.isin(tissue, [TISSUES.index(name) for name in ("white", "grey", "fluid")])
        assert brain[masks > 0].mean() > 0.95
    assert index_cohort(root, progress=False)["patient"].nunique() == 4
    card = (root / "CARD.md").read_text(encoding="utf-8")
    assert "--patients 4 --seed 0 --truth" in card and "grey" in card
    assert "grey" not in (phantom / "CARD.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_drawn_into_arrays_it_is_what_its_files_are_prepared_to(phantom, tmp_path, monkeypatch):
    monkeypatch.setenv("BRAINSEG_BUILD", str(tmp_path))
    settings = Preprocessing(image_size=64)
    files, drawn = prepare(phantom, settings), prepare_phantom(4, 0, settings)
    assert np.array_equal(files.images, drawn.images) and np.array_equal(files.masks, drawn.masks)
    shared = ["patient", "case", "institution", "slice", "tumour_px", "missing_pre", "missing_post", "top", "lost_px"]
    pd.testing.assert_frame_equal(files.table[shared], drawn.table[shared], check_dtype=False)
    rows = np.flatnonzero(drawn.table["tumour_px"] > 0)[::5]
    assert np.array_equal(files.truth(rows), drawn.truth(rows)) and drawn.truth(rows).any()
    monkeypatch.setattr("brainseg.phantom.cohort.load_head", lambda: pytest.fail("drawn again"))
    assert np.array_equal(prepare_phantom(4, 0, settings).images, drawn.images)


@pytest.mark.slow
def test_the_truth_of_a_cohort_that_was_made_without_is_refused(phantom, resumed, capsys):
    before = contents(phantom)
    with pytest.raises(SystemExit, match=f"^error: {phantom} holds this cohort without its truth: remove it or choose"):
        main(["phantom", str(phantom), "--patients", "4", "--truth"])
    assert contents(phantom) == before and not capsys.readouterr().out
    for folder, asked in ((phantom, []), (resumed[0], ["--truth"])):
        main(["phantom", str(folder), "--patients", "4", *asked])
        assert capsys.readouterr().out.strip() == str(folder)


def test_a_folder_that_is_no_cohort_is_refused(tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(FileExistsError, match="mine"):
        make_phantom(tmp_path / "mine", patients=1)


@pytest.mark.slow
@pytest.mark.parametrize("other", [{"patients": 3}, {"seed": 1}])
def test_another_cohort_in_the_folder_is_refused(phantom, other):
    with pytest.raises(FileExistsError, match="other patients"):
        make_phantom(phantom, **{"patients": 4, "seed": 0, **other})


@pytest.mark.parametrize("arguments", [{"patients": 0}, {"seed": -1}])
def test_bad_arguments_are_refused(tmp_path, arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        make_phantom(tmp_path / "phantom", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_calibration_measures_a_lesion_of_known_contrast():
    """On a drawn head, where lesion / ring, area and raggedness can be worked out by hand."""
    from importlib.util import module_from_spec, spec_from_file_location
    from pathlib import Path

    script = Path(__file__).resolve().parents[2] / "benchmarks" / "calibrate_phantom.py"
    spec = spec_from_file_location("calibrate_phantom", script)
    calibrate = module_from_spec(spec)
    spec.loader.exec_module(calibrate)

    rows, columns = np.mgrid[:256, :256]
    image = np.zeros((2, 256, 256, 3), np.uint8)
    image[:, np.hypot(rows - 128, columns - 128) < 90] = 60
    image[:, np.abs(np.hypot(rows - 128, columns - 128) - 85) < 5] = 200
    lesion = np.hypot(rows - 128, columns - 128) < 20
    image[0, lesion, FLAIR] = 90
    slices, patient = calibrate.measure_patient(image, np.stack([lesion, np.zeros_like(lesion)]))
    first, second = slices.iloc[0], slices.iloc[1]
    assert first["area_px"] == lesion.sum() and np.isnan(second["area_px"])
    assert first["flair_ratio"] == 90 / 60 and first["pre_ratio"] == 1.0
    assert first["separability"] == 1.0 and patient["threshold_dice"] == 1.0
    assert 0.9 < first["raggedness"] < 1.3 and first["parts"] == 1
    assert not first["near_black"] and first["height_px"] == pytest.approx(179, abs=2)
    assert patient["tumour_share"] == 0.5 and patient["missing_post"] is False

    # White noise of SD s, smoothed by a Gaussian of width w, has the SD s / (2 w sqrt(pi)); a tenth lies above 1.28.
    image[0, ..., FLAIR] = np.clip(image[0, ..., FLAIR] + np.random.default_rng(0).normal(0, 8, (256, 256)), 0, 255)
    spread = 8 / (2 * calibrate.SMOOTHED_PX * np.sqrt(np.pi))
    _, patient = calibrate.measure_patient(image, np.stack([lesion, np.zeros_like(lesion)]))
    assert patient["brightest_tenth"] == pytest.approx(30 / spread + 1.28, rel=0.1)
