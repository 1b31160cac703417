"""What was tried to prove the study wrong: ``python -m proof``.

The parts lie in `field` (metrics beside those of another library), `fuzz` (damaged files), `kills` (work that is killed
at random moments), `again` (the same work twice), `mutants` (faults put into the code), `coverage` (branches that the
tests reach) and `tests` (how many tests try to break what). Short versions run among the tests. The long ones leave
their figures in ``results/proof/``.
"""
