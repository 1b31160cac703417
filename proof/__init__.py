"""What was tried to prove the study wrong: ``python -m proof``.

The parts lie in `field` (metrics beside those of another library) and `fuzz` (damaged files). Short versions run among
the tests. The long ones leave their figures in ``results/proof/``.
"""
