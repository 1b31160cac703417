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
    """How large the corrections of a ResUNet's units are.

    Attributes
    ----------
    ratio : mapping of str to float
        Size of a unit's correction over that of the signal on its shortcut, by the unit's name.
    """

    ratio: Mapping[str, float]

    def _ends(self) -> tuple[str, str]:
        return min(self.ratio, key=lambda name: self.ratio[name]), max(self.ratio, key=lambda name: self.ratio[name])

    def sentence(self) -> str:
        """The largest and the smallest correction, in Markdown."""
        least, most = self._ends()
        return (
            f"The correction is largest, relative to its shortcut, in `{most}` ({self.ratio[most]:.1f} times the "
            f"shortcut) and smallest in `{least}` ({self.ratio[least]:.1f} times)."
        )

    def answer(self) -> str:
        """How much the units change, in a sentence: what the chapter finds."""
        least, most = self._ends()
        return (
            f"A correction, which in this network is {self.ratio[least]:.1f} times (`{least}`) to "
            f"{self.ratio[most]:.1f} times (`{most}`) as large as the signal that it corrects."
        )
