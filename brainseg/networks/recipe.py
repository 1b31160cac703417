"""What decides the weights of a network, apart from the data: one frozen record, read without Keras."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

MODEL_NAMES = {"fcn32": "FCN-32", "unet": "U-Net", "resunet": "ResUNet"}
"""How a network is written in sentences and figures, from the simplest to the latest."""

MODELS = tuple(MODEL_NAMES)
"""The networks of :mod:`brainseg.networks.models`, by name."""

LOSSES = ("bce", "dice", "bce_dice")
"""The losses of :mod:`brainseg.networks.losses` that a training may minimise, by name."""


@dataclass(frozen=True)
class Recipe:
    """How one network is trained. Every field changes the weights, and so the identity of a run.

    The defaults are the recipe of this study. An experiment that departs from it names the fields in which it does.

    Attributes
    ----------
    model : str
        A name of :data:`MODELS`.
    options : mapping
        Options of that model's function: ``filters``, ``depth``, ``enlarge``.
    epochs : int
    slices_per_epoch : int
        Slices drawn an epoch; 0 takes every training slice once.
    tumour_share : float
        Share of the drawn slices that show tumour; 0 leaves the share as it is in the cohort.
    batch_size : int
    learning_rate : float
        Highest rate of Adam; a cosine leads down from it after a warm-up of one twentieth of the steps.
    loss : str
        A name of :data:`LOSSES`.
    augmentation : bool
    drop_sequence : float
        Probability of replacing a T1 sequence by FLAIR while training.
    seed : int
        Of the starting weights, the order of the slices and the augmentation.
    start : str
        The run whose weights it starts from, by the name of its folder; empty where they are drawn.
    """

    model: str = "unet"
    options: Mapping[str, int] = field(default_factory=lambda: {"filters": 16})
    epochs: int = 24
    slices_per_epoch: int = 1024
    tumour_share: float = 0.5
    batch_size: int = 16
    learning_rate: float = 1e-3
    loss: str = "bce_dice"
    augmentation: bool = True
    drop_sequence: float = 0.1
    seed: int = 0
    start: str = ""

    def steps(self, training_slices: int) -> int:
        """Batches of one epoch, where so many slices train."""
        return math.ceil((self.slices_per_epoch or training_slices) / self.batch_size)

    def all_steps(self, training_slices: int) -> int:
        """Batches from the first epoch to the last, where so many slices train."""
        return self.epochs * self.steps(training_slices)

    def __post_init__(self) -> None:
        if self.model not in MODELS:
            raise ValueError(f"unknown model {self.model!r}: choose one of {', '.join(MODELS)}")
        if self.loss not in LOSSES:
            raise ValueError(f"unknown loss {self.loss!r}: choose one of {', '.join(LOSSES)}")
        for name, least in (("epochs", 1), ("batch_size", 1), ("slices_per_epoch", 0), ("seed", 0)):
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise ValueError(f"{name} must be a whole number of at least {least}, not {value}")
        if not 0 < self.learning_rate < float("inf"):
            raise ValueError(f"learning_rate must be a number above 0, not {self.learning_rate}")
        for name in ("tumour_share", "drop_sequence"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, not {getattr(self, name)}")
