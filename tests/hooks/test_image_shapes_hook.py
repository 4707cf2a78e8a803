"""The hook in real runs of MMEngine's runner, with MMDetection's data samples."""

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.model import BaseDataPreprocessor, BaseModel
from mmengine.runner import Runner

from mmgab.engine import ImageShapesHook
from mmgab.models import SwinGAB

SHAPES = [(32, 40), (64, 64)]


class Model(BaseModel):
    """A backbone that is trained to return zeros, and notes what it is told of its images."""

    def __init__(self, **backbone):
        super().__init__(BaseDataPreprocessor())
        self.backbone = SwinGAB(
            embed_dims=8, depths=(1,), num_heads=(2,), window_size=4, out_indices=(0,), **backbone
        )
        self.seen = []
        self.backbone.register_forward_hook(self.note, with_kwargs=True)

    def note(self, backbone, args, kwargs, output):
        self.seen.append(kwargs.get('image_shapes'))

    def forward(self, inputs, data_samples=None, mode='tensor'):
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


def test_backbone_has_shapes_only_during_a_step(tmp_path):
    model = Model(cb_cfg=dict(type='CB'))
    train(model, tmp_path, [dict(type='mmgab.ImageShapesHook')])
    assert model.seen == [SHAPES, SHAPES]
    model(torch.randn(1, 3, 64, 64))  # the run is over: nobody looks on
    assert model.seen[-1] is None


def test_shapes_are_removed_after_an_error(tmp_path):
    model = Model(cb_cfg=dict(type='CB'))

    def fail(*_):
        raise RuntimeError('out of memory')

    handle = model.backbone.patch_embed.register_forward_hook(fail)
    with pytest.raises(RuntimeError, match='out of memory'):
        train(model, tmp_path, [dict(type='mmgab.ImageShapesHook')])
    handle.remove()
    model(torch.randn(1, 3, 64, 64))  # of one image, of unknown shape
    assert model.seen == [None]


def test_threads_sharing_a_model_have_separate_shapes():
    model = Model(cb_cfg=dict(type='CB')).eval()
    hook = ImageShapesHook()
    hook.before_run(SimpleNamespace(model=model))
    image = torch.randn(1, 3, 64, 64)
    batches = [[DetDataSample(metainfo=dict(img_shape=shape))] for shape in SHAPES]
    alone = [model(image, batch)[0] for batch in batches]
    # Both have noted their shapes before one of them reads them.
    barrier = threading.Barrier(2)
    handle = model.register_forward_pre_hook(lambda *_: [barrier.wait(60)].clear())
    with ThreadPoolExecutor(2) as pool:
        together = pool.map(lambda batch: model(image, batch)[0], batches)
        for a, b in zip(alone, together, strict=True):
            torch.testing.assert_close(a, b)
    handle.remove()
    hook.after_run(SimpleNamespace(model=model))
    model(image)
    assert model.seen[-1] is None


def test_model_with_another_backbone_is_rejected(tmp_path):
    model = Model()
    model.backbone.forward = lambda x: x
    with pytest.raises(ValueError, match='no backbone takes image shapes; use mmgab'):
        train(model, tmp_path, [dict(type='mmgab.ImageShapesHook')])
