"""Labels follow the order of categories, and must match the classes of the config."""

import pytest

from .coco_data import CLASSES, annotations, check, loader, order, settings, write

pytestmark = pytest.mark.slow


@pytest.mark.parametrize('split', ['train', 'val'])
def test_category_order_must_match_classes(split, tmp_path, capsys, monkeypatch):
    write(tmp_path, **{split: order(split, 2, 1)})
    found, _ = check(tmp_path, capsys, monkeypatch)
    found = dict(zip(('train', 'val'), found, strict=True))
    examples = found.pop(split)['errors']['label assigned to the wrong class']
    assert 'label 0 is dog, class 0 of the config is cat' in examples[0]
    assert found.popitem()[1]['errors'] == {}


def test_missing_category_shifts_later_labels(tmp_path, capsys, monkeypatch):
    write(tmp_path, train=order('train', 2))
    (train, _), _ = check(tmp_path, capsys, monkeypatch)
    assert 'label 0 is dog' in train['errors']['label assigned to the wrong class'][0]


def test_extra_category_shifts_no_label(tmp_path, capsys, monkeypatch):
    contents = {split: annotations(split) for split in ('train', 'val')}
    contents['train']['categories'].insert(0, dict(id=7, name='bird'))
    contents['val']['categories'].append(dict(id=3, name='fish'))
    write(tmp_path, **contents)
    assert check(tmp_path, capsys, monkeypatch)[0] == [dict(errors={}, notes={})] * 2


def test_class_order_must_match_between_splits(tmp_path, capsys, monkeypatch):
    write(tmp_path, val=order('val', 2, 1))
    val = loader(tmp_path, 'val', metainfo=dict(classes=CLASSES[::-1]))
    (_, val), _ = check(tmp_path, capsys, monkeypatch, val_dataloader=val)
    assert 'class has another label than in training' in val['errors']


@pytest.mark.parametrize('classes', ['cat', {'cat', 'dog'}], ids=['text', 'set'])
def test_classes_that_are_not_a_tuple_are_reported(classes, tmp_path, capsys, monkeypatch):
    write(tmp_path)
    train = loader(tmp_path, 'train', metainfo=dict(classes=classes))
    (train, _), result = check(tmp_path, capsys, monkeypatch, train_dataloader=train)
    assert train['errors'].keys() == {'classes in metainfo are invalid'}
    assert result['splits'][0]['classes'] == {}


@pytest.mark.parametrize('is_sorted', [True, False])
def test_sort_categories_changes_labels(is_sorted, tmp_path, capsys, monkeypatch):
    write(tmp_path, train=order('train', 2, 1), val=order('val', 2, 1))
    classes = dict(classes=CLASSES[::-1])
    evaluator = settings(tmp_path)['val_evaluator'] | dict(sort_categories=is_sorted)
    loaders = {f'{s}_dataloader': loader(tmp_path, s, metainfo=classes) for s in ('train', 'val')}
    (_, val), _ = check(tmp_path, capsys, monkeypatch, val_evaluator=evaluator, **loaders)
    assert ('label assigned to the wrong class' in val['errors']) == is_sorted


def test_duplicate_class_is_reported(tmp_path, capsys, monkeypatch):
    write(tmp_path)
    train = loader(tmp_path, 'train', metainfo=dict(classes=('cat', 'dog', 'cat')))
    (train, _), _ = check(tmp_path, capsys, monkeypatch, train_dataloader=train)
    (examples,) = train['errors'].values()
    assert "'cat' twice" in examples[0]


def test_validation_set_needs_all_training_classes(tmp_path, capsys, monkeypatch):
    write(tmp_path)
    val = loader(tmp_path, 'val', metainfo=dict(classes=CLASSES[:1]))
    (_, val), _ = check(tmp_path, capsys, monkeypatch, val_dataloader=val)
    (example,) = val['errors']['evaluator has fewer classes than the training dataset']
    assert "1 classes ['cat'], train_dataloader has 2" in example


def test_palette_shorter_than_classes_is_reported(tmp_path, capsys, monkeypatch):
    write(tmp_path)
    loaders = {}
    for split in ('train', 'val'):
        meta = dict(classes=CLASSES, palette=[(220, 20, 60)])
        loaders[f'{split}_dataloader'] = loader(tmp_path, split, metainfo=meta)
    found, _ = check(tmp_path, capsys, monkeypatch, **loaders)
    for split in found:
        assert '1 colours and 2 classes' in split['notes']['palette is shorter than the classes'][0]
