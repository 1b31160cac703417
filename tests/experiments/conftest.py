"""What tests of the engine share."""

from dataclasses import replace

import pytest

from brainseg.experiments import leakage


@pytest.fixture
def shallow(monkeypatch):
    """U-Nets of one level for the experiment on leakage: what takes long in a short training is to trace it."""
    study_recipe = leakage.study_recipe

    def recipe(**settings):
        whole = study_recipe(**settings)
        return replace(whole, options={**whole.options, "depth": 1})

    monkeypatch.setattr(leakage, "study_recipe", recipe)
