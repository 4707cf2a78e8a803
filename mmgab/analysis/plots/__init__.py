"""Figures; files only, no display is needed."""

from .benchmark import plot_benchmark
from .erf import ErfPicture, plot_erf, plot_erf_difference, plot_erfs
from .gaussians import plot_gaussians, plot_layers, plot_tables
from .tiles import Tile, plot_instances, plot_label_maps

__all__ = [
    'ErfPicture',
    'Tile',
    'plot_benchmark',
    'plot_erf',
    'plot_erf_difference',
    'plot_erfs',
    'plot_gaussians',
    'plot_instances',
    'plot_label_maps',
    'plot_layers',
    'plot_tables',
]
