"""Images that cannot be read stop a run, or are left out, counted and named."""

import shutil
from pathlib import Path

import pytest
from mmengine.dataset import BaseDataset, ConcatDataset, RepeatDataset
from torch.utils.data import DataLoader

from mmgab.datasets.load_image import LoadImage
from mmgab.reliability import UnreadableImagesHook


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


def images(folder, **settings):
    return Images(ann_file=str(folder), pipeline=[LoadImage(**settings)])


class Run:
    """What the hook needs of a runner: one would need a model for it."""

    rank, iter = 0, 0

    def __init__(self, dataset, work_dir):
        self.work_dir, self.logger, self.lines = work_dir, self, []
        self.train_dataloader = DataLoader(dataset, batch_size=2, num_workers=2, collate_fn=list)

    def warning(self, line):
        self.lines.append(line)


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
def test_images_that_are_left_out_are_counted_and_named_after_each_epoch(wrap, folder, tmp_path):
    run, hook = Run(wrap(images(folder, unreadable='skip')), tmp_path), UnreadableImagesHook()
    hook.before_train(run)
    damaged = [str(path) for path in sorted(folder.iterdir())[2:4]]
    for number in (1, 2):
        read = epoch(run, hook)
        assert len(read) == 8
        assert not set(read) & set(damaged)
        assert len(run.lines) == number
        assert run.lines[-1].startswith('2 images could not be read, ')
        assert all(path in run.lines[-1] for path in damaged)


def test_nothing_is_told_where_all_could_be_read(nuclei, tmp_path):
    run = Run(images(nuclei / 'images' / 'val', unreadable='skip'), tmp_path)
    hook = UnreadableImagesHook()
    hook.before_train(run)
    assert len(epoch(run, hook)) == 4
    assert run.lines == []


def test_an_image_that_cannot_be_read_stops_by_default_and_is_named(folder):
    dataset = images(folder)
    assert dataset[0]['img'].shape == (128, 128, 3)
    with pytest.raises(ValueError, match=rf'image {sorted(folder.iterdir())[2]} cannot be read .*'):
        dataset[2]


def test_what_could_never_happen_is_refused(nuclei, tmp_path):
    run = Run(Images(ann_file=str(nuclei / 'images' / 'val'), pipeline=[]), tmp_path)
    with pytest.raises(ValueError, match='no image is left out'):
        UnreadableImagesHook().before_train(run)
    with pytest.raises(ValueError, match="unreadable must be 'stop' or 'skip', got 'ignore'"):
        LoadImage(unreadable='ignore')
    with pytest.raises(ValueError, match='interval must be at least 1, got 0'):
        UnreadableImagesHook(interval=0)
