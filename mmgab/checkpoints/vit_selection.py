"""The plain ViT of a file, with timm's or mmgab's names, for a backbone."""

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from mmgab.layers.methods import GATED_ATTENTION, has_method

from .allowed_differences import EVERYTHING, AllowedDifferences
from .contents import unwrap
from .layouts import PRETRAINING
from .missing_keys import missing_method_keys
from .selection import Request, Selection

_QKV = re.compile(r'((?:.*\.)??)blocks\.\d+\.attn\.qkv\.weight')
_GATED = re.compile(r'((?:.*\.)??blocks\.\d+\.attn\.)gating_param')  # of a ConViT
# In the blocks of timm's plain ViTs.
_PLAIN = re.compile(
    r'blocks\.\d+\.((norm[12]|attn\.(qkv|proj)|mlp\.fc[12])\.(weight|bias)|attn\.rel_pos\..*)'
)
# A classifier's, what only pretraining needs, and what a token that we do not have is for; timm
# saves no derived tensors.
_UNEXPECTED = (
    r'(fc_norm|norm)\.(weight|bias)|cls_token|dist_token|reg_token|register_tokens|pos_embed'
    rf'|{PRETRAINING.pattern}'
)


def is_vit(names: list[str]) -> bool:
    """Return True if the names are those of a plain ViT without a prefix."""
    return '' in _places(names)


def select_vit(request: Request) -> Selection:
    """Select the plain ViT of a file: timm's, a ConViT, or a ViTGAB.

    The file may lack all tensors of a method, and the final norm, where its classifier has one of
    its own behind the mean of all tokens (``fc_norm``). It may have what a backbone has no place
    for: a classifier's head, what only pretraining needs, a class token, an absolute position
    embedding that this network does without.

    Raises:
        ValueError: If there is no plain ViT in the file, several without a prefix, or one whose
            norms stand behind attention (timm's ``*_rpn_*``, which has the same names).
    """
    tensors, metadata = unwrap(request.checkpoint, request.source)
    tensors = _with_gates(tensors)
    prefix = _choose_prefix(tensors, request.source, request.prefix)
    vit = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
    notes = {p.removeprefix(prefix): n for p, n in metadata.items() if p.startswith(prefix)}
    if 'pretrain_grid' not in notes.get('', {}) and not has_method(vit):
        _reject_post_norm(vit, request.source)
    return Selection(
        vit,
        notes,
        AllowedDifferences(_missing_keys(vit, tensors), _UNEXPECTED)
        if request.strict
        else EVERYTHING,
        'timm' if {'head.weight', 'cls_token'} & set(vit) else 'vit',
        [name for name in tensors if not name.startswith(prefix)],
    )


def _places(names: Iterable[str]) -> list[str]:
    """Return the prefix of each plain ViT."""
    names = list(names)
    places = dict.fromkeys(m[1] for name in names if (m := _QKV.fullmatch(name)))
    return [place for place in places if f'{place}patch_embed.proj.weight' in names]


def _choose_prefix(tensors: Mapping[str, Tensor], source: str, wanted: str | None) -> str:
    found = _places(tensors)
    if not found:
        first = ', '.join(list(tensors)[:5])
        raise ValueError(
            f"{source} holds no plain ViT with timm's names; its first keys are {first}"
        )
    if wanted is None and len(found) == 1:
        return found[0]
    wanted = f'{wanted.rstrip(".")}.' if wanted else wanted
    if wanted is None or wanted not in found:
        raise ValueError(f'{source} holds plain ViTs under {found}: select one with prefix=...')
    return wanted


def _with_gates(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a ConViT's gated attention to mmgab's keys, without the bias that softmax cancels."""
    result = dict(tensors)
    for path in [m[1] for name in tensors if (m := _GATED.fullmatch(name))]:
        position, gate = GATED_ATTENTION.sibling_names(path)
        result[gate] = result.pop(f'{path}gating_param')
        result.pop(f'{path}pos_proj.bias', None)
        if f'{path}pos_proj.weight' in result:
            result[position] = result.pop(f'{path}pos_proj.weight')
        for parameter in ('weight', 'bias'):
            names = [f'{path}{part}.{parameter}' for part in ('qk', 'v')]
            shapes = [result[name].shape for name in names if name in result]
            if len(shapes) == 2 and all(shapes) and shapes[0][1:] == shapes[1][1:]:
                result[f'{path}qkv.{parameter}'] = torch.cat([result.pop(name) for name in names])
    return result


def _reject_post_norm(vit: Mapping[str, Tensor], source: str) -> None:
    """Reject residual post-norm ViTs, which have the same keys but compute another function.

    Those with relative positions have factors of branches; those without have biases of queries,
    keys and values.
    """
    if any(name.startswith('blocks.') and not _PLAIN.fullmatch(name) for name in vit):
        return  # another network altogether, or one with factors of branches
    is_relative = any('rel_pos.' in name for name in vit)
    if is_relative or 'blocks.0.attn.qkv.bias' not in vit:
        raise ValueError(
            f"{source} has norms after attention and feed-forward (residual post-norm, timm's "
            '*_rpn_*), which is not supported; use a model without rpn in its name'
        )


def _missing_keys(vit: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> str:
    """Return the pattern of ViT keys that may be missing in a file."""
    absent = missing_method_keys(vit)
    has_fc_norm = any(f'.{name}'.endswith('.fc_norm.weight') for name in tensors)
    return rf'{absent}|norm\.(weight|bias)' if has_fc_norm else absent
