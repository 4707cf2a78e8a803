"""Checks of a backbone's arguments; errors state the argument, value and allowed values."""

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeGuard

_DEFAULTS = dict(num_heads=(3, 6, 12, 24), strides=(4, 2, 2, 2))


class StockContractError(ValueError, AssertionError):
    """A ``ValueError`` that is also an ``AssertionError``, which the stock backbones raise."""


def positive_pair(name: str, value: object) -> tuple[int, int]:
    """Read a side, or a height and a width, as a pair.

    Raises:
        TypeError: If ``value`` is neither an int nor a sequence of ints.
        StockContractError: If it does not have one or two entries, or one is below 1.
    """
    values = tuple(value) if isinstance(value, Sequence) else (value,)
    if isinstance(value, str) or not all(_is_int(v) for v in values):
        raise TypeError(f'{name} must be an int or a pair (height, width), got {value!r}')
    if len(values) not in (1, 2) or min(values) < 1:
        raise StockContractError(f'{name} must be one or two ints of at least 1, got {value!r}')
    return (values[0], values[-1])


def check_stages(
    depths: Sequence[int], num_heads: Sequence[int], strides: Sequence, embed_dims: int
) -> None:
    """Check the lists that have one entry for each stage, and that heads divide channels.

    ``num_heads`` and ``strides`` may be longer than ``depths`` only where they are the defaults,
    which a network of fewer stages need not shorten.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If one is out of range or does not fit another.
    """
    check_positive('embed_dims', embed_dims)
    for name, values in (('depths', depths), ('num_heads', num_heads), ('strides', strides)):
        _check_stage_list(name, values, depths)
    for stride in strides:
        positive_pair('strides', stride)
    for stage, heads in enumerate(num_heads[: len(depths)]):
        channels = embed_dims * 2**stage
        if channels % heads:
            raise ValueError(
                f'num_heads[{stage}]={heads} does not divide the {channels} channels of stage '
                f'{stage} (embed_dims={embed_dims} doubles with each stage)'
            )


def check_patch(patch_size: tuple[int, int], strides: Sequence[int]) -> None:
    """Check that patches do not overlap.

    Raises:
        StockContractError: If ``strides[0]`` is not the patch size.
    """
    if positive_pair('strides[0]', strides[0]) != patch_size:
        raise StockContractError(
            f'strides[0] must equal patch_size (patches do not overlap), got '
            f'strides[0]={strides[0]!r} and patch_size={patch_size!r}'
        )


def check_heads(embed_dims: int, depth: int, num_heads: int) -> None:
    """Check a plain network's sizes, and that heads divide channels.

    Raises:
        ValueError: If a size is not an int of at least 1, or the heads do not divide the channels.
    """
    sizes = dict(embed_dims=embed_dims, depth=depth, num_heads=num_heads)
    for name, value in sizes.items():
        check_positive(name, value)
    if embed_dims % num_heads:
        raise ValueError(f'num_heads={num_heads} does not divide embed_dims={embed_dims}')


def check_stage_choices(out_indices: Sequence[int], frozen_stages: int, num_stages: int) -> None:
    """Check which stages, or blocks of a plain network, are returned and which are frozen.

    Raises:
        TypeError: If ``frozen_stages`` or an index is not an int.
        ValueError: If one is out of range or repeated.
    """
    last = num_stages - 1
    if not isinstance(out_indices, Sequence) or not all(_is_int(i) for i in out_indices):
        raise TypeError(f'out_indices must be a sequence of ints, got {out_indices!r}')
    if not out_indices or min(out_indices) < 0 or max(out_indices) > last:
        raise ValueError(
            f'out_indices must hold at least one index from 0 to {last}, got {out_indices!r}'
        )
    if len(set(out_indices)) != len(out_indices):
        raise ValueError(f'out_indices must not repeat an index, got {out_indices!r}')
    if not _is_int(frozen_stages):
        raise TypeError(f'frozen_stages must be an int, got {frozen_stages!r}')
    if not -1 <= frozen_stages <= num_stages:
        raise ValueError(
            f'frozen_stages must be from -1 (none) to {num_stages} (all), got {frozen_stages}'
        )


def check_positive(name: str, value: object) -> None:
    """Check that an argument is an int of at least 1.

    Raises:
        ValueError: If it is not.
    """
    if not _is_int(value) or value < 1:
        raise ValueError(f'{name} must be an int of at least 1, got {value!r}')


def check_last_block(out_indices: Sequence[int], depth: int) -> None:
    """Check that ``out_indices`` contains the last block, as later blocks would never train.

    Raises:
        ValueError: If it does not.
    """
    if depth - 1 not in out_indices:
        raise ValueError(
            f'out_indices must contain the last block, {depth - 1}, got {out_indices!r}; blocks '
            'after the last output would never train, so reduce depth instead'
        )


def check_flags(**flags: bool) -> None:
    """Check that arguments are True or False.

    Raises:
        ValueError: If one is not.
    """
    for name, value in flags.items():
        check_choice(name, value, (True, False))


def check_widths(in_channels: int, embed_dims: int, mlp_ratio: float) -> None:
    """Check that images and feed-forward networks have at least one channel.

    Raises:
        ValueError: If ``in_channels`` or ``mlp_ratio`` is too small or not a number.
    """
    check_positive('in_channels', in_channels)
    is_width = _is_number(mlp_ratio) and math.isfinite(mlp_ratio)
    if not is_width or int(mlp_ratio * embed_dims) < 1:
        raise ValueError(
            f'mlp_ratio must be a finite number with mlp_ratio * embed_dims >= 1, got {mlp_ratio!r}'
        )


def check_scale(qk_scale: float | None) -> None:
    """Check the factor on the scores.

    Raises:
        TypeError: If ``qk_scale`` is neither a number nor None.
    """
    if qk_scale is not None and not _is_number(qk_scale):
        raise TypeError(f'qk_scale must be a number or None, got {qk_scale!r}')


def check_start(name: str, value: float | None) -> None:
    """Check the initial value of LayerScale factors, which must not be 0.

    Raises:
        ValueError: If it is neither None nor a finite number other than 0.
    """
    if value is not None and (not _is_number(value) or not math.isfinite(value) or value == 0):
        raise ValueError(f'{name} must be None or a finite number other than 0, got {value!r}')


def check_rates(**rates: float) -> None:
    """Check that probabilities are in [0, 1).

    Raises:
        ValueError: If one is not.
    """
    for name, rate in rates.items():
        if not _is_number(rate) or not 0 <= rate < 1:
            raise ValueError(
                f'{name} must be a number from 0 up to, not including, 1, got {rate!r}'
            )


def check_choice(name: str, value: object, choices: Sequence) -> None:
    """Check that an argument is one of the allowed choices.

    Raises:
        ValueError: If it is not.
    """
    if not any(value is choice or value == choice for choice in choices):
        raise ValueError(f'{name} must be one of {tuple(choices)}, got {value!r}')


def check_keys(name: str, cfg: Mapping, known: Iterable[str]) -> None:
    """Check that a config has known keys only.

    Raises:
        ValueError: If it has an unknown key; the message suggests the closest known key.
    """
    known = list(known)
    for key in cfg:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1)
            hint = f'; did you mean {close[0]!r}?' if close else ';'
            raise ValueError(f'{name} has no key {key!r}{hint} Known keys: {known}')


def chosen_places(name: str, places: str, chosen: object, number: int) -> Sequence[int]:
    """Return the selected stages or blocks; None selects all.

    Raises:
        ValueError: If an index is out of range, or the selection is empty.
    """
    if chosen is None:
        return range(number)
    given = () if isinstance(chosen, str) or not isinstance(chosen, Sequence) else chosen
    if not given or not all(_is_int(s) and 0 <= s < number for s in given):
        raise ValueError(
            f'{name}: {places} must hold at least one index from 0 to {number - 1}, got {chosen!r}'
        )
    return given


def _is_int(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _check_stage_list(name: str, values: object, depths: Sequence) -> None:
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise TypeError(f'{name} must have one entry for each stage, got {values!r}')
    is_default = tuple(values) == _DEFAULTS.get(name) and len(depths) < len(values)
    if not values or (len(values) != len(depths) and not is_default):
        raise ValueError(
            f'{name} must have at least one entry and as many as depths ({len(depths)} stages), '
            f'got {len(values)} entries: {values!r}'
        )
    # A stride may be a pair, like the patch size that the first one repeats.
    if name != 'strides' and not all(_is_int(value) and value >= 1 for value in values):
        raise ValueError(f'{name} must hold ints of at least 1, got {values!r}')
