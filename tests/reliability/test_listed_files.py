"""A run deletes and replaces only its own files in its own folder."""

import shutil
import uuid

import pytest
import torch
from mmengine.fileio import LocalBackend

from mmgab.checkpoints import read_checkpoint
from mmgab.engine import CheckedRunner
from mmgab.reliability.listed_files import reduce_lists
from mmgab.reliability.own_files import OwnFiles

from .kill_points import files, tiny

pytestmark = pytest.mark.slow

IMPROVING = {2: 3.0, 4: 2.0, 6: 1.0}
HOOK = {
    'default_hooks.checkpoint.max_keep_ckpts': 1,
    'default_hooks.checkpoint.save_best': 'error',
    'default_hooks.checkpoint.rule': 'less',
    'default_hooks.checkpoint.published_keys': ['meta', 'state_dict'],
}


def run(work_dir, nuclei, epochs=3, scores=IMPROVING, **changes):
    settings = tiny(work_dir, nuclei, scores, **{**HOOK, 'train_cfg.max_epochs': epochs}, **changes)
    settings.experiment_name = uuid.uuid4().hex
    CheckedRunner.from_cfg(settings).train()


def relist(path, is_saved_again=True, **lists):
    """Have a checkpoint list something else, which MMEngine saves again or not."""
    checkpoint = torch.load(path, weights_only=False)
    checkpoint['message_hub']['runtime_info'].update(lists)
    checkpoint['message_hub']['resumed_keys'].update(dict.fromkeys(lists, is_saved_again))
    torch.save(checkpoint, path)


def info_of(path):
    return read_checkpoint(path)['message_hub']['runtime_info']


def content(folder):
    """Everything below a folder, links as links."""
    paths = sorted(path for path in folder.rglob('*') if path.is_symlink() or path.is_file())
    return {path: path.readlink() if path.is_symlink() else path.read_bytes() for path in paths}


@pytest.fixture
def victims(tmp_path):
    """A user's files outside a work dir, and those in it that are no checkpoints of its run."""
    work_dir, others = tmp_path / 'run', tmp_path / 'others'
    work_dir.mkdir()
    for path in (
        others / 'x.pth', others / '2.pth', others / 'best_error_epoch_1.pth',
        work_dir / 'mine.pth', work_dir / 'best_of_all.pth', work_dir / 'epoch_05.pth',
        work_dir / 'epoch_7.pth' / 'inside', work_dir / 'best_error_epoch_7.pth' / 'inside',
    ):  # fmt: skip
        path.parent.mkdir(exist_ok=True)
        path.write_text(path.name)
    (work_dir / 'epoch_8.pth').symlink_to(others / 'x.pth')
    (work_dir / 'best_error_epoch_8.pth').symlink_to(others / 'x.pth')
    before = content(tmp_path)
    yield others
    after = content(tmp_path)
    assert {path: after.get(path) for path in before} == before
    assert set(content(others)) <= set(before)  # nothing is written there


LISTED = [
    *('../others/x', '../others/x.pth', 'mine', '05', '', '\0', '\ud800', 'x' * 10**6, '_' * 10**5),
    *(True, -1, 7, 8, 1.0, 2**64, float('nan'), None, [1, [2]], {'a': 1}, (), b'mine.pth'),
]


@pytest.mark.parametrize('template', ['epoch_{}.pth', '{}.pth'])
@pytest.mark.parametrize('key', ['keep_ckpt_ids', 'outdated_files'])
def test_lists_of_any_values_delete_no_foreign_files(template, key, victims, nuclei, tmp_path):
    work_dir, first = tmp_path / 'run', template.format(1)
    named = {'default_hooks.checkpoint.filename_tmpl': template}
    run(work_dir, nuclei, epochs=1, **named)
    paths = [str(path) for path in content(tmp_path) if path.name != first]
    relist(work_dir / first, **{key: [*LISTED, *paths]})
    run(work_dir, nuclei, load_from=str(work_dir / first), resume=True, **named)
    assert (work_dir / template.format(3)).is_file()
    assert not (work_dir / template.format(2)).is_file()


@pytest.mark.parametrize(
    'value', [*LISTED, LISTED, 'others/best_error_epoch_1.pth', 'others/x.pth']
)
@pytest.mark.parametrize('key', ['best_ckpt', 'last_ckpt', 'keep_ckpt_ids'])
def test_malformed_lists_delete_no_foreign_files(key, value, victims, nuclei, tmp_path):
    work_dir = tmp_path / 'run'
    backend = OwnFiles(LocalBackend(), str(work_dir), 'epoch_{}.pth')
    value = str(tmp_path / value) if isinstance(value, str) and '/' in value else value
    facts, _ = reduce_lists({key: value, 'best_score': 1.0}, backend, {'error': ''})
    assert facts == dict(keep_ckpt_ids=[], outdated_files=[])


@pytest.mark.parametrize('name', ['best_error_epoch_1.pth', 'x.pth', 'nowhere/x.pth', '..', '\0'])
@pytest.mark.parametrize('at_end', [True, False])
def test_a_path_elsewhere_is_not_deleted_replaced_or_published(
    name, at_end, victims, nuclei, tmp_path
):
    """By a run that goes on, and by one that has nothing left to do but to publish."""
    work_dir, path = tmp_path / 'run', str(victims / name)
    run(work_dir, nuclei, epochs=1)
    (work_dir / 'best_error_epoch_1.pth').unlink()
    relist(work_dir / 'epoch_1.pth', best_ckpt=path, last_ckpt=path, outdated_files=[path])
    run(work_dir, nuclei, epochs=1 if at_end else 3, resume=True)


def test_copied_work_dir_uses_its_own_best_files(nuclei, tmp_path):
    first, second = tmp_path / 'A', tmp_path / 'B'
    run(first, nuclei, epochs=1)
    shutil.copytree(first, second)
    before = content(first)
    run(second, nuclei, epochs=2, resume=True)
    assert content(first) == before
    found, noted = files(second)
    assert 'best_error_epoch_2.pth' in found
    assert 'best_error_epoch_1.pth' not in found
    info = info_of(second / noted)
    assert info['best_ckpt'] == str(second / 'best_error_epoch_2.pth')
    assert info['last_ckpt'] == str(second / noted)


def test_lists_are_saved_regardless_of_resumed_keys(nuclei, tmp_path):
    run(tmp_path, nuclei, epochs=1)
    info = info_of(tmp_path / 'epoch_1.pth')
    names = ('best_score', 'best_ckpt', 'keep_ckpt_ids', 'last_ckpt', 'outdated_files', 'run_id')
    lists = {name: info[name] for name in names}
    relist(tmp_path / 'epoch_1.pth', is_saved_again=False, **lists)
    run(tmp_path, nuclei, resume=True)
    assert info_of(tmp_path / 'epoch_3.pth')['best_score'] == 1.0
    found = [name for name in files(tmp_path)[0] if name.endswith('.pth')]
    assert found == ['best_error_epoch_3.pth', 'epoch_3.pth']


@pytest.mark.parametrize('is_moved', [True, False])
def test_best_is_reset_if_its_file_or_score_is_missing(is_moved, nuclei, tmp_path, capsys):
    run(tmp_path, nuclei, epochs=1, scores={2: 0.5})
    path = tmp_path / 'best_error_epoch_1.pth'
    if is_moved:
        path.rename(tmp_path / 'moved.pth')
    else:
        relist(tmp_path / 'epoch_1.pth', best_score='high')
    run(tmp_path, nuclei, epochs=2, scores={4: 2.0}, resume=True)
    assert 'the best error is reset' in capsys.readouterr().out
    info = info_of(tmp_path / 'epoch_2.pth')
    assert (info['best_score'], info['best_ckpt']) == (
        2.0,
        str(tmp_path / 'best_error_epoch_2.pth'),
    )


@pytest.mark.parametrize('score', ['0', None, [1.0], True, 10**400, float('nan'), b'', {}])
def test_non_numeric_score_is_dropped(score, tmp_path):
    name = 'best_error_epoch_1.pth'
    (tmp_path / name).write_text('')
    own = OwnFiles(LocalBackend(), str(tmp_path), 'epoch_{}.pth')
    facts, problems = reduce_lists(dict(best_score=score, best_ckpt=name), own, {'error': ''})
    assert 'best_score' not in facts
    assert 'best_ckpt' not in facts
    assert len(problems) == 1


def test_lists_of_a_million_entries_are_reduced(tmp_path):
    (tmp_path / 'epoch_77777.pth').write_text('')
    (tmp_path / 'best_error_epoch_5.pth').write_text('')
    own = OwnFiles(LocalBackend(), str(tmp_path), 'epoch_{}.pth')
    steps = [*range(10**6), *['77777'] * 10, 77777]
    names = [f'best_error_epoch_{step}.pth' for step in range(10**5)]
    facts, problems = reduce_lists(dict(keep_ckpt_ids=steps, outdated_files=names), own, {})
    assert facts == dict(keep_ckpt_ids=[77777], outdated_files=['best_error_epoch_5.pth'])
    assert problems == [
        f'10 entries of keep_ckpt_ids are dropped: they are not checkpoints in {tmp_path}'
    ]


def test_foreign_checkpoint_keeps_files_of_an_older_run(nuclei, tmp_path, capsys):
    source, older = tmp_path / 'source', tmp_path / 'older'
    run(source, nuclei, epochs=2)
    run(older, nuclei, epochs=1)
    before = content(older)
    run(older, nuclei, load_from=str(source / 'epoch_2.pth'), resume=True)
    after = content(older)
    assert {path: after.get(path) for path in before if path.suffix == '.pth'} == {
        path: data for path, data in before.items() if path.suffix == '.pth'
    }
    assert 'files that it lists are not deleted' in capsys.readouterr().out
