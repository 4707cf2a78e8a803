"""Effective receptive fields: measurement, metrics and files."""

from .erf_file import load_erf, save_erf
from .feature_maps import FeatureError, as_map, layer_features
from .gaussian_surface import GaussianSurface, fit_surface
from .intervals import describe_sums, with_intervals
from .measurement import ContributionSums, Erf, measure_erf
from .metrics import describe_map, normalised, window_energy
from .protocols import PROTOCOLS, Protocol
from .units import Unit, central_mean, centre, parse_units, positions, regular_grid

__all__ = [
    'PROTOCOLS',
    'ContributionSums',
    'Erf',
    'FeatureError',
    'GaussianSurface',
    'Protocol',
    'Unit',
    'as_map',
    'central_mean',
    'centre',
    'describe_map',
    'describe_sums',
    'fit_surface',
    'layer_features',
    'load_erf',
    'measure_erf',
    'normalised',
    'parse_units',
    'positions',
    'regular_grid',
    'save_erf',
    'window_energy',
    'with_intervals',
]
