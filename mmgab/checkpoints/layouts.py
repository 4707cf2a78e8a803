"""Names of a Swin's tensors in every project, one table per layout, for both directions.

The layout of this package is OpenMMLab's. A name stands for its ``weight`` and ``bias``; ``{s}`` is
a stage, ``{b}`` a block of it, ``{last}`` the last stage, and ``{2s+1}`` what it says.

Patch merging differs in the values too: OpenMMLab unfolds the four neighbours of a patch channel by
channel, row by row; all others concatenate the vectors column by column, as Microsoft did::

    neighbours   0 1      OpenMMLab  (channel, neighbour), neighbours in the order 0 1 2 3
                 2 3      the others (neighbour, channel), neighbours in the order 0 2 1 3
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

from mmgab.layers.methods import METHODS, Method

from .name_template import NameTemplate

_BLOCK = 'stages.{s}.blocks.{b}'
_ATTENTION = f'{_BLOCK}.attn.w_msa'
_MERGING = 'stages.{s}.downsample'
# Norms, qkv, projection, and the two layers of the feed-forward network.
_PARTS = ('norm1', 'norm2', 'attn.w_msa.qkv', 'attn.w_msa.proj', 'ffn.layers.0.0', 'ffn.layers.1')
HEAD = 'head.fc'
POSITION = 'absolute_pos_embed'
TABLE = NameTemplate(f'{_ATTENTION}.relative_position_bias_table')
_QKV = f'{_ATTENTION}.qkv'
MASK = NameTemplate('layers.{s}.blocks.{b}.attn_mask')
# Tensors that a network has only for pretraining, next to its backbone: tokens in place of masked
# patches, decoders, projections, heads (SimMIM, MAE, BEiT, iBOT, DINO, MoBY, EsViT, ...).
PRETRAINING = re.compile(
    r'(?:swin\.)?(?:embeddings\.)?(?:mask_tokens?|mask_embed|masked_embed)'
    r'|decoder_pos_embed'
    r'|(?:\w{1,30}_)?(?:heads?|decoder|projector|predictor)\d?(?:_\w{1,30})?\..+'
)
MERGING = (NameTemplate(f'{_MERGING}.norm'), NameTemplate(f'{_MERGING}.reduction'))


@dataclass(frozen=True, eq=False)
class Layout:
    """Naming scheme of a project, and the order of its values.

    Attributes:
        name: For reports.
        names: OpenMMLab's name to the project's; to several where a tensor is split evenly along
            its first axis.
        container: What may stand before the names of all but the classifier.
        unfolds: Patch merging in OpenMMLab's order.
        index: How the relative-position index is saved, if it is: ``'square'`` or ``'flat'``.
        unused: Tensors of its files that are derived from others; left out when a file is read.
        has_norms: Its files have a norm after the last stage at least.
        has_masks: The masks of shifted blocks are saved.
        position_is_map: An absolute position embedding is ``(1, C, H, W)``, else ``(1, H * W, C)``.
        wrapper: Key of a file under which its tensors are, if there is one.
        has_methods: Tensors of :mod:`mmgab.layers.methods` have a place in it.
    """

    name: str
    names: Mapping[str, str | tuple[str, ...]]
    container: str = ''
    unfolds: bool = False
    index: str | None = None
    unused: tuple[NameTemplate, ...] = ()
    has_norms: bool = True
    has_masks: bool = False
    position_is_map: bool = False
    wrapper: str | None = None
    has_methods: bool = False

    def rules(self, last: int) -> list[tuple[NameTemplate, list[NameTemplate]]]:
        """Return the table of names for a network with that last stage."""
        return self._rules(last, tuple(METHODS) if self.has_methods else ())

    @lru_cache  # noqa: B019  layouts live as long as the module
    def _rules(
        self, last: int, methods: tuple[Method, ...]
    ) -> list[tuple[NameTemplate, list[NameTemplate]]]:
        own = (name for method in methods for name in method.in_block(_BLOCK))
        names = {**self.names, **{name: name for name in own}}
        return [
            (
                NameTemplate(ours.replace('{last}', str(last))),
                [NameTemplate(t) for t in ((theirs,) if isinstance(theirs, str) else theirs)],
            )
            for ours, theirs in names.items()
        ]

    @cached_property
    def qkv(self) -> NameTemplate:
        """The project's name of a block's queries, keys and values, or of its queries."""
        theirs = self.names[_QKV]
        return NameTemplate(theirs if isinstance(theirs, str) else theirs[0])


def _names(
    stem: tuple[str, str],
    block: str,
    parts: tuple[str | tuple[str, ...], ...],
    attention: str,
    merging: str,
    others: Mapping[str, str],
) -> dict[str, str | tuple[str, ...]]:
    """A table of names.

    Args:
        stem: Names of patch embedding and of its norm.
        block: Name of a block.
        parts: What is in a block, in the order of ``_PARTS``.
        attention: What holds table and index in it.
        merging: Name of a patch merging.
        others: Further names.
    """
    table: dict[str, str | tuple[str, ...]] = {
        'patch_embed.projection': stem[0],
        'patch_embed.norm': stem[1],
    }
    for ours, theirs in zip(_PARTS, parts, strict=True):
        if isinstance(theirs, str):
            table[f'{_BLOCK}.{ours}'] = f'{block}.{theirs}'
        else:
            table[f'{_BLOCK}.{ours}'] = tuple(f'{block}.{name}' for name in theirs)
    for derived in ('relative_position_bias_table', 'relative_position_index'):
        table[f'{_ATTENTION}.{derived}'] = f'{block}.{attention}.{derived}'
    for part in ('norm', 'reduction'):
        table[f'{_MERGING}.{part}'] = f'{merging}.{part}'
    return {**table, **others}


_CLASSIC_PARTS = ('norm1', 'norm2', 'attn.qkv', 'attn.proj', 'mlp.fc1', 'mlp.fc2')
_CLASSIC = (
    ('patch_embed.proj', 'patch_embed.norm'),
    'layers.{s}.blocks.{b}',
    _CLASSIC_PARTS,
    'attn',
)
_FINAL_NORM = 'norm{last}'
_POSITION = {POSITION: 'absolute_pos_embed'}

_OWN = _names(
    ('patch_embed.projection', 'patch_embed.norm'),
    _BLOCK,
    _PARTS,
    'attn.w_msa',
    _MERGING,
    {**{name: name for name in ('norm{s}', HEAD)}, **_POSITION},
)
# Of mmpretrain's first versions, and of Microsoft's, which MMSegmentation's converter keeps.
_OWN_MASKS = (NameTemplate(f'{_BLOCK}.attn.attn_mask'), NameTemplate(f'{_BLOCK}.attn_mask'))
OPENMMLAB = Layout(
    'openmmlab',
    _OWN,
    unfolds=True,
    index='square',
    unused=_OWN_MASKS,
    wrapper='state_dict',
    has_methods=True,
)
# Of mmpretrain's first versions and MMSegmentation's converter: the last norm has no number.
OPENMMLAB_CLASSIFIER = Layout(
    'openmmlab classifier',
    {name: name for name in _OWN if name != 'norm{s}'} | {_FINAL_NORM: 'norm'},
    unfolds=True,
    index='square',
    unused=_OWN_MASKS,
    wrapper='state_dict',
    has_methods=True,
)


def _timm_names(stage: str) -> dict[str, str | tuple[str, ...]]:
    return _names(
        ('patch_embed.proj', 'patch_embed.norm'),
        f'{stage}{{s}}.blocks.{{b}}',
        _CLASSIC_PARTS,
        'attn',
        f'{stage}{{s+1}}.downsample',
        {_FINAL_NORM: 'norm', HEAD: 'head.fc'},
    )


TIMM = Layout('timm', _timm_names('layers.'))
# Made with features_only=True: the sequence of stages is taken apart, and maps are not normed.
TIMM_FEATURES = Layout('timm features_only', _timm_names('layers_'), has_norms=False)
# Also timm's own, before it moved the patch merging to the stage behind it.
MICROSOFT = Layout(
    'microsoft',
    _names(*_CLASSIC, 'layers.{s}.downsample', {_FINAL_NORM: 'norm', HEAD: 'head', **_POSITION}),
    index='square',
    unused=(MASK,),
    has_masks=True,
    wrapper='model',
)
MICROSOFT_DETECTION = Layout(
    'microsoft detection',
    _names(*_CLASSIC, 'layers.{s}.downsample', {'norm{s}': 'norm{s}', **_POSITION}),
    index='square',
    position_is_map=True,
    wrapper='state_dict',
)
TORCHVISION = Layout(
    'torchvision',
    _names(
        ('features.0.0', 'features.0.2'),
        'features.{2s+1}.{b}',
        ('norm1', 'norm2', 'attn.qkv', 'attn.proj', 'mlp.0', 'mlp.3'),
        'attn',
        'features.{2s+2}',
        {_FINAL_NORM: 'norm', HEAD: 'head'},
    ),
    index='flat',
)


def _transformers(
    name: str, parts: tuple, attention: str, norms: dict, unused: tuple = ()
) -> Layout:
    names = _names(
        ('embeddings.patch_embeddings.projection', 'embeddings.norm'),
        'encoder.layers.{s}.blocks.{b}',
        ('layernorm_before', 'layernorm_after', *parts),
        attention,
        'encoder.layers.{s}.downsample',
        {HEAD: 'classifier', POSITION: 'embeddings.position_embeddings', **norms},
    )
    return Layout(name, names, container='swin.', unused=unused)


# Version 5 renamed what is inside a block; files keep the names of version 4.
_GENERATIONS = {
    'transformers': (
        (
            tuple(f'attention.self.{part}' for part in ('query', 'key', 'value')),
            'attention.output.dense',
            'intermediate.dense',
            'output.dense',
        ),
        'attention.self',
    ),
    'transformers 5': (
        (
            tuple(f'attention.{part}_proj' for part in 'qkv'),
            'attention.o_proj',
            'mlp.fc1',
            'mlp.fc2',
        ),
        'attention.relative_position_bias',
    ),
}
TRANSFORMERS, TRANSFORMERS_5 = (
    _transformers(name, *inside, norms={_FINAL_NORM: 'layernorm'})
    for name, inside in _GENERATIONS.items()
)
# It has the final norm of the model that it holds, and does not apply it.
TRANSFORMERS_BACKBONE, TRANSFORMERS_5_BACKBONE = (
    _transformers(
        f'{name} backbone',
        *inside,
        norms={'norm{s}': 'hidden_states_norms.stage{s+1}'},
        unused=(NameTemplate('layernorm'),),
    )
    for name, inside in _GENERATIONS.items()
)

# If two match a file equally well, the first one is used.
LAYOUTS = (
    OPENMMLAB,
    OPENMMLAB_CLASSIFIER,
    TIMM,
    TIMM_FEATURES,
    MICROSOFT_DETECTION,
    MICROSOFT,
    TORCHVISION,
    TRANSFORMERS_BACKBONE,
    TRANSFORMERS_5_BACKBONE,
    TRANSFORMERS,
    TRANSFORMERS_5,
)
