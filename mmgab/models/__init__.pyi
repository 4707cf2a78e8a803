"""What type checkers see: names that ``__init__.py`` imports on demand."""

from mmgab.functional import gaussian_table as gaussian_table
from mmgab.layers.gaussian_bias import GaussianBias as GaussianBias
from mmgab.layers.window_attention import ShiftWindowMSA as ShiftWindowMSA
from mmgab.layers.window_attention import WindowMSA as WindowMSA
from mmgab.models.patch_diversity_loss import PatchDiversityLoss as PatchDiversityLoss
from mmgab.models.pooled_norm import PooledNorm as PooledNorm
from mmgab.models.simple_feature_pyramid import SimpleFeaturePyramid as SimpleFeaturePyramid
from mmgab.models.swin_gab import SwinGAB as SwinGAB
from mmgab.models.timm_gaussian import add_gaussian_bias as add_gaussian_bias
from mmgab.models.timm_gaussian import fold_gaussian_bias as fold_gaussian_bias
from mmgab.models.timm_gaussian import remove_gaussian_bias as remove_gaussian_bias
from mmgab.models.vit_gab import ViTGAB as ViTGAB
