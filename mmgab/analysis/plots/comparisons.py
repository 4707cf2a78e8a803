"""Plot of a comparison of methods over seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .figures import Axes, plt, save

_PLAIN = dict(color='black', linewidth=2.5, zorder=3)


@dataclass(frozen=True)
class MethodPicture:
    """Data of one method in the plot.

    Attributes:
        differences: Differences to the reference, by seed.
        interval: Bootstrap interval of their mean; None if unknown.
        curve: Mean score by iteration.
    """

    differences: Sequence[float]
    interval: tuple[float, float] | None
    curve: Mapping[int, float]


def plot_comparison(
    methods: Mapping[str, MethodPicture], title: str, score: str, path: Path
) -> None:
    """Draw differences to a reference with their intervals, and scores over training.

    Args:
        methods: Data by method name, the reference first.
        title: Title of the figure.
        score: Name of the score, with its unit.
        path: PNG file to write.
    """
    height = 1.6 + 0.34 * len(methods)
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(12, max(height, 3.6)), width_ratios=(3, 2), layout='constrained'
    )
    colours = plt.get_cmap('tab20')(range(len(methods)))
    reference, *compared = methods
    for place, name in enumerate(compared):
        _draw_differences(left, place, methods[name], colours[place + 1])
    left.axvline(0, color='black', linewidth=1)
    left.set_yticks(range(len(compared)), compared)
    left.invert_yaxis()
    left.set_xlabel(f'{score}, difference to {reference}: seeds, mean, bootstrap 95 %')
    for (name, row), colour in zip(methods.items(), colours, strict=True):
        style = _PLAIN if name == reference else dict(color=colour)
        right.plot(list(row.curve), list(row.curve.values()), label=name, marker='.', **style)
    right.set(xlabel='iterations', ylabel=f'{score}, mean over seeds')
    right.legend(fontsize=7)
    for axes in (left, right):
        axes.grid(alpha=0.2)
        axes.spines[['top', 'right']].set_visible(False)
    figure.suptitle(title)
    save(figure, path)


def _draw_differences(axes: Axes, place: int, row: MethodPicture, colour: Sequence[float]) -> None:
    mean = sum(row.differences) / len(row.differences)
    axes.plot(row.differences, [place] * len(row.differences), 'o', color=colour, alpha=0.45)
    if row.interval is not None:
        axes.plot(row.interval, [place] * 2, color='black', linewidth=2)
    axes.plot([mean], [place], 'D', color='black', markersize=6)
