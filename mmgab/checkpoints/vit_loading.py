"""Load a plain ViT's checkpoint, timm's or our own, whole or not at all, with a report."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from .contents import unwrap
from .files import read_checkpoint
from .layouts import PRETRAINING
from .loading import absent_methods, load_adapted
from .matching import NOTHING, Excuses, LoadReport
from .omissions import left_out

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


def load_vit(
    model: nn.Module,
    source: str,
    strict: bool = True,
    resize: bool = True,
    prefix: str | None = None,
    trust: bool = False,
    sha256: str | None = None,
    leave_out: str | Sequence[str] | None = None,
) -> LoadReport:
    r"""Load a plain ViT into a backbone, whole or not at all.

    The file may lack all Gaussians, all gates and all of Context Broadcasting, and the final norm,
    where its classifier has one of its own behind the mean of all tokens (``fc_norm``). It may have
    what a backbone has no place for: a classifier's head, what only pretraining needs (mask tokens,
    decoders, projection heads), a class token, an absolute position embedding that this network
    does without. Tables and position embeddings are resized.

    Args:
        model: The backbone, a :class:`mmgab.models.ViTGAB`.
        source: What :func:`~.files.read_checkpoint` reads: timm's ``vit_relpos_*``,
            ``vit_srelpos_*`` and ``vit_*``, a ConViT for a backbone with ``gpsa_cfg``, or a ViTGAB,
            alone or in a detector or segmentor.
        strict: Refuse what does not fit. Without, what fits is loaded; read the report.
        resize: Resize tables and position embeddings of another size; without, refuse them.
        prefix: What stands before the ViT's names, where a file holds several.
        trust: See :func:`~.files.read_checkpoint`.
        sha256: See :func:`~.files.read_checkpoint`.
        leave_out: Regular expressions of complete names, or one: tensors that are not taken from
            the file and keep their values, such as ``r'.*rel_pos\..*'``.

    Returns:
        What was loaded, and what was not.

    Raises:
        FileNotFoundError: If there is no such file.
        TypeError: If ``leave_out`` holds something else than strings.
        ValueError: If it cannot be read, is no ViT, is one whose norms stand behind attention
            (timm's ``*_rpn_*``, which has the same names), has values that are not finite, or does
            not fit; if ``leave_out`` is no regular expression or fits no name.
    """
    tensors, metadata = unwrap(read_checkpoint(source, trust=trust, sha256=sha256), source)
    tensors = _with_gates(tensors)
    prefix = _choose_prefix(tensors, source, prefix)
    vit = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
    others = [name for name in tensors if not name.startswith(prefix)]
    left, pattern = left_out(vit, leave_out, source)
    notes = {p.removeprefix(prefix): n for p, n in metadata.items() if p.startswith(prefix)}
    is_own = 'pretrain_grid' in notes.get('', {}) or absent_methods(vit) != absent_methods(())
    if not is_own:
        _refuse_norms_behind(vit, source)
    absences = f'{_absences(vit, tensors)}|{pattern}'
    excuses = Excuses(absences, _UNEXPECTED)
    if not strict:
        excuses = Excuses(r'.*', r'.*', r'.*')
    excuses = excuses if resize else replace(excuses, resized=NOTHING)
    layout = 'timm' if {'head.weight', 'cls_token'} & set(vit) else 'vit'
    taken = {name: tensor for name, tensor in vit.items() if name not in left}
    report = load_adapted(model, taken, notes, excuses, source, layout)
    return replace(report, unexpected=[*report.unexpected, *left, *others])


def _choose_prefix(tensors: Mapping[str, Tensor], source: str, wanted: str | None) -> str:
    places = dict.fromkeys(m[1] for name in tensors if (m := _QKV.fullmatch(name)))
    found = [place for place in places if f'{place}patch_embed.proj.weight' in tensors]
    if not found:
        first = ', '.join(list(tensors)[:5])
        raise ValueError(f"{source} holds no plain ViT with timm's names; it begins with {first}")
    if wanted is None and len(found) == 1:
        return found[0]
    wanted = wanted if not wanted else f'{wanted.rstrip(".")}.'
    if wanted not in found:
        raise ValueError(f'{source} holds plain ViTs under {found}, which one: give prefix=...')
    return wanted


def _with_gates(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Bring a ConViT's gated attention to our names, without the bias that softmax ignores."""
    result = dict(tensors)
    for path in [m[1] for name in tensors if (m := _GATED.fullmatch(name))]:
        result[f'{path}local.gate'] = result.pop(f'{path}gating_param')
        result.pop(f'{path}pos_proj.bias', None)
        if f'{path}pos_proj.weight' in result:
            result[f'{path}local.position'] = result.pop(f'{path}pos_proj.weight')
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
