"""Networks: what they are, how they are trained, and what they leave behind.

`layers` and `models` are the architectures. `losses`, `augmentation`, `batches`, `training`, `forward` and `backend`
train them and run them. `recipe`, `record` and `weights` describe and keep a run, without Keras; `runs` ties all of it
together.
"""
