"""Small plain ViTs: timm's and ours, with each method."""

import torch

from mmgab.models import ViTGAB

SMALL = dict(embed_dims=24, depth=2, num_heads=3, out_indices=(1,), patch_size=8, img_size=(56, 40))
PLAIN = dict(SMALL, rel_pos_cfg=None, use_abs_pos_embed=True, layer_scale=None, qkv_bias=True)
TIMM = dict(embed_dim=24, depth=2, num_heads=3, patch_size=8, img_size=(56, 40))
# Of timm's network, and of ours.
NETWORKS = {
    'MLP': ('vit_relpos_small_patch16_224', {}, dict(SMALL, final_norm=False)),
    'table': (
        'vit_relpos_small_patch16_224',
        dict(rel_pos_type='bias'),
        dict(SMALL, rel_pos_cfg=dict(type='table'), final_norm=False),
    ),
    'shared MLP': (
        'vit_srelpos_small_patch16_224',
        dict(rel_pos_dim=9),
        dict(SMALL, rel_pos_cfg=dict(type='mlp', hidden=9)),
    ),
    'plain': (
        'vit_small_patch16_224', dict(class_token=False, global_pool='avg', fc_norm=False), PLAIN,
    ),
}  # fmt: skip
METHODS = {
    'gaussian': dict(gab_cfg={}),
    'gaussian of heads': dict(gab_cfg=dict(per_head=True)),
    'CB': dict(cb_cfg=dict(type='CB')),
    'CBS': dict(cb_cfg=dict(type='CBS')),
    'CBG': dict(cb_cfg=dict(type='CBG')),
    'gates': dict(gpsa_cfg={}),
    'all of them': dict(gab_cfg={}, cb_cfg=dict(type='CB'), gpsa_cfg=dict(blocks=[0])),
}


def vit(seed=0, **arguments):
    torch.manual_seed(seed)
    return ViTGAB(**{**SMALL, 'gab_cfg': None, 'layer_scale': None, **arguments})


def stir(model):
    """Values as after training: scales and tables that do something."""
    for parameter in model.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    return model.eval()
