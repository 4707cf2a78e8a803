"""What all pictures have in common; matplotlib is imported in this folder alone."""

from pathlib import Path

import matplotlib

matplotlib.use('Agg')  # files only: no display is needed

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

__all__ = ['Axes', 'AxesImage', 'Figure', 'matplotlib', 'plt', 'save']


def save(figure: Figure, path: Path) -> None:
    """Write a figure and forget it."""
    figure.savefig(path, dpi=130)
    plt.close(figure)
