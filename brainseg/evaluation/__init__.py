"""Evaluation: from a run to masks (`predict`, `folder`), from masks to tables and summaries (`scores`, `headline`), and other ways
of scoring (`conventions`). `scores` and `headline` load no Keras.
"""
