"""The plain ViT of a file, with timm's names or our own, for a backbone."""

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from mmgab.layers.methods import GATED_ATTENTION, has_method

from .absences import absent_methods
from .contents import unwrap
from .excuses import EVERYTHING, Excuses
from .layouts import PRETRAINING
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
    """Whether names of tensors are a plain ViT's, with nothing before them."""
    return '' in _places(names)


def select_vit(request: Request) -> Selection:
    """Take a plain ViT out of a file: timm's, a ConViT, or a ViTGAB.

    The file may lack all tensors of a method, and the final norm, where its classifier has one of
    its own behind the mean of all tokens (``fc_norm``). It may have what a backbone has no place
    for: a classifier's head, what only pretraining needs, a class token, an absolute position
    embedding that this network does without.

    Raises:
        ValueError: If there is no plain ViT in the file, several and no telling which, or one whose
            norms stand behind attention (timm's ``*_rpn_*``, which has the same names).
    """
    tensors, metadata = unwrap(request.checkpoint, request.source)
    tensors = _with_gates(tensors)
    prefix = _choose_prefix(tensors, request.source, request.prefix)
    vit = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
    notes = {p.removeprefix(prefix): n for p, n in metadata.items() if p.startswith(prefix)}
    if 'pretrain_grid' not in notes.get('', {}) and not has_method(vit):
        _refuse_norms_behind(vit, request.source)
    return Selection(
        vit,
        notes,
        Excuses(_absences(vit, tensors), _UNEXPECTED) if request.strict else EVERYTHING,
        'timm' if {'head.weight', 'cls_token'} & set(vit) else 'vit',
        [name for name in tensors if not name.startswith(prefix)],
    )


def _places(names: Iterable[str]) -> list[str]:
    """What stands before the names of each plain ViT."""
    names = list(names)
    places = dict.fromkeys(m[1] for name in names if (m := _QKV.fullmatch(name)))
    return [place for place in places if f'{place}patch_embed.proj.weight' in names]


def _choose_prefix(tensors: Mapping[str, Tensor], source: str, wanted: str | None) -> str:
    found = _places(tensors)
    if not found:
        first = ', '.join(list(tensors)[:5])
        raise ValueError(f"{source} holds no plain ViT with timm's names; it begins with {first}")
    if wanted is None and len(found) == 1:
        return found[0]
    wanted = f'{wanted.rstrip(".")}.' if wanted else wanted
    if wanted is None or wanted not in found:
        raise ValueError(f'{source} holds plain ViTs under {found}, which one: give prefix=...')
    return wanted


def _with_gates(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Bring a ConViT's gated attention to our names, without the bias that softmax ignores."""
    result = dict(tensors)
    for path in [m[1] for name in tensors if (m := _GATED.fullmatch(name))]:
        position, gate = GATED_ATTENTION.beside(path)
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


def _refuse_norms_behind(vit: Mapping[str, Tensor], source: str) -> None:
    """Another function with the same names, told by what timm's others have and it lacks.

    Those with relative positions have factors of branches; those without have biases of queries,
    keys and values.
    """
    if any(name.startswith('blocks.') and not _PLAIN.fullmatch(name) for name in vit):
        return  # another network altogether, or one with factors of branches
    is_relative = any('rel_pos.' in name for name in vit)
    if is_relative or 'blocks.0.attn.qkv.bias' not in vit:
        raise ValueError(
            f"{source} has norms behind attention and feed-forward networks (timm's *_rpn_*), "
            'which is another network; take one without rpn in its name'
        )


def _absences(vit: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> str:
    """What a file need not have; the norm behind the mean is beside a backbone of ours."""
    absent = absent_methods(vit)
    has_fc_norm = any(f'.{name}'.endswith('.fc_norm.weight') for name in tensors)
    return rf'{absent}|norm\.(weight|bias)' if has_fc_norm else absent
