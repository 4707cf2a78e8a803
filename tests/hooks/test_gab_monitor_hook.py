"""The monitor in a real run of MMEngine's runner, with TensorBoard's own reader."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from mmengine.runner import Runner
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from mmgab.engine import GABMonitorHook
from mmgab.hooks import gab_monitor_hook as monitor
from mmgab.models import SwinGAB

pytestmark = pytest.mark.slow


class Model(BaseModel):
    """A backbone that is trained to return zeros, in some channels more than in others."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone = MODELS.build({'type': 'mmgab.SwinGAB', **backbone})

    def forward(self, inputs, mode='tensor'):
        outs = self.backbone(inputs)
        if mode != 'loss':
            return outs
        # Behind a norm the sum of all channels' squares is nearly a constant, and nobody learns.
        weights = [torch.linspace(0, 1, out.shape[1])[:, None, None] for out in outs]
        return dict(
            loss=sum((out * w).square().mean() for out, w in zip(outs, weights, strict=True))
        )


def train(work_dir, backbone, iterations=5, side=32, **hook):
    runner = Runner(
        Model(backbone),
        str(work_dir),
        train_dataloader=dict(
            batch_size=1,
            dataset=[dict(inputs=torch.randn(3, side, side)) for _ in range(iterations)],
            sampler=dict(type='DefaultSampler', shuffle=False),
            collate_fn=dict(type='default_collate'),
        ),
        train_cfg=dict(by_epoch=False, max_iters=iterations),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        custom_hooks=[dict(type='mmgab.GABMonitorHook', **hook)],
        visualizer=dict(type='Visualizer', vis_backends=[dict(type='TensorboardVisBackend')]),
        default_hooks=dict(checkpoint=None, logger=dict(type='LoggerHook', interval=1)),
        experiment_name=work_dir.name,
        randomness=dict(seed=0),
    )
    runner.train()
    events = EventAccumulator(
        str(next(work_dir.rglob('events.out*')).parent), size_guidance=dict(histograms=0)
    )
    events.Reload()
    return runner, events


@pytest.mark.parametrize('per_head', [False, True])
def test_tensorboard_shows_every_layer_from_the_start_to_the_end(tmp_path, small_swin, per_head):
    runner, events = train(tmp_path, dict(small_swin, gab_cfg=dict(per_head=per_head)), interval=2)
    names = [n for n in events.Tags()['scalars'] if n.startswith('gab/') and 'share' not in n]
    owned = [n for n, _ in runner.model.named_parameters() if '.gaussian.' in n]
    shown = {name.rpartition('/head')[0] or name for name in names}
    expected = set()
    for name in owned:
        layer, _, kind = name.partition('.attn.w_msa.gaussian.')
        expected |= {f'gab/{layer}/{kind}'} | ({f'gab/{layer}/A'} if kind == 'amplitude' else set())
    assert shown == expected
    suffix = '/head1' if per_head else ''
    layer = 'backbone.stages.1.blocks.0'
    series = {kind: events.Scalars(f'gab/{layer}/{kind}{suffix}') for kind in ('amplitude', 'A')}
    assert [event.step for event in series['A']] == [0, 2, 4, 5]
    assert series['amplitude'][0].value == 1
    gaussian = runner.model.backbone.stages[1].blocks[0].attn.w_msa.gaussian
    last = gaussian.amplitude[-1 if per_head else 0].item()
    if not per_head:
        assert series['amplitude'][-1].value == pytest.approx(last)
        assert last != 1
    assert series['A'][-1].value == pytest.approx(series['amplitude'][-1].value ** 2)


def test_tensorboard_shows_the_share_of_the_bias_in_the_scores(tmp_path, small_swin):
    # Four windows in the last stage: those with padding, or cut by a shift, are not looked at.
    side = 64 * max(SwinGAB(**small_swin).stages[-1].blocks[0].attn.window_size)
    runner, events = train(tmp_path, small_swin, side=side, interval=2)
    layers = [n for n, m in runner.model.named_modules() if n.endswith('.w_msa')]
    tags = [f'gab/{layer.removesuffix(".attn.w_msa")}/share' for layer in layers]
    assert events.Tags()['histograms'] == tags
    for tag in tags:
        histograms, means = events.Histograms(tag), events.Scalars(tag)
        assert [event.step for event in histograms] == [event.step for event in means] == [2, 4, 5]
        for event, mean in zip(histograms, means, strict=True):
            value = event.histogram_value
            assert value.num == sum(value.bucket) > 0
            assert mean.value == pytest.approx(value.sum / value.num)
            # The Gaussian starts at a height of one; content is small before training.
            assert 0.5 < mean.value < 1


def test_nothing_is_measured_between_two_records(tmp_path, small_swin, monkeypatch):
    looks = []
    watch = monitor.watch_attention
    monkeypatch.setattr(
        monitor, 'watch_attention', lambda *a, **k: looks.append(1) or watch(*a, **k)
    )
    runner, _ = train(tmp_path, small_swin, iterations=9, interval=4)
    assert len(looks) == 3  # iterations 4, 8 and 9
    assert not any(module._forward_pre_hooks for module in runner.model.modules())


def test_log_has_one_line_per_record(tmp_path, small_swin):
    train(tmp_path, small_swin, interval=5)
    (log,) = tmp_path.rglob('*.log')
    lines = [line for line in log.read_text().splitlines() if 'Gaussians after' in line]
    assert len(lines) == 2
    assert 'after 0 iterations: A 1.000 to 1.000 logits, sigma 5.00 to 5.00 tokens' in lines[0]


def test_swin_without_gaussians_records_only_shares(tmp_path, small_swin):
    _, events = train(tmp_path, dict(small_swin, gab_cfg=None), side=448)
    names = [name for name in events.Tags()['scalars'] if name.startswith('gab/')]
    assert len(names) == sum(small_swin['depths'])
    assert all(name.endswith('/share') for name in names)
    (log,) = tmp_path.rglob('*.log')
    assert 'Gaussians after' not in log.read_text()


@pytest.mark.parametrize('gab_cfg', [None, {}])
def test_vit_records_only_gaussians(tmp_path, gab_cfg):
    vit = dict(type='mmgab.ViTGAB', embed_dims=16, depth=2, num_heads=2, out_indices=(1,))
    _, events = train(tmp_path, dict(vit, layer_scale=None, gab_cfg=gab_cfg))
    names = {name for name in events.Tags()['scalars'] if name.startswith('gab/')}
    kinds = () if gab_cfg is None else ('amplitude', 'A', 'sigma')
    assert names == {f'gab/backbone.blocks.{i}/{kind}' for i in range(2) for kind in kinds}


def test_model_without_mmgab_attention_is_rejected():
    runner = SimpleNamespace(model=nn.Linear(1, 1))
    with pytest.raises(ValueError, match='Linear has no attention of mmgab'):
        GABMonitorHook().before_train(runner)


def test_interval_zero_is_rejected():
    with pytest.raises(ValueError, match='interval must be at least 1, got 0'):
        GABMonitorHook(interval=0)
