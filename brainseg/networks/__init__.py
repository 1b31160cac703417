"""Networks: architectures (`layers`, `models`), `losses`, `augmentation`, `batches`, `forward`, `training`; the `recipe`, the `record` of a
run, `weights` and `runs`; the `backend`. `recipe`, `record` and `weights` load no Keras.
"""
