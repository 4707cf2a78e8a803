"""Relative positions of a plain ViT's layer, learned as a table or as a network; names as in timm.

Both make a table for any window: one row for each offset, in the order of
:func:`mmgab.functional.relative_offsets`.
"""

import inspect
from collections.abc import Mapping, MutableMapping

import torch
from mmengine.model.weight_init import trunc_normal_
from torch import Tensor, nn

from mmgab.functional import relative_offsets, resize_table, table_window

from .adaptive import AdaptiveModule
from .arguments import check_keys, check_positive
from .lean_layers import is_exporting

_CLASS_TOKEN_ROWS = 3  # of timm's tables, behind the others: to it, from it, itself


class RelPosBias(AdaptiveModule, nn.Module):
    """A learned table, as in Swin (arXiv 2103.14030, equation 4); resized for other windows.

    Args:
        window_size: Height and width, in tokens, of the window that it is learned for.
        num_heads: Attention heads.
    """

    def __init__(self, window_size: tuple[int, int], num_heads: int) -> None:
        super().__init__()
        self.window_size = window_size
        self._rows = (2 * window_size[0] - 1) * (2 * window_size[1] - 1)
        self.relative_position_bias_table = nn.Parameter(torch.empty(self._rows, num_heads))
        trunc_normal_(self.relative_position_bias_table, std=0.02)

    def forward(self, window_size: tuple[int, int], like: Tensor) -> Tensor:
        """Make the table of a window.

        Args:
            window_size: Height and width of the window, in tokens.
            like: Not needed: it is where the parameters are.

        Returns:
            ``((2Wh-1)(2Ww-1), heads)``, in logits.

        Raises:
            ValueError: If it would be resized in an exported graph, which has no operator for it.
        """
        if is_exporting() and tuple(window_size) != self.window_size:
            raise ValueError(
                f'a table for {self.window_size} tokens is not resized in an exported graph: build '
                f'the network with the img_size that gives {tuple(window_size)}, and load it'
            )
        table = resize_table(self.relative_position_bias_table, self.window_size, window_size)
        # Never the parameter itself: where it is sharded, it is gone when this module has run.
        return table.clone()

    def adapt_state_dict(
        self, state_dict: MutableMapping[str, Tensor], prefix: str, local_metadata: Mapping
    ) -> list[str]:
        """Bring a table of another window, or with rows of a class token, to our form.

        See :meth:`AdaptiveModule.adapt_state_dict`.
        """
        name = f'{prefix}relative_position_bias_table'
        table = state_dict.get(name)
        noted = local_metadata.get('window_size', self.window_size)
        is_own = noted is not None and tuple(noted) == self.window_size
        if table is None or table.ndim != 2 or (is_own and len(table) == self._rows):
            return []
        source = table_window(table, None, noted)
        if source is None:  # a square and the rows of a class token, or what cannot be told
            table = table[:-_CLASS_TOKEN_ROWS]
            source = table_window(table, None)
        if source is None:
            return []
        state_dict[name] = resize_table(table, source, self.window_size)
        return [] if source == self.window_size else [name]

    def _save_to_state_dict(self, destination: dict, prefix: str, keep_vars: bool) -> None:
        """Note the window beside the table, whose rows do not tell 3 x 5 from 5 x 3."""
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if hasattr(destination, '_metadata'):
            destination._metadata[prefix[:-1]]['window_size'] = self.window_size


class RelPosMlp(nn.Module):
    r"""A network from offset to bias, which knows every window without being resized.

    Its inputs are :math:`\mathrm{sign}(\delta) \ln(1 + |\delta|)` for the offset :math:`\delta` in
    tokens, as in Swin V2 (arXiv 2111.09883, equation 4) but not normalised: timm's ``'cr'`` mode,
    which its ``vit_relpos_*`` networks and the paper's (arXiv 2305.04722) have. Its layers start as
    torch's linear layers do, as the paper's code draws them again.

    Args:
        window_size: Not needed, as it has no table.
        num_heads: Attention heads.
        hidden: Hidden channels.
    """

    def __init__(self, window_size: tuple[int, int], num_heads: int, hidden: int = 128) -> None:
        super().__init__()
        check_positive('rel_pos_cfg: hidden', hidden)
        self.mlp = nn.ModuleDict(
            dict(fc1=nn.Linear(2, hidden), drop=nn.Dropout(0.125), fc2=nn.Linear(hidden, num_heads))
        )

    def forward(self, window_size: tuple[int, int], like: Tensor) -> Tensor:
        """Make the table of a window.

        Args:
            window_size: Height and width of the window, in tokens.
            like: Whose device and precision it is computed in.

        Returns:
            ``((2Wh-1)(2Ww-1), heads)``, in logits.
        """
        offsets = relative_offsets(window_size, like.device)
        inputs = (offsets.sign() * offsets.abs().log1p()).to(like.dtype)
        return self.mlp.fc2(self.mlp.drop(self.mlp.fc1(inputs).relu()))


_TYPES = {'table': RelPosBias, 'mlp': RelPosMlp}


def build_relative_position(
    rel_pos_cfg: Mapping | None, window_size: tuple[int, int], num_heads: int
) -> RelPosBias | RelPosMlp | None:
    """Build a layer's relative positions.

    Args:
        rel_pos_cfg: ``type``, ``'table'`` or ``'mlp'``, and for the latter ``hidden``; None for
            none.
        window_size: Height and width, in tokens, of the window that a table is learned for.
        num_heads: Attention heads.

    Raises:
        TypeError: If ``rel_pos_cfg`` is not a mapping.
        ValueError: If the type or a key is not known.
    """
    if rel_pos_cfg is None:
        return None
    if not isinstance(rel_pos_cfg, Mapping):
        raise TypeError(f'rel_pos_cfg must be a dict or None (none), got {rel_pos_cfg!r}')
    kind = rel_pos_cfg.get('type')
    if kind not in _TYPES:
        raise ValueError(f'rel_pos_cfg: type must be one of {list(_TYPES)}, got {kind!r}')
    arguments = {key: value for key, value in rel_pos_cfg.items() if key != 'type'}
    shared = ('window_size', 'num_heads')
    own = [n for n in inspect.signature(_TYPES[kind]).parameters if n not in shared]
    check_keys('rel_pos_cfg', arguments, own)
    return _TYPES[kind](window_size, num_heads, **arguments)
