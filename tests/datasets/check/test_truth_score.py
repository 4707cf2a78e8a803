"""Ground truth evaluated as predictions reaches the full score, or the reason is given."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image
from pycocotools import mask as coco_masks

from mmgab.datasets.check.file_reading import Reading
from mmgab.datasets.check.split_checks import check_loader
from mmgab.datasets.check.truth_score import score_truth
from mmgab.engine import set_default_scope

from ...cli.runs import call
from ...conftest import ROOT

pytestmark = pytest.mark.slow

DATA = Path(os.environ.get('MMGAB_DATA', ROOT.parent / 'shared' / 'data'))
BELOW = 'ground truth does not reach the full score'
REASON = 'full score cannot be reached'
SCORE = 'score of the ground truth'
FAILED = 'ground truth cannot be scored'

LOAD = dict(type='LoadImageFromFile')
RESIZE = dict(type='Resize', scale=(64, 64), keep_ratio=True)
META = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')
DETECTION = [
    LOAD, RESIZE,
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='PackDetInputs', meta_keys=META),
]  # fmt: skip
SEGMENTATION = [LOAD, RESIZE, dict(type='LoadAnnotations'), dict(type='PackSegInputs')]


def instance(number, image, category, box, **more):
    x, y, w, h = box
    ring = [x, y, x + w, y, x + w, y + h, x, y + h]
    values = dict(id=number, image_id=image, category_id=category, bbox=list(box), area=w * h)
    return {**values, 'iscrowd': 0, 'segmentation': [[float(v) for v in ring]], **more}


def crowd(number, image, category, box):
    x, y, w, h = box
    mask = np.zeros((60, 80), np.uint8, order='F')
    mask[y : y + h, x : x + w] = 1
    counts = coco_masks.encode(mask)['counts'].decode()
    runs = dict(size=[60, 80], counts=counts)
    return instance(number, image, category, box, iscrowd=1, segmentation=runs)


BOXES = [
    instance(1, 1, 1, (4, 4, 20, 20)),
    instance(2, 1, 2, (40, 30, 16, 24)),
    instance(3, 2, 1, (3.5, 8.25, 50.5, 40)),
    crowd(4, 2, 1, (4, 4, 60, 50)),
]


@pytest.fixture
def coco(tmp_path):
    """Write data in COCO format; return the config that reads it."""

    def write(annotations=BOXES, names=((1, 'cat'), (2, 'dog')), train_names=None, **metric):
        for split, order in (('train', train_names or names), ('val', names)):
            (tmp_path / split).mkdir(exist_ok=True)
            for index in (1, 2, 3):
                Image.new('RGB', (80, 60), (index, len(split), 0)).save(
                    tmp_path / split / f'{index}.png'
                )
            images = [dict(id=i, file_name=f'{i}.png', height=60, width=80) for i in (1, 2, 3)]
            categories = [dict(id=i, name=name) for i, name in order]
            content = dict(images=images, categories=categories, annotations=annotations, info={})
            (tmp_path / f'{split}.json').write_text(json.dumps(content))
        classes = tuple(sorted(name for _, name in names))
        loaders = {
            f'{split}_dataloader': dict(
                dataset=dict(
                    type='CocoDataset', data_root=str(tmp_path), ann_file=f'{split}.json',
                    data_prefix=dict(img=split), metainfo=dict(classes=classes),
                    pipeline=DETECTION, test_mode=split == 'val',
                )
            )
            for split in ('train', 'val')
        }  # fmt: skip
        evaluator = dict(
            type='CocoMetric', ann_file=str(tmp_path / 'val.json'), metric=['bbox', 'segm']
        )
        return Config(dict(default_scope='mmdet', val_evaluator={**evaluator, **metric}, **loaders))

    return write


@pytest.fixture
def semantic(tmp_path):
    """Write images and label maps; return the config that reads them."""

    def write(labels, classes, pipeline=SEGMENTATION, metric=None, train=None, **dataset):
        for kind in ('images', 'labels'):
            (tmp_path / kind).mkdir(exist_ok=True)
        for index, each in enumerate(labels):
            Image.new('RGB', each.shape[::-1], (index, 9, 9)).save(tmp_path / f'images/{index}.png')
            Image.fromarray(each).save(tmp_path / f'labels/{index}.png')
        settings = dict(
            type='BaseSegDataset', data_root=str(tmp_path), img_suffix='.png',
            data_prefix=dict(img_path='images', seg_map_path='labels'),
            metainfo=dict(classes=classes), pipeline=pipeline, **dataset,
        )  # fmt: skip
        config = dict(default_scope='mmseg', val_dataloader=dict(dataset=settings))
        config['val_evaluator'] = dict(type='IoUMetric', **(metric or {}))
        if train:
            trained = {**settings, 'metainfo': dict(classes=train)}
            config['train_dataloader'] = dict(dataset=trained)
        return Config(config)

    return write


def score(config):
    """Return level and detail of each finding about the score, by kind."""
    set_default_scope(config)
    found = list(score_truth(config, 'val_dataloader', ['val_evaluator']))
    return {each.kind: (each.is_error, each.detail) for each in found}


def is_clean(config):
    set_default_scope(config)
    reading = Reading(1, 10**8, 10**8, 10**8)
    return not check_loader(config, 'val_dataloader', reading, ['val_evaluator']).errors


BLOB = np.zeros((40, 60), np.uint8)
BLOB[8:24, 8:40] = 1
STRIPES = np.repeat(np.arange(4, dtype=np.uint8), 10)[:, None].repeat(60, 1)


@pytest.mark.parametrize(
    'names', [((1, 'cat'), (2, 'dog')), ((2, 'dog'), (1, 'cat'))], ids=['in order', 'by file']
)
def test_instances_with_crowds_and_empty_images_score_1(names, coco):
    config = coco(names=names)
    found = score(config)
    assert is_clean(config) == (names[0][1] == 'cat')
    assert found.keys() == {SCORE}
    assert 'coco/bbox_mAP=1, coco/segm_mAP=1' in found[SCORE][1]


def test_category_ids_may_have_gaps(coco):
    names = ((7, 'cat'), (90, 'dog'))
    ids = {1: 7, 2: 90}
    found = score(coco([dict(each, category_id=ids[each['category_id']]) for each in BOXES], names))
    assert found.keys() == {SCORE}


def test_other_category_order_in_training_scores_0(coco):
    order = (2, 'dog'), (1, 'cat')
    is_error, text = score(coco(train_names=order, metric='bbox'))[BELOW]
    assert is_error
    assert 'coco/bbox_mAP is 0, expected 1' in text


@pytest.mark.parametrize(
    'change',
    [
        dict(area=0),
        dict(bbox=[4, 4, 0.5, 20]),
        dict(ignore=1),
        dict(bbox=[90, 4, 9, 9]),
        dict(id=0),
    ],
)
def test_instances_skipped_in_training_lower_the_score(change, coco):
    found = score(coco([{**BOXES[0], **change}, *BOXES[1:]], metric='bbox'))
    assert found[BELOW][0]


def test_more_than_100_instances_are_given_as_the_reason(coco):
    crowded = [instance(i, 1, 1, (i % 40, i // 40 * 3, 3, 3)) for i in range(1, 151)]
    found = score(coco([*crowded, *(dict(each, id=each['id'] + 200) for each in BOXES[1:])]))
    assert found.keys() == {SCORE, REASON}
    assert not found[REASON][0]
    text = found[REASON][1]
    assert 'COCO uses at most 100 detections of a class per image, 50 instances exceed' in text
    # 101 of the 151 cats are detected, and all dogs.
    assert f'coco/segm_mAP={(67 / 101 + 1) / 2:.3f}' in found[SCORE][1]


def test_detection_limit_does_not_hide_wrong_labels(coco):
    crowded = [instance(i, 1, 1, (i % 40, i // 40 * 3, 3, 3)) for i in range(1, 151)]
    order = (2, 'dog'), (1, 'cat')
    assert BELOW in score(coco([*crowded, dict(BOXES[1], id=300)], train_names=order))


def test_missing_segmentation_fails_for_segm_only(coco):
    without = [{k: v for k, v in each.items() if k != 'segmentation'} for each in BOXES]
    found = score(coco(without))
    assert found[FAILED][0]
    boxes = coco(without, metric='bbox')
    boxes.val_dataloader.dataset.pipeline[2].with_mask = False
    assert score(boxes).keys() == {SCORE}


def test_evaluator_with_other_images_is_reported(coco, tmp_path):
    config = coco()
    content = json.loads((tmp_path / 'val.json').read_text())
    for image in content['images']:
        image['id'] += 1000
    for annotation in content['annotations']:
        annotation['image_id'] += 1000
    (tmp_path / 'other.json').write_text(json.dumps(content))
    config.val_evaluator.ann_file = str(tmp_path / 'other.json')
    assert 'do not correspond to current coco set' in score(config)[FAILED][1]


def test_proposals_and_voc_are_scored_others_listed(coco):
    config = coco()
    config.val_evaluator = [
        dict(config.val_evaluator, metric='proposal'),
        dict(type='VOCMetric', metric='mAP'),
        dict(type='DumpDetResults', out_file_path='results.pkl'),
    ]
    set_default_scope(config)
    found = list(score_truth(config, 'val_dataloader', ['val_evaluator']))
    assert not any(each.is_error for each in found), found
    text = ' '.join(each.detail for each in found)
    assert 'AR@1000=1' in text
    assert 'pascal_voc/mAP=1' in text
    assert 'DumpDetResults: its full score is not known' in text


def test_metric_items_limit_the_expected_scores(coco):
    kinds = score(coco(metric='bbox', metric_items=['mAP_50', 'mAP_s']))
    text = 'val_evaluator, CocoMetric: the full score is not known of coco/bbox_mAP_50, '
    text += 'coco/bbox_mAP_s'
    assert kinds == {'ground truth is not scored': (False, text)}
    assert score(coco(metric='bbox', metric_items=['mAP'])).keys() == {SCORE}


def test_results_of_real_runs_are_not_overwritten(coco, tmp_path):
    score(coco(outfile_prefix=str(tmp_path / 'results')))
    assert not list(tmp_path.glob('results*'))


@pytest.mark.parametrize(
    ('labels', 'classes', 'settings'),
    [
        ([BLOB, BLOB * 0], ('background', 'nucleus'), {}),
        ([STRIPES], tuple('abc'), dict(reduce_zero_label=True)),
        ([np.where(STRIPES == 0, 255, STRIPES)], tuple('abcd'), {}),
        ([np.where(STRIPES == 2, 0, STRIPES)], tuple('abcd'), {}),  # a class without pixels
        ([STRIPES], tuple('abcd'), dict(metric=dict(iou_metrics=['mIoU', 'mDice', 'mFscore']))),
        ([STRIPES], tuple('abcd'), dict(train=tuple('abcd'))),
        ([BLOB], ('a', 'b'), dict(metric=dict(ignore_index=0))),
    ],
)
def test_label_maps_score_100(labels, classes, settings, semantic):
    found = score(semantic(labels, classes, **settings))
    assert found.keys() == {SCORE}, found
    assert 'mIoU=100' in found[SCORE][1]


@pytest.mark.parametrize(
    ('labels', 'classes', 'settings'),
    [
        ([STRIPES], tuple('abc'), {}),  # a label that is not a class
        ([STRIPES], tuple('abcd'), dict(train=tuple('bacd'))),
        ([np.where(STRIPES == 3, 255, STRIPES)], tuple('abc'), dict(metric=dict(ignore_index=254))),
        ([STRIPES * 0], tuple('abc'), dict(reduce_zero_label=True)),  # no labelled pixels
    ],
)
def test_label_maps_that_lower_the_score_are_errors(labels, classes, settings, semantic):
    assert score(semantic(labels, classes, **settings))[BELOW][0]


def test_nan_to_num_is_given_as_the_reason(semantic):
    config = semantic([STRIPES], tuple('abcde'), metric=dict(nan_to_num=0))
    found = score(config)
    assert found.keys() == {SCORE, REASON}
    assert 'mIoU=80' in found[SCORE][1]
    assert '1 classes without pixels score nan_to_num=0' in found[REASON][1]


@pytest.mark.parametrize(
    ('pipeline', 'text'),
    [
        ([LOAD, SEGMENTATION[2], RESIZE, SEGMENTATION[3]], 'move LoadAnnotations behind Resize'),
        ([LOAD, RESIZE, SEGMENTATION[3]], 'add LoadAnnotations'),
        ([LOAD, dict(type='LoadAnnotations', reduce_zero_label=True), SEGMENTATION[3]],
         'reduce_zero_label'),
    ],
)  # fmt: skip
def test_unusable_validation_pipeline_is_reported(pipeline, text, semantic):
    is_error, found = score(semantic([BLOB], ('a', 'b'), pipeline))[FAILED]
    assert is_error
    assert text in found


def test_wrappers_are_scored(coco):
    config = coco()
    inner = config.val_dataloader.dataset
    config.val_dataloader.dataset = dict(type='ConcatDataset', datasets=[inner])
    assert score(config).keys() == {SCORE}


@pytest.mark.parametrize('name', ['mask_rcnn_swin_gab_nuclei', 'upernet_swin_gab_nuclei'])
def test_score_truth_of_valid_data_is_full(name, nuclei, tmp_path, capsys, monkeypatch):
    roots = [f'{split}_dataloader.dataset.data_root={nuclei}' for split in ('train', 'val', 'test')]
    if 'mask' in name:
        annotations = nuclei / 'annotations' / 'instances_val.json'
        roots += [f'{split}_evaluator.ann_file={annotations}' for split in ('val', 'test')]
    words = [f'configs/{name}.py', '--score-truth', '-o', tmp_path, '--cfg-options', *roots]
    code, output = call('tools/misc/check_dataset.py', words, capsys, monkeypatch)
    assert code == 0
    assert ('coco/segm_mAP=1' if 'mask' in name else 'mIoU=100') in output


def test_real_nuclei_reach_the_score_of_100_detections(tmp_path):
    folder = DATA / 'dsb2018'
    if not folder.exists():
        pytest.skip(f'needs real data, which are not in the repository: {folder}')
    content = json.loads((folder / 'instances.json').read_text())
    content['images'] = content['images'][-12:]
    kept = {image['id'] for image in content['images']}
    content['annotations'] = [a for a in content['annotations'] if a['image_id'] in kept]
    path = tmp_path / 'instances.json'
    path.write_text(json.dumps(content))
    names = tuple(category['name'] for category in content['categories'])
    settings = dict(
        type='CocoDataset', ann_file=str(path), data_prefix=dict(img=str(folder / 'images')),
        metainfo=dict(classes=names), pipeline=DETECTION, test_mode=True,
    )  # fmt: skip
    evaluator = dict(type='CocoMetric', ann_file=str(path), metric=['bbox', 'segm'])
    loader = dict(dataset=settings)
    config = Config(dict(default_scope='mmdet', val_dataloader=loader, val_evaluator=evaluator))
    assert is_clean(config)
    numbers = [sum(a['image_id'] == image for a in content['annotations']) for image in kept]
    assert score(config).keys() == ({SCORE, REASON} if max(numbers) > 100 else {SCORE})


def test_real_coco_scores_1():
    folder = DATA / 'coco2017_cc'
    if not folder.exists():
        pytest.skip(f'needs real data, which are not in the repository: {folder}')
    annotations = str(folder / 'annotations/instances_val2017.json')
    settings = dict(
        type='CocoDataset', ann_file=annotations, data_prefix=dict(img=str(folder / 'val2017')),
        pipeline=DETECTION, test_mode=True,
    )  # fmt: skip
    evaluator = dict(type='CocoMetric', ann_file=annotations, metric=['bbox', 'segm'])
    loader = dict(dataset=settings)
    config = Config(dict(default_scope='mmdet', val_dataloader=loader, val_evaluator=evaluator))
    assert is_clean(config)
    found = score(config)
    assert found.keys() == {SCORE}
    assert 'coco/bbox_mAP=1, coco/segm_mAP=1' in found[SCORE][1]


@pytest.mark.parametrize(('name', 'folder', 'kind', 'classes'), [
    ('ade20k', 'validation', 'ADE20KDataset', None),
    ('camvid', 'val', 'BaseSegDataset', tuple(f'class {i}' for i in range(11))),
])  # fmt: skip
def test_real_label_maps_score_100(name, folder, kind, classes):
    root = DATA / name
    if not root.exists():
        pytest.skip(f'needs real data, which are not in the repository: {root}')
    settings = dict(
        type=kind, data_root=str(root), pipeline=SEGMENTATION, indices=6,
        data_prefix=dict(img_path=f'images/{folder}', seg_map_path=f'annotations/{folder}'),
    )  # fmt: skip
    evaluator = dict(type='IoUMetric')
    if classes:  # CamVid's void is label 11
        settings['metainfo'] = dict(classes=classes)
        evaluator['ignore_index'] = 11
    config = Config(
        dict(default_scope='mmseg', val_dataloader=dict(dataset=settings), val_evaluator=evaluator)
    )
    assert is_clean(config)
    found = score(config)
    assert found.keys() == {SCORE}
    assert 'mIoU=100' in found[SCORE][1]


def test_unloadable_training_set_is_reported(coco, tmp_path):
    config = coco()
    (tmp_path / 'train.json').unlink()
    assert score(config)[FAILED][1].startswith('labels of train_dataloader: ')


def test_error_without_a_message_shows_its_source_line(coco, tmp_path):
    config = coco()
    config.val_evaluator.ann_file = [config.val_evaluator.ann_file]
    assert 'AssertionError: assert' in score(config)[FAILED][1]
