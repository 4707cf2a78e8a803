"""What the paper says of effective receptive fields, measured: docs/erf.md."""
