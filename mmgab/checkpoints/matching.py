"""Compare a checkpoint with a model: missing, unexpected and mismatched keys."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from mmgab.layers.methods import GATED_ATTENTION
from mmgab.printable_text import printable

from .allowed_differences import AllowedDifferences

_NORM1 = re.compile(r'(?:backbone\.)?stages\.(\d{1,4})\.blocks\.(\d{1,4})\.norm1\.weight')
_VARIANTS: dict[tuple[int, tuple[int, ...]], str] = {
    (96, (2, 2, 6, 2)): 'Swin-T',
    (96, (2, 2, 18, 2)): 'Swin-S',
    (128, (2, 2, 18, 2)): 'Swin-B',
    (192, (2, 2, 18, 2)): 'Swin-L',
}


@dataclass(frozen=True)
class LoadReport:
    """Report of a load; ``str()`` gives the line for the log.

    Attributes:
        source: Path or URL.
        layout: Whose layout the file is in: ``'timm'``, ``'microsoft'``, ...
        total: Tensors that the model has.
        loaded: Names of the model's tensors that were set.
        missing: Names of the model's tensors that keep their values.
        unexpected: Names of the file's tensors that are not used: the model has no place for them,
            or one of another shape.
        resized: Names of the tensors resized to the model's window or image size.
        fitted: Names of the tensors that are missing in the file and were fitted to it.
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
        """Return one line with the numbers of tensors and the differing keys."""
        return (
            f'Loaded {len(self.loaded)} of {self.total} tensors from {self.source} ({self.layout} '
            f'layout); missing keys (keep their values): {grouped(self.missing)}; unexpected keys '
            f'(ignored): {grouped(self.unexpected)}; resized: {grouped(self.resized)}; fitted: '
            f'{grouped(self.fitted)}'
        )


def match(
    own: Mapping[str, Tensor],
    adapted: Mapping[str, Tensor],
    allowed: AllowedDifferences,
    source: str,
    layout: str,
    resized: list[str],
    fitted: list[str],
) -> LoadReport:
    """Compare a model's tensors with a file's.

    Args:
        own: The model's state dict.
        adapted: The file's tensors, after the model's modules have adapted them.
        allowed: Which differences are accepted.
        source: Path or URL, for the report.
        layout: The file's layout, for the report.
        resized: Names of those that were resized.
        fitted: Names of those that were fitted.

    Returns:
        The report of the load.

    Raises:
        ValueError: If there is a difference that is not allowed, or a value that is not finite; the
            message reports depth and width where they differ, and the keys.
    """
    unexpected = [name for name in adapted if name not in own]
    reshaped = [n for n in own if n in adapted and own[n].shape != adapted[n].shape]
    missing = [n for n in own if n not in adapted]
    loaded = [n for n in own if n in adapted and n not in reshaped]
    faults = {
        'missing key(s)': _not_allowed(missing, allowed.missing),
        'unexpected key(s)': _not_allowed(unexpected, allowed.unexpected),
        'key(s) of another shape': [
            f'{name} {tuple(adapted[name].shape)} for {tuple(own[name].shape)}'
            for name in _not_allowed(reshaped, allowed.reshaped)
        ],
        'key(s) of another window or image size, where resizing is not allowed': _not_allowed(
            resized, allowed.resized
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
    """Find tensors whose values cannot or must not be copied."""
    empty = [n for n in names if own[n].is_meta or adapted[n].is_meta]
    special = [n for n in names if adapted[n].layout != torch.strided or adapted[n].is_quantized]
    rest = [n for n in names if n not in empty and n not in special]
    infinite = [n for n in rest if not is_finite(adapted[n])]
    return {
        'without values, in the file or the model': empty,
        'sparse or quantised, which must be saved dense': special,
        'of another dtype': [
            f'{n} {adapted[n].dtype} for {own[n].dtype}'
            for n in names
            if _kind(own[n]) != _kind(adapted[n])
        ],
        'with values that are not finite': infinite,
        'with values that the dtype of the model cannot hold': [
            n for n in rest if n not in infinite and not _can_hold(own[n].dtype, adapted[n])
        ],
    }


def _can_hold(dtype: torch.dtype, tensor: Tensor) -> bool:
    """Return True if values stay finite, or exact integers, in another dtype."""
    if dtype == tensor.dtype:
        return True
    converted = tensor.to(dtype)
    if tensor.is_floating_point() or tensor.is_complex():
        return is_finite(converted)
    return bool((converted.to(tensor.dtype) == tensor).all())


def is_finite(tensor: Tensor) -> bool:
    """Return True if a tensor has no infinity and no NaN."""
    if tensor.is_floating_point() and tensor.element_size() == 1:  # no such test for 8 bits
        tensor = tensor.float()
    return bool(torch.isfinite(tensor).all())


def _kind(tensor: Tensor) -> str:
    return 'complex' if tensor.is_complex() else 'float' if tensor.is_floating_point() else 'int'


def _not_allowed(names: list[str], pattern: str) -> list[str]:
    return [name for name in names if not re.fullmatch(pattern, name)]


def _difference(own: Mapping[str, Tensor], other: Mapping[str, Tensor], loaded: list[str]) -> str:
    """Describe the most frequent causes of a mismatch."""
    if any('.attn.logit_scale' in name for name in other):
        return ', the file holds a Swin V2, which is not supported'
    gated = [GATED_ATTENTION.is_in(names) for names in (own, other)]
    if gated == [False, True]:
        return ', the file has gated positional self-attention (ConViT), which needs gpsa_cfg'
    if not loaded:
        return ', no tensor matches by name and shape'
    ours, theirs = architecture(own), architecture(other)
    if ours != theirs:
        return f', the file holds {describe(*theirs)} and the model is {describe(*ours)}'
    return ''


def architecture(tensors: Mapping[str, Tensor]) -> tuple[int, tuple[int, ...]]:
    """Infer the width of the first stage and the depths from names and shapes."""
    blocks = {m.groups(): tensors[name] for name in tensors if (m := _NORM1.fullmatch(name))}
    stages = [int(stage) for stage, _ in blocks]
    depths = tuple(stages.count(stage) for stage in range(max(stages, default=-1) + 1))
    return len(blocks.get(('0', '0'), ())), depths


def describe(width: int, depths: tuple[int, ...]) -> str:
    """Name a Swin of that width and those depths."""
    if not depths:
        return 'a network without Swin blocks'
    variant = _VARIANTS.get((width, depths), 'a Swin')
    return f'{variant} (embed_dims {width}, depth {sum(depths)}: {"-".join(map(str, depths))})'


def grouped(names: list[str]) -> str:
    """Join names into one line; names that differ only in numbers become one with ``*``."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(re.sub(r'(?<=\.)\d+(?=\.)', '*', name), []).append(name)
    entries = (f'{len(g)} x {folded}' if len(g) > 1 else g[0] for folded, g in groups.items())
    return printable(', '.join(entries)) or 'none'
