"""Pictures and numbers about trained models; knows arrays, not models."""
