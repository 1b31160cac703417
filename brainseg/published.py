"""What our results stand beside: those that others have published, each with its source, and the aims set for this study."""

from __future__ import annotations

CROSS_VALIDATED = 0.836
"""Mean Dice per volume, U-Net, 22-fold cross-validation by patient on all 110 patients; the median is 0.873.

Buda, Saha and Mazurowski, project page: https://mateuszbuda.github.io/2017/12/01/brainseg.html
"""

TWO_READERS = (0.82, 0.86)
"""Two people who draw lower-grade gliomas by hand agree to a Dice of 0.84 +- 0.02, as the same page quotes, without a source."""

AIMS = {"fcn32": 0.74, "unet": 0.84, "resunet": 0.84}
"""Mean Dice per volume that this study was asked to reach on patients never seen; no result of anybody."""
