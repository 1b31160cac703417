"""One measure in a process of its own: ``python -m benchmarks.worker networks.measure '{"model": "unet", ...}'``."""

from __future__ import annotations

import json
import sys
from importlib import import_module

ANSWER = "ROWS "
"""What the line with the answer begins with; libraries print lines of their own."""


def main() -> None:
    """Call the function, and print its rows as JSON."""
    module, _, function = sys.argv[1].partition(".")
    rows = getattr(import_module(f"benchmarks.{module}"), function)(**json.loads(sys.argv[2]))
    print(ANSWER + json.dumps(rows), flush=True)


if __name__ == "__main__":
    main()
