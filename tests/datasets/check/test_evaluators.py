"""Evaluators must match datasets and annotation files."""

import pytest

from .coco_data import annotations, check, loader, order, pipeline, settings, without, write

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ('key', 'kind'),
    [('iscrowd', 'annotation without iscrowd, which the evaluator reads'),
     ('segmentation', 'annotation without segmentation, which the evaluator reads'),
     ('area', 'annotation without a numeric area'),
     ('bbox', 'bbox is not [x, y, width, height]')],
)  # fmt: skip
def test_missing_key_of_the_evaluator_is_reported(key, kind, tmp_path, capsys, monkeypatch):
    write(tmp_path, val=without('val', key))
    (train, val), _ = check(tmp_path, capsys, monkeypatch)
    assert train == dict(errors={}, notes={})
    assert len(val['errors'][kind]) == 4


def test_iscrowd_is_required_only_by_evaluators(tmp_path, capsys, monkeypatch):
    write(tmp_path, train=without('train', 'iscrowd'))
    assert check(tmp_path, capsys, monkeypatch)[0][0] == dict(errors={}, notes={})
    write(tmp_path, val=without('val', 'iscrowd'))
    for evaluator in (dict(type='VOCMetric'), None):
        (_, val), _ = check(tmp_path, capsys, monkeypatch, val_evaluator=evaluator)
        assert val['errors'] == {}


@pytest.mark.parametrize('value', [0, 0.0, '0', 'a', '', None, True, [1]], ids=repr)
def test_unusable_annotation_id_is_reported(value, tmp_path, capsys, monkeypatch):
    content = annotations('val')
    content['annotations'][0]['id'] = value
    write(tmp_path, val=content)
    (_, val), _ = check(tmp_path, capsys, monkeypatch)
    assert val['errors'].keys() & {
        'annotation id is not usable by the evaluator',
        'id of annotations missing or of the wrong type',
    }


@pytest.mark.parametrize('evaluated', ['bbox', ['bbox', 'segm'], 'proposal_fast'])
def test_masks_are_required_by_segm_or_nested_transforms(evaluated, tmp_path, capsys, monkeypatch):
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
    assert train['errors'].keys() == {'annotation without segmentation'}
    assert ('segm' in evaluated) == bool(val['errors'])


def moved(split, by):
    content = annotations(split)
    for image in content['images']:
        image['id'] += by
    for annotation in content['annotations']:
        annotation['image_id'] += by
    return content


OTHERS = {
    'image id is not in the ann_file of the evaluator': lambda: moved('val', 1),
    'annotated image of the evaluator is not in the dataset': lambda: moved('val', 1),
    'image id has another file name in the ann_file': lambda: moved('train', 10),
    'label assigned to the wrong class': lambda: order('val', 2, 1),
    'annotation without iscrowd, which the evaluator reads': lambda: without('val', 'iscrowd'),
    'annotation file cannot be read': lambda: None,
    'annotation file is not in COCO format': list,
}


@pytest.mark.parametrize('kind', OTHERS)
@pytest.mark.parametrize('is_list', [True, False])
def test_ann_file_of_the_evaluator_must_match_its_loader(
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


def test_evaluator_of_the_test_loader_is_checked(tmp_path, capsys, monkeypatch):
    write(tmp_path)
    (tmp_path / 'other.json').write_text((tmp_path / 'train.json').read_text())
    changes = settings(tmp_path)
    evaluator = changes['val_evaluator'] | dict(ann_file=f'{tmp_path}/other.json')
    changes = dict(test_dataloader=changes['val_dataloader'], test_evaluator=evaluator)
    found, _ = check(tmp_path, capsys, monkeypatch, **changes)
    assert len(found) == 2
    examples = found[1]['errors']['image id is not in the ann_file of the evaluator']
    assert all(each.startswith('test_evaluator: ') for each in examples)


@pytest.mark.parametrize(
    ('evaluator', 'errors', 'notes'),
    [
        (dict(type='CocoMetric', metric='mAP'), {'evaluator cannot be built'}, set()),
        (dict(type='CocoMetric'), {'sample lacks a key that the evaluator reads'}, set()),
        (dict(type='CocoMetric', ann_file='other', format_only=True, outfile_prefix='a'),
         {'annotation file cannot be read'}, set()),
        (dict(type='VOCMetric'), set(), {'evaluator type is not checked'}),
        (dict(type='NoSuchMetric'), set(), {'evaluator type is not checked'}),
        ([], set(), set()),
    ],
    ids=str,
)  # fmt: skip
def test_evaluators_are_checked_by_class(evaluator, errors, notes, tmp_path, capsys, monkeypatch):
    write(tmp_path)
    (_, val), _ = check(tmp_path, capsys, monkeypatch, val_evaluator=evaluator)
    assert (val['errors'].keys(), val['notes'].keys()) == (errors, notes)


@pytest.mark.parametrize('kind', ['ConcatDataset', 'RepeatDataset'])
def test_images_evaluated_twice_are_reported(kind, tmp_path, capsys, monkeypatch):
    write(tmp_path)
    val = loader(tmp_path, 'val')
    inner = val['dataset']
    more = dict(times=2, dataset=inner) if 'Repeat' in kind else dict(datasets=[inner, inner])
    val['dataset'] = dict(type=kind, **more)
    (_, val), _ = check(tmp_path, capsys, monkeypatch, val_dataloader=val)
    assert len(val['errors']['image is evaluated more than once']) == 2
