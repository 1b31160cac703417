"""A synthetic cohort in Kaggle's layout: real average anatomy, simulated disease, no patient's data.

It lets everything here run without a download. It is calibrated against the real cohort, but a result on it
supports no claim about real MRI.

The steps, each a module: `plan` (who, where, which disease), `anatomy` (the head in MNI space), `tumour`
(growth and mask), `sequences` (contrast), `scanner` (geometry, noise, grey levels), `cohort` (the files).
"""

from brainseg.phantom.cohort import make_phantom

__all__ = ["make_phantom"]
