"""Shared setup of all plots; matplotlib is imported only in this folder."""

from pathlib import Path

import matplotlib

matplotlib.use('Agg')  # writes files without a display

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from mmgab.atomic_file import replacing

__all__ = ['Axes', 'AxesImage', 'Figure', 'matplotlib', 'plt', 'save', 'widen_span']

_LEAST_SPAN = 0.1  # of an axis, relative to its largest value; a drift of 1 % looks small


def widen_span(axes: Axes) -> None:
    """Set plain numbers and a minimum span for the vertical axis."""
    axes.ticklabel_format(axis='y', useOffset=False)
    low, high = axes.get_ylim()
    middle, span = (low + high) / 2, max(abs(low), abs(high)) * _LEAST_SPAN
    if high - low < span:
        axes.set_ylim(middle - span / 2, middle + span / 2)


def save(figure: Figure, path: Path) -> None:
    """Write a figure and close it; the default format is PNG."""
    with replacing(path if path.suffix else path.with_suffix('.png')) as temporary:
        figure.savefig(temporary, dpi=130)
    plt.close(figure)
