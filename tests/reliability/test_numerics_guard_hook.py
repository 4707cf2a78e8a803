"""Numbers that are not finite end a run, or a step, and what is told is where they began."""

import json

import pytest
import torch
from mmengine.hooks import Hook
from torch import nn

from mmgab.engine import CheckedRunner

from ..faults.training import config, weights

INF, NAN = float('inf'), float('nan')


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
def test_the_first_module_with_a_bad_output_is_named_and_no_bad_step_is_made(
    value, nuclei, tmp_path
):
    with pytest.raises(FloatingPointError, match=rf'iteration 4: loss nan; .*{NORM} \(LayerNorm\)'):
        run(tmp_path, nuclei, output_of(NORM, value))
    found = diagnosis(tmp_path)
    assert found['first_bad_module']['name'] == NORM
    assert found['first_bad_module']['inputs_finite'] is True
    assert 0 < found['first_bad_module']['largest_input'] < 1e3
    assert found['number_of_bad_gradients'] > 20
    assert len(found['gaussians']) == 8
    assert found['gaussians']['backbone.stages.0.blocks.0.attn.w_msa.gaussian.sigma'][0] > 4


def test_gradients_that_are_bad_alone_are_named(nuclei, tmp_path):
    name = 'backbone.stages.1.blocks.0.attn.w_msa.gaussian.amplitude'
    with pytest.raises(FloatingPointError, match='outputs are finite, gradients are not'):
        run(tmp_path, nuclei, gradient_of(name, INF))
    found = diagnosis(tmp_path)
    assert found['first_bad_module'] is None
    # Gradients are clipped by their norm, which carries one bad number to all of them.
    assert name in found['bad_gradients'] or found['number_of_bad_gradients'] > 20


def test_steps_are_left_out_as_often_as_is_allowed_in_a_row(nuclei, tmp_path):
    poison = output_of(NORM, NAN)
    runner = run(tmp_path / 'two', nuclei, poison, at=(4, 5, 8), max_skips=2)
    assert runner.iter == 18
    last = weights(tmp_path / 'two' / 'epoch_2.pth')
    assert all(torch.isfinite(tensor).all() for tensor in last.values())
    assert len(list((tmp_path / 'two' / 'numerics').iterdir())) == 3
    with pytest.raises(FloatingPointError, match='iteration 6'):
        run(tmp_path / 'three', nuclei, poison, at=(4, 5, 6), max_skips=2)


def test_a_step_that_is_left_out_changes_no_weight(nuclei, tmp_path):
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


def test_a_run_that_is_sound_has_the_weights_that_it_has_without_a_guard(nuclei, tmp_path):
    run(tmp_path / 'guarded', nuclei, max_skips=1, interval=1)
    settings = config(tmp_path / 'alone', nuclei, **{'train_cfg.max_epochs': 2})
    CheckedRunner.from_cfg(settings).train()
    guarded, alone = (weights(tmp_path / n / 'epoch_2.pth') for n in ('guarded', 'alone'))
    assert all(torch.equal(guarded[name], alone[name]) for name in alone)
    assert not (tmp_path / 'guarded' / 'numerics').exists()


def test_bad_parameters_are_found_before_training_and_never_saved(nuclei, tmp_path):
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
def test_settings_that_make_no_sense_are_named(name, value):
    from mmgab.reliability import NumericsGuardHook

    with pytest.raises(ValueError, match=f'{name} must .* got {value}'):
        NumericsGuardHook(**{name: value})
