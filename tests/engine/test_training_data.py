"""Datasets must have instances and matching evaluators before the first step."""

import json

import pytest
import torch
from mmdet.datasets import CocoDataset
from mmdet.evaluation import CocoMetric
from mmengine.dataset import BaseDataset, ConcatDataset, RepeatDataset
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope
from torch import nn
from torch.utils.data import Subset, TensorDataset

from mmgab.datasets.category_labels import categories_of, label_names
from mmgab.engine import CheckedRunner
from mmgab.engine.data_loader import build_data_loader
from mmgab.engine.training_data import (
    check_classes,
    check_images,
    check_labels,
    check_scored,
    check_targets,
)

pytestmark = pytest.mark.slow

CLASSES = ('cat', 'dog')


@pytest.fixture(autouse=True)
def _quiet(capsys):
    """Keep what pycocotools prints."""
    init_default_scope('mmdet')


def content(order=CLASSES, first=1, **values):
    """Two images with a cat and a dog each; ``values`` are those of all annotations."""
    images = [dict(id=first + i, file_name=f'{first + i}.png', width=80, height=64) for i in (0, 1)]
    found = [
        dict(id=2 * i + 1 + (name == 'dog'), image_id=image['id'], category_id=name, area=200,
             bbox=[4, 4, 20, 10], iscrowd=0) | values
        for i, image in enumerate(images) for name in CLASSES
    ]  # fmt: skip
    categories = [dict(id=name, name=name) for name in order]
    return dict(images=images, annotations=found, categories=categories)


def file(folder, name='train', **values):
    path = folder / f'{name}.json'
    path.write_text(json.dumps(content(**values)))
    return str(path)


def dataset(path, classes=CLASSES, **settings):
    return CocoDataset(
        ann_file=path, metainfo=dict(classes=classes), data_prefix=dict(img=''), **settings
    )


def evaluator(path, classes=CLASSES, **settings):
    made = Evaluator([CocoMetric(ann_file=path, **settings)])
    made.dataset_meta = dict(classes=classes)
    return made


NOTHING = [
    dict(area=0), dict(ignore=1), dict(iscrowd=1), dict(bbox=[900, 0, 9, 9]),
    dict(bbox=[0.1, 0.1, 0.5, 0.5]), dict(category_id='fish'),
]  # fmt: skip


@pytest.mark.parametrize('values', NOTHING, ids=str)
def test_training_set_without_instances_is_rejected(values, tmp_path):
    empty = dataset(file(tmp_path, **values))
    with pytest.raises(ValueError, match=r'train\.json\) with 2 images: .*nothing to learn'):
        check_targets(RepeatDataset(empty, times=2))
    full = dataset(file(tmp_path, 'full'))
    check_targets(ConcatDataset([empty, full]))  # as of images without labels beside others


class Pixels(BaseDataset):
    """Lists label maps."""

    def load_data_list(self):
        return [dict(img_path='a.png', seg_map_path='a.png', instances=[])]


class Segments(Pixels):
    """Lists the stuff of a panoptic data set."""

    def load_data_list(self):
        return [dict(img_path='a.png', segments_info=[dict(id=1)], instances=[])]


@pytest.mark.parametrize('kind', [Pixels, Segments])
def test_other_datasets_are_assumed_non_empty(kind, tmp_path):
    check_targets(kind())
    check_targets(TensorDataset())
    check_targets(Subset(dataset(file(tmp_path, area=0)), [0]))


@pytest.mark.parametrize(
    ('classes', 'message'),
    [
        ('cat', r"classes='cat' is a string.* add a comma: classes=\('cat',\)"),
        ({'cat', 'dog'}, 'classes is a set'),
        (('Cat', 'Dog'), r"none of the 2 classes 'Cat', 'Dog' .* which has 'cat', 'dog'"),
    ],
)
@pytest.mark.parametrize('is_built', [True, False])
def test_mismatched_classes_error_names_the_loader(classes, message, is_built, tmp_path):
    settings = dict(
        type='CocoDataset', ann_file=file(tmp_path), metainfo=dict(classes=classes),
        data_prefix=dict(img=''),
        filter_cfg=None if is_built else dict(filter_empty_gt=True),
    )  # fmt: skip
    wrapped = dict(type='ConcatDataset', datasets=[settings, settings])
    with pytest.raises(ValueError, match=message):
        build_data_loader(dict(dataset=wrapped, sampler=dict(type='DefaultSampler'), batch_size=1))


def test_error_reports_images_left_after_filtering(tmp_path):
    settings = dict(
        type='CocoDataset', ann_file=file(tmp_path), metainfo=dict(classes=CLASSES),
        data_prefix=dict(img=''), filter_cfg=dict(min_size=65),
    )  # fmt: skip
    message = r"filter_cfg={'min_size': 65}, 2 classes: \['cat', 'dog'\]\): 2 images found"
    with pytest.raises(ValueError, match=message):
        build_data_loader(dict(dataset=settings, sampler=dict(type='DefaultSampler'), batch_size=1))


def test_error_reports_the_suffix_of_missing_images(tmp_path):
    (tmp_path / 'a.png').touch()
    settings = dict(
        type='mmseg.BaseSegDataset', data_prefix=dict(img_path=str(tmp_path)),
        metainfo=dict(classes=CLASSES),
    )  # fmt: skip
    message = r"img_suffix='\.jpg', 2 classes: .*: 0 images found"
    with pytest.raises(ValueError, match=message):
        build_data_loader(dict(dataset=settings, sampler=dict(type='DefaultSampler'), batch_size=1))


def test_files_with_some_or_no_categories_pass(tmp_path):
    check_classes(dataset(file(tmp_path, order=['cat'])))
    check_classes(dataset(file(tmp_path, order=[])))
    check_classes(TensorDataset())


def test_image_id_unknown_to_the_evaluator_is_rejected(tmp_path):
    given = dataset(file(tmp_path, 'val'), test_mode=True)
    other = file(tmp_path, 'old', first=2)
    with pytest.raises(ValueError, match=r'1 of 2 image ids .*val\.json.*: 1; it has 2, 3'):
        check_images(evaluator(other), ConcatDataset([given]))
    check_images(evaluator(file(tmp_path, 'val')), given)
    check_images(evaluator(other, format_only=True, outfile_prefix='a'), given)
    check_images(Evaluator([CocoMetric()]), given)
    check_images(evaluator(other), Subset(given, [0]))


def test_images_only_in_the_evaluator_give_a_warning(tmp_path, caplog):
    path = file(tmp_path, 'val')
    warned(caplog)
    check_images(evaluator(path), dataset(path, indices=1, test_mode=True))
    assert '1 of 2 images with objects' in caplog.text


def warned(caplog):
    """Record warnings of MMEngine's logger."""
    MMLogger.get_current_instance().addHandler(caplog.handler)


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        (dict(iscrowd=None), '4 x annotation without iscrowd.* iscrowd is None'),
        (dict(segmentation=[]), r'4 x annotation without segmentation.* is \[\]'),
        (dict(id='a'), 'the id is not a number'),
        (dict(area=None), 'annotation without area'),
    ],
)
def test_unscorable_annotations_are_rejected(values, message, tmp_path, caplog):
    metric = ['bbox', 'segm'] if 'segmentation' in values else 'bbox'
    if 'id' in values:  # all have it: the file has one annotation
        message = f'1 x .*{message}'
    path = file(tmp_path, **values)
    with pytest.raises(ValueError, match=message):
        check_scored(evaluator(path, metric=metric))
    check_scored(evaluator(path, metric=metric, format_only=True, outfile_prefix='a'))
    check_scored(evaluator(path, classes=('fish',), metric=metric))


def test_annotation_id_0_gives_a_warning(tmp_path, caplog):
    warned(caplog)
    check_scored(evaluator(file(tmp_path, id=0)))
    assert 'id 0 counts as missed' in caplog.text


ORDERS = [CLASSES, CLASSES[::-1]]


@pytest.mark.parametrize('learned', ORDERS)
@pytest.mark.parametrize('scored', ORDERS)
@pytest.mark.parametrize('has_file', [True, False])
def test_labels_of_training_and_evaluator_must_agree(learned, scored, has_file, tmp_path, caplog):
    warned(caplog)
    train = dataset(file(tmp_path, order=learned))
    val = dataset(file(tmp_path, 'val', order=scored))
    metric = evaluator(file(tmp_path, 'val', order=scored) if has_file else None)
    if learned != scored:
        with pytest.raises(ValueError, match=r"label 0 is '(cat|dog)' in .*train\.json.* and '"):
            check_labels(ConcatDataset([train]), metric, val)
    else:
        for known in (train, None):
            caplog.clear()
            check_labels(known, metric, val)
            assert ('predictions will have wrong names' in caplog.text) == (learned != CLASSES)


def test_missing_category_shifts_labels_extra_one_does_not(tmp_path):
    classes = ('cat', 'cow', 'dog')
    metric = evaluator(file(tmp_path, 'val', order=classes), classes)
    with pytest.raises(ValueError, match="label 1 is 'dog'"):
        check_labels(dataset(file(tmp_path), classes), metric, None)
    check_labels(dataset(file(tmp_path, order=('cat', 'cow')), classes), metric, None)
    check_labels(dataset(file(tmp_path, order=('bee', *classes)), classes), metric, None)


def test_text_labels_and_custom_datasets_are_not_compared(tmp_path):
    class Own(CocoDataset):
        def load_data_list(self):
            return super().load_data_list()

    path = file(tmp_path)
    assert label_names(dataset(path)) == list(CLASSES)
    assert label_names(dataset(path, return_classes=True)) is None
    assert label_names(Own(ann_file=path, data_prefix=dict(img=''))) is None
    assert label_names(Pixels()) is None


@pytest.mark.parametrize('before', ['', '"categories": []', 'x' * 2**21])
def test_categories_are_found_anywhere_in_the_file(before, tmp_path):
    path = tmp_path / 'file.json'
    names = {i: f'name {i} ü' for i in range(9)}
    categories = [dict(id=i, name=name) for i, name in names.items()]
    for given in (
        dict(info=before, categories=categories, images=[]),
        dict(categories=categories, info=dict(a=before)),
        dict(images=[dict(categories=[dict(id=1, name='a')])], categories=categories),
    ):
        for is_ascii in (True, False):
            path.write_text(json.dumps(given, ensure_ascii=is_ascii), 'utf-8')
            assert categories_of(path) == names


class Toy(BaseModel):
    """Trains and predicts nothing; a run that gets as far as that is sound."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, inputs=None, data_samples=None, mode='tensor'):
        return dict(loss=self.weight.sum())


def run(folder, train, val, evaluated):
    """A run that trains on one file, validates on another and scores with a third."""
    settings = {
        name: dict(batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler'), dataset=dict(
            type='CocoDataset', ann_file=path, metainfo=dict(classes=CLASSES),
            data_prefix=dict(img='')))
        for name, path in (('train_dataloader', train), ('val_dataloader', val))
    }  # fmt: skip
    metric = dict(type='CocoMetric', ann_file=evaluated)
    return CheckedRunner(
        Toy(), str(folder), **settings, train_cfg=dict(by_epoch=True, max_epochs=1),
        val_cfg={}, val_evaluator=metric, experiment_name=folder.name, default_scope='mmdet',
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=1)),
    )  # fmt: skip


@pytest.mark.parametrize(
    ('role', 'values', 'message'),
    [
        ('train', dict(area=0), 'nothing to learn'),
        ('evaluated', dict(first=9), '2 of 2 image ids'),
        ('evaluated', dict(order=CLASSES[::-1]), "label 0 is 'cat'"),
        ('evaluated', dict(iscrowd=None), 'annotation without iscrowd'),
    ],
    ids=['instances', 'images', 'labels', 'iscrowd'],
)
def test_run_stops_before_the_first_step(role, values, message, tmp_path):
    files = dict.fromkeys(('train', 'val', 'evaluated'), file(tmp_path))
    files[role] = file(tmp_path, 'other', **values)
    with pytest.raises(ValueError, match=message):
        run(tmp_path / 'run', **files).train()


@pytest.mark.parametrize('has_file', [True, False])
def test_metric_with_fewer_classes_is_rejected(has_file, tmp_path):
    train, path = dataset(file(tmp_path)), file(tmp_path, 'val')
    with pytest.raises(ValueError, match=r'CocoMetric scores 1 classes, 2 are learned'):
        check_labels(train, evaluator(path if has_file else None, CLASSES[:1]), dataset(path))
    check_labels(dataset(path, CLASSES[:1]), evaluator(path), dataset(path))


def test_images_evaluated_twice_are_rejected(tmp_path):
    path = file(tmp_path, 'val')
    given = dataset(path, test_mode=True)
    for twice in (ConcatDataset([given, given]), RepeatDataset(given, times=2)):
        with pytest.raises(ValueError, match='gives 4 images with 2 different ids'):
            check_images(evaluator(path), twice)
    check_images(evaluator(path), RepeatDataset(given, times=1))


def test_duplicate_class_is_rejected(tmp_path):
    with pytest.raises(ValueError, match="'cat' twice"):
        check_classes(dataset(file(tmp_path), ('cat', 'dog', 'cat')))


def test_own_classes_of_a_data_set_may_repeat_a_name(tmp_path):
    """ImageNet has two classes 'crane', a bird and a machine."""
    mmpretrain = pytest.importorskip('mmpretrain.datasets')
    lines = '\n'.join(f'{label}.jpg {label}' for label in range(3))
    (tmp_path / 'train.txt').write_text(lines)
    imagenet = mmpretrain.ImageNet(
        data_root=str(tmp_path), ann_file='train.txt', data_prefix='', lazy_init=True
    )
    assert len(set(imagenet.metainfo['classes'])) == 999
    check_classes(imagenet)
