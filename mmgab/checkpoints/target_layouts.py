"""A Swin as a checkpoint file of another project, complete enough for its strict loading."""

import math
import re
from collections.abc import Mapping

import torch
from torch import Tensor

from mmgab.functional import relative_position_index, shift_mask
from mmgab.layers.methods import METHODS, has_method

from .contents import Contents
from .conversion import from_openmmlab, has_place, last_stage
from .layouts import (
    HEAD,
    MASK,
    MICROSOFT,
    MICROSOFT_DETECTION,
    OPENMMLAB,
    POSITION,
    PRETRAINING,
    TIMM,
    TORCHVISION,
    TRANSFORMERS,
    TRANSFORMERS_BACKBONE,
    Layout,
)
from .matching import grouped, is_finite

# Of each project: the layout of its classifier, and of a backbone with a norm after each stage.
_LAYOUTS = {
    'mmgab': (OPENMMLAB, OPENMMLAB),
    'mmdet': (OPENMMLAB, OPENMMLAB),
    'mmseg': (OPENMMLAB, OPENMMLAB),
    'mmpretrain': (OPENMMLAB, OPENMMLAB),
    'timm': (TIMM, TIMM),
    'torchvision': (TORCHVISION, TORCHVISION),
    'transformers': (TRANSFORMERS, TRANSFORMERS_BACKBONE),
    'microsoft': (MICROSOFT, MICROSOFT_DETECTION),
}
STOCK_PROJECTS = tuple(project for project in _LAYOUTS if project != 'mmgab')
_WITH_ANY_WINDOW = ('mmgab', 'timm', 'torchvision')
_KEPT_META = ('dataset_meta', 'epoch', 'iter')
_STOCK_MASK = -100.0
_BACKBONE = 'backbone.'  # where OpenMMLab's models have it
_INDEX = 'relative_position_index'
_BLOCK = re.compile(r'stages\.\d+\.blocks\.\d+\.')
_MAY_BE_LEFT = re.compile(rf'norm\d+\.(weight|bias)|{PRETRAINING.pattern}')


def export(contents: Contents, project: str, meta: Mapping | None = None) -> tuple[dict, list[str]]:
    """Convert a Swin to the file layout of a project.

    Args:
        contents: A Swin and what is around it; without a Gaussian but for ``'mmgab'``.
        project: One of ``STOCK_PROJECTS``, or ``'mmgab'``.
        meta: What the file said of itself; of that, what is true of the result is kept.

    Returns:
        What to save, and the names of the tensors that have no place there: a detector's heads,
        what only its pretraining needed, and the norms of stages where a project has but a final
        one.

    Raises:
        ValueError: If there is no such project, or if it does not support a tensor without which
            the function would be another one.
    """
    layout = _layout(contents, project)
    check_whole(contents)
    last = last_stage(contents.swin)
    swin = {n: t for n, t in contents.swin.items() if not n.endswith(_INDEX)}
    left = [name for name in swin if not has_place(name, layout, last)]
    if needed := [name for name in left if not _MAY_BE_LEFT.fullmatch(name)]:
        raise ValueError(f'{project} does not support {grouped(needed)} of {contents.source}')
    if f'norm{last}.weight' not in swin and 'norm{s}' not in layout.names:
        raise ValueError(f'{project} needs a norm after the last stage, {contents.source} has none')
    tensors = from_openmmlab({**swin, **_derived(contents, layout)}, layout)
    tensors.update(_masks(contents, last) if layout.has_masks else {})
    if layout in (OPENMMLAB, MICROSOFT_DETECTION):
        tensors = _in_whole_model(tensors, contents)
    else:
        tensors = _in_container(tensors, layout)
        left += contents.others
    ours = [name for name in tensors if has_method([name])]
    if ours and project != 'mmgab':
        raise ValueError(f'{project} does not support {grouped(ours)} of {contents.source}')
    left += contents.apart
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    if layout.wrapper is None:
        return tensors, left
    meta = meta if isinstance(meta, Mapping) else {}
    kept = {key: value for key, value in meta.items() if key in _KEPT_META}
    return ({'meta': kept} if kept else {}) | {layout.wrapper: tensors}, left


def check_whole(contents: Contents) -> None:
    """Check that a Swin is complete: every block has all its tensors, all finite.

    Raises:
        ValueError: If it cannot.
    """
    if bad := [name for name, tensor in contents.swin.items() if not is_finite(tensor)]:
        raise ValueError(f'{contents.source} has values that are not finite: {grouped(bad)}')
    in_some_blocks = tuple(f'{m.path}.' for m in METHODS if not m.is_in_every_block)
    blocks: dict[str, set[str]] = {}
    for name in contents.swin:
        match = _BLOCK.match(name)
        if match and not name.startswith(in_some_blocks, match.end()):
            blocks.setdefault(match[0], set()).add(name[match.end() :])
    parts = set().union(*blocks.values())
    if gaps := [block + part for block, own in blocks.items() for part in parts - own]:
        raise ValueError(
            f'{contents.source} lacks {grouped(sorted(gaps))}, which other blocks have'
        )


def _layout(contents: Contents, project: str) -> Layout:
    if project not in _LAYOUTS:
        raise ValueError(f'unknown layout {project!r}; allowed are {list(_LAYOUTS)}')
    windows = {contents.window(table) for table in contents.tables()}
    if project not in _WITH_ANY_WINDOW and any(h != w for h, w in windows):
        raise ValueError(f'{project} supports only square windows; {contents.source} has {windows}')
    return _LAYOUTS[project][contents.has_stage_norms()]


def _derived(contents: Contents, layout: Layout) -> dict[str, Tensor]:
    """Return tensors that the project saves in addition or in another shape."""
    tensors = {}
    for table in contents.tables() if layout.index else ():
        index = relative_position_index(contents.window(table))
        path = table.rpartition('.')[0]
        tensors[f'{path}.{_INDEX}'] = index if layout.index == 'square' else index.flatten()
    position = contents.swin.get(POSITION)
    if position is not None:
        if layout.position_is_map:
            position = position.transpose(1, 2).unflatten(2, _grid(contents))
        tensors[POSITION] = position
    return tensors


def _grid(contents: Contents) -> tuple[int, int]:
    """Height and width of the absolute position embedding, in patches."""
    length = contents.swin[POSITION].shape[1]
    noted = contents.metadata.get('', {}).get('pretrain_grid')
    side = math.isqrt(length)
    if noted is None and side * side != length:
        raise ValueError(
            f'{contents.source}: cannot infer the grid of its {length} position embeddings, which '
            'is not a square number'
        )
    return noted or (side, side)


def _masks(contents: Contents, last: int) -> dict[str, Tensor]:
    """Masks of the shifted blocks, for the image whose last stage is one window (224 for 7 x 7)."""
    masks = {}
    for table, block in contents.tables().items():
        window = contents.window(table)
        if block['b'] % 2 and block['s'] < last:  # a stage of one window is not shifted
            windows = (2 ** (last - block['s']),) * 2
            shift = (window[0] // 2, window[1] // 2)
            masks[MASK.write(block)] = shift_mask(windows, window, shift).float() * _STOCK_MASK
    return masks


def _in_whole_model(tensors: dict[str, Tensor], contents: Contents) -> dict[str, Tensor]:
    """Return a backbone alone, or under its prefix in a classifier, detector or segmentor."""
    heads = {name: tensors.pop(name) for name in list(tensors) if name.startswith(f'{HEAD}.')}
    if not heads and not contents.others:
        return tensors
    place = contents.place or _BACKBONE
    return {**{f'{place}{n}': t for n, t in tensors.items()}, **heads, **contents.others}


def _in_container(tensors: dict[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    """Add the backbone's prefix of a project to the names of a classifier."""
    head = tuple(
        from_openmmlab({f'{HEAD}.{p}': torch.empty(0) for p in ('weight', 'bias')}, layout)
    )
    if not layout.container or not set(head) & set(tensors):
        return tensors
    return {n if n in head else f'{layout.container}{n}': t for n, t in tensors.items()}
