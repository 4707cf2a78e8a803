"""The ``config.json`` that transformers needs with a Swin's weights, inferred from its tensors."""

from torch import Tensor

from .contents import Contents
from .conversion import last_stage
from .layouts import HEAD, POSITION


def transformers_config(contents: Contents) -> dict:
    """Return the transformers ``SwinConfig`` of a Swin as a dict.

    Args:
        contents: A Swin that can be exported there.

    Returns:
        The configuration; what weights do not tell (dropout, the activation) has the library's own
        defaults, which are those of the published models.
    """
    swin = contents.swin
    stages = range(last_stage(swin) + 1)
    tables = contents.tables()
    blocks = [fields['s'] for fields in tables.values()]
    patch: Tensor = swin['patch_embed.projection.weight']
    position = swin.get(POSITION)
    patch_size = patch.shape[-1]
    window = contents.window(next(iter(tables)))[0]
    side = window * 2 ** stages[-1] if position is None else int(position.shape[1] ** 0.5)
    hidden = swin['stages.0.blocks.0.ffn.layers.0.0.weight'].shape[0]
    config = dict(
        model_type='swin',
        architectures=[_architecture(contents)],
        image_size=side * patch_size,
        patch_size=patch_size,
        num_channels=patch.shape[1],
        embed_dim=patch.shape[0],
        depths=[blocks.count(stage) for stage in stages],
        num_heads=[_heads(contents, stage) for stage in stages],
        window_size=window,
        mlp_ratio=hidden / patch.shape[0],
        qkv_bias='stages.0.blocks.0.attn.w_msa.qkv.bias' in swin,
        use_absolute_embeddings=position is not None,
        out_features=[f'stage{stage + 1}' for stage in stages if f'norm{stage}.weight' in swin],
    )
    if f'{HEAD}.weight' in swin:
        labels = range(len(swin[f'{HEAD}.weight']))
        config['id2label'] = {str(i): f'LABEL_{i}' for i in labels}
        config['label2id'] = {f'LABEL_{i}': i for i in labels}
    return config


def _architecture(contents: Contents) -> str:
    if f'{HEAD}.weight' in contents.swin:
        return 'SwinForImageClassification'
    return 'SwinBackbone' if contents.has_stage_norms() else 'SwinModel'


def _heads(contents: Contents, stage: int) -> int:
    return contents.swin[f'stages.{stage}.blocks.0.attn.w_msa.relative_position_bias_table'].shape[
        1
    ]
