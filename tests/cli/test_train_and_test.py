"""Training and test command lines on real nuclei, in subprocesses."""

import hashlib
import json
import os
import pickle
import re
import socket
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.registry import DefaultScope

from mmgab.engine import load_config

from ..conftest import ROOT, run_tool, start_tool
from .runs import DETECTION, SEGMENTATION, options

pytestmark = pytest.mark.process


def scalars(work_dir):
    """Return the logged training values of the latest run."""
    files = sorted(Path(work_dir).glob('*/vis_data/scalars.json'), key=os.path.getmtime)
    lines = [json.loads(line) for line in files[-1].read_text().splitlines()]
    return [line for line in lines if 'loss' in line]


def free_port():
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        return str(listener.getsockname()[1])


def test_detector_trains_and_tests(nuclei, detector, tmp_path):
    output = run_tool(
        'tools/test.py', 'configs/mask_rcnn_swin_gab_nuclei.py', detector / 'epoch_1.pth',
        '--work-dir', tmp_path, '--out', tmp_path / 'out.pkl', '--show-dir', 'shown',
        *options(nuclei, DETECTION),
    )  # fmt: skip
    results = json.loads((tmp_path / 'results.json').read_text())
    assert results['checkpoint'].endswith('epoch_1.pth')
    assert 0 <= results['metrics']['coco/bbox_mAP'] <= 1
    assert 0 <= results['metrics']['coco/segm_mAP'] <= 1
    assert len(pickle.loads((tmp_path / 'out.pkl').read_bytes())) == 4
    assert len(list(tmp_path.glob('shown/*.png'))) == 4
    assert f'Visualized predictions written to {tmp_path / "shown"}' in output
    assert re.search(r'Loaded (\d+) of \1 tensors from .*epoch_1\.pth', output)


def test_segmentor_trains_and_tests(nuclei, segmentor, tmp_path):
    output = run_tool(
        'tools/test.py', 'configs/upernet_swin_gab_nuclei.py', segmentor / 'iter_3.pth',
        '--work-dir', tmp_path, '--out', tmp_path / 'maps', '--show-dir', 'shown',
        *options(nuclei, SEGMENTATION),
    )  # fmt: skip
    metrics = json.loads((tmp_path / 'results.json').read_text())['metrics']
    assert {'mIoU', 'mAcc', 'aAcc'} <= set(metrics)
    assert len(list((tmp_path / 'maps').glob('*.png'))) == 4
    assert len(list(tmp_path.glob('shown/*.png'))) == 4
    assert f'Visualized predictions written to {tmp_path / "shown"}' in output


def test_tta_writes_separate_results(nuclei, segmentor, tmp_path):
    (tmp_path / 'results.json').write_text('{}')
    run_tool(
        'tools/test.py', 'configs/upernet_swin_gab_nuclei.py', segmentor / 'iter_3.pth',
        '--work-dir', tmp_path, '--tta', *options(nuclei, SEGMENTATION),
    )  # fmt: skip
    results = json.loads((tmp_path / 'results_tta.json').read_text())
    assert 0 < results['metrics']['mIoU'] < 100
    assert results['tta'] is True
    assert (tmp_path / 'results.json').read_text() == '{}'


def test_results_json_has_checkpoint_and_settings(tested_segmentor, segmentor, nuclei):
    results = json.loads((tested_segmentor / 'results.json').read_text())
    digest = hashlib.sha256((segmentor / 'iter_3.pth').read_bytes()).hexdigest()
    assert results['checkpoint_sha256'] == digest
    assert results['tta'] is False
    assert results['cfg_options']['test_dataloader.dataset.data_root'] == str(nuclei)
    assert results['seed'] == 0  # the config's
    versions = results['versions']
    assert versions['torch'] == torch.__version__
    assert {'mmgab', 'mmengine', 'mmcv', 'mmdet', 'mmseg'} <= set(versions)


BOX_CONFIG = """
_base_ = '{root}/configs/retinanet_swin_t_gab_coco.py'
model = dict(
    backbone=dict(embed_dims=16, depths=(1, 1, 1, 1), num_heads=(1, 2, 4, 8)),
    neck=dict(in_channels=[32, 64, 128]),
    bbox_head=dict(num_classes=1),
)
"""


def test_tta_of_box_detector_runs(nuclei, tmp_path):
    """An untrained RetinaNet on the nuclei, with the dataloaders of COCO replaced."""
    path = tmp_path / 'boxes.py'
    text = (ROOT / 'configs' / '_base_' / 'nuclei_instance.py').read_text()
    nuclei_loaders = text.replace("metric=['bbox', 'segm']", "metric='bbox'")
    for loader in ('train', 'val'):
        nuclei_loaders = nuclei_loaders.replace(
            f'{loader}_dataloader = dict(', f'{loader}_dataloader = dict(_delete_=True, '
        )
    path.write_text(BOX_CONFIG.format(root=ROOT) + nuclei_loaders)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(load_config(str(path)).model)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'boxes.pth')
    run_tool(
        'tools/test.py', path, tmp_path / 'boxes.pth', '--work-dir', tmp_path / 'run', '--tta',
        *options(nuclei, [], f'test_evaluator.ann_file={nuclei}/annotations/instances_val.json'),
    )  # fmt: skip
    assert 'coco/bbox_mAP' in (tmp_path / 'run' / 'results_tta.json').read_text()


def test_resume_continues_where_it_stopped(nuclei, segmentor):
    """Iteration, learning rate and optimizer state; bit-identity is tested elsewhere."""
    before = torch.load(segmentor / 'iter_3.pth', weights_only=False)
    first = scalars(segmentor)
    output = run_tool(
        'tools/train.py', 'configs/upernet_swin_gab_nuclei.py', '--work-dir', segmentor, '--resume',
        *options(
            nuclei, SEGMENTATION, 'train_cfg.max_iters=5', 'default_hooks.checkpoint.interval=5'
        ),
    )  # fmt: skip
    assert 'iter_3.pth' in output
    second = scalars(segmentor)
    assert [line['step'] for line in first + second] == [1, 2, 3, 4, 5]
    rates = [line['lr'] for line in first + second]
    assert rates == sorted(set(rates), reverse=True)
    steps = torch.load(segmentor / 'iter_5.pth', weights_only=False)['optimizer']['state']
    assert {int(state['step']) for state in before['optimizer']['state'].values()} == {3}
    assert {int(state['step']) for state in steps.values()} == {5}


def test_amp_on_cpu_is_disabled_with_a_message(nuclei, tmp_path):
    if torch.cuda.is_available():
        pytest.skip('this machine has an accelerator, on which --amp is really used')
    output = run_tool(
        'tools/train.py', 'configs/upernet_swin_gab_nuclei.py', '--work-dir', tmp_path, '--amp',
        '--auto-scale-lr',
        *options(
            nuclei, SEGMENTATION, 'train_cfg.max_iters=1', 'auto_scale_lr.base_batch_size=16'
        ),
    )  # fmt: skip
    assert 'AMP disabled: MMEngine does not support mixed precision' in output
    assert scalars(tmp_path)[0]['lr'] == pytest.approx(0.5e-3)  # 8 images for a base of 16


MEAN_LOSS_HOOK = """
import json
from pathlib import Path
from mmengine.dist import all_reduce, is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

@HOOKS.register_module()
class MeanLossHook(Hook):
    losses = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        loss = outputs['loss'].detach().clone()
        all_reduce(loss, 'mean')
        self.losses.append(loss.item())
        if is_main_process():
            Path(runner.work_dir, 'losses.json').write_text(json.dumps(self.losses))
"""

# No randomness and no batch normalization, so that only the split over processes differs.
PLAIN_CONFIG = """
_base_ = '{config}'
_norm = dict(_delete_=True, type='GN', num_groups=8)
model = dict(
    backbone=dict(drop_path_rate=0.0),
    decode_head=dict(norm_cfg=_norm, dropout_ratio=0.0),
    auxiliary_head=dict(norm_cfg=_norm, dropout_ratio=0.0),
)
train_dataloader = dict(dataset=dict(pipeline=[
    dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]))
custom_imports = dict(imports=['mean_loss_hook'])
custom_hooks = [dict(type='MeanLossHook')]
"""


def test_two_cpu_processes_give_the_losses_of_one(nuclei, tmp_path):
    """Eight images per step, in one process or four in each of two; losses agree to 1e-4.

    With all methods and with checkpointing: each has its own parameters, and none may be unused.
    """
    (tmp_path / 'mean_loss_hook.py').write_text(MEAN_LOSS_HOOK)
    config = tmp_path / 'plain.py'
    config.write_text(PLAIN_CONFIG.format(config=ROOT / 'configs' / 'upernet_swin_gab_nuclei.py'))
    env = dict(PYTHONPATH=str(tmp_path), PORT=free_port())
    settings = (
        'train_cfg.max_iters=4', 'train_cfg.val_interval=100', 'model.backbone.with_cp=True',
        'model.backbone.cb_cfg.type=CBS', 'model.backbone.gpsa_cfg.gate=1.0',
    )  # fmt: skip
    run_tool(
        'tools/train.py', config, '--work-dir', tmp_path / 'one',
        *options(nuclei, SEGMENTATION, *settings), env=env,
    )  # fmt: skip
    run_tool(
        'tools/dist_train.sh', config, 2, '--work-dir', tmp_path / 'two',
        *options(nuclei, SEGMENTATION, *settings, 'train_dataloader.batch_size=4'), env=env,
    )  # fmt: skip
    one, two = (json.loads((tmp_path / n / 'losses.json').read_text()) for n in ('one', 'two'))
    assert len(one) == len(two) == 4
    assert one == pytest.approx(two, abs=1e-4)
    assert (
        len({round(loss, 4) for loss in one}) == 4
    )  # the losses change, so that equality is meaningful


def test_two_processes_give_the_test_metrics_of_one(nuclei, detector, tmp_path):
    arguments = [detector / 'epoch_1.pth']
    for name, script, count in (('one', 'test.py', []), ('two', 'dist_test.sh', [2])):
        run_tool(
            f'tools/{script}', 'configs/mask_rcnn_swin_gab_nuclei.py', *arguments, *count,
            '--work-dir', tmp_path / name, *options(nuclei, DETECTION), env=dict(PORT=free_port()),
        )  # fmt: skip
    one, two = (
        json.loads((tmp_path / n / 'results.json').read_text())['metrics'] for n in ('one', 'two')
    )
    assert one == two


@pytest.mark.parametrize(
    ('script', 'arguments', 'expected'),
    [
        (
            'slurm_train.sh',
            ['part', 'job', 'configs/upernet_swin_gab_nuclei.py', 'work', '--amp'],
            ['-p part', '--job-name=job', '--ntasks=16', '--ntasks-per-node=4',
             'train.py configs/upernet_swin_gab_nuclei.py --work-dir work --amp --launcher slurm'],
        ),
        (
            'slurm_test.sh',
            ['part', 'job', 'configs/upernet_swin_gab_nuclei.py', 'https://host/a.pth', '--tta'],
            ['-p part', '--gres=gpu:4', 'nuclei.py https://host/a.pth --tta --launcher slurm'],
        ),
    ],
)  # fmt: skip
def test_slurm_scripts_pass_all_arguments_to_srun(script, arguments, expected, tmp_path):
    """A stub of srun prints its arguments, as Slurm is not available."""
    srun = tmp_path / 'srun'
    srun.write_text('#!/bin/sh\necho "$@"\n')
    srun.chmod(0o755)
    env = dict(PATH=f'{tmp_path}:{os.environ["PATH"]}', GPUS='16', GPUS_PER_NODE='4')
    output = run_tool(f'tools/{script}', *arguments, env=env)
    for words in expected:
        assert words in output


@pytest.mark.parametrize(
    'script', ['dist_train', 'dist_test', 'dist_run', 'slurm_train', 'slurm_test', 'slurm_run']
)
def test_script_without_arguments_prints_usage(script):
    done = start_tool(f'tools/{script}.sh')
    assert done.returncode == 2
    assert f'tools/{script}.sh' in done.stdout


@pytest.mark.parametrize(
    ('tool', 'flags'),
    [
        ('train', '--work-dir --amp --auto-scale-lr --resume --force --cfg-options --launcher'),
        ('test', '--out --show --show-dir --wait-time --tta --work-dir --cfg-options --launcher'),
    ],
)
def test_help_shows_every_flag_and_an_example(tool, flags):
    output = run_tool(f'tools/{tool}.py', '--help')
    assert all(flag in output for flag in flags.split())
    assert f'tools/{tool}.py configs/' in output
