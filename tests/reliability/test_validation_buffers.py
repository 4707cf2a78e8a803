"""Validation in several processes uses the buffers of the saved file."""

import multiprocessing

import pytest
import torch
from torch import distributed, nn

from mmgab.engine import CheckedRunner
from mmgab.reliability.processes import share_buffers

from ..faults.training import config, train_together

pytestmark = pytest.mark.process

BY_EPOCH = {'train_cfg.max_epochs': 1}, 'epoch_1.pth'
BY_ITERATION = {
    'train_cfg': dict(_delete_=True, type='IterBasedTrainLoop', max_iters=4, val_interval=4),
    'train_dataloader.sampler.type': 'InfiniteSampler',
    'default_hooks.checkpoint.by_epoch': False,
}, 'iter_4.pth'  # fmt: skip
AVERAGED = dict(type='EMAHook', momentum=0.2)


def noting(work_dir, nuclei, **changes):
    """Settings of a run whose statistics differ between processes, and which lists predictions."""
    alike = {'val_dataloader.batch_size': 1, 'val_dataloader.dataset.plain': True}
    settings = config(work_dir, nuclei, **{'model.type': 'NormedCounter'}, **alike, **changes)
    settings.custom_hooks += [dict(type='Predictions', path=str(work_dir / 'predictions'))]
    return settings


def predictions(work_dir):
    """Ranks, and numbers by image."""
    lines = [line.split() for line in (work_dir / 'predictions').read_text().splitlines()]
    return {line[0] for line in lines}, {line[2]: line[3] for line in lines}


@pytest.mark.parametrize(('loop', 'last'), [BY_EPOCH, BY_ITERATION])
@pytest.mark.parametrize('averages', [[], [AVERAGED], [dict(AVERAGED, update_buffers=True)]])
def test_validation_predictions_match_the_saved_file(loop, last, averages, nuclei, tmp_path):
    trained, tested = tmp_path / 'trained', tmp_path / 'tested'
    settings = noting(trained, nuclei, **loop)
    settings.custom_hooks += averages
    codes, log = train_together(settings)
    assert codes == [0, 0], log
    settings = noting(tested, nuclei)
    settings.update(
        load_from=str(trained / last),
        test_dataloader=settings.val_dataloader,
        test_cfg=dict(type='TestLoop'),
        test_evaluator=settings.val_evaluator,
    )
    CheckedRunner.from_cfg(settings).test()
    ranks, validated = predictions(trained)
    assert ranks == {'0', '1'}
    assert validated == predictions(tested)[1]


@pytest.mark.parametrize('loop', [BY_EPOCH[0], BY_ITERATION[0]])
def test_models_without_buffers_are_validated_in_several_processes(loop, nuclei, tmp_path):
    codes, log = train_together(config(tmp_path, nuclei, **loop))
    assert codes == [0, 0], log
    assert 'validated' in (tmp_path / 'journal').read_text()


def share(rank, folder):
    """Have buffers of several dtypes and layouts replaced by those of rank 0."""
    store = distributed.FileStore(str(folder / 'store'), 2)
    distributed.init_process_group('gloo', store=store, rank=rank, world_size=2)
    model = nn.Module()
    for dtype in DTYPES:
        values = torch.tensor([[rank, 1, rank], [1, 0, rank]]).to(dtype)
        model.register_buffer(f'of_{dtype}'.replace('.', '_'), values.t())
    model.register_buffer('count', torch.tensor(5 + rank))
    model.register_buffer('nothing', torch.zeros(0))
    model.register_buffer('own', torch.full((rank + 1,), 7.0 + rank), persistent=False)
    share_buffers(model)
    torch.save(dict(model.named_buffers()), folder / f'{rank}.pt')
    distributed.destroy_process_group()


DTYPES = (torch.bool, torch.int16, torch.float8_e4m3fn, torch.bfloat16, torch.complex64)


def test_only_persistent_buffers_are_broadcast(tmp_path):
    context = multiprocessing.get_context('forkserver')
    started = [context.Process(target=share, args=(rank, tmp_path)) for rank in (0, 1)]
    for process in started:
        process.start()
    for process in started:
        process.join(60)
        process.kill()
    first, second = (torch.load(tmp_path / f'{rank}.pt') for rank in (0, 1))
    assert second.pop('own').tolist() == [8.0, 8.0]
    assert first.pop('own').tolist() == [7.0]
    for name in first:
        assert torch.equal(first[name].cfloat(), second[name].cfloat()), name
    assert first['count'] == 5
    assert first['of_torch_int16'].tolist() == [[0, 1], [1, 0], [0, 0]]
