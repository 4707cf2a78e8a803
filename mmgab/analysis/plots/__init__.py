"""Figures, written to files without a display."""

from .comparisons import MethodPicture, plot_comparison
from .costs import plot_benchmark
from .curves import curves_svg, layer_curves_svg
from .erf_maps import ErfPicture, plot_erf, plot_erf_difference, plot_erfs
from .gaussian_fields import plot_gaussians, plot_layers, plot_training
from .tables import plot_heads, plot_tables, plot_weights
from .tiles import Tile, plot_instances, plot_label_maps

__all__ = [
    'ErfPicture',
    'MethodPicture',
    'Tile',
    'curves_svg',
    'layer_curves_svg',
    'plot_benchmark',
    'plot_comparison',
    'plot_erf',
    'plot_erf_difference',
    'plot_erfs',
    'plot_gaussians',
    'plot_heads',
    'plot_instances',
    'plot_label_maps',
    'plot_layers',
    'plot_tables',
    'plot_training',
    'plot_weights',
]
