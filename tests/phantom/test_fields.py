"""Random fields and soft steps: what they promise, by value."""

from __future__ import annotations

import numpy as np
import pytest

from brainseg.phantom.fields import SmoothNoise, bump, exponential, ramp, smooth_noise

AXES = (np.arange(12) * 4.0, np.arange(120.0), np.arange(100.0))


@pytest.mark.parametrize("length_mm", [1.5, 4.0, 9.0])
def test_a_field_has_unit_variance_and_its_length(length_mm):
    fields = np.stack([smooth_noise(AXES, length_mm, np.random.default_rng(seed)) for seed in range(12)])
    assert fields.dtype == np.float32 and abs(fields.mean()) < 0.15
    assert fields.std() == pytest.approx(1, abs=0.1)
    lag = round(2 * length_mm)
    # Two Gaussian kernels of this width, so far apart, overlap by exp(-d^2 / 4 L^2).
    found = (fields[..., lag:] * fields[..., :-lag]).mean()
    assert found == pytest.approx(np.exp(-((lag / length_mm) ** 2) / 4), abs=0.12)


def test_slices_further_apart_than_a_field_is_smooth_have_fields_of_their_own():
    near, far = (smooth_noise((np.arange(40) * gap, *AXES[1:]), 3.0, np.random.default_rng(0)) for gap in (1.0, 10.0))
    assert (near[1:] * near[:-1]).mean() > 0.9 and abs((far[1:] * far[:-1]).mean()) < 0.1


def test_a_part_of_a_field_is_a_part_of_the_whole():
    field, everything = SmoothNoise(AXES, 4.0, np.random.default_rng(0)), (slice(None),) * 3
    part = (slice(2, 7), slice(10, 90, 2), slice(5, 50))
    assert np.array_equal(field.on(part), field.on(everything)[part])


def test_a_field_is_exact_in_any_order_of_its_sums():
    """In double precision and with the other axis first it is the same number, bit by bit."""
    field = SmoothNoise(AXES, 4.0, np.random.default_rng(0))
    kernels, lattice = field._kernels, field._lattice
    wide = np.rint(np.tensordot(kernels[0].astype(float), lattice, axes=1) * 256) / 256
    wide = np.rint(kernels[1].astype(float) @ wide * 256) / 256
    assert np.array_equal(wide @ kernels[2].T.astype(float), field.on((slice(None),) * 3))


def test_soft_steps():
    values = np.linspace(-3, 3, 61, dtype=np.float32)
    step = ramp(values, 0.5, 2.0)
    assert step[values <= -0.5].max() == 0 and step[values >= 1.5].min() == 1
    assert step[35] == pytest.approx(0.5, abs=1e-6) and (np.diff(step) >= 0).all()
    hill = bump(values, 1.0, 1.0)
    assert hill[40] == 1 and hill[(values <= 0) | (values >= 2)].max() < 1e-6 and step.dtype == hill.dtype == np.float32
    np.testing.assert_allclose(exponential(values[20:41]), np.exp(values[20:41]), rtol=0.01)
