"""The phantoms that are not the study's own, by the names that tables have for them."""

from __future__ import annotations

from brainseg.data import PhantomChange
from brainseg.experiments import ingredients, literature


def change_named(name: str) -> PhantomChange | None:
    """How the phantom of a name differs from the study's own, whose name is empty: None.

    Raises
    ------
    ValueError
        For a name that is not known.
    """
    return literature.change() if name == literature.LITERATURE else ingredients.change_named(name)
