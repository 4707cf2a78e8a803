"""Swin Transformer with a learnable Gaussian attention bias, for MMDetection and MMSegmentation."""

__version__ = '0.1.0'
