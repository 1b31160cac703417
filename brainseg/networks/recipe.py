"""What decides the weights of a network, apart from the data: one frozen record."""

from __future__ import annotations

from dataclasses import dataclass, field

from brainseg import losses, models
from brainseg.cohort import SEQUENCES

LOSSES = {
    "bce": losses.bce,
    "dice": losses.dice_loss,
    "bce_dice": losses.bce_dice,
    "jaccard": losses.jaccard_loss,
}


@dataclass(frozen=True)
class Recipe:
    """How one network is trained. Every field changes the weights, and so the identity of a run.

    Attributes
    ----------
    model : str
        A name of :data:`brainseg.models.MODELS`.
    options : dict
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
    neighbours : int
        Slices below and above each slice that the network sees with it; it still segments the one in the middle.
    seed : int
        Of the starting weights, the order of the slices and the augmentation.
    """

    model: str = "unet"
    options: dict = field(default_factory=lambda: {"filters": 16})
    epochs: int = 20
    slices_per_epoch: int = 0
    tumour_share: float = 0.0
    batch_size: int = 16
    learning_rate: float = 2e-3
    loss: str = "bce_dice"
    augmentation: bool = True
    drop_sequence: float = 0.0
    neighbours: int = 0
    seed: int = 0

    @property
    def channels(self) -> int:
        """Channels of the network's input: the sequences of all slices that it sees."""
        return len(SEQUENCES) * (2 * self.neighbours + 1)

    def __post_init__(self):
        if self.model not in models.MODELS:
            raise ValueError(f"unknown model {self.model!r}: choose one of {', '.join(models.MODELS)}")
        if self.loss not in LOSSES:
            raise ValueError(f"unknown loss {self.loss!r}: choose one of {', '.join(LOSSES)}")
        for name, least in (("epochs", 1), ("batch_size", 1), ("slices_per_epoch", 0), ("neighbours", 0), ("seed", 0)):
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise ValueError(f"{name} must be a whole number of at least {least}, not {value}")
        if not 0 < self.learning_rate < float("inf"):
            raise ValueError(f"learning_rate must be a number above 0, not {self.learning_rate}")
        for name in ("tumour_share", "drop_sequence"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, not {getattr(self, name)}")
