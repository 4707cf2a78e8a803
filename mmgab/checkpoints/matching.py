"""Whether a checkpoint fits a model: names and shapes compared, differences excused or refused."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from mmgab.layers.methods import GATED_ATTENTION
from mmgab.printable_text import printable

from .excuses import Excuses

_NORM1 = re.compile(r'(?:backbone\.)?stages\.(\d{1,4})\.blocks\.(\d{1,4})\.norm1\.weight')
_VARIANTS: dict[tuple[int, tuple[int, ...]], str] = {
    (96, (2, 2, 6, 2)): 'Swin-T',
    (96, (2, 2, 18, 2)): 'Swin-S',
    (128, (2, 2, 18, 2)): 'Swin-B',
    (192, (2, 2, 18, 2)): 'Swin-L',
}


@dataclass(frozen=True)
class LoadReport:
    """What was loaded; ``str()`` of it is the line for the log.

    Attributes:
        source: Path or URL.
        layout: Whose layout the file is in: ``'timm'``, ``'microsoft'``, ...
        total: Tensors that the model has.
        loaded: Names of the model's tensors that were set.
        missing: Names of the model's tensors that keep their values.
        unexpected: Names of the file's tensors that are not used: the model has no place for them,
            or one of another shape.
        resized: Names of the tensors resized to the model's window or image size.
        fitted: Names of the tensors that the file has not and that were fitted to it.
    """

    source: str
    layout: str
    total: int
    loaded: list[str]
    missing: list[str]
    unexpected: list[str]
    resized: list[str]
    fitted: list[str]

    def __str__(self) -> str:
        """One line: how many of how many, and what was left out."""
        return (
            f'Loaded {len(self.loaded)} of {self.total} tensors from {self.source} ({self.layout} '
            f'layout); missing, keep their values: {grouped(self.missing)}; unexpected, not used: '
            f'{grouped(self.unexpected)}; resized: {grouped(self.resized)}; fitted: '
            f'{grouped(self.fitted)}'
        )


def match(
    own: Mapping[str, Tensor],
    adapted: Mapping[str, Tensor],
    excuses: Excuses,
    source: str,
    layout: str,
    resized: list[str],
    fitted: list[str],
) -> LoadReport:
    """Compare a model's tensors with a file's.

    Args:
        own: The model's state dict.
        adapted: The file's tensors, after the model's modules have adapted them.
        excuses: Which differences are accepted.
        source: Path or URL, for the report.
        layout: The file's layout, for the report.
        resized: Names of those that were resized.
        fitted: Names of those that were fitted.

    Returns:
        What a load will do.

    Raises:
        ValueError: If there is a difference that is not excused, or a value that is not finite; the
            message names depth and width where they differ, and the tensors.
    """
    unexpected = [name for name in adapted if name not in own]
    reshaped = [n for n in own if n in adapted and own[n].shape != adapted[n].shape]
    missing = [n for n in own if n not in adapted]
    loaded = [n for n in own if n in adapted and n not in reshaped]
    faults = {
        'missing in the file': _unexcused(missing, excuses.missing),
        'without a place in the model': _unexcused(unexpected, excuses.unexpected),
        'of another shape': [
            f'{name} {tuple(adapted[name].shape)} for {tuple(own[name].shape)}'
            for name in _unexcused(reshaped, excuses.reshaped)
        ],
        'of another window or image size, where resizing is not allowed': _unexcused(
            resized, excuses.resized
        ),
        **_faulty_values(own, adapted, loaded),
    }
    if any(faults.values()):
        lists = '; '.join(f'{len(v)} {what} ({grouped(v)})' for what, v in faults.items() if v)
        reason = _difference(own, adapted, loaded)
        raise ValueError(f'{source} does not fit the model{reason}: {lists}')
    kept, unused = missing + reshaped, unexpected + reshaped
    fitted = [name for name in fitted if name in loaded]
    return LoadReport(source, layout, len(own), loaded, kept, unused, resized, fitted)


def _faulty_values(
    own: Mapping[str, Tensor], adapted: Mapping[str, Tensor], names: list[str]
) -> dict[str, list[str]]:
    """Values that cannot be copied, or should not be."""
    empty = [n for n in names if own[n].is_meta or adapted[n].is_meta]
    special = [n for n in names if adapted[n].layout != torch.strided or adapted[n].is_quantized]
    rest = [n for n in names if n not in empty and n not in special]
    infinite = [n for n in rest if not is_finite(adapted[n])]
    return {
        'without values, in the file or the model': empty,
        'sparse or quantised, to be saved dense': special,
        'of another kind of number': [n for n in names if _kind(own[n]) != _kind(adapted[n])],
        'with values that are not finite': infinite,
        'with values that the dtype of the model cannot hold': [
            n for n in rest if n not in infinite and not _can_hold(own[n].dtype, adapted[n])
        ],
    }


def _can_hold(dtype: torch.dtype, tensor: Tensor) -> bool:
    """Whether values stay finite, or the same integers, in another dtype."""
    if dtype == tensor.dtype:
        return True
    converted = tensor.to(dtype)
    if tensor.is_floating_point() or tensor.is_complex():
        return is_finite(converted)
    return bool((converted.to(tensor.dtype) == tensor).all())


def is_finite(tensor: Tensor) -> bool:
    """Whether a tensor has neither infinite values nor any that are no numbers."""
    if tensor.is_floating_point() and tensor.element_size() == 1:  # no such test for 8 bits
        tensor = tensor.float()
    return bool(torch.isfinite(tensor).all())


def _kind(tensor: Tensor) -> str:
    return 'complex' if tensor.is_complex() else 'float' if tensor.is_floating_point() else 'int'


def _unexcused(names: list[str], pattern: str) -> list[str]:
    return [name for name in names if not re.fullmatch(pattern, name)]


def _difference(own: Mapping[str, Tensor], other: Mapping[str, Tensor], loaded: list[str]) -> str:
    """Say in words what the most frequent reasons are."""
    if any('.attn.logit_scale' in name for name in other):
        return ', it is a Swin V2'
    gated = [GATED_ATTENTION.is_in(names) for names in (own, other)]
    if gated == [False, True]:
        return ', it has gated positional self-attention (ConViT), which takes gpsa_cfg'
    if not loaded:
        return ', no tensor of it has its place there'
    ours, theirs = architecture(own), architecture(other)
    if ours != theirs:
        return f', {describe(*theirs)} into {describe(*ours)}'
    return ''


def architecture(tensors: Mapping[str, Tensor]) -> tuple[int, tuple[int, ...]]:
    """Width of the first stage and number of blocks of each, read off names and shapes."""
    blocks = {m.groups(): tensors[name] for name in tensors if (m := _NORM1.fullmatch(name))}
    stages = [int(stage) for stage, _ in blocks]
    depths = tuple(stages.count(stage) for stage in range(max(stages, default=-1) + 1))
    return len(blocks.get(('0', '0'), ())), depths


def describe(width: int, depths: tuple[int, ...]) -> str:
    """Name a Swin of that width and those depths."""
    if not depths:
        return 'no Swin'
    variant = _VARIANTS.get((width, depths), 'a Swin')
    return f'{variant} (embed_dims {width}, depth {sum(depths)}: {"-".join(map(str, depths))})'


def grouped(names: list[str]) -> str:
    """All names in one line; those that differ in numbers alone as one, ``*`` for a number."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(re.sub(r'(?<=\.)\d+(?=\.)', '*', name), []).append(name)
    entries = (f'{len(g)} x {folded}' if len(g) > 1 else g[0] for folded, g in groups.items())
    return printable(', '.join(entries)) or 'none'
