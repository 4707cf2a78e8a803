import numpy as np
import pytest
import torch
from mmdet.datasets import CocoDataset, ConcatDataset
from mmdet.structures import DetDataSample
from mmengine.dataset import BaseDataset
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample
from torch import nn

from mmgab.engine import LabelRangeHook


class Run:
    """Just what the hook reads of a runner; real runs are in tests/tools/test_bad_input.py."""

    def __init__(self, classes, model=None):
        dataset = type('Dataset', (), dict(metainfo=dict(classes=classes)))
        loader = type('Loader', (), dict(dataset=dataset))
        self.train_dataloader = self.val_dataloader = self.test_dataloader = loader
        self.model = model


def semantic(labels):
    data = PixelData(data=torch.tensor(labels).reshape(1, 1, -1))
    return SegDataSample(gt_sem_seg=data, metainfo=dict(img_path='tile_7.png'))


def instances(labels):
    data = InstanceData(labels=torch.tensor(labels))
    return DetDataSample(gt_instances=data, metainfo=dict(img_path='tile_7.png'))


@pytest.mark.parametrize('sample', [semantic, instances])
@pytest.mark.parametrize('labels', [[0, 2], [0, -1], [1, 254]])
@pytest.mark.parametrize('when', ['train', 'val', 'test'])
def test_label_out_of_range_error_has_image_and_range(sample, labels, when):
    check = getattr(LabelRangeHook(), f'before_{when}_iter')
    with pytest.raises(ValueError, match=r'tile_7\.png has labels .* 2 classes.* 0 to 1'):
        check(Run(('a', 'b')), 0, dict(data_samples=[sample([0, 1]), sample(labels)]))


@pytest.mark.parametrize('sample', [semantic, instances])
def test_labels_in_range_ignored_ones_and_none_at_all_pass(sample):
    hook = LabelRangeHook()
    for labels in ([0, 1], [255, 0], [255, 255], np.zeros(0, dtype=int)):
        hook.before_train_iter(Run(('a', 'b')), 0, dict(data_samples=[sample(labels)]))
    hook.before_test_iter(Run(('a', 'b')), 0, dict(data_samples=[SegDataSample()]))
    hook.before_train_iter(Run(()), 0, dict(data_samples=[sample([7])]))


class Head(nn.Module):
    """A head with any attributes."""

    def __init__(self, **attributes):
        super().__init__()
        for name, value in attributes.items():
            setattr(self, name, value)


def start(model, *parts, **metainfo):
    """Start a run with two classes, or those of several data sets."""
    run = Run(('a', 'b'), nn.ModuleDict(model))
    run.train_dataloader.dataset.metainfo.update(metainfo)
    if parts:
        datasets = [BaseDataset(metainfo=each, lazy_init=True) for each in parts]
        run.train_dataloader.dataset = ConcatDataset(datasets, lazy_init=True)
    LabelRangeHook().before_train(run)


def test_head_with_wrong_num_classes_is_rejected():
    head = Head(num_classes=80)
    with pytest.raises(ValueError, match=r'roi_head\.bbox_head\.num_classes is 80.*2 classes') as e:
        start(dict(roi_head=nn.ModuleDict(dict(bbox_head=head)), rpn_head=head))
    assert 'set num_classes' not in str(e.value)
    start(dict(rpn_head=head))


@pytest.mark.parametrize('kind', ['bbox_head', 'mask_head', 'decode_head', 'auxiliary_head'])
def test_each_head_of_a_list_is_compared(kind):
    heads = [Head(num_classes=2), Head(num_classes=3)]
    with pytest.raises(ValueError, match=rf'{kind}\.1\.num_classes is 3'):
        start({kind: nn.ModuleList(heads)})
    start({kind: nn.ModuleList(heads[:1])})


def test_heads_with_custom_classes_are_skipped():
    start(dict(mask_head=Head(num_classes=1, class_agnostic=True)))
    start(dict(bbox_head=Head(num_classes=2, reg_class_agnostic=True)))
    start(dict(decode_head=Head(num_classes=2, out_channels=1)))
    start(dict(auxiliary_head=nn.ModuleList([Head(num_classes=19, boundary_threshold=0.1)])))
    with pytest.raises(ValueError, match=r'mask_head\.num_classes is 1'):
        start(dict(mask_head=Head(num_classes=1, class_agnostic=False)))


THINGS = dict(thing_classes=('a',), stuff_classes=('b',))


@pytest.mark.parametrize('metainfo', [THINGS, {}])
def test_panoptic_heads_may_predict_only_things(metainfo):
    both = dict(num_things_classes=1, num_stuff_classes=1)
    panoptic = dict(semantic_head=Head(**both, num_classes=2), panoptic_fusion_head=Head(**both))
    start(dict(panoptic, bbox_head=Head(num_classes=1)), **metainfo)
    start(dict(panoptic, bbox_head=Head(num_classes=2)), **metainfo)
    with pytest.raises(ValueError, match=r'num_classes is 3.* 2 classes, 1 of them things'):
        start(dict(panoptic, bbox_head=Head(num_classes=3)), **metainfo)
    more = Head(num_things_classes=80, num_stuff_classes=53)
    with pytest.raises(ValueError, match=r'panoptic_head predicts 80 things and 53 stuff'):
        start(dict(panoptic_head=more), **metainfo)
    # Of MMSegmentation's mask classifiers, these are MMDetection's defaults and mean nothing.
    start(dict(decode_head=Head(num_classes=2, num_things_classes=80, num_stuff_classes=53)))


def test_each_of_several_datasets_is_read():
    parts = [dict(classes=('a', 'b')), dict(classes=('a', 'b', 'c'))]
    start(dict(bbox_head=Head(num_classes=3)), *parts)
    with pytest.raises(ValueError, match=r'num_classes is 4.* 2 or 3 classes'):
        start(dict(bbox_head=Head(num_classes=4)), *parts)


def test_open_vocabulary_heads_are_skipped():
    dataset = CocoDataset(return_classes=True, lazy_init=True)
    run = Run((), nn.ModuleDict(dict(bbox_head=Head(num_classes=256))))
    run.train_dataloader.dataset = dataset
    LabelRangeHook().before_train(run)
