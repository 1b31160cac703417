"""Tumour shape and genomic clusters.

`features` makes a shape three numbers, `association` tests many pairs at once, `analysis` makes the tables, `findings`
says what they show, and `study` is the experiment.
"""
