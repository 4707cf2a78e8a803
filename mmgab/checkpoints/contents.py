"""Contents of a checkpoint file: a Swin, unwrapped, and the rest of the model."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor

from mmgab.functional import table_window
from mmgab.printable_text import printable

from .conversion import find_swins, last_stage, to_openmmlab
from .layouts import HEAD, POSITION, TABLE, Layout
from .name_template import Fields
from .wrappers import averaging_counters, path_without_wrappers, wrapper_stripper

T = TypeVar('T')

# Where a file has several, the first one counts: the weights for evaluation. (MMEngine swaps
# the averaged weights into state_dict when it saves.)
_WRAPPERS = (
    'teacher', 'state_dict_ema', 'model_ema', 'ema', 'state_dict', 'model_state_dict', 'model',
    'module', 'student',
)  # fmt: skip
_SHOWN = 300  # characters of names, in messages
_STOCK_PLACE = 'backbone.'  # where stock Swins look; momentum encoders are outside it
_AVERAGED = re.compile(r'(?<![a-z])(teacher|ema|swa|averaged)(?![a-z])')


@dataclass(frozen=True)
class Contents:
    """A Swin and the other tensors of its checkpoint.

    Attributes:
        source: Path or URL.
        layout: Whose layout the file is in.
        place: The last part of the Swin's prefix, ``'backbone.'`` mostly; a prefix before that
            (``'teacher.'``) belongs to the whole model.
        swin: The Swin, in OpenMMLab's layout, a classifier's head (``head.fc``) with it.
        others: Tensors of the rest of the model, such as a detector's heads, under their names.
        apart: Names of the tensors that belong to neither, such as another model's.
        metadata: What modules noted beside their tensors, by what stands before these: ``''`` for
            the Swin itself, ``'stages.0.'``, ...
    """

    source: str
    layout: Layout
    place: str
    swin: dict[str, Tensor]
    others: dict[str, Tensor]
    apart: list[str]
    metadata: dict[str, Mapping]

    @classmethod
    def of(cls, checkpoint: Mapping, source: str, prefix: str | None = None) -> 'Contents':
        """Find the Swin in a checkpoint.

        Args:
            checkpoint: What was read from a file.
            source: Where it was read from, for messages.
            prefix: The Swin's prefix; needed if a file holds several.

        Raises:
            ValueError: If there is none, several without a prefix given, or one in two layouts.
        """
        tensors, metadata = unwrap(checkpoint, source)
        swins = find_swins(tensors)
        prefix = _choose(swins, tensors, source, prefix)
        outer = ''.join(prefix[:-1].rpartition('.')[:2])
        inside, outside = _split(tensors, prefix)
        try:
            swin = to_openmmlab(inside, swins[prefix])
        except ValueError as error:
            raise ValueError(f'{source}: {error}') from error
        others, apart = _split(outside, outer)
        for parameter in ('weight', 'bias'):
            if f'{HEAD}.{parameter}' in others:
                swin[f'{HEAD}.{parameter}'] = others.pop(f'{HEAD}.{parameter}')
        notes, _ = _split(metadata, prefix)
        position = swin.get(POSITION)
        if position is not None and position.ndim == 4:  # a map (1, C, H, W)
            swin[POSITION] = position.flatten(2).transpose(1, 2)
            notes[''] = {**notes.get('', {}), 'pretrain_grid': tuple(position.shape[2:])}
        place = prefix.removeprefix(outer)
        return cls(source, swins[prefix], place, swin, others, list(apart), notes)

    def window(self, table: str) -> tuple[int, int]:
        """Window of a relative-position table.

        Args:
            table: Its name.

        Returns:
            Height and width in tokens: from the metadata of the module, from the index that
            stock Swins save, or that of a square.

        Raises:
            ValueError: If it is none of these.
        """
        path = table.rpartition('.')[0]
        noted = self.metadata.get(f'{path}.', {}).get('window_size')
        index = self.swin.get(f'{path}.relative_position_index')
        window = table_window(self.swin[table], index, noted)
        if window is None:
            raise ValueError(
                f'{self.source}: cannot infer the window size of {table}, as its '
                f'{len(self.swin[table])} rows do not match a square window and the file has no '
                'relative_position_index'
            )
        return window

    def has_stage_norms(self) -> bool:
        """Return True if a stage before the last has a norm, which a classifier lacks."""
        stages = range(last_stage(self.swin))
        return any(f'norm{stage}.weight' in self.swin for stage in stages)

    def tables(self) -> dict[str, Fields]:
        """Names of the relative-position tables and their fields, in the order of the blocks."""
        found = ((name, TABLE.read(name)) for name in self.swin)
        tables = [(name, fields) for name, fields in found if fields is not None]
        return dict(sorted(tables, key=lambda table: (table[1]['s'], table[1]['b'])))


def wrapper_of(checkpoint: Mapping) -> str | None:
    """Return the key of a checkpoint's state dict; None if the checkpoint is the state dict.

    A name in common use, or the only one under which there are tensors.
    """
    known = next((w for w in _WRAPPERS if isinstance(checkpoint.get(w), Mapping)), None)
    if known is not None or _has_tensors(checkpoint):
        return known
    held = [key for key, value in checkpoint.items() if _has_tensors(value)]
    return held[0] if len(held) == 1 else None


def _has_tensors(value: object) -> bool:
    return isinstance(value, Mapping) and any(isinstance(t, Tensor) for t in value.values())


def unwrap(checkpoint: Mapping, source: str) -> tuple[dict[str, Tensor], dict[str, Mapping]]:
    """Extract the state dict of a checkpoint and strip wrappers from its keys.

    Returns:
        The tensors by name, and the metadata of the modules that saved them by what stands before
        their tensors' names.

    Raises:
        ValueError: If there are no tensors, or two with the same name.
    """
    while wrapper := wrapper_of(checkpoint):
        checkpoint = checkpoint[wrapper]
    held = {n: t for n, t in checkpoint.items() if isinstance(n, str) and isinstance(t, Tensor)}
    if not held:
        keys = printable(', '.join(map(str, list(checkpoint)[:5]))[:_SHOWN])
        raise ValueError(
            f'{source} is not a checkpoint: it holds no tensors by name; its keys are {keys}'
        )
    for counter in averaging_counters(held):
        del held[counter]
    strip = wrapper_stripper(held)
    tensors: dict[str, Tensor] = {}
    for name, tensor in held.items():
        own = strip(name)
        if own in tensors:
            raise ValueError(f'{source} holds {printable(own)} twice, also as {printable(name)}')
        tensors[own] = tensor
    metadata: dict[str, Mapping] = {}
    for path, entry in (getattr(checkpoint, '_metadata', None) or {}).items():
        prefix = strip(f'{path}.' if path else '')
        metadata[prefix] = {**metadata.get(prefix, {}), **entry}
    return tensors, metadata


def _split(items: Mapping[str, T], prefix: str) -> tuple[dict[str, T], dict[str, T]]:
    """Split items into those under a prefix, which is removed, and the rest."""
    inside = {n.removeprefix(prefix): item for n, item in items.items() if n.startswith(prefix)}
    return inside, {n: item for n, item in items.items() if not n.startswith(prefix)}


def _choose(
    swins: Mapping[str, Layout], tensors: Mapping[str, Tensor], source: str, prefix: str | None
) -> str:
    if not swins:
        first = printable(', '.join(list(tensors)[:5])[:_SHOWN])
        known = 'OpenMMLab, Microsoft, timm, torchvision or transformers'
        raise ValueError(
            f'{source} holds no Swin in a supported layout ({known}); its first keys are {first}'
        )
    if prefix is not None:
        prefix = f'{prefix.rstrip(".")}.' if prefix else ''
        candidates = [s for s in swins if s in (prefix, path_without_wrappers(prefix))]
    else:
        averaged = [found for found in swins if _AVERAGED.search(found)]
        stock = [found for found in swins if found == _STOCK_PLACE]
        candidates = averaged if len(averaged) == 1 else stock or list(swins)
    if len(candidates) != 1:
        reason = '' if prefix is None else f', none of them is {prefix!r}'
        raise ValueError(
            f'{source} holds Swins under {list(swins)}{reason}: select one with prefix=...'
        )
    return candidates[0]
