"""The monitor in a real run of MMEngine's runner, with TensorBoard's own reader."""

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mmgab.engine import GABMonitorHook
from mmgab.models import SwinGAB


class Model(BaseModel):
    """A backbone that is trained to return zeros."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone = SwinGAB(**backbone)

    def forward(self, inputs, mode='tensor'):
        outs = self.backbone(inputs)
        return dict(loss=sum(out.square().mean() for out in outs)) if mode == 'loss' else outs


def train(work_dir, backbone, iterations=5, **hook):
    runner = Runner(
        Model(backbone),
        str(work_dir),
        train_dataloader=dict(
            batch_size=1,
            dataset=[dict(inputs=torch.randn(3, 32, 32)) for _ in range(iterations)],
            sampler=dict(type='DefaultSampler', shuffle=False),
            collate_fn=dict(type='default_collate'),
        ),
        train_cfg=dict(by_epoch=False, max_iters=iterations),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        custom_hooks=[dict(type='mmgab.GABMonitorHook', **hook)],
        visualizer=dict(type='Visualizer', vis_backends=[dict(type='TensorboardVisBackend')]),
        default_hooks=dict(checkpoint=None, logger=dict(type='LoggerHook', interval=1)),
        experiment_name=work_dir.name,
    )
    runner.train()
    events = EventAccumulator(str(next(work_dir.rglob('events.out*')).parent))
    events.Reload()
    return runner, events


@pytest.mark.parametrize('per_head', [False, True])
def test_tensorboard_shows_every_layer_from_the_start_to_the_end(tmp_path, small_swin, per_head):
    runner, events = train(tmp_path, dict(small_swin, gab_cfg=dict(per_head=per_head)), interval=2)
    names = [name for name in events.Tags()['scalars'] if name.startswith('gab/')]
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


def test_the_log_has_a_line_a_record(tmp_path, small_swin):
    train(tmp_path, small_swin, interval=5)
    (log,) = tmp_path.rglob('*.log')
    lines = [line for line in log.read_text().splitlines() if 'Gaussians after' in line]
    assert len(lines) == 2
    assert 'after 0 iterations: A 1.000 to 1.000 logits, sigma 5.00 to 5.00 tokens' in lines[0]


def test_a_model_without_a_gaussian_is_refused(tmp_path, small_swin):
    with pytest.raises(ValueError, match='the model has no Gaussian; is its backbone'):
        train(tmp_path, dict(small_swin, gab_cfg=None))


def test_an_interval_of_nothing_is_refused():
    with pytest.raises(ValueError, match='interval must be at least 1, got 0'):
        GABMonitorHook(interval=0)
