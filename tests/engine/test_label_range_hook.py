import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
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
def test_a_label_out_of_range_stops_the_run_and_names_image_and_range(sample, labels, when):
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


def test_a_head_with_another_number_of_classes_is_named():
    class Head(nn.Module):
        num_classes = 80

    model = nn.ModuleDict(dict(roi_head=nn.ModuleDict(dict(bbox_head=Head())), rpn_head=Head()))
    with pytest.raises(ValueError, match=r'roi_head\.bbox_head\.num_classes is 80.*2 classes'):
        LabelRangeHook().before_train(Run(('a', 'b'), model))
    del model['roi_head']
    LabelRangeHook().before_train(Run(('a', 'b'), model))
