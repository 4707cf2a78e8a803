import pytest
from mmengine.config import Config

from mmgab.engine import check_data, check_work_dir, load_config

from ..conftest import ROOT


def test_missing_data_folder_error_links_the_docs(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    config = load_config(str(ROOT / 'configs' / 'mask_rcnn_swin_s_gab_coco.py'))
    with pytest.raises(FileNotFoundError) as caught:
        check_data(config, ('train_dataloader',))
    fix = 'train_dataloader.dataset.data_root=FOLDER'
    for word in ('train_dataloader', 'data/coco/', str(tmp_path), 'docs/datasets.md', fix):
        assert word in str(caught.value)
    assert (ROOT / 'docs' / 'datasets.md').is_file()


def test_every_folder_and_annotation_file_is_checked(tmp_path):
    dataset = dict(
        data_root=str(tmp_path), ann_file='annotations/a.json', data_prefix=dict(img='train/')
    )
    (tmp_path / 'notes.txt').touch()  # an empty folder would be refused as such
    wrapped = dict(type='RepeatDataset', dataset=dict(type='ConcatDataset', datasets=[dataset]))
    config = Config(dict(train_dataloader=dict(dataset=wrapped)))
    for name, make in (('annotations/a.json', 'file'), ('train', 'folder')):
        with pytest.raises(FileNotFoundError, match=name):
            check_data(config, ('train_dataloader',))
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch() if make == 'file' else path.mkdir()
    with pytest.raises(FileNotFoundError, match='train does not exist or is empty'):
        check_data(config, ('train_dataloader',))
    (tmp_path / 'train' / 'a.png').touch()
    check_data(config, ('train_dataloader',))


def test_remote_data_and_absent_loaders_are_skipped():
    remote = dict(data_root='s3://bucket/coco/', ann_file='a.json')
    mapped = dict(data_root='data/nowhere', backend_args=dict(backend='petrel'))
    datasets = dict(type='ConcatDataset', datasets=[remote, mapped])
    config = Config(dict(train_dataloader=dict(dataset=datasets), val_dataloader=None))
    check_data(config, ('train_dataloader', 'val_dataloader', 'test_dataloader'))


def test_unwritable_work_dir_error_has_its_path(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(OSError, match=r'work dir .*file/run cannot be written: Not a directory'):
        check_work_dir(str(tmp_path / 'file' / 'run'))
    with pytest.raises(OSError, match=r'work dir /proc/run cannot be written'):
        check_work_dir('/proc/run')


def test_work_dir_is_created_empty(tmp_path):
    check_work_dir(str(tmp_path / 'a' / 'b'))
    assert list((tmp_path / 'a' / 'b').iterdir()) == []


def test_dataset_argument_alone_is_not_a_wrapper():
    for value in ('a folder', ['a', 'b'], 3, None):
        config = Config(dict(train_dataloader=dict(dataset=dict(type='Own', dataset=value))))
        check_data(config, ('train_dataloader',))


def test_list_of_datasets_error_suggests_concat_dataset():
    config = Config(dict(train_dataloader=dict(dataset=[dict(type='A'), dict(type='B')])))
    with pytest.raises(ValueError, match=r'list of 2, expected one dict; use .*ConcatDataset'):
        check_data(config, ('train_dataloader',))
