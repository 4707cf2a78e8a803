"""Configs and training states of version 0.1.0, with the current code."""

import json
import shutil

import pytest
import torch
from mmengine.registry import HOOKS

import mmgab.hooks
from mmgab.checkpoints import read_checkpoint
from mmgab.engine import build_model, load_config, load_weights

from ..conftest import run_tool
from .make_files import FILES, HALF, HERE, ONE_THREAD, RUNS, WHOLE, environment, losses

THEN, NOW = json.loads((FILES / 'environment.json').read_text()), environment()
IS_SAME_ENVIRONMENT = THEN == NOW
AS_0_1_0 = 'tests/version_0_1_0/arithmetic.py'
OUR_HOOKS = {
    'by_iteration': {'GABMonitorHook', 'LabelRangeHook', 'NumericsGuardHook'},
    'by_epoch': {'GABMonitorHook', 'LabelRangeHook', 'PatchDiversityHook', 'NumericsGuardHook'},
}


@pytest.mark.parametrize('name', RUNS)
@pytest.mark.parametrize('folder', [HERE / 'configs', FILES], ids=['written', 'dumped'])
def test_hooks_are_found_under_their_0_1_0_names(folder, name):
    path = folder / f'{name}.py' if folder != FILES else folder / name / f'{name}.py'
    config = load_config(str(path))
    for settings in (*config.custom_hooks, config.default_hooks.checkpoint):
        hook = HOOKS.build(settings)
        assert isinstance(hook, getattr(mmgab.hooks, type(hook).__name__))
    built = {type(HOOKS.build(settings)).__name__ for settings in config.custom_hooks}
    assert built == OUR_HOOKS[name]


@pytest.mark.parametrize('name', RUNS)
def test_checkpoint_loads_into_its_dumped_config(name):
    model = build_model(load_config(str(FILES / name / f'{name}.py')))
    checkpoint = FILES / name / RUNS[name].format(HALF[name])
    load_weights(model, str(checkpoint))
    state, saved = model.state_dict(), read_checkpoint(checkpoint)['state_dict']
    assert state.keys() == saved.keys()
    assert [key for key in state if not torch.equal(state[key], saved[key])] == []


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize(
    ('name', 'config', 'tool'),
    [
        ('by_iteration', 'dumped', AS_0_1_0),
        ('by_epoch', 'written', AS_0_1_0),
        ('by_epoch', 'dumped', AS_0_1_0),
        ('by_epoch', 'written', 'tools/train.py'),
    ],
)
def test_resumed_run_matches_0_1_0(name, config, tool, nuclei, tmp_path):
    """Bit for bit in the arithmetic of 0.1.0.

    Nearly, with today's operators for CPUs, on another processor, and with another line of
    OpenMMLab.
    """
    is_exact = IS_SAME_ENVIRONMENT and tool == AS_0_1_0
    work_dir = tmp_path / 'work_dir'
    shutil.copytree(FILES / name, work_dir)
    half = RUNS[name].format(HALF[name])
    (work_dir / 'last_checkpoint').write_text(f'/a/folder/of/then/{half}')
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data' / 'nuclei').symlink_to(nuclei)
    path = FILES / name / f'{name}.py' if config == 'dumped' else HERE / 'configs' / f'{name}.py'
    output = run_tool(tool, path, '--work-dir', work_dir, '--resume', cwd=tmp_path, env=ONE_THREAD)
    assert half in output
    expected, resumed = json.loads((FILES / name / 'losses.json').read_text()), losses(work_dir)
    assert len(resumed) == 2
    assert resumed == pytest.approx(expected[2:], rel=0 if is_exact else 1e-3)
    weights = read_checkpoint(work_dir / RUNS[name].format(WHOLE[name]))['state_dict']
    ended = read_checkpoint(FILES / name / 'end.safetensors')
    assert weights.keys() == ended.keys()
    if THEN['mmengine'] != NOW['mmengine']:  # data of that line's pipelines differ in last digits
        return
    for key, tensor in ended.items():
        bound = 0.0 if is_exact else 1e-3
        torch.testing.assert_close(weights[key], tensor, rtol=bound, atol=bound)
