"""Images: from a slice to what a network sees, and the way back.

`contrast`, `visibility` of a lesion, the `crop` and its inverse, one patient (`preprocess`), a whole cohort on disk
(`prepared`), and the article's files (`export`).
"""
