"""Tumour shape and genomic clusters: shape as numbers (`features`), many tests at once (`association`), and the experiment (`study`)."""
