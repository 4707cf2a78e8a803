"""Non-finite numbers stop a run or skip a step, and their origin is reported."""

import json
import uuid

import pytest
import torch
from mmengine.hooks import Hook
from torch import nn

from mmgab.engine import CheckedRunner

from ..faults.training import config, weights
from ..reliability.spoiling import INF, NAN

pytestmark = pytest.mark.slow


class Poison(Hook):
    """Makes numbers bad at an iteration: ``where(runner, how)`` before it, undone after it."""

    priority = 'LOW'

    def __init__(self, at, poison):
        self.at, self.poison = at, poison

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.handle = None
        if runner.iter + 1 in self.at:
            self.handle = self.poison(runner.model)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if self.handle is not None:
            self.handle.remove()


def output_of(name, value):
    """One number of a module's output."""

    def hook(module, args, output):
        return torch.cat((output.flatten()[:-1], output.new_tensor([value]))).view_as(output)

    return lambda model: model.get_submodule(name).register_forward_hook(hook)


def gradient_of(name, value):
    """A whole gradient, though the loss and all outputs are finite."""
    return lambda model: model.get_parameter(name).register_hook(
        lambda gradient: torch.full_like(gradient, value)
    )


def run(work_dir, nuclei, poison=None, at=(4,), **guard):
    """Train for two epochs with a guard."""
    settings = config(work_dir, nuclei, **{'train_cfg.max_epochs': 2})
    settings.custom_hooks.append(dict(type='mmgab.NumericsGuardHook', **guard))
    settings.experiment_name = work_dir.name
    runner = CheckedRunner.from_cfg(settings)
    if poison is not None:
        runner.register_hook(Poison(at, poison))
    runner.train()
    return runner


def diagnosis(work_dir, iteration=4):
    return json.loads((work_dir / 'numerics' / f'iter_{iteration}_rank_0.json').read_text())


NORM = 'backbone.stages.0.blocks.1.norm1'


@pytest.mark.parametrize('value', [NAN, INF])
def test_first_module_with_a_bad_output_is_reported(value, nuclei, tmp_path):
    with pytest.raises(FloatingPointError, match=rf'iteration 4: loss nan; .*{NORM} \(LayerNorm\)'):
        run(tmp_path, nuclei, output_of(NORM, value))
    found = diagnosis(tmp_path)
    assert found['first_bad_module']['name'] == NORM
    assert found['first_bad_module']['inputs_finite'] is True
    assert 0 < found['first_bad_module']['largest_input'] < 1e3
    assert found['number_of_bad_gradients'] > 20
    assert len(found['gaussians']) == 8
    assert found['gaussians']['backbone.stages.0.blocks.0.attn.w_msa.gaussian.sigma'][0] > 4


def test_bad_gradients_with_finite_outputs_are_reported(nuclei, tmp_path):
    name = 'backbone.stages.1.blocks.0.attn.w_msa.gaussian.amplitude'
    with pytest.raises(FloatingPointError, match='outputs are finite, gradients are not'):
        run(tmp_path, nuclei, gradient_of(name, INF))
    found = diagnosis(tmp_path)
    assert found['first_bad_module'] is None
    assert found['bad_gradients'] == [name]


def test_steps_are_skipped_at_most_max_skips_in_a_row(nuclei, tmp_path):
    poison = output_of(NORM, NAN)
    runner = run(tmp_path / 'two', nuclei, poison, at=(4, 5, 8), max_skips=2)
    assert runner.iter == 18
    last = weights(tmp_path / 'two' / 'epoch_2.pth')
    assert all(torch.isfinite(tensor).all() for tensor in last.values())
    assert len(list((tmp_path / 'two' / 'numerics').iterdir())) == 3
    with pytest.raises(FloatingPointError, match='iteration 6'):
        run(tmp_path / 'three', nuclei, poison, at=(4, 5, 6), max_skips=2)


def test_skipped_step_changes_no_weight(nuclei, tmp_path):
    class Compare(Hook):
        priority = 'LOWEST'

        def before_train_iter(self, runner, batch_idx, data_batch=None):
            self.before = {n: t.clone() for n, t in runner.model.state_dict().items()}

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            after = runner.model.state_dict()
            same = all(torch.equal(self.before[name], after[name]) for name in after)
            changed.append(not same)

    changed = []
    settings = config(tmp_path, nuclei, **{'train_cfg.max_epochs': 1})
    settings.custom_hooks.append(dict(type='mmgab.NumericsGuardHook', max_skips=1))
    settings.experiment_name = tmp_path.name
    runner = CheckedRunner.from_cfg(settings)
    runner.register_hook(Poison((4,), output_of(NORM, NAN)))
    runner.register_hook(Compare())
    runner.train()
    assert changed == [True, True, True, False, True, True, True, True, True]


def test_guard_does_not_change_the_weights_of_a_good_run(nuclei, tmp_path):
    run(tmp_path / 'guarded', nuclei, max_skips=1, interval=1)
    settings = config(tmp_path / 'alone', nuclei, **{'train_cfg.max_epochs': 2})
    CheckedRunner.from_cfg(settings).train()
    guarded, alone = (weights(tmp_path / n / 'epoch_2.pth') for n in ('guarded', 'alone'))
    assert all(torch.equal(guarded[name], alone[name]) for name in alone)
    assert not (tmp_path / 'guarded' / 'numerics').exists()


STATE = {
    'buffer': 'norm.running_var',
    'complex_buffer': 'phases',
    'parameter': 'head.1.bias',
    'optimizer': 'exp_avg_sq of norm.bias',
    'average': 'ema_state_dict.module.head.1.bias',
    'rate': 'learning rates',
    'schedule': 'lr of LinearLR',
}
LOOKS = {  # the hook that spoils has a priority above or below the guard's
    'before iteration 3': dict(stage='before_train', iteration=2, priority='HIGH'),
    'after iteration 4': dict(stage='after_train_iter', iteration=3, priority='HIGH'),
    'no checkpoint is written': dict(stage='after_train_epoch', iteration=4, priority='LOW'),
}

TWO_OPTIMIZERS = {'optim_wrapper.constructor': 'HeadAndRest', 'optim_wrapper.clip_grad': None}


def guarded(work_dir, nuclei, model='ComplexCounter', **changes):
    """Settings of a run of two iterations an epoch that looks at all of its state each time."""
    changes = {
        'model.type': model,
        'train_dataloader.batch_size': 18,
        'train_cfg.max_epochs': 1,
        'val_cfg': None, 'val_dataloader': None, 'val_evaluator': None,
        **changes,
    }  # fmt: skip
    result = config(work_dir, nuclei, **changes)
    result.custom_hooks += [
        dict(type='mmgab.NumericsGuardHook', interval=1),
        dict(type='EMAHook', momentum=0.5, update_buffers=True),
    ]
    result.experiment_name = uuid.uuid4().hex
    return result


@pytest.fixture(scope='module')
def begun(nuclei, tmp_path_factory):
    """A checkpoint after one epoch."""
    work_dir = tmp_path_factory.mktemp('begun')
    CheckedRunner.from_cfg(guarded(work_dir, nuclei)).train()
    return work_dir / 'epoch_1.pth'


@pytest.mark.parametrize('when', LOOKS)
@pytest.mark.parametrize('what', STATE)
def test_non_finite_state_stops_the_run_and_is_not_saved(begun, what, when, nuclei, tmp_path):
    resumed = {'train_cfg.max_epochs': 2, 'load_from': str(begun), 'resume': True}
    settings = guarded(tmp_path, nuclei, **resumed)
    settings.custom_hooks.append(dict(type='Spoil', what=what, **LOOKS[when]))
    # A buffer is looked at with the loss of each batch already.
    words = f'buffers are not: {STATE[what]}' if 'buffer' in what else f'{when}: {STATE[what]}'
    words = words if when.startswith('after') else f'{when}: {STATE[what]}'
    with pytest.raises(FloatingPointError, match=words):
        CheckedRunner.from_cfg(settings).train()
    assert not list(tmp_path.glob('*.pth'))


@pytest.mark.parametrize('when', ['after iteration 2', 'no checkpoint is written'])
def test_state_of_several_optimizers_is_checked(when, nuclei, tmp_path):
    settings = guarded(tmp_path, nuclei, 'TwoOptimizers', **TWO_OPTIMIZERS)
    place = dict(stage='after_train_iter', iteration=1, priority='HIGH')
    if when.startswith('no'):
        place = dict(stage='after_train_epoch', iteration=2, priority='LOW')
    settings.custom_hooks.append(dict(type='Spoil', what='optimizer', **place))
    with pytest.raises(FloatingPointError, match=f'{when}: exp_avg_sq of head.1.bias'):
        CheckedRunner.from_cfg(settings).train()
    assert not list(tmp_path.glob('*.pth'))


def test_bad_batch_with_several_optimizers_is_reported(nuclei, tmp_path):
    settings = guarded(tmp_path, nuclei, 'TwoOptimizers', **TWO_OPTIMIZERS)
    runner = CheckedRunner.from_cfg(settings)
    runner.register_hook(Poison((2,), output_of(NORM, NAN)))
    with pytest.raises(FloatingPointError, match=rf'iteration 2: .*{NORM} \(LayerNorm\)'):
        runner.train()


@pytest.mark.parametrize('value', [1e25, -1e25])
def test_gradients_with_infinite_squares_are_skipped(value, nuclei, tmp_path):
    """They would make Adam's second moment infinite, and leave all weights finite."""
    name = 'backbone.stages.1.blocks.0.attn.w_msa.gaussian.amplitude'
    unclipped = {'optim_wrapper.clip_grad': None, 'train_cfg.max_epochs': 2}
    runner = None
    for max_skips in (0, 1):
        settings = guarded(tmp_path, nuclei, 'Counter', **unclipped)
        settings.custom_hooks[-2].max_skips = max_skips
        runner = CheckedRunner.from_cfg(settings)
        runner.register_hook(Poison((2,), gradient_of(name, value)))
        if max_skips == 0:
            with pytest.raises(FloatingPointError, match=rf"iteration 2: .*\['{name}'\] first"):
                runner.train()
    runner.train()
    assert runner.iter == 4
    saved = torch.load(tmp_path / 'epoch_2.pth', weights_only=False)['optimizer']['state']
    assert all(torch.isfinite(state['exp_avg_sq']).all() for state in saved.values())


def test_batch_with_only_bad_buffers_can_be_skipped(nuclei, tmp_path):
    settings = guarded(tmp_path, nuclei, 'NormedCounter')
    settings.custom_hooks[-2].max_skips = 1
    place = dict(stage='after_train_iter', iteration=0, priority='HIGH')
    settings.custom_hooks.append(dict(type='Spoil', what='buffer', **place))
    runner = CheckedRunner.from_cfg(settings)
    runner.train()
    assert all(torch.isfinite(buffer).all() for buffer in runner.model.buffers())
    assert diagnosis(tmp_path, 1)['bad_buffers'] == ['norm.running_var']


def test_non_persistent_buffers_may_be_infinite(nuclei, tmp_path):
    """Such as attention masks."""
    runner = CheckedRunner.from_cfg(guarded(tmp_path, nuclei, 'Counter'))
    runner.model.register_buffer('mask', torch.full((2, 2), -INF), persistent=False)
    runner.train()
    assert (tmp_path / 'epoch_1.pth').exists()


def test_bad_parameters_are_found_before_training(nuclei, tmp_path):
    class Spoil(Hook):
        def before_run(self, runner):
            self.spoil(runner)

        def spoil(self, runner):
            nn.init.constant_(runner.model.head[1].bias, NAN)

    class SpoilLater(Spoil):
        def before_run(self, runner):
            pass

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            if runner.iter == 8:
                self.spoil(runner)

    for number, (hook, when) in enumerate(
        ((Spoil(), 'before iteration 1'), (SpoilLater(), 'no checkpoint is written'))
    ):
        settings = config(tmp_path / str(number), nuclei)
        settings.custom_hooks.append(dict(type='mmgab.NumericsGuardHook'))
        settings.experiment_name = f'{tmp_path.name}{number}'
        runner = CheckedRunner.from_cfg(settings)
        runner.register_hook(hook)
        with pytest.raises(FloatingPointError, match=rf'1 of \d+ .*{when}: head.1.bias'):
            runner.train()
        assert not list((tmp_path / str(number)).glob('*.pth'))


@pytest.mark.parametrize(('name', 'value'), [('max_skips', -1), ('interval', 0)])
def test_invalid_settings_are_rejected(name, value):
    from mmgab.reliability import NumericsGuardHook

    with pytest.raises(ValueError, match=f'{name} must .* got {value}'):
        NumericsGuardHook(**{name: value})
