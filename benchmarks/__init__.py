"""How fast the study's steps are, and the comparisons on which its settings rest.

``python -m benchmarks`` (``make bench``) measures speed into ``results/speed/``. What is measured lies in `networks`,
`loops`, `files`, `cohort`, `growth`, `book` and `study`. Every measure runs in a process of its own, so that none
inherits the threads, the memory or the compiled steps of another. The scripts ``calibrate_phantom.py`` and
``steer_phantom.py`` are called by name.
"""
