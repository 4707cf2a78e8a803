"""Backbones and the layers that they are made of; registered as ``mmgab.*``."""

from .gaussian_bias import GaussianBias, gaussian_table
from .swin_gab import SwinGAB
from .window_attention import ShiftWindowMSA, WindowMSA

__all__ = ['GaussianBias', 'ShiftWindowMSA', 'SwinGAB', 'WindowMSA', 'gaussian_table']
