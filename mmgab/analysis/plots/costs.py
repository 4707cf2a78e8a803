"""Plot of the benchmark."""

from collections.abc import Mapping
from pathlib import Path

from .figures import plt, save


def plot_benchmark(times: Mapping, scaling: Mapping, reference: str, path: Path) -> None:
    """Draw times as bars, relative to a reference, and time against image size as curves.

    Args:
        times: Mode to library to ``seconds`` and ``ratio``.
        scaling: Library to ``sides`` in pixels, ``seconds`` and ``exponent``.
        reference: Library whose time is 1.
        path: PNG file to write.
    """
    figure, (bars, curves) = plt.subplots(
        1, 2, figsize=(14, 1.2 * len(times)), width_ratios=(2, 1), layout='constrained'
    )
    names = list(next(iter(times.values())))
    height = 0.8 / len(names)
    for i, name in enumerate(names):
        places = [mode + (i - len(names) / 2) * height for mode in range(len(times))]
        bars.barh(places, [row[name]['ratio'] for row in times.values()], height, label=name)
    bars.axvline(1, color='k', linewidth=0.8)
    bars.set_yticks(range(len(times)), list(times), fontsize=8)
    bars.invert_yaxis()
    bars.set_xlabel(f'time, {reference} = 1; shorter is faster')
    bars.legend(fontsize=7)
    for name, row in scaling.items():
        label = f'{name}, exponent {row["exponent"]:.2f}'
        curves.plot([side**2 for side in row['sides']], row['seconds'], 'o-', label=label)
    curves.set(xscale='log', yscale='log', xlabel='pixels', ylabel='seconds, fp32 inference')
    curves.legend(fontsize=8)
    save(figure, path)
