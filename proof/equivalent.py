"""Mutants that no test can notice, because they do what the code does, each with the reason."""

from __future__ import annotations

EQUIVALENT: dict[tuple[str, str], dict[str, str]] = {}
"""A module and a function -> the mutant's line -> why it is no fault."""
