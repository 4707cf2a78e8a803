"""A training length of zero raises an error; a finished run is logged."""

import pytest

from ..faults.training import config, train

pytestmark = pytest.mark.process

BY_ITERATION = dict(
    _delete_=True, type='IterBasedTrainLoop', max_iters=3, val_interval=1000, val_begin=1000
)
SAVED_BY_ITERATION = {
    'train_cfg': BY_ITERATION,
    'default_hooks.checkpoint.by_epoch': False,
    'default_hooks.checkpoint.interval': 3,
}
TOO_FEW = {
    'train_dataloader.dataset.count': 3,
    'train_dataloader.batch_size': 8,
    'train_dataloader.batch_sampler.drop_last': True,
}


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        ({'train_cfg.max_epochs': 0}, 'train_cfg.max_epochs is 0'),
        ({'train_cfg': {**BY_ITERATION, 'max_iters': -1}}, 'train_cfg.max_iters is -1'),
        (TOO_FEW, '0 batches an epoch: 3 images'),
        ({**TOO_FEW, 'train_cfg': BY_ITERATION}, '0 batches an epoch: 3 images'),
    ],
)
def test_training_length_below_one_is_rejected(changes, reason, nuclei, tmp_path):
    code, log = train(config(tmp_path, nuclei, **changes))
    assert code == 1
    assert reason in log.strip().splitlines()[-1]
    assert not (tmp_path / 'journal').exists()


def iterations(folder):
    """What the journal has of training; a validation may be made again."""
    lines = (folder / 'journal').read_text().splitlines()
    return [line for line in lines if line.startswith(('begins', 'iter'))]


@pytest.mark.parametrize(
    ('changes', 'last', 'reached'),
    [({}, 'epoch_3.pth', '3 of 3 epochs'), (SAVED_BY_ITERATION, 'iter_3.pth', '3 of 3 iters')],
)
def test_resuming_a_finished_run_logs_it_and_succeeds(changes, last, reached, nuclei, tmp_path):
    code, log = train(config(tmp_path, nuclei, **changes))
    assert code == 0, log
    assert 'Nothing is left' not in log
    before = iterations(tmp_path), (tmp_path / last).read_bytes()
    code, log = train(config(tmp_path, nuclei, resume=True, **changes))
    assert code == 0, log
    assert f'Nothing is left to train: {reached} are done' in log
    assert (iterations(tmp_path), (tmp_path / last).read_bytes()) == before


def test_finished_run_can_be_extended(nuclei, tmp_path):
    assert train(config(tmp_path, nuclei))[0] == 0
    code, log = train(config(tmp_path, nuclei, resume=True, **{'train_cfg.max_epochs': 4}))
    assert code == 0, log
    assert 'Nothing is left' not in log
    assert (tmp_path / 'epoch_4.pth').exists()
