"""MMDetection's and custom datasets, and their wrappers, are checked or reported."""

import pytest
from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS
from mmengine.dataset import RepeatDataset
from PIL import Image

from .coco_data import check, edited, loader, write

pytestmark = pytest.mark.slow


def concat(*loaders):
    datasets = [each['dataset'] for each in loaders]
    return dict(batch_size=1, dataset=dict(type='ConcatDataset', datasets=datasets))


def test_concat_dataset_sums_counts_and_names_its_parts(tmp_path, capsys, monkeypatch):
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
    examples = train['notes']['annotation skipped, area is not above 0']
    assert all(each.startswith('ConcatDataset[1] > CocoDataset: ') for each in examples)
    assert train['errors'] == {}


WRAPPERS = {
    'RepeatDataset': dict(times=3),
    'ClassBalancedDataset': dict(oversample_thr=0.5),
    'MultiImageMixDataset': dict(pipeline=[]),
}


@pytest.mark.parametrize('kind', WRAPPERS)
def test_wrapped_dataset_is_counted_once(kind, tmp_path, capsys, monkeypatch):
    write(tmp_path)
    train = loader(tmp_path, 'train')
    train['dataset'] = dict(type=kind, dataset=train['dataset'], **WRAPPERS[kind])
    found, result = check(tmp_path, capsys, monkeypatch, train_dataloader=train)
    assert found == [dict(errors={}, notes={})] * 2
    assert result['splits'][0]['counts']['images'] == 3


def with_other_classes(dataset):
    other = dataset | dict(metainfo=dict(classes=('cat',)))
    return dict(type='mmengine.ConcatDataset', datasets=[dataset, other])


UNBUILT = 'dataset cannot be built'


UNUSABLE = {
    'a list': (UNBUILT, lambda dataset: [dataset]),
    'several files': (UNBUILT, lambda dataset: dataset | dict(ann_file=['a', 'b'])),
    'no type': (UNBUILT, lambda dataset: {**dataset, 'type': None}),
    'unknown type': (UNBUILT, lambda dataset: dataset | dict(type='Cocco')),
    'unknown argument': (UNBUILT, lambda dataset: dataset | dict(anno='a')),
    'no file': ('annotation file cannot be read',
                lambda dataset: dataset | dict(ann_file='a.json')),
    'times': ('dataset wrapper cannot be built',
              lambda dataset: dict(type='RepeatDataset', dataset=dataset)),
    'other classes': ('dataset wrapper cannot be built', with_other_classes),
}  # fmt: skip


@pytest.mark.parametrize('what', UNUSABLE)
def test_unbuildable_dataset_is_reported(what, tmp_path, capsys, monkeypatch):
    write(tmp_path)
    kind, change = UNUSABLE[what]
    train = loader(tmp_path, 'train')
    train['dataset'] = change(train['dataset'])
    (train, val), _ = check(tmp_path, capsys, monkeypatch, train_dataloader=train)
    assert kind in train['errors']
    assert val['errors'] == {}


def test_every_mmdetection_dataset_is_checked_or_reported(tmp_path, capsys, monkeypatch):
    write(tmp_path)
    kinds = sorted(DATASETS.module_dict)
    loaders = [loader(tmp_path, 'train', type=kind, ann_file='a.txt') for kind in kinds]
    _, result = check(
        tmp_path, capsys, monkeypatch, val_dataloader=None, train_dataloader=concat(*loaders)
    )
    assert sum(each['count'] for each in result['splits'][0]['found']) >= len(kinds)


def test_pascal_voc_is_checked_by_its_data_infos(tmp_path, capsys, monkeypatch):
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
    assert train['notes'].keys() == {'annotation files of this dataset type are not checked'}
    assert train['errors'].keys() == {
        'image size differs from the annotations', 'instance without mask, which the pipeline reads'
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


def test_custom_datasets_and_wrappers_are_reported(tmp_path, capsys, monkeypatch):
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
    (example,) = train['errors'].pop('label is not a class')
    assert example.startswith('ConcatDataset[0] > Own: ')
    assert train['errors'] == {}
    assert train['notes'].keys() == {
        'annotation files of this dataset type are not checked', 'dataset type is not checked',
        'dataset wrapper is not checked',
    }  # fmt: skip
    assert result['splits'][0]['counts']['images kept'] == 6
