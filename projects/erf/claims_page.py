"""Write tables and verdicts of the ERF study, the last part of docs/erf.md."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mmgab.analysis.plots import ErfPicture
from mmgab.atomic_file import write_text
from projects.markdown import markdown_table

from .untrained_networks import GAUSSIANS, MORE, NO_POSITION, REDRAWN, TABLE, Bias

MARK = '<!-- What follows is written by `make erf-study`. -->\n'
GAUSSIAN = 0.5  # R^2 from which a field is called Gaussian
NONE = 0.05  # R^2 below which the fit found no Gaussian
_PARTS = ('value', 'low', 'high')
HOLDS, PARTLY, FAILS = 'Holds here', 'Holds in part', 'Does not hold here'
UNKNOWN = 'Cannot be tested here'


@dataclass(frozen=True)
class Row:
    """A measured network.

    Attributes:
        name: Name of the row.
        whole: Measures of the whole field, see :func:`mmgab.analysis.erf.describe_sums`.
        beyond: Measures without the unit's own patch, see :func:`projects.erf.measures.beyond`.
        others: R^2 beyond the own patch with other initial weights.
        picture: Plot panel of the field.
        picture_beyond: Plot panel without the own patch.
        images: Number of images.
    """

    name: str
    whole: dict[str, dict[str, float]]
    beyond: dict[str, dict[str, float]]
    others: list[float]
    picture: ErfPicture
    picture_beyond: ErfPicture
    images: int


Rows = dict[str, list[Row]]
Verdict = tuple[str, str, str]  # claim, verdict, reason

_UNTRAINED = """
## Reproduction of the paper's claims

```bash
make erf-study
```

Each receptive field is described by two fits:

* "R² of the whole": the nearest 2-D Gaussian of the whole field, with five parameters along the
  axes of the image. This is the measure of the paper's code. An untrained network passes nearly
  all of the gradient along its residual connections to the unit's own patch, so that this R² is
  that of a speckled square.
* "R² beyond": means of cells of 8 x 8 pixels without the own patch, fitted by the nearest
  Gaussian about the unit on a constant. R² 0 is a field without a Gaussian.

Brackets give 95 % intervals over images, for one draw of weights. "Other weights" are two more
draws.

### Untrained networks

{images} photographs of 224 x 224 pixels, protocol `gab2023`, the unit at the centre of the last
map. ViT-S is timm's with relative position only and tables as in Swins. Swin-T is mmgab's,
before its last norm. A Gaussian is added to the untrained table (standard deviation 0.02). "near
/ far" is the mean contribution 24 to 56 pixels from the unit, divided by that 80 to 112 pixels
away.

"""

_NUCLEI = """
![Fields before training](figures/erf_untrained.png)

### The nuclei models

All tiles of the data set, {images} images, in the size of the training; the unit at the centre
of the last stage, before its norm. The tiles are cut from one micrograph, overlap, and most were
used for training. Intervals are therefore narrower than for as many independent images. In
"positions drawn anew", the relative-position tables are random again and everything else is
trained: the paper's control.

"""

_VERDICTS = """
![Fields of the nuclei models](figures/erf_nuclei.png)

### Verdicts

The claims are those of [arXiv 2305.04722](https://arxiv.org/abs/2305.04722). A field is called
Gaussian if R² beyond the own patch is at least 0.5 with all draws of weights, and above that of
the comparison, with intervals that do not overlap. A bias is said to carry no information if its
intervals overlap with those without it.

"""


def write_page(path: Path, fresh: Rows, nuclei: Rows, sigmas: dict[str, list[float]]) -> None:
    """Replace the part of the page below the marker.

    Args:
        path: Path of docs/erf.md.
        fresh: Rows of every untrained network.
        nuclei: Rows of every config, before and after training.
        sigmas: Sigma of every layer after training, for each config with Gaussians.

    Raises:
        ValueError: If the page has no marker.
    """
    kept, mark, _ = path.read_text(encoding='utf-8').partition(MARK)
    if not mark:
        raise ValueError(f'{path} has no line {MARK.strip()}; add it where the results shall begin')
    untrained = '\n'.join(_table(name, rows) for name, rows in fresh.items())
    trained = '\n'.join(_table(name, rows) for name, rows in nuclei.items())
    verdicts = [
        _distance(fresh), *_from_the_start(fresh), _training(nuclei), _redrawn(nuclei),
        _layers(sigmas), *_UNTESTED,
    ]  # fmt: skip
    table = markdown_table(
        ('claim', 'verdict'), ((claim, f'**{word}.** {why}') for claim, word, why in verdicts)
    )
    text = _UNTRAINED.format(images=_images(fresh)) + untrained
    text += _NUCLEI.format(images=_images(nuclei)) + trained + _VERDICTS + table
    write_text(path, kept + mark + text)


def redrawn_name(bias: Bias) -> str:
    """Return the row name of a trained network with redrawn tables."""
    return f'positions drawn anew, std {bias.table_std:g}'


def _images(rows: Rows) -> int:
    return next(iter(rows.values()))[0].images


def _table(network: str, rows: list[Row]) -> str:
    has_far, has_others = 'near_by_far' in rows[0].beyond, bool(rows[0].others)
    head = [network, 'R² of the whole', 'own patch, part of the whole', 'R² beyond',
            'sigma beyond, pixels', *(['near / far'] if has_far else []),
            *(['R² beyond, other weights'] if has_others else [])]  # fmt: skip
    lines = []
    for row in rows:
        cells = [row.name, _interval(row.whole['fit_r_squared'])]
        cells += [_interval(row.beyond[name]) for name in ('own_patch', 'r_squared')]
        has_gaussian = row.beyond['r_squared']['value'] >= NONE
        cells.append(_interval(row.beyond['sigma']) if has_gaussian else 'none')
        if has_far:
            cells.append(_interval(row.beyond['near_by_far']))
        if has_others:
            cells.append(', '.join(f'{round(value, 2) + 0:.2f}' for value in row.others))
        lines.append(cells)
    return markdown_table(head, lines)


def _interval(number: dict[str, float]) -> str:
    digits = 0 if number['value'] >= 10 else 3 if 0.99 < number['value'] < 1 else 2
    # Plus 0 turns -0 into 0.
    value, low, high = (f'{round(number[k], digits) + 0:.{digits}f}' for k in _PARTS)
    return f'{value} ({low} to {high})'


def _named(rows: list[Row], bias: Bias) -> Row:
    return next(row for row in rows if row.name == bias.name)


def _is_above(number: dict[str, float], other: dict[str, float]) -> bool:
    return number['low'] > other['high']


def _is_gaussian(row: Row, other: Row) -> bool:
    fit, before = row.beyond['r_squared'], other.beyond['r_squared']
    return min(fit['value'], *row.others, 1) >= GAUSSIAN and _is_above(fit, before)


def _word(holds: list[bool]) -> str:
    return HOLDS if all(holds) else PARTLY if any(holds) else FAILS


def _r_squared(row: Row) -> str:
    return f'{round(row.beyond["r_squared"]["value"], 2) + 0:.2f}'


def _distance(fresh: Rows) -> Verdict:
    claim = 'In a network that was never trained, relative position says nothing about distance'
    found, holds = [], []
    for network, rows in fresh.items():
        plain, table = (_named(rows, bias) for bias in (NO_POSITION, TABLE))
        ratios = [row.beyond['near_by_far']['value'] for row in (table, plain)]
        found.append(
            f'{network}: R² beyond {_r_squared(table)} and near / far {ratios[0]:.2f} with the '
            f'untrained table, {_r_squared(plain)} and {ratios[1]:.2f} with no position at all'
        )
        for number in ('r_squared', 'near_by_far'):
            pair = table.beyond[number], plain.beyond[number]
            holds.append(not _is_above(*pair) and not _is_above(*pair[::-1]))
    return claim, _word(holds), '; '.join(found)


def _from_the_start(fresh: Rows) -> Iterator[Verdict]:
    for biases, what in ((GAUSSIANS, 'as it starts, A = 1,'), (MORE[-1:], 'of A = 10')):
        claim = f'With a Gaussian {what} the field is Gaussian before training'
        found, holds = [], []
        for network, rows in fresh.items():
            table, own = _named(rows, TABLE), [_named(rows, bias) for bias in biases]
            are_gaussian = [_is_gaussian(row, table) for row in own]
            values = ', '.join(
                f'{_r_squared(row)} with sigma {bias.sigma:g}{"" if is_one else " (not)"}'
                for row, bias, is_one in zip(own, biases, are_gaussian, strict=True)
            )
            found.append(f'{network}: R² beyond {_r_squared(table)} with the table, {values}')
            holds += are_gaussian
        yield claim, _word(holds), '; '.join(found)


def _training(nuclei: Rows) -> Verdict:
    claim = 'Training makes the field Gaussian'
    holds = [_is_gaussian(after, before) for before, after, *_ in nuclei.values()]
    found = [
        f'{name}: R² beyond {_r_squared(before)} before, {_r_squared(after)} after'
        for name, (before, after, *_) in nuclei.items()
    ]
    return claim, _word(holds), '; '.join(found) + '. Minutes of training on one micrograph'


def _redrawn(nuclei: Rows) -> Verdict:
    claim = 'A trained network is less Gaussian where its relative positions are drawn anew'
    found, holds = [], []
    for name, (_, after, *redrawn) in nuclei.items():
        for bias, row in zip(REDRAWN, redrawn, strict=False):  # networks with Gaussians have none
            holds.append(_is_above(after.beyond['r_squared'], row.beyond['r_squared']))
            found.append(
                f'{name}: R² beyond {_r_squared(after)} as trained, {_r_squared(row)} with tables '
                f'of standard deviation {bias.table_std:g}'
            )
    return claim, _word(holds), '; '.join(found) + '. Tables hardly left their start in minutes'


def _layers(sigmas: dict[str, list[float]]) -> Verdict:
    claim = 'The learned sigma differs by layer and by data'
    ranges = [f'{name}: {min(own):.2f} to {max(own):.2f}' for name, own in sigmas.items()]
    moved = max(abs(sigma - 5.0) for own in sigmas.values() for sigma in own)
    why = (
        f'All layers begin at 5 tokens and end at {"; ".join(ranges)}: at most {moved:.2f} away, '
        'in some hundred steps of at most 0.001 each. It would take weeks of COCO or ADE20K'
    )
    return claim, UNKNOWN, why


_UNTESTED = (
    ('Trained relative positions of published Swins and ViTs are Gaussians', UNKNOWN,
     'Their checkpoints are not here; `gab_params.py CHECKPOINT` fits every layer of a Swin, or of '
     'a plain ViT with relative positions'),
    ('The Gaussian helps detection and segmentation', UNKNOWN,
     'It would take COCO or ADE20K, a GPU, and several seeds; one seed on one micrograph shows no '
     'difference (README)'),
)  # fmt: skip
