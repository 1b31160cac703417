"""Evaluation: from a run to masks, and from masks to tables and summaries.

`predict` and `folder` make masks, `scores` and `headline` score and sum up without Keras, `conventions` are other ways
of scoring.
"""
