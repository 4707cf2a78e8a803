"""The network without any method: what the others are compared with."""
