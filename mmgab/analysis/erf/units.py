"""Units of a feature map: the locations whose receptive field is measured."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

Grid = tuple[int, int]


@dataclass(frozen=True)
class Unit:
    """One location of a feature map, or the mean of several.

    Attributes:
        name: Name in tables and titles.
        positions: Rows and columns of its locations.
    """

    name: str
    positions: tuple[tuple[int, int], ...]

    def centre(self, stride: tuple[float, float]) -> tuple[float, float]:
        """Return the unit's centre in the image, in pixels; 0 is the centre of the first pixel."""
        rows, cols = zip(*self.positions, strict=True)
        middle = (sum(rows) / len(rows), sum(cols) / len(cols))
        return (middle[0] + 0.5) * stride[0] - 0.5, (middle[1] + 0.5) * stride[1] - 0.5


# Function from the size of a map to its units.
UnitRule = Callable[[Grid], Sequence[Unit]]


def centre(grid: Grid) -> list[Unit]:
    """Select the centre location; for an even side, the one before the middle.

    On an even grid this is the upper left one of the middle four, as in the code of
    arXiv 2305.04722. RepLKNet's code (arXiv 2203.06717) takes the lower right one.
    """
    return [Unit('centre', (((grid[0] - 1) // 2, (grid[1] - 1) // 2),))]


def central_mean(grid: Grid) -> list[Unit]:
    """Select the mean of the central four locations; along an odd side, of the central one."""
    rows, cols = ({(side - 1) // 2, side // 2} for side in grid)
    return [Unit('mean of the centre', tuple((r, c) for r in sorted(rows) for c in sorted(cols)))]


def positions(places: Sequence[tuple[int, int]]) -> UnitRule:
    """Return a rule for units at given rows and columns; negative ones count from the end."""

    def rule(grid: Grid) -> list[Unit]:
        for place in places:
            if any(not -side <= i < side for i, side in zip(place, grid, strict=True)):
                raise ValueError(
                    f'the unit {place} is outside of the feature map of {grid[0]} x {grid[1]}'
                )
        wrapped = [(row % grid[0], col % grid[1]) for row, col in places]
        return [Unit(f'({row}, {col})', ((row, col),)) for row, col in wrapped]

    return rule


def regular_grid(count: int) -> UnitRule:
    """Return a rule for ``count`` x ``count`` units, evenly spread over the map."""

    def rule(grid: Grid) -> Sequence[Unit]:
        if not 0 < count <= min(grid):
            raise ValueError(
                f'a grid of {count} x {count} units does not fit the feature map of '
                f'{grid[0]} x {grid[1]}'
            )
        rows, cols = ([(2 * i + 1) * side // (2 * count) for i in range(count)] for side in grid)
        return positions([(row, col) for row in rows for col in cols])(grid)

    return rule


def parse_units(words: Sequence[str]) -> UnitRule:
    """Parse a rule: ``centre``, ``four``, ``grid:N``, or any number of ``ROW,COL``.

    Raises:
        ValueError: If the words match none of these forms.
    """
    if list(words) == ['centre']:
        return centre
    if list(words) == ['four']:
        return central_mean
    try:
        if len(words) == 1 and words[0].startswith('grid:'):
            return regular_grid(int(words[0].removeprefix('grid:')))
        # Both a wrong count and a word that is not a number raise ValueError.
        places = [(int(row), int(col)) for row, col in (word.split(',') for word in words)]
    except ValueError:
        places = []
    if not places:
        raise ValueError(
            f"a unit is 'centre', 'four', 'grid:N' or ROW,COL (several of those), got {words}"
        )
    return positions(places)
