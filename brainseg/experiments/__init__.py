"""Experiments: what is to be trained (`plan`), what trains and scores it (`engine`), and a module for each question."""
