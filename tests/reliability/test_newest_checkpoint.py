import os
from pathlib import Path

import pytest
import torch

from mmgab.reliability import newest_checkpoint

NOW = 1e9  # seconds: when a note was written


def save(path, age, iteration=1, **content):
    """A checkpoint that is that many seconds older than a note."""
    meta = dict(iter=iteration)
    torch.save(dict(meta=meta, optimizer={}, state_dict={}, **content), path)
    os.utime(path, (NOW - age, NOW - age))


def note(work_dir, path):
    """MMEngine's note of the latest checkpoint."""
    (work_dir / 'last_checkpoint').write_text(str(path))
    os.utime(work_dir / 'last_checkpoint', (NOW, NOW))


def test_a_checkpoint_that_was_not_noted_any_more_is_taken(tmp_path):
    """A run that is killed between the file and the note has the file."""
    save(tmp_path / 'epoch_9.pth', age=20, iteration=9)
    save(tmp_path / 'epoch_10.pth', age=-10, iteration=10)
    note(tmp_path, tmp_path / 'epoch_9.pth')
    assert newest_checkpoint(tmp_path) == (str(tmp_path / 'epoch_10.pth'), [])


@pytest.mark.parametrize('age', [10, -10])
def test_copied_files_do_not_come_before_the_one_that_was_noted(age, tmp_path):
    """Their times are those of copying."""
    save(tmp_path / 'epoch_3.pth', age=20, iteration=3)
    save(tmp_path / 'epoch_1.pth', age=age, iteration=1)
    note(tmp_path, tmp_path / 'epoch_3.pth')
    assert newest_checkpoint(tmp_path) == (str(tmp_path / 'epoch_3.pth'), [])


def test_a_file_of_another_name_is_found_where_it_was_noted(tmp_path):
    save(tmp_path / 'saved_3.pt', age=20)
    note(tmp_path, tmp_path / 'saved_3.pt')
    assert newest_checkpoint(tmp_path) == (str(tmp_path / 'saved_3.pt'), [])


def test_where_the_noted_one_is_torn_the_newest_other_one_is_taken(tmp_path):
    save(tmp_path / 'epoch_1.pth', age=40)
    save(tmp_path / 'epoch_2.pth', age=30, iteration=2)
    (tmp_path / 'epoch_3.pth').touch()
    note(tmp_path, tmp_path / 'epoch_3.pth')
    path, skipped = newest_checkpoint(tmp_path)
    assert path == str(tmp_path / 'epoch_2.pth')
    assert len(skipped) == 1


def test_files_that_do_not_read_are_skipped_and_named_with_the_reason(tmp_path):
    save(tmp_path / 'iter_1.pth', age=30)
    save(tmp_path / 'iter_2.pth', age=20)
    content = (tmp_path / 'iter_2.pth').read_bytes()
    (tmp_path / 'iter_2.pth').write_bytes(content[:-40])
    torch.save(dict(meta={}, state_dict={}), tmp_path / 'published-12345678.pth')
    path, skipped = newest_checkpoint(tmp_path)
    assert path == str(tmp_path / 'iter_1.pth')
    assert len(skipped) == 2
    assert 'published-12345678.pth is skipped: it holds no state of an optimizer' in skipped[0]
    assert 'iter_2.pth is skipped' in skipped[1]
    assert 'truncated' in skipped[1]


def test_the_best_ones_and_unfinished_ones_are_no_candidates(tmp_path):
    save(tmp_path / 'epoch_1.pth', age=30)
    save(tmp_path / 'best_mIoU_epoch_1.pth', age=20)
    save(tmp_path / '.partial_abc.pth', age=10)
    assert newest_checkpoint(tmp_path) == (str(tmp_path / 'epoch_1.pth'), [])


def test_a_note_that_points_nowhere_is_told_and_does_no_harm(tmp_path):
    save(tmp_path / 'epoch_1.pth', age=30)
    (tmp_path / 'last_checkpoint').write_text('/no/where.pth')
    path, skipped = newest_checkpoint(tmp_path)
    assert path == str(tmp_path / 'epoch_1.pth')
    assert skipped == [f'{tmp_path / "last_checkpoint"} names /no/where.pth, which does not exist']


def test_the_folder_that_the_note_names_is_searched(tmp_path):
    """Where a hook's out_dir is not the work dir."""
    work_dir, elsewhere = tmp_path / 'work', tmp_path / 'elsewhere'
    work_dir.mkdir()
    elsewhere.mkdir()
    save(elsewhere / 'epoch_1.pth', age=30)
    save(elsewhere / 'epoch_2.pth', age=-20, iteration=2)
    note(work_dir, elsewhere / 'epoch_1.pth')
    assert newest_checkpoint(work_dir)[0] == str(elsewhere / 'epoch_2.pth')


def test_an_address_is_taken_as_it_is(tmp_path):
    (tmp_path / 'last_checkpoint').write_text('s3://bucket/epoch_1.pth')
    assert newest_checkpoint(tmp_path) == ('s3://bucket/epoch_1.pth', [])


def test_no_checkpoint_is_no_error_but_none_that_reads_is(tmp_path):
    assert newest_checkpoint(tmp_path) == (None, [])
    Path(tmp_path, 'epoch_1.pth').touch()
    with pytest.raises(
        ValueError, match=r'no checkpoint of .* can be resumed from: .*epoch_1\.pth'
    ):
        newest_checkpoint(tmp_path)
