"""The hook in real runs of MMEngine's runner."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner

from mmgab.engine import PatchDiversityHook
from mmgab.functional import contrastive_diversity, cosine_diversity
from mmgab.models import PatchDiversityLoss, SwinGAB, ViTGAB


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
def test_losses_are_those_between_the_patches_and_the_last_block(tmp_path, with_cp):
    model, kept = Model(drop_path_rate=0.0, with_cp=with_cp), []
    blocks = model.backbone.stages[-1].blocks
    blocks[0].register_forward_pre_hook(lambda block, inputs: kept.append(inputs[0].detach()))
    blocks[-1].register_forward_hook(lambda block, inputs, output: kept.append(output.detach()))
    train(model, tmp_path, loss=dict(type='mmgab.PatchDiversityLoss', cosine=0.25, contrastive=2))
    first, last = kept[:2]  # checkpointed, blocks are computed once more
    assert model.losses['loss_cosine'].item() == pytest.approx(0.25 * cosine_diversity(last).item())
    contrast = contrastive_diversity(first, last).item()
    assert model.losses['loss_contrastive'].item() == pytest.approx(2 * contrast)
    assert model.losses['loss_cosine'].requires_grad
    assert 'loss' in model.losses


def test_zero_weight_disables_a_loss(tmp_path):
    model = Model()
    train(model, tmp_path, loss=dict(type='mmgab.PatchDiversityLoss', cosine=0))
    assert set(model.losses) == {'loss', 'loss_contrastive'}
    assert set(model(torch.randn(1, 3, 45, 70), mode='loss')) == {'loss'}
    assert not any(module._forward_hooks for module in model.modules())


def watched(depths, **hook):
    """Name of the stage that the hook looks on at."""
    model = Model(depths)
    PatchDiversityHook(**hook).before_train(SimpleNamespace(model=model))
    names = {module: name for name, module in model.backbone.named_modules()}
    (stage,) = (names[m] for m in names if m._forward_hooks)
    return stage


def test_default_stage_has_the_most_blocks():
    """Of a Swin-S the third; neighbouring blocks of its last stage have had no time to differ."""
    assert watched((3, 1)) == 'stages.0'
    assert watched((1, 3)) == 'stages.1'
    assert watched((2, 2)) == 'stages.1'
    assert watched((3, 1), stage=-1) == 'stages.1'


def test_vit_uses_patch_embedding_and_last_block():
    model = SimpleNamespace(backbone=ViTGAB(embed_dims=16, depth=3, num_heads=2, out_indices=(2,),
                                            use_abs_pos_embed=True))  # fmt: skip
    model.register_forward_hook = lambda hook: None
    hook = PatchDiversityHook()
    hook.before_train(SimpleNamespace(model=model))
    images = torch.randn(1, 3, 224, 224)
    model.backbone(images)
    expected = model.backbone.patch_embed(images)[0] + model.backbone.pos_embed
    torch.testing.assert_close(hook._tokens['first'], expected)


@pytest.mark.parametrize('stage', [2, -3])
def test_missing_stage_is_rejected(tmp_path, stage):
    with pytest.raises(ValueError, match=f'stage is {stage}, and the backbone has 2'):
        train(Model((1, 3)), tmp_path, stage=stage)


@pytest.mark.parametrize('weights', [dict(cosine=-1), dict(contrastive=float('nan'))])
def test_invalid_weights_are_rejected(weights):
    with pytest.raises(ValueError, match=r'must be finite and at least 0, got (-1|nan)'):
        PatchDiversityLoss(**weights)
    with pytest.raises(ValueError, match='both 0; at least one must be positive'):
        PatchDiversityLoss(cosine=0, contrastive=0)
