"""The check compares what evaluators read with what data sets and files hold."""

import pytest

from .coco_data import annotations, check, loader, order, pipeline, settings, without, write

pytestmark = pytest.mark.slow


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


@pytest.mark.parametrize('kind', ['ConcatDataset', 'RepeatDataset'])
def test_images_that_are_validated_twice_are_found(kind, tmp_path, capsys, monkeypatch):
    write(tmp_path)
    val = loader(tmp_path, 'val')
    inner = val['dataset']
    more = dict(times=2, dataset=inner) if 'Repeat' in kind else dict(datasets=[inner, inner])
    val['dataset'] = dict(type=kind, **more)
    (_, val), _ = check(tmp_path, capsys, monkeypatch, val_dataloader=val)
    assert len(val['errors']['image that the evaluator scores more than once']) == 2
