"""Grid, runs, results table, statistics, page and plan of the study."""

import copy
import itertools
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS as DET_MODELS
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS as SEG_MODELS

from mmgab.engine import load_config
from mmgab.models import SwinGAB
from projects.study import __main__ as study
from projects.study import grid, plan
from projects.study import results_page as page
from projects.study.grid import CONFIGS, TASKS, Run, all_runs, config_hash, with_arm
from projects.study.paired import (
    BASELINE,
    BETTER,
    TOO_FEW,
    UNSEEN,
    WORSE,
    bootstrap_interval,
    compare,
    student_interval,
)
from projects.study.results_table import Result, read_results, write_results
from projects.study.train_arm import ScoreHook, learned, train

from ..cli.runs import call
from ..conftest import ROOT

pytestmark = pytest.mark.slow

TOOL = 'projects.study'
ARMS = sorted(path.stem for path in (CONFIGS / 'arms').glob('*.py'))
PAIRS = [(task, arm) for task in TASKS for arm in task.arms]


def result(arm, seed, score, task='upernet_swin_digits', **more):
    return Result(
        **{
            **dict(task=task, arm=arm, seed=seed, score=score, second=1.0, curve={2: score}),
            **dict(learned={}, config='c', seconds=10.0, finished='2026-01-01 00:00'),
            **more,
        }
    )


def test_all_arms_share_at_least_five_seeds():
    seeds = {}
    for run in all_runs():
        seeds.setdefault((run.task.name, run.arm), []).append(run.seed)
    assert len(set(map(tuple, seeds.values()))) == 1
    assert len(next(iter(seeds.values()))) >= 5
    assert set(seeds) == {(task.name, arm) for task, arm in PAIRS}
    assert all(task.arms[0] == BASELINE for task in TASKS)
    assert {path.stem for path in CONFIGS.glob('*.py')} == {task.name for task in TASKS}


@pytest.mark.parametrize(('task', 'arm'), PAIRS, ids=lambda value: getattr(value, 'name', value))
def test_every_arm_builds_and_changes_the_right_settings(task, arm):
    config, plain = (with_arm(CONFIGS / f'{task.name}.py', name) for name in (arm, BASELINE))
    registry = DET_MODELS if config.default_scope == 'mmdet' else SEG_MODELS
    with DefaultScope.overwrite_default_scope(config.default_scope):
        model = registry.build(copy.deepcopy(config.model))
    names = ' '.join(model.state_dict())
    assert ('.gaussian.' in names) == ('gaussian' in arm)
    assert ('.broadcast.' in names) == ('cb' in arm)
    assert ('.local.' in names) == ('gpsa' in arm)
    hooks = [hook['type'] for hook in config.custom_hooks]
    assert ('mmgab.PatchDiversityHook' in hooks) == (arm == 'diversity')
    assert ('mmgab.ImageShapesHook' in hooks) == ('cb' in arm)
    config.model.backbone = plain.model.backbone
    config.custom_hooks = plain.custom_hooks
    assert config.to_dict() == plain.to_dict()


def test_config_hash_ignores_seed_and_work_dir():
    base = Run(TASKS[1], BASELINE, 0).config
    elsewhere = Run(TASKS[1], BASELINE, 3).config
    elsewhere.work_dir = 'somewhere'
    assert config_hash(base) == config_hash(elsewhere)
    elsewhere.optim_wrapper.optimizer.lr *= 2
    assert config_hash(base) != config_hash(elsewhere)


def test_unknown_arm_raises():
    with pytest.raises(FileNotFoundError, match=r'arms/gausian\.py'):
        with_arm(CONFIGS / 'upernet_swin_nuclei.py', 'gausian')


@pytest.fixture
def tiny(nuclei, monkeypatch):
    """Return a function that makes a run of two iterations on the nuclei."""

    class TinyRun(Run):
        @property
        def config(self):
            config = super().config
            config.merge_from_dict(
                {
                    'train_cfg': dict(max_iters=2, val_interval=1),
                    'param_scheduler': [],
                    'model.backbone.embed_dims': 8,
                    'model.decode_head.in_channels': [8, 16],
                    **{f'{part}_dataloader.dataset.data_root': str(nuclei)
                       for part in ('train', 'val', 'test')},
                }
            )  # fmt: skip
            return config

    return lambda arm, seed: TinyRun(TASKS[3], arm, seed)


def test_run_is_reproducible_in_any_order(tiny, tmp_path):
    runs = [tiny('gaussian_cb', 0), tiny('gaussian_cb', 1), tiny('gaussian_cb', 0)]
    first, other, again = (train(run, tmp_path / str(i)) for i, run in enumerate(runs))
    assert list(first.curve) == [1, 2]
    assert first.curve[2] == first.score
    assert set(first.learned) == {'A', 'sigma'}
    assert [len(values) for values in first.learned.values()] == [4, 4]
    same = ('score', 'second', 'curve', 'learned', 'config')
    assert all(getattr(first, name) == getattr(again, name) for name in same)
    assert first.learned != other.learned
    assert first.config == other.config


def test_learned_gates_and_scales_are_converted():
    config = with_arm(CONFIGS / 'upernet_swin_nuclei.py', 'gpsa')
    config.model.backbone.cb_cfg = dict(type='CBG')
    with DefaultScope.overwrite_default_scope('mmseg'):
        found = learned(SEG_MODELS.build(config.model))
    assert found['gate'] == pytest.approx([1 / (1 + np.exp(-1))] * 4)
    assert found['lambda'] == [0.0] * 4


def test_results_round_trip_and_broken_line_raises(tmp_path):
    path = tmp_path / 'table.csv'
    assert read_results(path) == []
    kept = [
        result('cb', 1, 12.5, learned={'sigma': [4.5, 5.25], 'A': [1.0]}, curve={5: 1.5, 10: 12.5}),
        result(BASELINE, 0, 11.0),
    ]
    write_results(path, kept)
    assert read_results(path) == kept
    path.write_text(path.read_text().replace('12.500', 'twelve'))
    with pytest.raises(ValueError, match='invalid row of results'):
        read_results(path)


def test_only_results_of_changed_configs_are_discarded():
    runs = [Run(TASKS[1], BASELINE, seed) for seed in (0, 1, 2)]
    now = config_hash(runs[0].config)
    results = [
        result(BASELINE, 0, 1.0, config=now),
        result(BASELINE, 1, 1.0, config='of before'),
        result('an arm of before', 0, 1.0, config=now),
    ]
    missing, valid = study.still_to_do(runs, results)
    assert [run.seed for run in missing] == [1, 2]
    assert valid == [results[0]]


def test_score_is_zero_without_detections_and_nan_raises():
    hook = ScoreHook(TASKS[0])
    runner = SimpleNamespace(iter=7, experiment_name='task_arm_3')
    hook.after_val_epoch(runner, {})
    assert hook.scores == [(7, 0.0, 0.0)]
    message = r'task_arm_3: scores \[nan, 0\.0\] are not finite at iteration 7'
    with pytest.raises(ValueError, match=message):
        hook.after_val_epoch(runner, {'coco/bbox_mAP': float('nan'), 'coco/segm_mAP': 0.0})
    with pytest.raises(KeyError, match='segm_mAP'):  # an evaluator of another task
        hook.after_val_epoch(runner, {'coco/bbox_mAP': 0.5})


def test_failed_run_is_reported_after_all_others_finish(tiny, tmp_path, monkeypatch):
    class Pool(ThreadPoolExecutor):
        """Threads, because the objects of this test cannot be pickled."""

        def __init__(self, jobs, *_):
            super().__init__(jobs)

    def fail_for_one(run, folder):
        if run.seed == 0:
            raise ValueError('by intent')
        return result(run.arm, run.seed, 1.0)

    monkeypatch.setattr(study, 'ProcessPoolExecutor', Pool)
    monkeypatch.setattr(study, 'train', fail_for_one)
    runs = [Run(TASKS[1], BASELINE, seed) for seed in range(3)]
    with pytest.raises(RuntimeError, match=r'1 runs failed; upernet_swin_digits/none/0.*by intent'):
        study.train_all(runs, [], tmp_path / 'table.csv', 1)
    assert [r.seed for r in read_results(tmp_path / 'table.csv')] == [1, 2]


@pytest.mark.process
def test_worker_exits_with_its_parent_process():
    """The parent is killed with SIGKILL, and cannot stop its workers."""
    program = (
        'import multiprocessing, time\n'
        'from projects.study import __main__ as study\n'
        "if __name__ == '__main__':\n"
        "    context = multiprocessing.get_context('fork')\n"
        '    def work():\n'
        '        study.start_worker()\n'
        '        time.sleep(60)\n'
        '    child = context.Process(target=work)\n'
        '    child.start()\n'
        '    print(child.pid, flush=True)\n'
        '    time.sleep(60)\n'
    )
    parent = subprocess.Popen(
        [sys.executable, '-c', program],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    worker = int(parent.stdout.readline())
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 20
    while is_running(worker) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not is_running(worker)


def is_running(pid):
    try:
        with open(f'/proc/{pid}/stat') as file:
            return file.read().rpartition(')')[2].split()[0] != 'Z'
    except FileNotFoundError:
        return False


def test_differences_are_paired_by_seed():
    results = [result(BASELINE, seed, 10.0 * seed, seconds=4.0) for seed in range(5)]
    results += [result('cb', seed, 10.0 * seed + 1, seconds=5.0) for seed in (4, 2, 0)]
    results += [result('gpsa', 7, 1.0)]
    plain, cb = compare(results, 'upernet_swin_digits', [BASELINE, 'gpsa', 'cb'])
    assert cb.differences == [1.0] * 3
    assert cb.scores == [1.0, 21.0, 41.0]
    assert (cb.bootstrap, cb.student, cb.cost) == ((1.0, 1.0), (1.0, 1.0), 1.25)
    assert cb.verdict == TOO_FEW
    assert (plain.bootstrap, plain.verdict, plain.difference) == (None, '', 0.0)


@pytest.mark.parametrize(
    ('differences', 'verdict'),
    [
        ([2, 3, 4, 2, 3], BETTER),
        ([-2, -3, -4, -2, -3], WORSE),
        ([-2, 3, -4, 2, 3], UNSEEN),
        ([0.1, 0.1, 0.1, 0.1, 5], UNSEEN),  # the bootstrap interval alone would show an effect
        ([2, 3, 4, 2], TOO_FEW),
    ],
)
def test_verdict_follows_the_intervals(differences, verdict):
    results = [result(BASELINE, seed, 0.0) for seed in range(5)]
    results += [result('cb', seed, float(d)) for seed, d in enumerate(differences)]
    assert compare(results, 'upernet_swin_digits', [BASELINE, 'cb'])[1].verdict == verdict


@pytest.mark.parametrize(
    ('interval', 'held'), [(bootstrap_interval, 0.84), (student_interval, 0.95)]
)
def test_coverage_of_intervals_over_five_seeds(interval, held):
    """Fraction of intervals that contain the mean of five normal values."""
    random = np.random.default_rng(0)
    bounds = [interval(random.normal(size=5).tolist()) for _ in range(300)]
    assert np.mean([low < 0 < high for low, high in bounds]) == pytest.approx(held, abs=0.05)


def test_student_interval_matches_reference_values():
    half = 2.776445 * 0.7**0.5 / 5**0.5  # t with 4 degrees of freedom, variance of the values
    assert student_interval([2, 3, 4, 2, 3]) == pytest.approx((2.8 - half, 2.8 + half), abs=1e-6)
    assert student_interval([1.0, 1.0, 1.0]) == (1.0, 1.0)
    assert student_interval([1.0]) is None


def test_bootstrap_interval_matches_all_resamples():
    assert bootstrap_interval([0.0, 1.0]) == (0.0, 1.0)  # their means: 0, 1/2 twice, 1
    assert bootstrap_interval([1.0, 1.0, 1.0]) == (1.0, 1.0)
    assert bootstrap_interval([1.0]) is None


def test_docs_page_matches_docs_results(tmp_path, monkeypatch):
    monkeypatch.setattr(page, 'plot_comparison', lambda *_: None)
    written = tmp_path / 'study.md'
    written.write_text(study.PAGE.read_text(encoding='utf-8'), encoding='utf-8')
    page.write_page(written, tmp_path / 'figures', read_results(study.RESULTS), list(all_runs()))
    assert written.read_text(encoding='utf-8') == study.PAGE.read_text(encoding='utf-8')


@pytest.fixture
def some_results():
    random = np.random.default_rng(0)
    return [
        result(arm, seed, 20 + random.normal(), task.name, curve={1: 5.0, 2: 20.0},
               learned={'sigma': [5.0, 4.0]} if 'gaussian' in arm else {})
        for (task, arm), seed in itertools.product(PAIRS, range(5))
    ]  # fmt: skip


def test_page_has_table_and_figure_per_task(some_results, tmp_path):
    text = f'# Study\n{page.MARK}of before\n'
    (tmp_path / 'study.md').write_text(text)
    page.write_page(tmp_path / 'study.md', tmp_path, some_results, list(all_runs()))
    written = (tmp_path / 'study.md').read_text()
    assert written.startswith(f'# Study\n{page.MARK}')
    assert 'of before' not in written
    compared = sum(len(task.arms) - 1 for task in TASKS)
    assert f'Of {compared} comparisons' in written
    for task in TASKS:
        assert f'### {task.title}' in written
        assert (tmp_path / f'study_{task.name}.png').stat().st_size > 10_000
    assert 'sigma 5, 4' in written
    assert 'not trained yet' not in written.lower()
    page.write_page(tmp_path / 'study.md', tmp_path, some_results[1:], list(all_runs()))
    assert 'Not trained yet: mask_rcnn_swin_digits/none/0' in (tmp_path / 'study.md').read_text()


def test_page_without_marker_is_not_changed(tmp_path):
    (tmp_path / 'study.md').write_text('mine')
    with pytest.raises(ValueError, match='has no line'):
        page.write_page(tmp_path / 'study.md', tmp_path, [], [])
    assert (tmp_path / 'study.md').read_text() == 'mine'


@pytest.mark.parametrize('dataset', ['coco', 'ade20k'])
def test_plan_has_valid_commands_and_hours(dataset, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arms = ('none', 'gaussian_sigma_2', 'gpsa', 'cb')  # writing a config takes a second
    monkeypatch.setattr(plan, 'ARMS', arms)
    words = ('--dataset', dataset, '--gpus', '8')
    code, output = call(TOOL, words, capsys, monkeypatch)
    assert code is None, output
    *commands, summary = output.strip().splitlines()
    assert len(commands) == len(arms) * len(grid.SEEDS) + 1  # CB is trained on ImageNet first
    assert 'hours of 8 GPUs' in summary
    for command in commands:
        tool, config, gpus = command.split()[:3]
        assert (tool, gpus) == ('tools/dist_train.sh', '8')
        assert (tmp_path / config).exists()
    written = grid.load_config(str(tmp_path / f'work_dirs/study/{dataset}_gaussian_sigma_2.py'))
    assert written.model.backbone.gab_cfg == dict(amplitude=1.0, sigma=2.0, per_head=False)
    written = grid.load_config(str(tmp_path / f'work_dirs/study/{dataset}_gpsa_pretrained.py'))
    assert (
        written.model.backbone.gpsa_cfg.gate < -2
    )  # gates start nearly closed with pretrained weights
    written = grid.load_config(str(tmp_path / f'work_dirs/study/{dataset}_cb.py'))
    before = grid.load_config(str(tmp_path / 'work_dirs/study/imagenet_cb.py'))
    assert before.model.backbone.cb_cfg == written.model.backbone.cb_cfg == dict(type='CB')
    start = written.model.backbone.init_cfg.checkpoint
    (pretraining,) = (command for command in commands if 'imagenet_cb.py' in command)
    assert start == f'{pretraining.split()[4]}/epoch_300.pth'
    assert commands.index(pretraining) < min(i for i, c in enumerate(commands) if '_cb_0' in c)


def test_plan_starts_every_arm_from_matching_weights():
    """Arms that change the initial outputs of a pretrained network are pretrained on ImageNet."""
    torch.manual_seed(0)
    images = torch.randn(1, 3, 56, 56)
    sizes = dict(embed_dims=8, num_heads=(2, 2, 2, 2), depths=(1, 1, 1, 1))
    plain = SwinGAB(gab_cfg=None, **sizes).eval()
    for arm in grid.ARMS:
        changes = load_config(str(CONFIGS / 'arms' / f'{arm}.py')).get('model', {})
        changes = {k: v for k, v in changes.get('backbone', {}).items() if k == 'cb_cfg'}
        model = SwinGAB(gab_cfg=None, **sizes, **changes).eval()
        model.load_state_dict(plain.state_dict(), strict=False)
        with torch.no_grad():
            is_other = not torch.allclose(model(images)[-1], plain(images)[-1], atol=1e-5)
        assert is_other == (arm in plan._TRAINED_WITH)


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (('--only', 'nothing/here'), "no run has 'nothing/here' in its name; the first is"),
        (('--jobs', '0'), '--jobs must be above 0, got 0'),
        (('--step-seconds', 'nan'), '--step-seconds must be above 0, got nan'),
    ],
)
def test_invalid_arguments_are_rejected(words, message, capsys, monkeypatch):
    code, output = call(TOOL, words, capsys, monkeypatch)
    assert code not in (None, 0)
    assert message in output
