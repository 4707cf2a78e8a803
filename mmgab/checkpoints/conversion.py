"""Convert state dicts from one layout to another."""

import re
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from functools import partial

import torch
from torch import Tensor

from .layouts import LAYOUTS, MERGING, OPENMMLAB, Layout

_MAX_SWINS = 64


def find_swins(names: Iterable[str]) -> dict[str, Layout]:
    """Find the Swins among a checkpoint's keys.

    Args:
        names: Names of tensors.

    Returns:
        The prefix of each Swin (``''``, ``'backbone.'``, ...) and its layout:
        the one that names most of its tensors.

    Raises:
        ValueError: If there are more than 64.
    """
    names = list(names)
    candidates: dict[str, list[Layout]] = {}
    for layout in LAYOUTS:
        for prefix in _prefixes(names, layout):
            candidates.setdefault(prefix, []).append(layout)
    if len(candidates) > _MAX_SWINS:
        raise ValueError(
            f'the file holds {len(candidates)} Swins; at most {_MAX_SWINS} are supported'
        )
    found = {}
    for prefix, layouts in candidates.items():
        inside = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
        found[prefix] = max(layouts, key=partial(_count, inside))
    return found


def known_names(names: Iterable[str]) -> set[str]:
    """Return the keys of a checkpoint that belong to a Swin."""
    names, known = list(names), set()
    for prefix, layout in find_swins(names).items():
        inside = {name.removeprefix(prefix): name for name in names if name.startswith(prefix)}
        last = last_stage(inside, layout)
        known |= {n for own, n in inside.items() if _own_name(own, layout, last) is not None}
    return known


def _prefixes(names: list[str], layout: Layout) -> Iterable[str]:
    """Return the prefixes of the blocks' qkv weights, in order, each once."""
    container = f'(?:{re.escape(layout.container)})?'
    pattern = re.compile(rf'((?:.+\.)??){container}{layout.qkv.expression}\.weight')
    return dict.fromkeys(match[1] for name in names if (match := pattern.fullmatch(name)))


def _count(names: list[str], layout: Layout) -> int:
    last = last_stage(names, layout)
    return sum(_own_name(name, layout, last) is not None for name in names)


def last_stage(names: Iterable[str], layout: Layout = OPENMMLAB) -> int:
    """Number of the last stage that has blocks; -1 if none has."""
    found = (layout.qkv.read(name.removeprefix(layout.container)) for name in names)
    return max((values['s'] for values in found if values), default=-1)


def to_openmmlab(tensors: Mapping[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    """Bring a Swin to OpenMMLab's names and order of values.

    Args:
        tensors: A Swin's tensors, without anything before their names.
        layout: Whose layout they are in.

    Returns:
        The same tensors. Those that the layout has no name for, and parts of a tensor without the
        others, keep theirs, for the caller to allow or reject; those that no model needs are
        dropped.

    Raises:
        ValueError: If two of them are the same tensor, as where two layouts are in one file.
    """
    last = last_stage(tensors, layout)
    parts: dict[str, dict[int, str]] = {}
    counts: dict[str, int] = {}
    for name in tensors:
        found = _own_name(name, layout, last)
        if found is None and _is_unused(name, layout):
            continue
        own_name, part, count = found or (name, 0, 1)
        other = parts.setdefault(own_name, {}).setdefault(part, name)
        if other != name:
            raise ValueError(f'{other} and {name} both map to {own_name} ({layout.name} layout)')
        counts[own_name] = count
    result: dict[str, Tensor] = {}
    for own_name, names in parts.items():
        pieces = {part: tensors[name] for part, name in sorted(names.items())}
        if len(pieces) < counts[own_name]:
            result.update((name, tensors[name]) for name in names.values())
        else:
            whole = torch.cat(list(pieces.values())) if len(pieces) > 1 else pieces[0]
            result[own_name] = _reordered(own_name, whole, layout, _to_unfolded)
    return result


def from_openmmlab(tensors: Mapping[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    """Bring a Swin from OpenMMLab's layout to another; undoes :func:`to_openmmlab`.

    Args:
        tensors: A Swin's tensors, without anything before their names.
        layout: Whose layout is wanted.

    Returns:
        The same tensors, but for those that the layout has no name for.
    """
    last = last_stage(tensors)
    result: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        names = _foreign_names(name, layout, last)
        tensor = _reordered(name, tensor, layout, _to_concatenated)
        pieces = tensor.tensor_split(len(names)) if len(names) > 1 else [tensor] * len(names)
        result.update(zip(names, pieces, strict=True))
    return result


def rename_to_openmmlab(state_dict: MutableMapping[str, Tensor], prefix: str) -> None:
    """Bring a Swin inside a state dict to OpenMMLab's layout, in place.

    Args:
        state_dict: Any state dict.
        prefix: The Swin's prefix in it.
    """
    inside = {n.removeprefix(prefix): t for n, t in state_dict.items() if n.startswith(prefix)}
    layout = find_swins(inside).get('', OPENMMLAB)
    if layout is OPENMMLAB:
        return
    for name in inside:
        del state_dict[prefix + name]
    for name, tensor in to_openmmlab(inside, layout).items():
        state_dict[prefix + name] = tensor


def has_place(name: str, layout: Layout, last: int) -> bool:
    """Return True if a layout has a key for a tensor with this OpenMMLab name."""
    return bool(_foreign_names(name, layout, last))


def _own_name(name: str, layout: Layout, last: int) -> tuple[str, int, int] | None:
    """OpenMMLab's name, and which of how many parts of that tensor this one is."""
    name = name.removeprefix(layout.container)
    for ours, theirs in layout.rules(last):
        for part, template in enumerate(theirs):
            values = template.read(name)
            # No merging follows the last stage: this shows which projects put it before a stage.
            if values is not None and not (ours in MERGING and values['s'] == last):
                return ours.write(values), part, len(theirs)
    return None


def _foreign_names(name: str, layout: Layout, last: int) -> list[str]:
    """The layout's names of a tensor, one for each part of it; empty if it has none."""
    for ours, theirs in layout.rules(last):
        if (values := ours.read(name)) is not None:
            return [template.write(values) for template in theirs]
    return []


def _is_unused(name: str, layout: Layout) -> bool:
    name = name.removeprefix(layout.container)
    return any(template.read(name) is not None for template in layout.unused)


def _reordered(name: str, tensor: Tensor, layout: Layout, order: Callable) -> Tensor:
    """Reorder a patch-merging tensor, see :mod:`~.layouts`; others stay unchanged."""
    if layout.unfolds or not any(template.read(name) is not None for template in MERGING):
        return tensor
    return order(tensor)


def _to_unfolded(tensor: Tensor) -> Tensor:
    neighbours = tensor.unflatten(-1, (4, -1))[..., [0, 2, 1, 3], :]  # (..., 4, C)
    return neighbours.transpose(-1, -2).flatten(-2)  # (..., C * 4)


def _to_concatenated(tensor: Tensor) -> Tensor:
    neighbours = tensor.unflatten(-1, (-1, 4))[..., [0, 2, 1, 3]]  # (..., C, 4)
    return neighbours.transpose(-1, -2).flatten(-2)  # (..., 4 * C)
