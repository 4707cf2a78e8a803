"""The check of a data set: whether it can be trained on, and whether its scores mean anything."""
