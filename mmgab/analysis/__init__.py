"""Analysis of trained models: receptive fields, attention maps, cost and plots."""
