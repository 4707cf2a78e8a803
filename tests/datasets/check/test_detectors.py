"""Heads and training pipelines must match the dataset."""

import pytest

from .coco_data import check, loader, pipeline, write

pytestmark = pytest.mark.slow


def detector(roi=None, **head):
    return dict(bbox_head=head, roi_head=roi)


@pytest.mark.parametrize('has_boxes', [True, False])
def test_detector_needs_scale_factor(has_boxes, tmp_path, capsys, monkeypatch):
    write(tmp_path)
    steps = pipeline()
    steps[-1]['meta_keys'] = ('img_id', 'img_path', 'ori_shape', 'img_shape')
    val = loader(tmp_path, 'val', pipeline=steps)
    model = detector() if has_boxes else dict(panoptic_head=dict())
    (_, val), _ = check(tmp_path, capsys, monkeypatch, val_dataloader=val, model=model)
    assert ('sample lacks a key that the evaluator reads' in val['errors']) == has_boxes


@pytest.mark.parametrize(
    ('model', 'where'),
    [
        (detector(num_classes=2), None),
        (detector(num_classes=3), 'model.bbox_head.num_classes=3'),
        (detector(roi=dict(bbox_head=[dict(num_classes=2), dict(num_classes=1)])),
         'model.roi_head.bbox_head[1].num_classes=1'),
        (detector(roi=dict(mask_head=dict(num_classes=80))),
         'model.roi_head.mask_head.num_classes=80'),
        (detector(roi=dict(mask_head=dict(num_classes=80, class_agnostic=True))), None),
        (dict(rpn_head=dict(num_classes=1)), None),
    ],
)  # fmt: skip
def test_num_classes_must_match_the_dataset(model, where, tmp_path, capsys, monkeypatch):
    write(tmp_path)
    (train, _), _ = check(tmp_path, capsys, monkeypatch, model=model)
    found = train['errors'].get('num_classes of a head differs from the dataset', [''])
    assert found[0].startswith(where or '')
    assert bool(found[0]) == bool(where)


LEARNED = 'training pipeline does not load what the losses need'


MASK_RCNN = dict(
    type='MaskRCNN', roi_head=dict(bbox_head=dict(num_classes=2), mask_head=dict(num_classes=2))
)


def branches(*loads):
    first, _, last = pipeline()
    choice = dict(type='RandomChoice', transforms=[[pipeline(**each)[1]] for each in loads])
    return [first, choice, last]


@pytest.mark.parametrize(
    ('transforms', 'missing'),
    [
        (pipeline(), []),
        (branches({}, dict(with_mask=False)), ['with_mask']),
        (pipeline(with_label=False), ['with_label']),
        (pipeline()[::2], ['with_bbox', 'with_label', 'with_mask']),
        (pipeline(with_mask=False), ['with_mask']),
        (branches({}, {}), []),
        (branches({}, dict(with_bbox=False)), ['with_bbox']),
        (pipeline()[:1], []),  # continued by the pipeline of a wrapper
    ],
)
def test_each_branch_must_load_annotations(transforms, missing, tmp_path, capsys, monkeypatch):
    write(tmp_path)
    train = loader(tmp_path, 'train', pipeline=transforms)
    (train, _), _ = check(tmp_path, capsys, monkeypatch, train_dataloader=train, model=MASK_RCNN)
    found = train['errors'].get(LEARNED, [])
    assert [each.split('(')[1].split('=')[0] for each in found] == missing


@pytest.mark.parametrize(
    'step', [dict(type='RandomFlip', prob=1.0), dict(type='Resize', scale=(9, 9))]
)
@pytest.mark.parametrize('place', [1, 2])
def test_annotations_are_loaded_before_geometric_transforms(
    step, place, tmp_path, capsys, monkeypatch
):
    write(tmp_path)
    steps = pipeline()
    steps.insert(place, step)
    loaders = {f'{s}_dataloader': loader(tmp_path, s, pipeline=steps) for s in ('train', 'val')}
    (train, val), _ = check(tmp_path, capsys, monkeypatch, **loaders)
    kinds = {'transform comes before LoadAnnotations'} if place == 1 else set()
    assert (train['errors'].keys(), val['errors'].keys()) == (kinds, set())
