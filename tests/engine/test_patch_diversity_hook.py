"""The hook in real runs of MMEngine's runner."""

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner

from mmgab.functional import contrastive_diversity, cosine_diversity
from mmgab.models import PatchDiversityLoss, SwinGAB


class Model(BaseModel):
    """A backbone that is trained to return zeros, and keeps the losses of its last step."""

    def __init__(self, depths=(1, 3), **backbone):
        super().__init__()
        self.backbone = SwinGAB(
            embed_dims=8, depths=depths, num_heads=(2, 2), window_size=4, out_indices=(0, 1),
            **backbone,
        )  # fmt: skip
        self.losses = {}

    def forward(self, inputs, mode='tensor'):
        outs = self.backbone(inputs)
        return dict(loss=sum(out.square().mean() for out in outs)) if mode == 'loss' else outs

    def parse_losses(self, losses):
        self.losses = losses
        return super().parse_losses(losses)


def train(model, work_dir, **hook):
    runner = Runner(
        model,
        str(work_dir),
        train_dataloader=dict(
            batch_size=2,
            dataset=[dict(inputs=torch.randn(3, 45, 70)) for _ in range(2)],
            sampler=dict(type='DefaultSampler', shuffle=False),
            collate_fn=dict(type='default_collate'),
        ),
        train_cfg=dict(by_epoch=False, max_iters=1),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.0)),
        custom_hooks=[dict(type='mmgab.PatchDiversityHook', **hook)],
        default_hooks=dict(checkpoint=None),
        experiment_name=work_dir.name,
        randomness=dict(seed=0),
    )
    runner.train()


@pytest.mark.parametrize('with_cp', [False, True])
def test_losses_are_those_between_first_and_last_block(tmp_path, with_cp):
    model, kept = Model(drop_path_rate=0.0, with_cp=with_cp), []
    blocks = model.backbone.stages[-1].blocks
    for block in (blocks[0], blocks[-1]):
        block.register_forward_hook(lambda module, inputs, output: kept.append(output.detach()))
    train(model, tmp_path, loss=dict(type='mmgab.PatchDiversityLoss', cosine=0.25, contrastive=2))
    first, last = kept
    assert model.losses['loss_cosine'].item() == pytest.approx(0.25 * cosine_diversity(last).item())
    contrast = contrastive_diversity(first, last).item()
    assert model.losses['loss_contrastive'].item() == pytest.approx(2 * contrast)
    assert model.losses['loss_cosine'].requires_grad
    assert 'loss' in model.losses


def test_a_weight_of_zero_leaves_a_loss_out_and_nothing_stays_behind(tmp_path):
    model = Model()
    train(model, tmp_path, loss=dict(type='mmgab.PatchDiversityLoss', cosine=0))
    assert set(model.losses) == {'loss', 'loss_contrastive'}
    assert set(model(torch.randn(1, 3, 45, 70), mode='loss')) == {'loss'}
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize(
    ('depths', 'stage', 'complaint'),
    [((1, 3), 2, 'stage is 2, and the backbone has 2'), ((1, 3), 0, 'stage 0 has one block')],
)
def test_a_stage_that_cannot_be_compared_is_refused(tmp_path, depths, stage, complaint):
    with pytest.raises(ValueError, match=complaint):
        train(Model(depths), tmp_path, stage=stage)


@pytest.mark.parametrize('weights', [dict(cosine=-1), dict(contrastive=float('nan'))])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(ValueError, match='must be at least 0'):
        PatchDiversityLoss(**weights)
    with pytest.raises(ValueError, match='both 0: there is none'):
        PatchDiversityLoss(cosine=0, contrastive=0)
