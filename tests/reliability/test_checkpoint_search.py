"""The checkpoint to resume from: chosen by what files hold, among the run's own names alone."""

import os
import shutil

import pytest
import torch

from mmgab.reliability import newest_checkpoint


def save(path, iteration, **content):
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = dict(iter=iteration)
    torch.save({'meta': meta, 'optimizer': {}, 'state_dict': {}, **content}, path)
    return path


def note(work_dir, path):
    """MMEngine's note of the latest checkpoint."""
    (work_dir / 'last_checkpoint').write_text(str(path))


def test_newest_has_the_latest_iteration(tmp_path):
    first, last = save(tmp_path / 'epoch_9.pth', 9), save(tmp_path / 'epoch_10.pth', 10)
    os.utime(last, (1, 1))
    note(tmp_path, first)
    assert newest_checkpoint(tmp_path) == (str(last), [])


def test_newest_depends_on_the_iteration_not_the_name(tmp_path):
    """A folder that was trained by epoch and by iteration."""
    save(tmp_path / 'iter_500.pth', 500)
    last = save(tmp_path / 'epoch_2.pth', 600)
    assert newest_checkpoint(tmp_path) == (str(last), [])


def test_newest_tie_prefers_the_noted_file(tmp_path):
    epoch = save(tmp_path / 'epoch_2.pth', 18)
    interrupted = save(tmp_path / 'interrupted.pth', 18)
    assert newest_checkpoint(tmp_path) == (str(interrupted), [])
    note(tmp_path, epoch)
    assert newest_checkpoint(tmp_path) == (str(epoch), [])


def test_newest_of_a_copied_work_dir_is_in_the_copy(tmp_path):
    """``cp -r A B``: the note in B names a file in A, which trains on."""
    save(tmp_path / 'A' / 'epoch_1.pth', 1)
    note(tmp_path / 'A', tmp_path / 'A' / 'epoch_1.pth')
    shutil.copytree(tmp_path / 'A', tmp_path / 'B')
    save(tmp_path / 'A' / 'epoch_2.pth', 2)
    note(tmp_path / 'A', tmp_path / 'A' / 'epoch_2.pth')
    for noted in ('epoch_1.pth', 'epoch_2.pth'):
        note(tmp_path / 'B', tmp_path / 'A' / noted)
        assert newest_checkpoint(tmp_path / 'B') == (str(tmp_path / 'B' / 'epoch_1.pth'), [])


@pytest.mark.parametrize(
    'content',
    [b'', b'\n', b'\xff\xfe\x00garbage', b'a\0b', b'x' * 10**6, 'ö'.encode() * 3000, b'..', b'.',
     b'/', b'epoch_1.pth', b'user.pth', b'../other/epoch_9.pth', b'~/epoch_9.pth',
     b's3://bucket/epoch_1.pth', b'/dev/zero', b'a\nb', b'\x1b[31mred'],
)  # fmt: skip
def test_invalid_note_is_ignored(content, tmp_path, monkeypatch):
    """Nor a file of the current folder, nor one that a user put into the work dir."""
    work_dir, here = tmp_path / 'work', tmp_path / 'here'
    save(here / 'epoch_1.pth', 1)
    save(here / 'user.pth', 1)
    save(tmp_path / 'other' / 'epoch_9.pth', 9)
    save(work_dir / 'user.pth', 7)
    monkeypatch.chdir(here)
    (work_dir / 'last_checkpoint').write_bytes(content)
    path, said = newest_checkpoint(work_dir)
    assert path is None
    assert len(said) == 1
    own = save(work_dir / 'epoch_3.pth', 3)
    assert newest_checkpoint(work_dir) == (str(own), [])


def test_note_that_is_a_folder_or_a_pipe_is_ignored(tmp_path):
    own = save(tmp_path / 'epoch_3.pth', 3)
    os.mkfifo(tmp_path / 'last_checkpoint')
    assert newest_checkpoint(tmp_path) == (str(own), [])
    os.remove(tmp_path / 'last_checkpoint')
    (tmp_path / 'last_checkpoint').mkdir()
    assert newest_checkpoint(tmp_path) == (str(own), [])


@pytest.mark.parametrize(
    'name',
    ['best_mIoU_epoch_9.pth', '.partial_abc.pth', 'pretrained.pth', 'epoch_9-12345678.pth',
     'epoch_9.pth.bak', 'epoch_best.pth', 'my_epoch_9.pth', 'epoch_9.pt', 'sub/epoch_9.pth'],
)  # fmt: skip
def test_files_with_other_names_are_not_candidates(name, tmp_path):
    save(tmp_path / name, 9)
    own = save(tmp_path / 'epoch_1.pth', 1)
    assert newest_checkpoint(tmp_path) == (str(own), [])


def test_files_named_by_the_hooks_template_are_candidates(tmp_path):
    own = save(tmp_path / 'saved+3.pt', 3)
    assert newest_checkpoint(tmp_path, template='saved+{}.pt') == (str(own), [])
    assert newest_checkpoint(tmp_path) == (None, [])


def test_folder_of_the_work_dirs_name_in_out_dir_is_searched(tmp_path):
    work_dir, out_dir = tmp_path / 'work', tmp_path / 'out'
    work_dir.mkdir()
    save(out_dir / 'other' / 'epoch_9.pth', 9)
    save(out_dir / 'work' / 'epoch_1.pth', 1)
    last = save(out_dir / 'work' / 'epoch_2.pth', 2)
    note(work_dir, out_dir / 'other' / 'epoch_9.pth')
    assert newest_checkpoint(work_dir, out_dir=str(out_dir)) == (str(last), [])


def test_address_is_taken_where_the_hook_saves_to_that_address(tmp_path):
    address = f's3://bucket/{tmp_path.name}/epoch_1.pth'
    note(tmp_path, address)
    assert newest_checkpoint(tmp_path, out_dir='s3://bucket') == (address, [])
    assert newest_checkpoint(tmp_path, out_dir='s3://other')[0] is None


def torn(path):
    path.write_bytes(path.read_bytes()[:-40])
    return 'truncated'


def flipped(path):
    content = bytearray(path.read_bytes())
    place = content.index(torch.full((64,), 7.0).numpy().tobytes())
    content[place + 2] ^= 1
    path.write_bytes(content)
    return 'CRC'


def for_testing(path):
    torch.save(dict(meta=dict(iter=2), state_dict={}), path)
    return 'it has no optimizer state'


def without_iteration(path):
    save(path, 'two')
    return "meta.iter is 'two'"


def infinite_weight(path):
    save(path, 2, state_dict=dict(a=torch.tensor([1.0, float('inf')])))
    return 'its state_dict has non-finite values'


def infinite_moment(path):
    moments = {0: dict(exp_avg_sq=torch.tensor([float('inf')]))}
    save(path, 2, optimizer=dict(state=moments, param_groups=[]))
    return 'its optimizer has non-finite values'


def empty(path):
    path.write_bytes(b'')
    return 'empty'


@pytest.mark.parametrize(
    'damage',
    [torn, flipped, for_testing, without_iteration, infinite_weight, infinite_moment, empty],
)
def test_files_that_cannot_be_resumed_from_are_skipped_with_the_reason(damage, tmp_path):
    older = save(tmp_path / 'iter_1.pth', 1)
    newer = save(tmp_path / 'iter_2.pth', 2, state_dict=dict(a=torch.full((64,), 7.0)))
    note(tmp_path, newer)
    reason = damage(newer)
    path, skipped = newest_checkpoint(tmp_path)
    assert path == str(older)
    assert len(skipped) == 1
    assert skipped[0].startswith(f'{newer} is skipped: ')
    assert reason in skipped[0]


def test_only_unreadable_checkpoints_raise_an_error(tmp_path):
    assert newest_checkpoint(tmp_path) == (None, [])
    assert newest_checkpoint(tmp_path / 'missing') == (None, [])
    (tmp_path / 'epoch_1.pth').touch()
    with pytest.raises(
        ValueError, match=r'no checkpoint of .* can be resumed from: .*epoch_1\.pth'
    ):
        newest_checkpoint(tmp_path)
