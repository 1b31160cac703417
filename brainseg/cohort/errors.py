"""The one report of everything that is wrong with a cohort."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

_LISTED = 20  # problems spelt out in one report


class CohortError(ValueError):
    """Everything that is wrong with a cohort, in one report.

    Parameters
    ----------
    problems : iterable of str
        One sentence each: the file, what is wrong, what to do.
    where : str or Path, optional
        The folder that was looked at.

    Attributes
    ----------
    problems : list of str
        All of them. The message spells out the first 20 and counts the rest.
    """

    def __init__(self, problems: str | Iterable[str], where: str | Path | None = None):
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        if len(self.problems) == 1 and where is None:
            message = self.problems[0]
        else:
            count = f"{len(self.problems)} problem{'s' if len(self.problems) > 1 else ''}"
            lines = [f"{count} in {where}:" if where else f"{count}:"]
            lines += [f"  - {problem}" for problem in self.problems[:_LISTED]]
            if len(self.problems) > _LISTED:
                lines.append(f"  ... and {len(self.problems) - _LISTED} more of this kind or another.")
            message = "\n".join(lines)
        super().__init__(message)
