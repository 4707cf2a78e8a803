import pytest
import torch
from torch import nn

from mmgab.analysis.attention_maps import watch_attention
from mmgab.models import SwinGAB

SIZE = (61, 75)  # no whole windows


def watched(model, *images):
    with watch_attention(model) as gathered, torch.no_grad():
        for image in images:
            model(image)
    return gathered


def test_watching_layers_keeps_the_output(small_swin):
    model, x = SwinGAB(**small_swin).eval(), torch.randn(2, 3, *SIZE)
    with torch.no_grad():
        alone = model(x)
    with watch_attention(model) as gathered, torch.no_grad():
        beside = model(x)
    assert list(gathered) == [n for n, m in model.named_modules() if n.endswith('.w_msa')]
    for a, b in zip(alone, beside, strict=True):
        assert torch.equal(a, b)
    model(x)
    assert torch.equal(gathered['stages.0.blocks.0.attn.w_msa'].pairs,
                       watched(model, x)['stages.0.blocks.0.attn.w_msa'].pairs)  # fmt: skip


def test_weights_without_content_follow_the_bias_alone(small_swin):
    model = SwinGAB(**dict(small_swin, depths=(1, 1, 1, 1))).eval()
    layer = model.stages[0].blocks[0].attn.w_msa
    nn.init.zeros_(layer.qkv.weight)
    nn.init.zeros_(layer.relative_position_bias_table)
    statistics = watched(model, torch.randn(1, 3, *SIZE))['stages.0.blocks.0.attn.w_msa']
    height, width = layer.window_size
    mean = statistics.mean
    middle = mean[:, height - 1, width - 1]
    assert (middle[:, None] >= mean.flatten(1)).all()  # the Gaussian's peak
    torch.testing.assert_close(mean, mean.flip(1, 2))
    assert statistics.shares[:-1].sum() == 0  # there is nothing but bias in the scores
    assert statistics.mean_share == 1


def test_offsets_are_of_key_from_query(small_swin):
    model = SwinGAB(**dict(small_swin, depths=(1, 1, 1, 1), gab_cfg=None)).eval()
    layer = model.stages[0].blocks[0].attn.w_msa
    nn.init.zeros_(layer.qkv.weight)
    table = layer.relative_position_bias_table.detach()
    table.copy_(torch.arange(len(table))[:, None].expand_as(table))
    row = int(layer.position_bias()[0, 0, 1])  # key 1 is the right neighbour of query 0
    table.zero_()
    table[row] = 20
    mean = watched(model, torch.randn(1, 3, *SIZE))['stages.0.blocks.0.attn.w_msa'].mean[0]
    height, width = layer.window_size
    assert divmod(int(mean.argmax()), mean.shape[1]) == (height - 1, width)


def test_statistics_use_unmasked_windows(small_swin):
    model = SwinGAB(**small_swin).eval()
    name = 'stages.0.blocks.0.attn.w_msa'
    height, width = dict(model.named_modules())[name].window_size
    statistics = watched(model, torch.randn(2, 3, *SIZE))[name]
    windows = 2 * (16 // height) * (19 // width)  # tokens of 4 x 4 pixels: 16 x 19
    assert statistics.pairs[height - 1, width - 1] == windows * height * width
    assert statistics.pairs[0, 0] == windows
    torch.testing.assert_close(
        statistics.offsets.sum(dim=(1, 2)),
        torch.full((len(statistics.offsets),), float(windows * height * width)).double(),
    )


def test_statistics_accumulate_over_images(small_swin):
    model = SwinGAB(**small_swin).eval()
    a, b = torch.randn(2, 1, 3, *SIZE)
    both, single = watched(model, a, b), [watched(model, a), watched(model, b)]
    for name, statistics in both.items():
        for field in ('offsets', 'pairs', 'shares'):
            parts = sum(getattr(one[name], field) for one in single)
            torch.testing.assert_close(getattr(statistics, field), parts)


def test_network_without_window_attention_raises_error():
    with (
        pytest.raises(ValueError, match='Conv2d has no window attention'),
        watch_attention(nn.Conv2d(3, 3, 1)),
    ):
        pass
