"""Whether a checkpoint fits a model: names and shapes compared, differences excused or refused."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from mmgab.functional import square_window

_RESIZABLE = re.compile(r'.*relative_position_bias_table|(.*\.)?absolute_pos_embed')
_NORM1 = re.compile(r'(?:backbone\.)?stages\.(\d+)\.blocks\.(\d+)\.norm1\.weight')
_VARIANTS = {
    (96, (2, 2, 6, 2)): 'Swin-T',
    (96, (2, 2, 18, 2)): 'Swin-S',
    (128, (2, 2, 18, 2)): 'Swin-B',
    (192, (2, 2, 18, 2)): 'Swin-L',
}


@dataclass(frozen=True)
class Excuses:
    """Differences that are no reason to refuse a file; patterns of whole tensor names.

    Attributes:
        missing: Tensors of the model that the file need not have.
        surplus: Tensors of the file that the model need not have.
        reshaped: Tensors that may differ in shape; they are left out.
    """

    missing: str = r'(?!)'
    surplus: str = r'(?!)'
    reshaped: str = r'(?!)'


@dataclass(frozen=True)
class LoadReport:
    """What was loaded; ``str()`` of it is the line for the log.

    Attributes:
        source: Path or URL.
        layout: Whose names the file has, ``'microsoft'`` or ``'openmmlab'``.
        total: Tensors that the model has.
        loaded: Names of the model's tensors that were set.
        missing: Names of the model's tensors that keep their values.
        unused: Names of the file's tensors that the model has no place for.
        resized: Names of the tensors resized to the model's window or image size.
    """

    source: str
    layout: str
    total: int
    loaded: list[str]
    missing: list[str]
    unused: list[str]
    resized: list[str]

    def __str__(self) -> str:
        """One line: how many of how many, and what was left out."""
        return (
            f'Loaded {len(self.loaded)} of {self.total} tensors from {self.source} ({self.layout} '
            f'layout); keep their values: {_folded(self.missing)}; resized: '
            f'{_folded(self.resized)}; in the file but not used: {_folded(self.unused)}'
        )


def match(
    own: Mapping[str, Tensor],
    tensors: Mapping[str, Tensor],
    excuses: Excuses,
    source: str,
    layout: str,
) -> LoadReport:
    """Compare a model's tensors with a file's.

    Args:
        own: The model's state dict.
        tensors: The file's tensors, under the model's names.
        excuses: Which differences are accepted.
        source: Path or URL, for the report.
        layout: The file's layout, for the report.

    Returns:
        What a load will do.

    Raises:
        ValueError: If there is a difference that is not excused; the message names depth and width
            where they differ, and the tensors.
    """
    unused = [name for name in tensors if name not in own]
    changed = [n for n in own if n in tensors and own[n].shape != tensors[n].shape]
    resized = [n for n in changed if _can_resize(n, own[n], tensors[n])]
    reshaped = [n for n in changed if n not in resized]
    missing = [n for n in own if n not in tensors]
    faults = {
        'missing in the file': _unexcused(missing, excuses.missing),
        'without a place in the model': _unexcused(unused, excuses.surplus),
        'of another shape': [
            f'{name} {tuple(tensors[name].shape)} for {tuple(own[name].shape)}'
            for name in _unexcused(reshaped, excuses.reshaped)
        ],
    }
    if any(faults.values()):
        lists = '; '.join(f'{len(v)} {what} ({_first(v)})' for what, v in faults.items() if v)
        raise ValueError(f'{source} does not fit the model{_difference(own, tensors)}: {lists}')
    loaded = [n for n in own if n in tensors and n not in reshaped]
    return LoadReport(
        source, layout, len(own), loaded, missing + reshaped, unused + reshaped, resized
    )


def _unexcused(names: list[str], pattern: str) -> list[str]:
    return [name for name in names if not re.fullmatch(pattern, name)]


def _can_resize(name: str, own: Tensor, other: Tensor) -> bool:
    """Whether the model's load hooks resize this tensor: of a square, same heads or channels."""
    if not _RESIZABLE.fullmatch(name):
        return False
    if name.endswith('relative_position_bias_table'):
        return own.shape[1] == other.shape[1] and square_window(len(other)) is not None
    if other.ndim == 4:  # a map (1, C, H, W)
        return own.shape[-1] == other.shape[1]
    return own.shape[-1] == other.shape[-1] and math.isqrt(other.shape[1]) ** 2 == other.shape[1]


def _difference(own: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> str:
    """Say in words that depth or width differ, the most frequent reasons."""
    ours, theirs = _architecture(own), _architecture(other)
    if ours == theirs:
        return ''
    return f', {_describe(*theirs)} into {_describe(*ours)}'


def _architecture(tensors: Mapping[str, Tensor]) -> tuple[int, tuple[int, ...]]:
    """Width of the first stage and number of blocks of each, read off names and shapes."""
    blocks = {m.groups(): tensors[name] for name in tensors if (m := _NORM1.fullmatch(name))}
    stages = [int(stage) for stage, _ in blocks]
    depths = tuple(stages.count(stage) for stage in range(max(stages, default=-1) + 1))
    return len(blocks.get(('0', '0'), ())), depths


def _describe(width: int, depths: tuple[int, ...]) -> str:
    if not depths:
        return 'no Swin'
    variant = _VARIANTS.get((width, depths), 'a Swin')
    return f'{variant} (embed_dims {width}, depth {sum(depths)}: {"-".join(map(str, depths))})'


def _first(names: list[str], limit: int = 4) -> str:
    return ', '.join(names[:limit]) + (f', {len(names) - limit} more' if len(names) > limit else '')


def _folded(names: list[str]) -> str:
    """Names with their numbers folded to ``*``, so that one entry stands for all layers."""
    counts: dict[str, int] = {}
    for name in names:
        folded = re.sub(r'(?<=\.)\d+(?=\.)', '*', name)
        counts[folded] = counts.get(folded, 0) + 1
    return ', '.join(f'{count} x {name}' for name, count in counts.items()) or 'none'
