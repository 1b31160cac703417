"""Evaluation and prediction: counts by hand, and the way from files to files."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

keras = pytest.importorskip("keras")
from brainseg.cohort import index_cohort
from brainseg.evaluation import predict, scores
from brainseg.images.prepared import prepare
from brainseg.images.preprocess import Preprocessing
from brainseg.metrics import THRESHOLD
from brainseg.networks import forward
from brainseg.networks.batches import draw_rows, load_batch
from brainseg.networks.forward import predict_images
from brainseg.networks.record import RunRecord
from brainseg.networks.runs import Run, load_network


def test_a_slice_is_segmented_as_part_of_its_patient(run):
    rows = np.arange(len(run.prepared.table))
    whole = predict.predict_masks(run, rows)
    some = np.array([5, 2, len(rows) - 1])
    np.testing.assert_array_equal(predict.predict_masks(run, some), whole[some])
    marked = predict.predict_probabilities(run, rows) >= THRESHOLD
    assert 0 < whole.sum() < marked.sum()  # some pieces stay, some fall
    patients = run.prepared.table["patient"]
    for patient in patients.unique():
        own = (patients == patient).to_numpy()
        np.testing.assert_array_equal(whole[own], scores.drop_small_pieces(marked[own]))


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


def test_a_folder_that_holds_no_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no finished run"):
        RunRecord.read(tmp_path)


def test_a_loaded_network_is_the_trained_one(run):
    record = RunRecord.read(run.folder)
    assert record == run.record and record.preprocessing == run.prepared.preprocessing
    model = load_network(record)
    for left, right in zip(model.get_weights(), run.model.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)
