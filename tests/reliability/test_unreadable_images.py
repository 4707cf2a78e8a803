"""Unreadable images and label maps stop a run, or are skipped and logged."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from mmengine.dataset import BaseDataset, ConcatDataset, RepeatDataset
from mmseg.datasets import BaseSegDataset
from PIL import Image
from torch.utils.data import DataLoader

from mmgab.datasets.load_image import LoadImage
from mmgab.reliability import UnreadableImagesHook

from ..cli.runs import SEGMENTATION, options
from ..conftest import ROOT, run_tool

pytestmark = pytest.mark.slow


class Images(BaseDataset):
    """Image files of a folder."""

    def load_data_list(self):
        return [dict(img_path=str(path)) for path in sorted(Path(self.ann_file).iterdir())]


@pytest.fixture
def folder(nuclei, tmp_path):
    """Eight images, of which two cannot be read."""
    (tmp_path / 'images').mkdir()
    for path in sorted((nuclei / 'images' / 'train').iterdir())[:8]:
        shutil.copy(path, tmp_path / 'images')
    damaged = sorted((tmp_path / 'images').iterdir())[2:4]
    damaged[0].write_bytes(b'')
    damaged[1].write_bytes(b'no image')
    return tmp_path / 'images'


def images(folder, max_refetch=1000, **settings):
    return Images(ann_file=str(folder), pipeline=[LoadImage(**settings)], max_refetch=max_refetch)


class Run:
    """What the hook needs of a runner: one would need a model for it."""

    rank, iter = 0, 0

    def __init__(self, dataset, work_dir):
        self.work_dir, self.logger, self.lines = work_dir, self, []
        self.train_dataloader = DataLoader(dataset, batch_size=2, num_workers=2, collate_fn=list)

    def warning(self, line):
        self.lines.append(line.encode().decode())  # as a log file takes it


def epoch(run, hook):
    """Read everything once; returns the files that were read."""
    paths = [sample['img_path'] for batch in run.train_dataloader for sample in batch]
    hook.after_train_epoch(run)
    return paths


@pytest.mark.parametrize(
    'wrap',
    [
        lambda dataset: dataset,
        lambda dataset: RepeatDataset(dataset, 1),
        lambda dataset: ConcatDataset([dataset]),
    ],
    ids=['alone', 'repeated', 'concatenated'],
)
def test_skipped_images_are_logged_after_each_epoch(wrap, folder, tmp_path):
    run, hook = Run(wrap(images(folder, unreadable='skip')), tmp_path), UnreadableImagesHook()
    hook.before_train(run)
    damaged = [str(path) for path in sorted(folder.iterdir())[2:4]]
    for number in (1, 2):
        read = epoch(run, hook)
        assert len(read) == 8
        assert not set(read) & set(damaged)
        assert len(run.lines) == number
        assert run.lines[-1].startswith('2 images or label maps could not be read, ')
        assert all(path in run.lines[-1] for path in damaged)


def test_nothing_is_logged_if_all_images_are_readable(nuclei, tmp_path):
    run = Run(images(nuclei / 'images' / 'val', unreadable='skip'), tmp_path)
    hook = UnreadableImagesHook()
    hook.before_train(run)
    assert len(epoch(run, hook)) == 4
    assert run.lines == []


def test_missing_image_raises_file_not_found_error(folder):
    dataset = images(folder)
    sorted(folder.iterdir())[1].unlink()
    with pytest.raises(FileNotFoundError, match=r'cannot be read .*No such file'):
        dataset[1]


def test_unreadable_image_stops_the_run_by_default(folder):
    dataset = images(folder)
    assert dataset[0]['img'].shape == (128, 128, 3)
    with pytest.raises(ValueError, match=rf'image {sorted(folder.iterdir())[2]} cannot be read .*'):
        dataset[2]


def test_contradictory_settings_are_rejected(nuclei, tmp_path):
    run = Run(Images(ann_file=str(nuclei / 'images' / 'val'), pipeline=[]), tmp_path)
    with pytest.raises(ValueError, match='no image would be skipped'):
        UnreadableImagesHook().before_train(run)
    with pytest.raises(ValueError, match="unreadable must be 'stop' or 'skip', got 'ignore'"):
        LoadImage(unreadable='ignore')
    with pytest.raises(ValueError, match='interval must be at least 1, got 0'):
        UnreadableImagesHook(interval=0)


@pytest.mark.parametrize('bound', ['max_bytes', 'max_pixels'])
def test_impossible_size_limit_is_rejected(bound):
    with pytest.raises(ValueError, match=f'{bound} must be at least 1, got 0'):
        LoadImage(**{bound: 0})


def test_old_backend_argument_is_rejected():
    with pytest.raises(ValueError, match='use backend_args'):
        LoadImage(file_client_args=dict(backend='disk'))


def replace_by(make):
    """A change of the third image into something else."""

    def change(folder):
        path = sorted(folder.iterdir())[2]
        path.unlink()
        make(path)

    return change


HOSTILE = {
    'fifo': (replace_by(os.mkfifo), {}, 'not a regular file'),
    'endless': (replace_by(lambda path: path.symlink_to('/dev/zero')), {}, 'not a regular file'),
    'folder': (replace_by(Path.mkdir), {}, 'IsADirectoryError'),
    'loop': (replace_by(lambda path: path.symlink_to(path)), {}, 'symbolic links'),
    'large': (lambda folder: None, dict(max_bytes=100), 'exceed max_bytes=100'),
    'wide': (lambda folder: None, dict(max_pixels=16383), '128 x 128 pixels'),
}


@pytest.mark.parametrize('kind', HOSTILE)
@pytest.mark.parametrize('backend', ['cv2', 'pillow'])
def test_files_that_hang_or_fill_memory_are_reported(kind, backend, folder):
    change, bounds, reason = HOSTILE[kind]
    change(folder)
    dataset = images(folder, imdecode_backend=backend, **bounds)
    if kind in ('large', 'wide'):
        for path in sorted(folder.iterdir())[2:4]:
            path.write_bytes(sorted(folder.iterdir())[0].read_bytes())
    with pytest.raises(ValueError, match=reason) as error:
        dataset[2]
    assert str(sorted(folder.iterdir())[2]) in str(error.value)


@pytest.mark.parametrize('max_refetch', [1000, 10**9])
def test_dataset_without_readable_images_raises(max_refetch, folder):
    for path in folder.iterdir():
        path.write_bytes(b'')
    dataset = images(folder, max_refetch, unreadable='skip')
    with pytest.raises(ValueError, match=rf'1000 files in a row .* {folder}/\S+ \(ValueError'):
        dataset[0]


def test_dataset_retries_at_most_max_refetch_times(folder):
    for path in folder.iterdir():
        path.write_bytes(b'')
    with pytest.raises(Exception, match='Cannot find valid image after 3'):
        images(folder, 3, unreadable='skip')[0]


def test_occasionally_skipped_images_do_not_stop_a_run(folder):
    dataset = images(folder, unreadable='skip')
    for _ in range(1001):  # each time the next one, that is read, is taken
        assert dataset[2]['img'].shape == (128, 128, 3)


STRANGE = {'bytes': b'\xff\xfe', 'lines': b'a\nb\rc\x0bd\x85', 'unicode': 'ü\u2028\u200b'.encode()}


@pytest.mark.parametrize('kind', STRANGE)
def test_non_utf8_or_multiline_names_are_one_line_each(kind, folder, tmp_path):
    for number, path in enumerate(sorted(folder.iterdir())[2:4]):
        os.rename(path, os.path.join(os.fsencode(folder), STRANGE[kind] + b'%d.png' % number))
    run, hook = Run(images(folder, unreadable='skip'), tmp_path), UnreadableImagesHook()
    hook.before_train(run)
    assert len(epoch(run, hook)) == 8
    assert run.lines[-1].startswith('2 images or label maps could not be read, ')
    lines = (tmp_path / 'unreadable_images_rank_0.txt').read_text('utf-8').splitlines()
    assert all(line.startswith(f'image {folder}') for line in lines)
    assert {line.split('.png')[0][-1] for line in lines} == {'0', '1'}


@pytest.fixture
def segmentation(nuclei, tmp_path):
    """Eight images and label maps, of which two cannot be read."""
    for kind in ('images', 'labels'):
        (tmp_path / kind).mkdir()
        for path in sorted((nuclei / kind / 'train').iterdir())[:8]:
            shutil.copy(path, tmp_path / kind)
    damaged = sorted((tmp_path / 'labels').iterdir())[2:4]
    damaged[0].unlink()
    damaged[1].unlink()
    os.mkfifo(damaged[1])
    return tmp_path


def segments(folder, **settings):
    """A data set whose pipeline is built as a config's: by name."""
    return BaseSegDataset(
        data_root=str(folder),
        data_prefix=dict(img_path='images', seg_map_path='labels'),
        img_suffix='.png',
        metainfo=dict(classes=('background', 'nucleus')),
        pipeline=[
            dict(type='mmgab.LoadImage', unreadable=settings.get('unreadable', 'stop')),
            dict(type='mmgab.LoadSegmentation', **settings),
        ],
    )


def test_label_maps_are_loaded_as_mmsegmentation_does(nuclei):
    loaded = BaseSegDataset(
        data_root=str(nuclei),
        data_prefix=dict(img_path='images/train', seg_map_path='labels/train'),
        img_suffix='.png',
        reduce_zero_label=True,
        pipeline=[dict(type='mmseg.LoadAnnotations')],
    )
    ours = BaseSegDataset(
        data_root=str(nuclei),
        data_prefix=dict(img_path='images/train', seg_map_path='labels/train'),
        img_suffix='.png',
        reduce_zero_label=True,
        pipeline=[dict(type='mmgab.LoadSegmentation')],
    )
    for index in range(3):
        one, other = loaded[index], ours[index]
        assert one.keys() == other.keys()
        assert np.array_equal(one['gt_seg_map'], other['gt_seg_map'])
        assert set(np.unique(other['gt_seg_map'])) == {0, 255}


@pytest.mark.parametrize('index', [2, 3])
def test_unreadable_label_map_stops_the_run_by_default(index, segmentation):
    dataset = segments(segmentation)
    assert dataset[0]['gt_seg_map'].shape == (128, 128)
    with pytest.raises(ValueError, match=r'label map .* cannot be read') as error:
        dataset[index]
    assert dataset.get_data_info(index)['seg_map_path'] in str(error.value)
    assert "LoadSegmentation(unreadable='skip')" in str(error.value)


@pytest.mark.parametrize(
    ('bounds', 'reason'),
    [(dict(max_bytes=50), 'exceed max_bytes=50'), (dict(max_pixels=9), '128 x')],
)
def test_label_maps_have_size_limits(bounds, reason, segmentation):
    with pytest.raises(ValueError, match=reason):
        segments(segmentation, **bounds)[0]


def test_label_map_beyond_pillow_limit_is_read_if_allowed(segmentation, monkeypatch):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 1000)
    assert segments(segmentation)[0]['gt_seg_map'].shape == (128, 128)


def test_skipped_label_maps_are_logged(segmentation, tmp_path):
    run, hook = Run(segments(segmentation, unreadable='skip'), tmp_path), UnreadableImagesHook()
    damaged = [run.train_dataloader.dataset.get_data_info(index) for index in (2, 3)]
    image = sorted((segmentation / 'images').iterdir())[4]
    image.write_bytes(b'')
    hook.before_train(run)
    read = epoch(run, hook)
    assert len(read) == 8
    assert not set(read) & {str(image), *(info['img_path'] for info in damaged)}
    assert run.lines[-1].startswith('3 images or label maps could not be read, ')
    assert all(f'label map {info["seg_map_path"]} (' in run.lines[-1] for info in damaged)
    assert f'image {image} (' in run.lines[-1]


def test_dataset_without_readable_label_maps_raises(segmentation):
    shutil.rmtree(segmentation / 'labels')
    with pytest.raises(ValueError, match=r'1000 files in a row .*label map \S+ \(FileNotFoundErr'):
        segments(segmentation, unreadable='skip')[0]


PIPELINE = """
_base_ = '{config}'
train_dataloader = dict(dataset=dict(indices=[0, 1, 2, -2, -1], pipeline=[
    dict(type='mmgab.LoadImage', unreadable='skip'),
    dict(type='mmgab.LoadSegmentation', unreadable='skip'),
    dict(type='PackSegInputs'),
]))
train_cfg = dict(max_iters=2, val_interval=100)
custom_hooks = [dict(type='mmgab.UnreadableImagesHook', interval=2)]
"""


@pytest.mark.process
def test_run_trains_with_unreadable_files_of_any_name(nuclei, tmp_path):
    data = tmp_path / 'nuclei'
    shutil.copytree(nuclei, data)
    image, labels = (data / kind / 'train' for kind in ('images', 'labels'))
    one, other = (path.name for path in sorted(image.iterdir())[:2])
    (image / one).write_bytes(b'')
    (labels / other).unlink()
    os.mkfifo(labels / other)
    for path in (image / one, labels / one, image / other, labels / other):
        path.rename(path.with_name(f'\udcff{path.name}'))
    config = tmp_path / 'config.py'
    config.write_text(PIPELINE.format(config=ROOT / 'configs' / 'upernet_swin_gab_nuclei.py'))
    run = tmp_path / 'run'
    output = run_tool('tools/train.py', config, '--work-dir', run, *options(data, SEGMENTATION))
    assert 'UnicodeEncodeError' not in output
    assert '2 images or label maps could not be read' in output
    lines = (run / 'unreadable_images_rank_0.txt').read_text('utf-8').splitlines()
    assert {line.split(' (')[0].split('/')[-1] for line in lines} == {
        f'\\udcff{one}',
        f'\\udcff{other}',
    }
