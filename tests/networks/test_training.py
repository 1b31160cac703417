"""Training: draws, augmentation, resuming, identity. One tiny network on the tiny cohort."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

keras = pytest.importorskip("keras")
from brainseg.chapters import study_recipe
from brainseg.cohort import FLAIR, POST, PRE
from brainseg.images.prepared import prepare
from brainseg.images.preprocess import Preprocessing
from brainseg.networks import backend, runs, training
from brainseg.networks.augmentation import augment
from brainseg.networks.batches import draw_rows, epoch_batches, load_batch
from brainseg.networks.forward import predict_images
from brainseg.networks.models import build_model
from brainseg.networks.recipe import Recipe
from brainseg.networks.record import RunRecord, run_folder
from brainseg.networks.runs import train_or_load
from brainseg.networks.weights import load_weights, save_weights

TINY = Recipe(model="unet", options={"filters": 2, "depth": 1}, epochs=2, slices_per_epoch=8, batch_size=4)


@pytest.fixture(scope="module")
def prepared(tiny_cohort_once):
    return prepare(tiny_cohort_once, Preprocessing(image_size=32, crop="none"))


@pytest.fixture(scope="module")
def split(prepared):
    """The last patient is the test set, the one before validates."""
    patients = prepared.table["patient"]
    names = list(dict.fromkeys(patients))
    return patients.map({**dict.fromkeys(names, "train"), names[-2]: "validation", names[-1]: "test"})


@pytest.fixture(scope="module")
def trained(prepared, split, tmp_path_factory):
    """`TINY`, trained without interruption, for tests that change nothing in its folder."""
    return train_or_load(TINY, prepared, split, tmp_path_factory.mktemp("runs"))


@pytest.mark.parametrize(
    "change, said",
    [
        ({"epochs": 0}, "epochs must be a whole number of at least 1, not 0"),
        ({"epochs": 1.5}, "epochs must be a whole number of at least 1, not 1.5"),
        ({"model": "vnet"}, "unknown model 'vnet'"),
        ({"loss": "hinge"}, "unknown loss 'hinge'"),
        ({"epochs": True}, "epochs must be a whole number of at least 1, not True"),
        ({"seed": -1}, "seed must be a whole number of at least 0, not -1"),
        ({"learning_rate": 0.0}, "learning_rate must be a number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be a number above 0, not nan"),
        ({"tumour_share": 1.5}, "tumour_share must be"),
        ({"slices_per_epoch": -1}, "slices_per_epoch must be a whole number of at least 0"),
    ],
)
def test_a_recipe_out_of_range_is_refused_by_name_and_value(change, said):
    with pytest.raises(ValueError, match=said):
        replace(TINY, **change)


def test_every_training_slice_is_drawn_once_an_epoch_in_another_order(prepared, split):
    rows = np.flatnonzero(split == "train")
    everyone = replace(TINY, slices_per_epoch=0, tumour_share=0.0)
    first, second = (draw_rows(prepared, rows, everyone, epoch) for epoch in (0, 1))
    assert sorted(first) == sorted(second) == sorted(rows)
    assert list(first) != list(second)


def test_the_share_of_tumour_slices_drawn_is_the_share_asked_for(prepared, split):
    rows = np.flatnonzero(split == "train")
    tumour = prepared.table["tumour_px"].to_numpy() > 0
    drawn = draw_rows(prepared, rows, replace(TINY, slices_per_epoch=40, tumour_share=0.75), epoch=0)
    assert len(drawn) == 40
    assert tumour[drawn].sum() == 30
    assert set(drawn) <= set(rows)
    only_tumour = draw_rows(prepared, rows[tumour[rows]], replace(TINY, tumour_share=0.5), epoch=0)
    assert len(only_tumour) == TINY.slices_per_epoch  # where there is one kind, it is drawn


def test_a_batch_depends_on_seed_and_epoch_alone(prepared, split):
    rows = np.flatnonzero(split == "train")

    def second(recipe, epoch):
        batches = list(epoch_batches(prepared, rows, recipe, epoch))
        assert len(batches) == recipe.steps(len(rows)) == 2
        return batches[1]

    for left, right in zip(second(TINY, 0), second(TINY, 0), strict=True):
        np.testing.assert_array_equal(left, right)
    assert not np.array_equal(second(TINY, 0)[0], second(TINY, 1)[0])
    assert not np.array_equal(second(TINY, 0)[0], second(replace(TINY, seed=1), 0)[0])


def test_augmentation_moves_image_and_mask_together():
    # The mask is painted into every channel, so wherever the mask goes the image must go.
    mask = np.zeros((64, 64), np.float32)
    mask[20:34, 28:46] = 1
    image = np.repeat(mask[..., None], 3, axis=2)
    before = image.copy()
    for seed in range(10):
        moved, moved_mask = augment(image, mask, np.random.default_rng(seed))
        bright = moved[..., FLAIR] > 0.45
        overlap = 2 * (bright & (moved_mask > 0.5)).sum() / (bright.sum() + (moved_mask > 0.5).sum())
        assert overlap > 0.9
        assert not np.array_equal(moved_mask, mask)
        assert moved.dtype == moved_mask.dtype == np.float32
        assert moved.min() >= 0 and moved.max() <= 1
    np.testing.assert_array_equal(image, before)


def test_a_dropped_sequence_becomes_a_copy_of_flair():
    image = np.random.default_rng(0).random((32, 32, 3)).astype("float32")
    changed, _ = augment(image, image[..., 0], np.random.default_rng(3), drop_sequence=0.999)
    np.testing.assert_array_equal(changed[..., PRE], changed[..., FLAIR])
    np.testing.assert_array_equal(changed[..., POST], changed[..., FLAIR])


@pytest.mark.slow
def test_a_run_is_trained_once_and_loaded_ever_after(trained, prepared, split, monkeypatch):
    run = trained
    assert list(run.history["epoch"]) == [1, 2]
    assert run.record.validation_dice == pytest.approx(run.history["validation_dice"].max())
    seen = run.record.has_met()
    tested = set(prepared.table["patient"].iloc[run.rows("test")])
    assert tested and not tested & seen

    monkeypatch.setattr(runs, "train", lambda *_: pytest.fail("trained again"))
    again = train_or_load(TINY, prepared, split, run.folder.parent)
    for left, right in zip(run.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.slow
def test_an_interrupted_training_goes_on_after_its_last_epoch(trained, prepared, split, tmp_path, monkeypatch):
    def interrupt(prepared, rows, recipe, epoch):
        for index, batch in enumerate(epoch_batches(prepared, rows, recipe, epoch)):
            if (epoch, index) == (1, 1):  # in the middle of the second epoch
                raise KeyboardInterrupt
            yield batch

    with monkeypatch.context() as patch:
        patch.setattr(training, "epoch_batches", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train_or_load(TINY, prepared, split, tmp_path / "cut")
    (folder,) = (path for path in (tmp_path / "cut").iterdir() if path.is_dir())
    assert not (folder / "run.json").exists()

    resumed = train_or_load(TINY, prepared, split, tmp_path / "cut")
    assert list(resumed.history["epoch"]) == [1, 2]
    # Same slices, same optimiser state: the loss of the second epoch is that of the whole training.
    assert resumed.history["loss"].tolist() == pytest.approx(trained.history["loss"].tolist(), rel=1e-3)
    assert not list(folder.glob("*.weights.h5"))


def test_the_identity_changes_with_recipe_split_and_arrays_and_nothing_else(split):
    name = run_folder(TINY, "arrays", split)
    assert name == run_folder(replace(TINY), "arrays", split.copy())
    assert name != run_folder(replace(TINY, seed=1), "arrays", split)
    assert name != run_folder(TINY, "arrays", split.replace("validation", "train"))
    assert name != run_folder(TINY, "other", split)


def test_a_width_below_one_is_refused_for_every_network(prepared, split, tmp_path):
    for name in ("fcn32", "unet", "resunet"):
        with pytest.raises(ValueError, match="filters must be"):
            train_or_load(
                replace(TINY, model=name, options=study_recipe(name, filters=0).options), prepared, split, tmp_path
            )


@pytest.mark.slow
def test_where_nobody_validates_the_last_epoch_is_kept(prepared, split, tmp_path, monkeypatch):
    seen = []
    epoch_done = training._save_state
    monkeypatch.setattr(
        training, "_save_state", lambda model, *rest: seen.append(model.get_weights()) or epoch_done(model, *rest)
    )
    run = train_or_load(TINY, prepared, split.replace("validation", "train"), tmp_path)
    assert (run.record.best_epoch, run.record.validation_dice) == (TINY.epochs, None)
    assert run.history["validation_dice"].isna().all() and run.record.patients["validation"] == []
    assert RunRecord.read(run.folder).validation_dice is None
    for kept, last in zip(run.model.get_weights(), seen[-1], strict=True):
        np.testing.assert_array_equal(kept, last)


@pytest.mark.slow
def test_a_run_starts_from_the_weights_of_another(trained, prepared, split, monkeypatch):
    place, began = trained.folder.parent, []
    go_on = training.train
    monkeypatch.setattr(runs, "train", lambda model, *rest: began.append(model.get_weights()) or go_on(model, *rest))
    second = replace(TINY, start=trained.folder.name)
    assert train_or_load(second, prepared, split, place).folder != trained.folder
    for start, end in zip(began[0], trained.model.get_weights(), strict=True):
        np.testing.assert_array_equal(start, end)
    with pytest.raises(ValueError, match="missing or damaged"):
        train_or_load(replace(TINY, start="unet-nobody"), prepared, split, place)


def test_a_split_that_trains_nobody_is_refused(prepared, split, tmp_path):
    with pytest.raises(ValueError, match="no training slices"):
        train_or_load(TINY, prepared, split.replace("train", "test"), tmp_path)
    with pytest.raises(ValueError, match="the split has 3 rows"):
        train_or_load(TINY, prepared, pd.Series(["train"] * 3), tmp_path)


def test_weights_come_back_and_do_not_fit_another_width(tmp_path):
    model, same, wider = (build_model("unet", 32, filters=f, depth=2) for f in (2, 2, 3))
    save_weights(model, tmp_path / "weights.npz")
    load_weights(same, tmp_path / "weights.npz")
    for left, right in zip(model.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)
    with pytest.raises(ValueError, match="does not hold weights of this unet"):
        load_weights(wider, tmp_path / "weights.npz")


@pytest.mark.parametrize("damage", ["cut", "empty", "garbled", "no archive", "gone"])
def test_damaged_weights_are_an_error_that_says_what_to_do(tmp_path, damage):
    model = build_model("unet", 32, filters=2, depth=2)
    path = tmp_path / "best.npz"
    save_weights(model, path)
    data = path.read_bytes()
    middle = len(data) // 2
    damaged = {
        "cut": data[:middle],
        "empty": b"",
        "garbled": data[:100] + bytes(middle) + data[100 + middle :],
        "no archive": b"weights",
    }
    path.unlink()
    if damage != "gone":
        path.write_bytes(damaged[damage])
    with pytest.raises(ValueError, match=f"Remove the folder {tmp_path} and train the run again"):
        load_weights(model, path)


def test_predictions_do_not_depend_on_the_batch(prepared):
    model = build_model("unet", 32, filters=2, depth=2)
    whole = predict_images(model, prepared.images)
    some = predict_images(model, prepared.images, np.array([3, 4]), batch_size=2)
    np.testing.assert_allclose(whole[3:5], some, atol=1e-5)
    images, _ = load_batch(prepared, np.arange(len(prepared.table)))
    np.testing.assert_allclose(whole, model.predict_on_batch(images)[..., 0], atol=1e-5)


@pytest.mark.slow
def test_the_kept_weights_are_those_of_the_best_epoch_in_the_history(prepared, split, tmp_path, monkeypatch):
    scores = iter([0.3, 0.6, 0.4])
    kept = []
    monkeypatch.setattr(training, "validation_dice", lambda model, *_: kept.append(model.get_weights()) or next(scores))
    run = train_or_load(replace(TINY, epochs=3), prepared, split, tmp_path)
    assert run.record.best_epoch == 2
    for stored, at_epoch_two in zip(run.model.get_weights(), kept[1], strict=True):
        np.testing.assert_array_equal(stored, at_epoch_two)
    assert sorted(path.name for path in run.folder.iterdir()) == ["best.npz", "history.csv", "run.json"]


@pytest.mark.slow
def test_the_shortest_training_there_is(prepared, split, tmp_path):
    run = train_or_load(replace(TINY, epochs=1, slices_per_epoch=2), prepared, split, tmp_path)
    assert len(run.history) == 1


@pytest.mark.parametrize("capability, policy", [((8, 0), "mixed_bfloat16"), ((7, 5), "float32")])
def test_a_gpu_that_has_bfloat16_uses_it_and_the_output_stays_float32(monkeypatch, capability, policy):
    tf = pytest.importorskip("tensorflow")
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["a stand-in"])
    grows = []
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda gpu, yes: grows.append((gpu, yes)))
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda _: {"compute_capability": capability})
    try:
        backend.configure_backend()
        assert keras.config.dtype_policy().name == policy and grows == [("a stand-in", True)]
        for name in ("fcn32", "unet", "resunet"):
            assert build_model(name, 32, filters=2).output.dtype == "float32"
    finally:
        keras.config.set_dtype_policy("float32")
