"""Networks: what they are, how they are trained, and what they leave behind.

`layers` and `models` are the architectures. `losses`, `augmentation`, `batches`, `training`, `forward` and `backend`
train them and run them. `recipe`, `record` and `weights` describe and keep a run, without Keras; `runs` ties all of it
together.
"""

import os
from importlib.util import find_spec

BACKENDS = ("tensorflow", "jax", "torch")
"""The packages that may compute for Keras, as ``KERAS_BACKEND`` names them; without it, the first."""


def require_keras() -> None:
    """Refuse to go on where Keras or the package that computes for it is missing; neither is loaded.

    Raises
    ------
    ValueError
        With what to install, or what ``KERAS_BACKEND`` may name.
    """
    install = "Install it: python -m pip install"
    if find_spec("keras") is None:
        raise ValueError(f"Keras is missing, which networks need. {install} -e '.[networks]'")
    backend = os.environ.get("KERAS_BACKEND", "").strip() or BACKENDS[0]
    if backend not in BACKENDS:
        raise ValueError(f"KERAS_BACKEND is {backend!r}. Set it to one of {', '.join(BACKENDS)}, or unset it.")
    if find_spec(backend) is None:
        asked = (
            f"KERAS_BACKEND asks for {backend}" if "KERAS_BACKEND" in os.environ else f"Keras computes with {backend}"
        )
        raise ValueError(f"{asked}, and that package is missing. {install} {backend}, or set KERAS_BACKEND to another.")
