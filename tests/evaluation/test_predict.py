"""Evaluation and prediction: counts by hand, and the way from files to files."""

import shutil
from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest
import tifffile
from helpers import PATIENTS

keras = pytest.importorskip("keras")
from brainseg.cohort import CohortError, index_cohort
from brainseg.evaluation import predict, scores
from brainseg.evaluation.folder import predict_folder
from brainseg.images.prepared import prepare
from brainseg.images.preprocess import Preprocessing
from brainseg.networks import forward
from brainseg.networks.batches import draw_rows, load_batch
from brainseg.networks.forward import predict_images
from brainseg.networks.recipe import Recipe
from brainseg.networks.record import RunRecord
from brainseg.networks.runs import Run, load_network, train_or_load


def table_of(patients, tumour_px):
    return pd.DataFrame(
        {"patient": patients, "institution": "XX", "slice": range(1, len(patients) + 1), "tumour_px": tumour_px}
    )


@pytest.fixture
def drawn():
    """Three slices of one patient and one of another, with predictions whose counts are plain to see."""
    truth = np.zeros((4, 256, 256), bool)
    prediction = np.zeros((4, 256, 256), bool)
    truth[0, 10:20, 10:20] = True  # 100 px, half of it found, nothing else
    prediction[0, 10:20, 10:15] = True
    prediction[1, :5, :5] = True  # no tumour, a false alarm of 25 px
    truth[2, 50:52, 50:52] = True  # 4 px, missed
    truth[3, 0:30, 0:20] = True  # 600 px, found exactly
    prediction[3, 0:30, 0:20] = True
    return prediction, truth, table_of(["A", "A", "A", "B"], truth.sum(axis=(1, 2)))


def test_slice_scores_by_hand(drawn):
    slices = scores.score_slices(*drawn)
    assert slices["tp"].tolist() == [50, 0, 0, 600]
    assert slices["fp"].tolist() == [0, 25, 0, 0]
    assert slices["fn"].tolist() == [50, 0, 4, 0]
    np.testing.assert_allclose(slices["dice"], [2 / 3, np.nan, 0, 1])
    np.testing.assert_allclose(slices["iou"], [1 / 2, np.nan, 0, 1])
    assert slices["hd95_px"].tolist()[2:] == [pytest.approx(np.hypot(256, 256)), 0]
    assert np.isnan(slices["hd95_px"][1])
    assert slices["nsd_1px"].tolist()[2:] == [0, 1]


def test_small_pieces_of_a_volume_are_dropped():
    mask = np.zeros((3, 12, 12), bool)
    mask[0, 0, 0] = mask[1, 1, 1] = True  # two voxels that share a corner only: one piece
    mask[2, 5:8, 5:8] = True  # nine voxels: a fifth of them is 1.8
    np.testing.assert_array_equal(scores.drop_small_pieces(mask), mask)
    mask[2, 5:8, 8:9] = True  # twelve: a fifth of them is 2.4
    kept = scores.drop_small_pieces(mask)
    assert kept.sum() == 12 and kept[2, 5:8, 5:9].all()
    for plain in (np.zeros((2, 4, 4), bool), np.ones((2, 4, 4), bool)):
        np.testing.assert_array_equal(scores.drop_small_pieces(plain), plain)


def test_a_slice_is_segmented_as_part_of_its_patient(run):
    rows = np.arange(len(run.prepared.table))
    whole = predict.predict_masks(run, rows, threshold=0.3)
    some = np.array([5, 2, len(rows) - 1])
    np.testing.assert_array_equal(predict.predict_masks(run, some, threshold=0.3), whole[some])
    marked = predict.predict_probabilities(run, rows) >= 0.3
    assert not (whole & ~marked).any()
    patients = run.prepared.table["patient"]
    for patient in patients.unique():
        of = (patients == patient).to_numpy()
        np.testing.assert_array_equal(whole[of], scores.drop_small_pieces(marked[of]))


def test_a_prediction_turns_with_the_slice(run):
    """The mirror image of a slice gets the mirror image of its prediction; one way alone would not give it."""
    images = run.prepared.images
    rows = np.array([5, 2])
    prediction = forward.predict_both_ways(run.model, images, rows)
    mirrored = forward.predict_both_ways(run.model, images[:, :, ::-1], rows)
    np.testing.assert_allclose(mirrored[:, :, ::-1], prediction, atol=1e-6)
    one_way = [predict_images(run.model, turned, rows) for turned in (images, images[:, :, ::-1])]
    assert not np.allclose(one_way[1][:, :, ::-1], one_way[0], atol=1e-6)
    np.testing.assert_allclose(prediction, (one_way[0] + one_way[1][:, :, ::-1]) / 2, atol=1e-6)


def test_a_patient_is_one_volume(drawn):
    patients = scores.score_patients(scores.score_slices(*drawn))
    assert patients.index.tolist() == ["A", "B"]
    assert patients.loc["A", "dice"] == pytest.approx(2 * 50 / (2 * 50 + 25 + 54))
    assert patients.loc["A", ["slices", "tumour_slices", "missed_slices", "false_alarm_slices"]].tolist() == [
        3,
        2,
        1,
        1,
    ]
    summary = scores.summarise(patients)
    assert summary["mean"] == pytest.approx((patients.loc["A", "dice"] + 1) / 2)
    assert summary["low"] <= summary["mean"] <= summary["high"]
    assert summary["worst"] == patients.loc["A", "dice"]


def test_strata_and_empty_slices(drawn):
    slices = scores.score_slices(*drawn)
    sizes = scores.summarise_by_size(slices)
    assert sizes["slices"].tolist() == [2, 0, 1]
    assert sizes["missed"].tolist() == [1, 0, 0]
    empty = scores.summarise_empty(slices)
    assert (empty["slices"], empty["left clean"], empty["most false pixels"]) == (1, 0.0, 25)
    assert empty["specificity of pixels"] == pytest.approx(1 - 25 / 256**2)


class Oracle:
    """Stands in for a network: knows the prepared masks by their images, mirrored or not."""

    input_shape = (None, None, None, 3)

    def __init__(self, prepared):
        pairs = list(zip(prepared.images, prepared.masks, strict=True))
        self.known = {image[:, ::-1].tobytes(): mask[:, ::-1] for image, mask in pairs}
        self.known |= {image.tobytes(): mask for image, mask in pairs}

    def predict_on_batch(self, images):
        as_stored = np.rint(images * 255).astype(np.uint8)
        blank = np.zeros(images.shape[1:3])
        return np.stack([self.known.get(image.tobytes(), blank) for image in as_stored])[..., None] / 255


@pytest.mark.parametrize("crop", ["none", "patient"])
def test_a_perfect_network_scores_almost_one_in_the_original_frame(tiny_cohort, crop):
    prepared = prepare(tiny_cohort, Preprocessing(image_size=128, crop=crop))
    split = pd.Series("test", index=prepared.table.index)
    slices = predict.evaluate(Run(Oracle(prepared), prepared, split, record=None))
    assert slices["tumour_px"].tolist() == index_cohort(tiny_cohort)["tumour_px"].tolist()
    assert (slices["tp"] + slices["fn"]).tolist() == slices["tumour_px"].tolist()
    assert scores.score_patients(slices)["dice"].min() > 0.93
    bare = predict.evaluate_bare(Run(Oracle(prepared), prepared, split, record=None))
    pd.testing.assert_frame_equal(bare, slices.drop(columns=["hd95_px", "nsd_1px", "nsd_2px"]))


@pytest.fixture
def run(tiny_cohort, tmp_path):
    prepared = prepare(tiny_cohort, Preprocessing(image_size=32))
    names = list(dict.fromkeys(prepared.table["patient"]))
    split = prepared.table["patient"].map({**dict.fromkeys(names, "train"), names[-1]: "validation"})
    recipe = Recipe(options={"filters": 2, "depth": 2}, epochs=1, slices_per_epoch=8, batch_size=4)
    return train_or_load(recipe, prepared, split, tmp_path / "runs")


def test_article_scores_are_those_of_keras(run):
    rows = run.rows("validation")
    scores = predict.article_scores(run, rows)
    images, masks = load_batch(run.prepared, rows)
    order = draw_rows(run.prepared, rows, replace(run.recipe, slices_per_epoch=0, tumour_share=0.0), epoch=0)
    places = np.searchsorted(rows, order)
    assert len(rows) > run.recipe.batch_size  # a mean over several batches
    expected = run.model.evaluate(images[places], masks[places], batch_size=run.recipe.batch_size, verbose=0)
    assert [scores["loss"], scores["IoU"], scores["Dice"]] == pytest.approx(expected, rel=2e-3)  # bfloat16 rounds
    assert 0 <= scores["IoU"] <= scores["Dice"] <= 1


def test_a_folder_of_slices_becomes_masks_and_overlays(run, tiny_cohort, tmp_path):
    out = tmp_path / "out"
    table = predict_folder(tiny_cohort, out, run.folder)
    slices = index_cohort(tiny_cohort)
    assert len(table) == len(slices)
    assert pd.read_csv(out / "predictions.csv")["slice"].tolist() == table["slice"].tolist()
    # The same network on the same slices, once through the cohort and once through the folder.
    through_cohort = predict.predict_masks(run, np.arange(len(slices)))
    expected = dict(zip(slices["image_path"], through_cohort, strict=True))
    for name in table["slice"]:
        mask = tifffile.imread(out / name.replace(".tif", "_predicted.tif"))
        assert mask.dtype == np.uint8 and set(np.unique(mask)) <= {0, 255}
        np.testing.assert_array_equal(mask > 0, expected[str(tiny_cohort / name)])
        assert cv2.imread(str(out / name.replace(".tif", "_overlay.png"))).shape == (512, 512, 3)


def test_predict_reports_every_unreadable_slice_and_writes_nothing(run, tmp_path):
    folder = tmp_path / "slices"
    folder.mkdir()
    (folder / "a_1.tif").write_bytes(b"not an image")
    tifffile.imwrite(folder / "a_2.tif", np.zeros((10, 10), np.uint8))
    with pytest.raises(CohortError) as caught:
        predict_folder(folder, tmp_path / "out", run.folder)
    assert len(caught.value.problems) == 2
    assert not (tmp_path / "out").exists()
    with pytest.raises(CohortError, match="holds no .tif slices"):
        predict_folder(tmp_path / "nowhere", tmp_path / "out", run.folder)


def test_two_slices_with_one_output_are_reported(run, tmp_path):
    folder = tmp_path / "slices"
    folder.mkdir()
    for name in ("a_1.tif", "a_1.tiff", "a_2.tif"):
        tifffile.imwrite(folder / name, np.zeros((256, 256, 3), np.uint8), photometric="rgb")
    with pytest.raises(CohortError, match=r"a_1\.tiff? and a_1\.tiff? would give the same files") as caught:
        predict_folder(folder, tmp_path / "out", run.folder)
    assert len(caught.value.problems) == 1


def test_predicting_into_the_folder_of_slices_can_be_repeated(run, tiny_cohort):
    first = predict_folder(tiny_cohort, tiny_cohort, run.folder)
    pd.testing.assert_frame_equal(predict_folder(tiny_cohort, tiny_cohort, run.folder), first)


def test_an_interrupted_prediction_leaves_no_older_table(run, tiny_cohort, tmp_path, monkeypatch):
    out = tmp_path / "out"
    predict_folder(tiny_cohort, out, run.folder)

    def breaks(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("brainseg.evaluation.folder.tifffile.imwrite", breaks)
    with pytest.raises(OSError, match="No space left"):
        predict_folder(tiny_cohort, out, run.folder)
    assert not (out / "predictions.csv").exists()


def test_patients_that_the_run_has_seen_are_marked(run, tiny_cohort, tmp_path, capsys):
    from brainseg.__main__ import main

    slices = tmp_path / "slices"
    seen, again, new = PATIENTS[0], PATIENTS[1].rpartition("_")[0] + "_20110101", "TEST_CC_0009_20000101"
    for source, name in ((seen, seen), (PATIENTS[1], again), (PATIENTS[2], new)):
        (slices / name).mkdir(parents=True)
        for number in (1, 2):
            shutil.copy(tiny_cohort / source / f"{source}_{number}.tif", slices / name / f"{name}_{number}.tif")
    table = predict_folder(slices, tmp_path / "out", run.folder)
    marks = table.groupby("patient")["seen_in_training"]
    assert marks.first().to_dict() == marks.last().to_dict() == {seen: True, again: True, new: False}
    # The folder itself may be the patient's.
    assert predict_folder(slices / seen, tmp_path / "one", run.folder)["seen_in_training"].all()
    main(["predict", str(slices), str(tmp_path / "out"), "--run", str(run.folder)])
    assert "trained or chosen on 2 of these patients" in capsys.readouterr().out
    main(["predict", str(slices / new), str(tmp_path / "new"), "--run", str(run.folder)])
    assert "trained or chosen" not in capsys.readouterr().out


def test_a_folder_that_holds_no_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no finished run"):
        RunRecord.read(tmp_path)


def test_a_loaded_network_is_the_trained_one(run):
    record = RunRecord.read(run.folder)
    assert record == run.record and record.preprocessing == run.prepared.preprocessing
    model = load_network(record)
    for left, right in zip(model.get_weights(), run.model.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_a_run_that_cannot_be_loaded_says_why(run, tiny_cohort, tmp_path):
    damaged = tmp_path / "damaged"
    shutil.copytree(run.folder, damaged)
    (damaged / "run.json").write_text('{"recipe": ')
    with pytest.raises(ValueError, match=r"damaged.run\.json is damaged.*train the run again"):
        predict_folder(tiny_cohort, tmp_path / "out", damaged)
    bare = tmp_path / "bare"
    shutil.copytree(run.folder, bare)
    (bare / "best.npz").unlink()
    run.record.as_reference("patient", 1).write(bare)
    with pytest.raises(ValueError, match="kept without its weights"):
        predict_folder(tiny_cohort, tmp_path / "out", bare)
    assert bare.is_dir() and not (tmp_path / "out").exists()
