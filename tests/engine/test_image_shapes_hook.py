"""The hook in real runs of MMEngine's runner, with MMDetection's data samples."""

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.model import BaseDataPreprocessor, BaseModel
from mmengine.runner import Runner

from mmgab.models import SwinGAB

SHAPES = [(32, 40), (64, 64)]


class Model(BaseModel):
    """A backbone that is trained to return zeros, and notes what it knows of its images."""

    def __init__(self, **backbone):
        super().__init__(BaseDataPreprocessor())
        self.backbone = SwinGAB(
            embed_dims=8, depths=(1,), num_heads=(2,), window_size=4, out_indices=(0,), **backbone
        )
        self.seen = []

    def forward(self, inputs, data_samples=None, mode='tensor'):
        self.seen.append(self.backbone.image_shapes.shapes)
        (out,) = self.backbone(inputs)
        return dict(loss=out.square().mean()) if mode == 'loss' else [out]


def collate(images):
    samples = [DetDataSample(metainfo=dict(img_shape=shape)) for shape in SHAPES]
    return dict(inputs=torch.stack(images), data_samples=samples)


def train(model, work_dir, hooks):
    runner = Runner(
        model,
        str(work_dir),
        train_dataloader=dict(
            batch_size=2,
            dataset=[torch.randn(3, 64, 64) for _ in range(4)],
            sampler=dict(type='DefaultSampler', shuffle=False),
            collate_fn=collate,
        ),
        train_cfg=dict(by_epoch=False, max_iters=2),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        custom_hooks=hooks,
        default_hooks=dict(checkpoint=None),
        experiment_name=work_dir.name,
        randomness=dict(seed=0),
    )
    runner.train()


def test_the_backbone_knows_the_shapes_in_a_step_and_nothing_after(tmp_path):
    model = Model(cb_cfg=dict(type='CB'))
    train(model, tmp_path, [dict(type='mmgab.ImageShapesHook')])
    assert model.seen == [SHAPES, SHAPES]
    assert model.backbone.image_shapes.shapes is None
    model(torch.randn(1, 3, 64, 64))  # the run is over: nobody looks on
    assert model.seen[-1] is None


def test_an_error_in_a_step_leaves_no_shapes_behind(tmp_path):
    model = Model(cb_cfg=dict(type='CB'))

    def fail(*_):
        raise RuntimeError('out of memory')

    model.backbone.patch_embed.register_forward_hook(fail)
    with pytest.raises(RuntimeError, match='out of memory'):
        train(model, tmp_path, [dict(type='mmgab.ImageShapesHook')])
    assert model.backbone.image_shapes.shapes is None


def test_a_model_with_another_backbone_is_refused(tmp_path):
    model = Model()
    model.backbone.image_shapes = None
    with pytest.raises(ValueError, match='no backbone takes image shapes; is it'):
        train(model, tmp_path, [dict(type='mmgab.ImageShapesHook')])
