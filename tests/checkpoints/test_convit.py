"""ConViTs, and other networks whose blocks have timm's names of a plain ViT in part."""

import pytest
import timm
import torch

from mmgab.checkpoints import load, load_vit
from mmgab.models import SwinGAB, ViTGAB

from .projects import OURS, images, randomise

LOCAL = 2  # blocks with gates
SIZES = dict(
    img_size=64, embed_dims=32, depth=3, num_heads=4, rel_pos_cfg=None, use_abs_pos_embed=True,
    layer_scale=None, gab_cfg=None, out_indices=(2,),
)  # fmt: skip


def convit(**options):
    """A network of timm's, whose embed_dim is that of one head."""
    arguments = dict(img_size=64, embed_dim=8, num_heads=4, depth=3, num_classes=5)
    return randomise(timm.create_model('convit_tiny', **{**arguments, **options}))


@pytest.fixture
def saved(tmp_path):
    def save(content):
        torch.save(content, tmp_path / 'vit.pth')
        return str(tmp_path / 'vit.pth')

    return save


@pytest.mark.parametrize('qkv_bias', [False, True])
def test_convit_with_only_gated_blocks_gives_same_outputs(qkv_bias, saved):
    theirs = convit(local_up_to_layer=3, qkv_bias=qkv_bias)
    path = saved(dict(model={f'module.{n}': t for n, t in theirs.state_dict().items()}))
    ours = ViTGAB(**SIZES, qkv_bias=qkv_bias, gpsa_cfg={}).eval()
    report = load_vit(ours, path)
    assert report.missing == []
    assert set(report.unexpected) == {'cls_token', 'head.weight', 'head.bias'}
    x = images((64, 64))
    with torch.no_grad():
        tokens = theirs.forward_features(x)
        torch.testing.assert_close(
            ours(x)[-1].flatten(2).transpose(1, 2), tokens, atol=1e-5, rtol=1e-5
        )


def test_convit_with_class_token_loads_into_same_blocks(saved):
    theirs = convit(local_up_to_layer=LOCAL)
    ours = ViTGAB(**SIZES, gpsa_cfg=dict(blocks=range(LOCAL)))
    assert load_vit(ours, saved(theirs.state_dict())).missing == []
    assert torch.equal(ours.blocks[0].attn.local.gate, theirs.blocks[0].attn.gating_param)
    assert torch.equal(ours.blocks[2].attn.qkv.weight, theirs.blocks[2].attn.qkv.weight)


REFUSED = {
    'a model without gates': (
        lambda: convit(local_up_to_layer=LOCAL).state_dict(),
        dict(),
        r'gated positional self-attention \(ConViT\), which needs gpsa_cfg: 4 unexpected key\(s\)',
    ),
    'gates in other blocks': (
        lambda: convit(local_up_to_layer=LOCAL).state_dict(),
        dict(gpsa_cfg=dict(blocks=(0,))),
        r'2 unexpected key\(s\) \(blocks\.1\.attn\.local\.gate',
    ),
    'values lost': (
        lambda: without(convit(local_up_to_layer=3), 'blocks.1.attn.v.weight'),
        dict(gpsa_cfg={}),
        r'1 missing key\(s\) \(blocks\.1\.attn\.qkv\.weight\)',
    ),
    'values of no shape': (
        lambda: {
            **convit(local_up_to_layer=3).state_dict(),
            'blocks.1.attn.v.weight': torch.ones(()),
        },
        dict(gpsa_cfg={}),
        r'1 missing key\(s\) \(blocks\.1\.attn\.qkv\.weight\)',
    ),
    'BEiT': (
        lambda: timm.create_model(
            'beit_base_patch16_224', img_size=64, embed_dim=32, num_heads=4, depth=3
        ).state_dict(),
        dict(),
        r'unexpected key\(s\) .*blocks\.\*\.attn\.q_bias',
    ),
    'CaiT': (
        lambda: timm.create_model(
            'cait_xxs24_224', img_size=64, embed_dim=32, num_heads=4, depth=3
        ).state_dict(),
        dict(qkv_bias=True),
        r'unexpected key\(s\) .*blocks\.\*\.attn\.proj_l\.weight',
    ),
}  # fmt: skip


def without(model, name):
    return {n: t for n, t in model.state_dict().items() if n != name}


@pytest.mark.parametrize('case', REFUSED)
def test_other_network_is_rejected_with_reason(case, saved):
    make, options, message = REFUSED[case]
    with pytest.raises(ValueError, match=message) as caught:
        load_vit(ViTGAB(**{**SIZES, **options}), saved(make()))
    assert 'residual post-norm' not in str(caught.value)


def test_swin_without_gates_rejects_gated_attention(saved):
    content = SwinGAB(**OURS, gpsa_cfg=dict(stages=(0,))).state_dict()
    with pytest.raises(ValueError, match=r'gated positional self-attention .*needs gpsa_cfg'):
        load(SwinGAB(**OURS), saved(content))
