"""The check compares files with what MMDetection's data sets and evaluators make of them."""

import pytest
from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS
from mmengine.dataset import RepeatDataset
from PIL import Image

from .coco_data import CLASSES, annotations, check, loader, pipeline, settings, write


def edited(split, **values):
    """Annotations of a split, all with some values changed."""
    content = annotations(split)
    for annotation in content['annotations']:
        annotation.update(values)
    return content


def without(split, key):
    content = annotations(split)
    for annotation in content['annotations']:
        del annotation[key]
    return content


def test_sound_data_has_no_finding_and_all_of_it_is_kept(tmp_path, capsys, monkeypatch):
    write(tmp_path)
    found, result = check(tmp_path, capsys, monkeypatch)
    assert found == [dict(errors={}, notes={})] * 2
    assert result['splits'][0]['counts']['images kept'] == 3
    assert result['splits'][0]['classes'] == dict(cat=3, dog=3)


def test_crowds_run_lengths_and_extra_keys_are_sound(tmp_path, capsys, monkeypatch):
    contents = {split: annotations(split) for split in ('train', 'val')}
    for content in contents.values():
        first, second, *_, last = content['annotations']
        first['segmentation'] = dict(size=[64, 80], counts=[100, 30, 4990])
        crowd = dict(size=[64, 80], counts='Zd0:f10000000000000000000000000000000000000fS3')
        second.update(iscrowd=1, segmentation=crowd, score=0.5, keypoints=[])
        content['annotations'] = [first, second, last | dict(id='77', iscrowd=False)]
        content['categories'].append(dict(id='x', name='bird', supercategory='animal'))
        content['categories'] = content['categories'][:2]
        content |= dict(info={}, licenses=None, type='instances')
    write(tmp_path, **contents)
    found, result = check(tmp_path, capsys, monkeypatch)
    assert found == [dict(errors={}, notes={})] * 2
    assert result['splits'][0]['counts']['crowds'] == 1
    assert result['splits'][0]['counts']['instances kept'] == 2


LEFT_OUT = {
    'its area is not above 0': dict(area=0),
    'its box is smaller than a pixel': dict(bbox=[4, 4, 0.9, 20]),
    'ignore is set': dict(ignore=1),
}


@pytest.mark.parametrize('why', LEFT_OUT)
def test_annotations_that_training_leaves_out_are_counted_with_the_reason(
    why, tmp_path, capsys, monkeypatch
):
    content = annotations('train')
    content['annotations'][0].update(LEFT_OUT[why])
    write(tmp_path, train=content)
    (train, _), result = check(tmp_path, capsys, monkeypatch)
    assert train['errors'] == {}
    (example,) = train['notes'].pop(f'annotation left out, as {why}')
    assert 'annotation 1 of train_1.png' in example
    assert train['notes'] == {}
    assert result['splits'][0]['classes'] == dict(cat=2, dog=3)


@pytest.mark.parametrize(
    'values',
    [dict(area=0), dict(area=-5.0), dict(bbox=[4, 4, 0.5, 0.5]), dict(ignore=True),
     dict(iscrowd=1), dict(bbox=[0.1, 0.1, 0.4, 0.5]), dict(bbox=[500, 4, 20, 20]),
     dict(category_id=77)],
    ids=str,
)  # fmt: skip
def test_a_training_set_of_which_no_instance_is_learned_is_an_error(
    values, tmp_path, capsys, monkeypatch
):
    write(tmp_path, train=edited('train', **values))
    (train, val), _ = check(tmp_path, capsys, monkeypatch)
    assert 'training set without an instance' in train['errors']
    assert val == dict(errors={}, notes={})


@pytest.mark.parametrize(
    ('values', 'is_error'), [(dict(area=0), True), (dict(ignore=1), True), (dict(iscrowd=1), False)]
)
def test_a_validation_set_of_which_nothing_is_kept_is_an_error(
    values, is_error, tmp_path, capsys, monkeypatch
):
    write(tmp_path, val=edited('val', **values))
    (_, val), _ = check(tmp_path, capsys, monkeypatch)
    assert ('data set of which no instance is kept' in val['errors']) == is_error


def test_boxes_as_fractions_of_the_image_are_named(tmp_path, capsys, monkeypatch):
    content = annotations('train')
    for annotation in content['annotations']:
        x, y, w, h = annotation['bbox']
        annotation['bbox'] = [x / 80, y / 64, w / 80, h / 64]
    write(tmp_path, train=content)
    (train, _), _ = check(tmp_path, capsys, monkeypatch)
    assert 'boxes as fractions of the image' in train['errors']


@pytest.mark.parametrize(
    ('changes', 'errors', 'notes'),
    [
        (dict(filter_cfg=dict(min_size=65)), {'data set of which no image is kept'},
         {'image left out, as it is smaller than min_size'}),
        (dict(filter_cfg=dict(min_size=64)), set(), set()),
        (dict(filter_cfg=dict(min_size=65), test_mode=True), set(), set()),
        (dict(indices=2), set(), {'images left out'}),
        (dict(indices=0), {'data set of which no image is kept'}, {'images left out'}),
        (dict(indices=9), set(), set()),
    ],
)  # fmt: skip
def test_filters_and_indices_of_the_config_are_applied(
    changes, errors, notes, tmp_path, capsys, monkeypatch
):
    write(tmp_path)
    train = loader(tmp_path, 'train', **changes)
    (train, _), _ = check(tmp_path, capsys, monkeypatch, train_dataloader=train)
    assert (train['errors'].keys(), train['notes'].keys()) == (errors, notes)


def test_images_without_objects_are_left_out_where_the_config_says_so(
    tmp_path, capsys, monkeypatch
):
    content = annotations('train')
    content['annotations'] = content['annotations'][:2]
    write(tmp_path, train=content)
    assert check(tmp_path, capsys, monkeypatch)[0][0] == dict(errors={}, notes={})
    train = loader(tmp_path, 'train', filter_cfg=dict(filter_empty_gt=True))
    (train, _), result = check(tmp_path, capsys, monkeypatch, train_dataloader=train)
    kind = 'image left out, as it has no object of the classes'
    assert train == dict(errors={}, notes={kind: ['train_2.png', 'train_3.png']})
    assert result['splits'][0]['counts']['images kept'] == 1


@pytest.mark.parametrize(
    ('key', 'kind'),
    [('iscrowd', 'annotation without iscrowd, which the evaluator reads'),
     ('segmentation', 'annotation without segmentation, which the evaluator reads'),
     ('area', 'annotation without area'),
     ('bbox', 'box that is no (x, y, width, height)')],
)  # fmt: skip
def test_a_key_that_the_evaluator_reads_is_missed(key, kind, tmp_path, capsys, monkeypatch):
    write(tmp_path, val=without('val', key))
    (train, val), _ = check(tmp_path, capsys, monkeypatch)
    assert train == dict(errors={}, notes={})
    assert len(val['errors'][kind]) == 4


def test_iscrowd_is_missed_only_where_an_evaluator_reads_it(tmp_path, capsys, monkeypatch):
    write(tmp_path, train=without('train', 'iscrowd'))
    assert check(tmp_path, capsys, monkeypatch)[0][0] == dict(errors={}, notes={})
    write(tmp_path, val=without('val', 'iscrowd'))
    for evaluator in (dict(type='VOCMetric'), None):
        (_, val), _ = check(tmp_path, capsys, monkeypatch, val_evaluator=evaluator)
        assert val['errors'] == {}


@pytest.mark.parametrize('value', [0, 0.0, '0', 'a', '', None, True, [1]], ids=repr)
def test_an_annotation_id_that_the_evaluator_cannot_take_is_found(
    value, tmp_path, capsys, monkeypatch
):
    content = annotations('val')
    content['annotations'][0]['id'] = value
    write(tmp_path, val=content)
    (_, val), _ = check(tmp_path, capsys, monkeypatch)
    assert val['errors'].keys() & {
        'annotation id that the evaluator cannot take',
        'id of annotations missing or of the wrong type',
    }


@pytest.mark.parametrize('evaluated', ['bbox', ['bbox', 'segm'], 'proposal_fast'])
def test_masks_are_read_where_a_metric_or_a_nested_transform_reads_them(
    evaluated, tmp_path, capsys, monkeypatch
):
    write(tmp_path, train=without('train', 'segmentation'), val=without('val', 'segmentation'))
    load, *rest = pipeline()[1:]
    nested = [pipeline()[0], dict(type='RandomApply', transforms=[load]), *rest]
    boxes = pipeline(with_mask=False)
    changes = dict(
        train_dataloader=loader(tmp_path, 'train', pipeline=nested),
        val_dataloader=loader(tmp_path, 'val', pipeline=boxes),
        val_evaluator=settings(tmp_path)['val_evaluator'] | dict(metric=evaluated),
    )
    (train, val), _ = check(tmp_path, capsys, monkeypatch, **changes)
    assert train['errors'].keys() == {'annotation without a mask'}
    assert ('segm' in evaluated) == bool(val['errors'])


def test_run_lengths_teach_nothing_where_the_pipeline_takes_polygons(tmp_path, capsys, monkeypatch):
    write(tmp_path, train=edited('train', segmentation=dict(size=[64, 80], counts=[100, 5020])))
    assert check(tmp_path, capsys, monkeypatch)[0][0] == dict(errors={}, notes={})
    train = loader(tmp_path, 'train', pipeline=pipeline(poly2mask=False))
    (train, _), _ = check(tmp_path, capsys, monkeypatch, train_dataloader=train)
    assert train['notes'].keys() == {'run lengths are ignored, as poly2mask=False'}
    assert train['errors'].keys() == {'training set without an instance'}


def order(split, *ids):
    content = annotations(split)
    content['categories'] = [content['categories'][i - 1] for i in ids]
    return content


@pytest.mark.parametrize('split', ['train', 'val'])
def test_categories_in_another_order_than_the_classes_are_found(
    split, tmp_path, capsys, monkeypatch
):
    write(tmp_path, **{split: order(split, 2, 1)})
    found, _ = check(tmp_path, capsys, monkeypatch)
    found = dict(zip(('train', 'val'), found, strict=True))
    examples = found.pop(split)['errors']['label of another class']
    assert 'label 0 is dog, class 0 of the config is cat' in examples[0]
    assert found.popitem()[1]['errors'] == {}


def test_a_missing_category_moves_the_labels_after_it(tmp_path, capsys, monkeypatch):
    write(tmp_path, train=order('train', 2))
    (train, _), _ = check(tmp_path, capsys, monkeypatch)
    assert 'label 0 is dog' in train['errors']['label of another class'][0]


def test_an_extra_category_moves_nothing(tmp_path, capsys, monkeypatch):
    contents = {split: annotations(split) for split in ('train', 'val')}
    contents['train']['categories'].insert(0, dict(id=7, name='bird'))
    contents['val']['categories'].append(dict(id=3, name='fish'))
    write(tmp_path, **contents)
    assert check(tmp_path, capsys, monkeypatch)[0] == [dict(errors={}, notes={})] * 2


def test_classes_of_two_splits_in_another_order_are_found(tmp_path, capsys, monkeypatch):
    write(tmp_path, val=order('val', 2, 1))
    val = loader(tmp_path, 'val', metainfo=dict(classes=CLASSES[::-1]))
    (_, val), _ = check(tmp_path, capsys, monkeypatch, val_dataloader=val)
    assert 'class of another label than in training' in val['errors']


@pytest.mark.parametrize('classes', ['cat', {'cat', 'dog'}], ids=['text', 'set'])
def test_classes_that_are_no_tuple_are_found(classes, tmp_path, capsys, monkeypatch):
    write(tmp_path)
    train = loader(tmp_path, 'train', metainfo=dict(classes=classes))
    (train, _), result = check(tmp_path, capsys, monkeypatch, train_dataloader=train)
    assert train['errors'].keys() == {'classes that are no tuple'}
    assert result['splits'][0]['classes'] == {}


def moved(split, by):
    content = annotations(split)
    for image in content['images']:
        image['id'] += by
    for annotation in content['annotations']:
        annotation['image_id'] += by
    return content


OTHERS = {
    'image that the evaluator does not know': lambda: moved('val', 1),
    'image that the evaluator scores and no loader gives': lambda: moved('val', 1),
    'image of another name in the evaluator': lambda: moved('train', 10),
    'label of another class': lambda: order('val', 2, 1),
    'annotation without iscrowd, which the evaluator reads': lambda: without('val', 'iscrowd'),
    'annotation file cannot be read': lambda: None,
    'annotation file has not the layout of COCO': list,
}


@pytest.mark.parametrize('kind', OTHERS)
@pytest.mark.parametrize('is_list', [True, False])
def test_an_evaluator_of_another_file_is_compared_with_its_loader(
    kind, is_list, tmp_path, capsys, monkeypatch
):
    write(tmp_path, val=OTHERS[kind]())
    content = OTHERS[kind]()
    other = tmp_path / 'other.json'
    (tmp_path / 'val.json').rename(other)
    if content is None:
        other.unlink()
    write(tmp_path)
    metric = dict(type='CocoMetric', ann_file=str(other))
    evaluator = [dict(type='CocoMetric', ann_file=f'{tmp_path}/val.json'), metric]
    (_, val), _ = check(
        tmp_path, capsys, monkeypatch, val_evaluator=evaluator if is_list else metric
    )
    assert kind in val['errors']
    assert all('val_evaluator: ' in each for each in val['errors'][kind])


def test_the_evaluator_of_the_test_loader_is_checked_too(tmp_path, capsys, monkeypatch):
    write(tmp_path)
    (tmp_path / 'other.json').write_text((tmp_path / 'train.json').read_text())
    changes = settings(tmp_path)
    evaluator = changes['val_evaluator'] | dict(ann_file=f'{tmp_path}/other.json')
    changes = dict(test_dataloader=changes['val_dataloader'], test_evaluator=evaluator)
    found, _ = check(tmp_path, capsys, monkeypatch, **changes)
    assert len(found) == 2
    examples = found[1]['errors']['image that the evaluator does not know']
    assert all(each.startswith('test_evaluator: ') for each in examples)


@pytest.mark.parametrize(
    ('evaluator', 'errors', 'notes'),
    [
        (dict(type='CocoMetric', metric='mAP'), {'evaluator that cannot be built'}, set()),
        (dict(type='CocoMetric'), {'sample without what the evaluator reads'}, set()),
        (dict(type='CocoMetric', ann_file='other', format_only=True, outfile_prefix='a'),
         {'annotation file cannot be read'}, set()),
        (dict(type='VOCMetric'), set(), {'evaluator of a kind that is not checked'}),
        (dict(type='NoSuchMetric'), set(), {'evaluator of a kind that is not checked'}),
        ([], set(), set()),
    ],
    ids=str,
)  # fmt: skip
def test_evaluators_of_every_kind_are_told_by_their_class(
    evaluator, errors, notes, tmp_path, capsys, monkeypatch
):
    write(tmp_path)
    (_, val), _ = check(tmp_path, capsys, monkeypatch, val_evaluator=evaluator)
    assert (val['errors'].keys(), val['notes'].keys()) == (errors, notes)


def concat(*loaders):
    datasets = [each['dataset'] for each in loaders]
    return dict(batch_size=1, dataset=dict(type='ConcatDataset', datasets=datasets))


def test_counts_of_several_data_sets_are_sums_and_findings_name_theirs(
    tmp_path, capsys, monkeypatch
):
    write(tmp_path, val=edited('val', area=0))
    parts = [loader(tmp_path, split, test_mode=False) for split in ('train', 'val')]
    (train,), result = check(
        tmp_path, capsys, monkeypatch, train_dataloader=concat(*parts), val_dataloader=None
    )
    assert result['splits'][0]['counts'] == {
        'images': 5, 'annotations': 10, 'crowds': 0, 'images without annotations': 0,
        'images kept': 5, 'instances kept': 6,
    }  # fmt: skip
    assert result['splits'][0]['classes'] == dict(cat=3, dog=3)
    examples = train['notes']['annotation left out, as its area is not above 0']
    assert all(each.startswith('ConcatDataset[1] > CocoDataset: ') for each in examples)
    assert train['errors'] == {}


WRAPPERS = {
    'RepeatDataset': dict(times=3),
    'ClassBalancedDataset': dict(oversample_thr=0.5),
    'MultiImageMixDataset': dict(pipeline=[]),
}


@pytest.mark.parametrize('kind', WRAPPERS)
def test_what_is_in_a_wrapper_is_counted_once(kind, tmp_path, capsys, monkeypatch):
    write(tmp_path)
    train = loader(tmp_path, 'train')
    train['dataset'] = dict(type=kind, dataset=train['dataset'], **WRAPPERS[kind])
    found, result = check(tmp_path, capsys, monkeypatch, train_dataloader=train)
    assert found == [dict(errors={}, notes={})] * 2
    assert result['splits'][0]['counts']['images'] == 3


def with_other_classes(dataset):
    other = dataset | dict(metainfo=dict(classes=('cat',)))
    return dict(type='mmengine.ConcatDataset', datasets=[dataset, other])


UNBUILT = 'data set that cannot be built'
UNUSABLE = {
    'a list': (UNBUILT, lambda dataset: [dataset]),
    'several files': (UNBUILT, lambda dataset: dataset | dict(ann_file=['a', 'b'])),
    'no type': (UNBUILT, lambda dataset: {**dataset, 'type': None}),
    'unknown type': (UNBUILT, lambda dataset: dataset | dict(type='Cocco')),
    'unknown argument': (UNBUILT, lambda dataset: dataset | dict(anno='a')),
    'no file': ('annotation file cannot be read',
                lambda dataset: dataset | dict(ann_file='a.json')),
    'times': ('wrapper that cannot be built',
              lambda dataset: dict(type='RepeatDataset', dataset=dataset)),
    'other classes': ('wrapper that cannot be built', with_other_classes),
}  # fmt: skip


@pytest.mark.parametrize('what', UNUSABLE)
def test_whatever_cannot_be_built_or_loaded_is_a_finding(what, tmp_path, capsys, monkeypatch):
    write(tmp_path)
    kind, change = UNUSABLE[what]
    train = loader(tmp_path, 'train')
    train['dataset'] = change(train['dataset'])
    (train, val), _ = check(tmp_path, capsys, monkeypatch, train_dataloader=train)
    assert kind in train['errors']
    assert val['errors'] == {}


def test_every_data_set_of_mmdetection_is_checked_or_reported(tmp_path, capsys, monkeypatch):
    write(tmp_path)
    kinds = sorted(DATASETS.module_dict)
    loaders = [loader(tmp_path, 'train', type=kind, ann_file='a.txt') for kind in kinds]
    _, result = check(
        tmp_path, capsys, monkeypatch, val_dataloader=None, train_dataloader=concat(*loaders)
    )
    assert sum(each['count'] for each in result['splits'][0]['found']) >= len(kinds)


def test_pascal_voc_is_checked_by_what_it_lists(tmp_path, capsys, monkeypatch):
    write(tmp_path)
    voc = tmp_path / 'VOC2007'
    for folder in ('JPEGImages', 'Annotations', 'ImageSets'):
        (voc / folder).mkdir(parents=True)
    Image.open(tmp_path / 'train' / 'train_1.png').save(voc / 'JPEGImages' / '1.jpg')
    box = '<bndbox><xmin>5</xmin><ymin>5</ymin><xmax>25</xmax><ymax>25</ymax></bndbox>'
    (voc / 'Annotations' / '1.xml').write_text(
        '<annotation><size><width>80</width><height>60</height></size>'
        f'<object><name>cat</name>{box}</object></annotation>'
    )
    (voc / 'ImageSets' / 'train.txt').write_text('1')
    train = loader(
        tmp_path, 'train', type='VOCDataset', ann_file='VOC2007/ImageSets/train.txt',
        data_prefix=dict(sub_data_root='VOC2007/'),
    )  # fmt: skip
    (train, _), result = check(tmp_path, capsys, monkeypatch, train_dataloader=train)
    assert result['splits'][0]['classes'] == dict(cat=1, dog=0)
    assert train['notes'].keys() == {'data set that loads itself'}
    assert train['errors'].keys() == {
        'image of another size', 'instance without mask, which the pipeline reads'
    }  # fmt: skip


class Own(CocoDataset):
    def load_data_list(self):
        infos = super().load_data_list()
        infos[0]['instances'][0]['bbox_label'] = 5
        return infos


class Listing:
    def __init__(self, dataset):
        self.dataset = dataset


class Bag(RepeatDataset):
    pass


def test_data_sets_and_wrappers_of_somebodys_own_are_told(tmp_path, capsys, monkeypatch):
    write(tmp_path)
    for kind in (Own, Listing, Bag):
        DATASETS.register_module(module=kind, force=True)
    own, listing, bag = (loader(tmp_path, 'train') for _ in range(3))
    own['dataset']['type'] = 'Own'
    listing['dataset'] = dict(type='Listing', dataset='a folder')
    bag['dataset'] = dict(type='Bag', times=2, dataset=bag['dataset'])
    (train,), result = check(
        tmp_path, capsys, monkeypatch, val_dataloader=None,
        train_dataloader=concat(own, listing, bag),
    )  # fmt: skip
    (example,) = train['errors'].pop('label that is no class')
    assert example.startswith('ConcatDataset[0] > Own: ')
    assert train['errors'] == {}
    assert train['notes'].keys() == {
        'data set that loads itself', 'data set of a kind that is not checked',
        'wrapper of a kind that is not checked',
    }  # fmt: skip
    assert result['splits'][0]['counts']['images kept'] == 6


def test_a_validation_set_of_fewer_classes_than_training_is_found(tmp_path, capsys, monkeypatch):
    write(tmp_path)
    val = loader(tmp_path, 'val', metainfo=dict(classes=CLASSES[:1]))
    (_, val), _ = check(tmp_path, capsys, monkeypatch, val_dataloader=val)
    (example,) = val['errors']['evaluator with fewer classes than are learned']
    assert "1: ['cat'], 2 are learned" in example


@pytest.mark.parametrize('kind', ['ConcatDataset', 'RepeatDataset'])
def test_images_that_are_validated_twice_are_found(kind, tmp_path, capsys, monkeypatch):
    write(tmp_path)
    val = loader(tmp_path, 'val')
    inner = val['dataset']
    more = dict(times=2, dataset=inner) if 'Repeat' in kind else dict(datasets=[inner, inner])
    val['dataset'] = dict(type=kind, **more)
    (_, val), _ = check(tmp_path, capsys, monkeypatch, val_dataloader=val)
    assert len(val['errors']['image that the evaluator scores more than once']) == 2


@pytest.mark.parametrize('is_sorted', [True, False])
def test_an_evaluator_that_sorts_categories_numbers_them_anew(
    is_sorted, tmp_path, capsys, monkeypatch
):
    write(tmp_path, train=order('train', 2, 1), val=order('val', 2, 1))
    classes = dict(classes=CLASSES[::-1])
    evaluator = settings(tmp_path)['val_evaluator'] | dict(sort_categories=is_sorted)
    loaders = {f'{s}_dataloader': loader(tmp_path, s, metainfo=classes) for s in ('train', 'val')}
    (_, val), _ = check(tmp_path, capsys, monkeypatch, val_evaluator=evaluator, **loaders)
    assert ('label of another class' in val['errors']) == is_sorted


def test_a_class_that_is_there_twice_is_found(tmp_path, capsys, monkeypatch):
    write(tmp_path)
    train = loader(tmp_path, 'train', metainfo=dict(classes=('cat', 'dog', 'cat')))
    (train, _), _ = check(tmp_path, capsys, monkeypatch, train_dataloader=train)
    (examples,) = train['errors'].values()
    assert "'cat' twice" in examples[0]


def test_sides_written_as_floats_are_sizes(tmp_path, capsys, monkeypatch):
    content = annotations('train')
    for image in content['images']:
        image.update(width=80.0, height=64.0)
    write(tmp_path, train=content)
    assert check(tmp_path, capsys, monkeypatch)[0][0] == dict(errors={}, notes={})


def detector(roi=None, **head):
    return dict(bbox_head=head, roi_head=roi)


@pytest.mark.parametrize('has_boxes', [True, False])
def test_a_detector_needs_the_scale_of_the_image(has_boxes, tmp_path, capsys, monkeypatch):
    write(tmp_path)
    steps = pipeline()
    steps[-1]['meta_keys'] = ('img_id', 'img_path', 'ori_shape', 'img_shape')
    val = loader(tmp_path, 'val', pipeline=steps)
    model = detector() if has_boxes else dict(panoptic_head=dict())
    (_, val), _ = check(tmp_path, capsys, monkeypatch, val_dataloader=val, model=model)
    assert ('sample without what the evaluator reads' in val['errors']) == has_boxes


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
def test_heads_have_as_many_classes_as_the_data_set(model, where, tmp_path, capsys, monkeypatch):
    write(tmp_path)
    (train, _), _ = check(tmp_path, capsys, monkeypatch, model=model)
    found = train['errors'].get('number of classes of a head is another', [''])
    assert found[0].startswith(where or '')
    assert bool(found[0]) == bool(where)


LEARNED = 'training pipeline that does not load what the model learns'
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
        (pipeline()[:1], []),  # a wrapper's pipeline goes on
    ],
)
def test_each_branch_loads_what_the_model_learns(
    transforms, missing, tmp_path, capsys, monkeypatch
):
    write(tmp_path)
    train = loader(tmp_path, 'train', pipeline=transforms)
    (train, _), _ = check(tmp_path, capsys, monkeypatch, train_dataloader=train, model=MASK_RCNN)
    found = train['errors'].get(LEARNED, [])
    assert [each.split('(')[1].split('=')[0] for each in found] == missing


@pytest.mark.parametrize(
    'step', [dict(type='RandomFlip', prob=1.0), dict(type='Resize', scale=(9, 9))]
)
@pytest.mark.parametrize('place', [1, 2])
def test_annotations_are_loaded_before_the_image_is_moved(
    step, place, tmp_path, capsys, monkeypatch
):
    write(tmp_path)
    steps = pipeline()
    steps.insert(place, step)
    loaders = {f'{s}_dataloader': loader(tmp_path, s, pipeline=steps) for s in ('train', 'val')}
    (train, val), _ = check(tmp_path, capsys, monkeypatch, **loaders)
    kinds = {'transform before the annotations are loaded'} if place == 1 else set()
    assert (train['errors'].keys(), val['errors'].keys()) == (kinds, set())
