"""What single parts of a trained network do: the bridges of U-Net, and the units of ResUNet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class BridgeFinding:
    """How much a trained U-Net relies on its bridges.

    Attributes
    ----------
    trained : float
        Mean Dice as trained.
    cut : mapping of str to float
        The same with one bridge cut, by a name such as "without bridge 1 (96 px)".
    """

    trained: float
    cut: Mapping[str, float]

    def sentence(self) -> str:
        """The cut that costs most, in Markdown."""
        worst = min(self.cut, key=lambda name: self.cut[name])
        return (
            f"The cut that costs most is the one **{worst}**: it leaves {self.cut[worst]:.2f}, where the network as "
            f"trained has {self.trained:.2f}."
        )

    def answer(self) -> str:
        """Whether the bridges matter, in a sentence: what the chapter finds. Numbers are compared as printed."""
        low, high = (f"{end(self.cut.values()):.2f}" for end in (min, max))
        if low >= f"{self.trained:.2f}":
            return f"This run does not show that its bridges do it: whichever is cut, a Dice of {low} or more is left."
        return (
            f"By bridges between levels of the same size: it has a Dice of {self.trained:.2f} as trained, and of {low} "
            f"to {high} with one of them cut."
        )


@dataclass(frozen=True)
class UnitFinding:
    """How much a ResUNet's units add to what they pass on.

    Attributes
    ----------
    ratio : mapping of str to float
        Size of what a unit adds over that of the signal on its shortcut, by the unit's name.
    """

    ratio: Mapping[str, float]

    def _ends(self) -> tuple[str, str]:
        return min(self.ratio, key=lambda name: self.ratio[name]), max(self.ratio, key=lambda name: self.ratio[name])

    def _outweigh(self) -> int:
        """How many units add more than they pass on; numbers are compared as printed."""
        return sum(round(ratio, 1) > 1 for ratio in self.ratio.values())

    def sentence(self) -> str:
        """The largest and the smallest addition, and whether these are corrections, in Markdown."""
        least, most = self._ends()
        outweigh, units = self._outweigh(), len(self.ratio)
        if outweigh == units:
            so = "So these units do not merely correct: what each adds outweighs what it passes on."
        elif outweigh:
            so = f"So {outweigh} of {units} units do not merely correct: what they add outweighs what they pass on."
        else:
            so = "So these units correct: what each adds is no larger than what it passes on."
        return (
            f"The correction is largest, relative to its shortcut, in `{most}` ({self.ratio[most]:.1f} times the "
            f"shortcut) and smallest in `{least}` ({self.ratio[least]:.1f} times). {so} The shortcut is still the "
            "straight way for the gradient."
        )

    def answer(self) -> str:
        """How much the units add, in a sentence: what the chapter finds."""
        least, most = self._ends()
        outweigh = self._outweigh()
        so = "is more than a correction" if outweigh else "is a correction"
        where = "in some units " if 0 < outweigh < len(self.ratio) else ""
        return (
            f"What its layers have learned: in this network {self.ratio[least]:.1f} times (`{least}`) to "
            f"{self.ratio[most]:.1f} times (`{most}`) as much as the signal itself, which {where}{so}."
        )
