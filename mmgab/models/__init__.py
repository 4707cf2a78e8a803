"""Backbones and the layers that they are made of; registered as ``mmgab.*``."""

from .gaussian_bias import GaussianBias, gaussian_table
from .patch_diversity_loss import PatchDiversityLoss
from .simple_feature_pyramid import SimpleFeaturePyramid
from .swin_gab import SwinGAB
from .timm_gaussian import add_gaussian_bias, fold_gaussian_bias, remove_gaussian_bias
from .vit_gab import ViTGAB
from .window_attention import ShiftWindowMSA, WindowMSA

__all__ = [
    'GaussianBias',
    'PatchDiversityLoss',
    'ShiftWindowMSA',
    'SimpleFeaturePyramid',
    'SwinGAB',
    'ViTGAB',
    'WindowMSA',
    'add_gaussian_bias',
    'fold_gaussian_bias',
    'gaussian_table',
    'remove_gaussian_bias',
]
