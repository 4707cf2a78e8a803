"""Curves as SVG for web pages, with text in the colour of the surrounding text."""

import re
from collections.abc import Mapping, Sequence
from io import StringIO

from .figures import plt, widen_span

# Placeholder colour, replaced by the colour of the surrounding text.
_INK = '#010203'
_SIZE = (4.4, 2.9)  # inches; letters stay readable at the width of a phone
_STYLE = {
    'svg.fonttype': 'none',
    'font.size': 11,
    'legend.frameon': False,
    **{
        f'{part}color': _INK
        for part in ('text.', 'axes.edge', 'axes.label', 'xtick.', 'ytick.', 'grid.')
    },
}
Line = tuple[Sequence[float], Sequence[float]]


def curves_svg(lines: Mapping[str, Line], xlabel: str, ylabel: str) -> str:
    """Draw curves, each with a name in the legend.

    Args:
        lines: Abscissae and ordinates of each curve, by name.
        xlabel: What the abscissae are.
        ylabel: What the ordinates are.

    Returns:
        An ``<svg>`` element.
    """
    with plt.rc_context(_STYLE):
        figure, axes = plt.subplots(figsize=_SIZE, layout='constrained')
        for name, line in lines.items():
            axes.plot(*line, label=name, marker='o' if len(line[0]) < 3 else None)
        axes.legend(fontsize=9, ncols=1 + len(lines) // 5)
        return _finish(figure, axes, xlabel, ylabel)


def layer_curves_svg(lines: Sequence[Line], xlabel: str, ylabel: str) -> str:
    """Draw a curve for each layer, shaded by depth.

    Args:
        lines: Abscissae and ordinates of each layer.
        xlabel: What the abscissae are.
        ylabel: What the ordinates are.

    Returns:
        An ``<svg>`` element.
    """
    with plt.rc_context(_STYLE):
        figure, axes = plt.subplots(figsize=_SIZE, layout='constrained')
        ends = {0: 'first layer', len(lines) - 1: 'last layer'}
        for place, line in enumerate(lines):
            shade = plt.get_cmap('cool')(place / max(len(lines) - 1, 1))
            axes.plot(*line, color=shade, label=ends.get(place))
        widen_span(axes)
        axes.legend(fontsize=9)
        return _finish(figure, axes, xlabel, ylabel)


def _finish(figure: plt.Figure, axes: plt.Axes, xlabel: str, ylabel: str) -> str:
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.grid(alpha=0.2)
    axes.spines[['top', 'right']].set_visible(False)
    file = StringIO()
    figure.savefig(file, format='svg', transparent=True, metadata=dict(Date=None))
    plt.close(figure)
    svg = file.getvalue()
    svg = svg[svg.index('<svg') :].replace(_INK, 'currentColor')
    svg = re.sub('<g id="[^"]*"', '<g', svg)  # the same in every figure, and unused
    return svg.replace('<svg ', f'<svg role="img" aria-label="{ylabel} over {xlabel}" ', 1)
