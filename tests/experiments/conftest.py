"""What tests of the engine share."""

from dataclasses import replace

import pytest

from brainseg.experiments import leakage


@pytest.fixture(scope="module")
def shallow():
    """U-Nets of one level for the experiment on leakage: what takes long in a short training is to trace it.

    To the end of the file, because its tests share what was trained.
    """
    study_recipe = leakage.study_recipe

    def recipe(**settings):
        whole = study_recipe(**settings)
        return replace(whole, options={**whole.options, "depth": 1})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leakage, "study_recipe", recipe)
        yield
