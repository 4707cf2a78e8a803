"""Reproduction of the paper's claims on effective receptive fields; see docs/erf.md."""
