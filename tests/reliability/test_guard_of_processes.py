"""If one rank has non-finite numbers, all ranks stop with a message that reports it."""

import json
import re
import subprocess
import sys

import pytest

from ..conftest import ROOT
from ..faults.training import config, train_together

pytestmark = pytest.mark.process

PROGRAM = ROOT / 'tests' / 'faults' / 'distributed_program.py'
GUARD = dict(type='mmgab.NumericsGuardHook', interval=2)


def guarded(work_dir, nuclei, *hooks, **changes):
    """Settings of a run of several processes with a guard and hooks that spoil it."""
    settings = config(work_dir, nuclei, **{'model.type': 'NormedCounter', **changes})
    settings.custom_hooks += [GUARD, *hooks]
    settings.custom_imports = dict(imports=['tests.reliability.spoiling'])
    return settings


def messages(settings):
    """Errors that the processes of a run ended with."""
    codes, log = train_together(settings)
    assert codes == [1, 1], log
    return re.findall('^FloatingPointError: (.*)$', log, re.MULTILINE)


def diagnoses(work_dir):
    """Those of both processes."""
    paths = sorted((work_dir / 'numerics').iterdir())
    return [json.loads(path.read_text()) for path in paths]


def spoiled(nuclei):
    """An image; which process gets it is up to the sampler."""
    return sorted(path.name for path in (nuclei / 'images' / 'train').iterdir())[7]


def test_all_ranks_report_the_bad_rank_and_its_images(nuclei, tmp_path):
    bad = spoiled(nuclei)
    first, second = messages(
        guarded(tmp_path, nuclei, **{'train_dataloader.dataset.spoiled': [bad]})
    )
    assert first == second
    found = diagnoses(tmp_path)
    assert [each['is_batch_bad'] for each in found].count(True) == 1
    culprit = next(each for each in found if each['is_batch_bad'])
    assert f'images of rank {culprit["rank"]}: {", ".join(culprit["images"])}; full report' in first
    assert bad in first
    assert first.count('images of rank') == 1


def test_rank_with_the_first_bad_output_is_listed_first(nuclei, tmp_path):
    bad = spoiled(nuclei)
    changes = {'model.type': 'MixingCounter', 'train_dataloader.dataset.spoiled': [bad]}
    first, second = messages(guarded(tmp_path, nuclei, **changes))
    assert first == second
    assert [each['is_batch_bad'] for each in diagnoses(tmp_path)] == [True, True]
    of_first, of_second = re.search(
        'images of rank .: (.*); images of rank .: (.*);', first
    ).groups()
    assert bad in of_first
    assert bad not in of_second


def test_rank_with_bad_gradients_is_reported(nuclei, tmp_path):
    """Its gradients are in those of all."""
    name = 'backbone.stages.1.blocks.0.norm1.weight'
    spoil = dict(type='SpoilGradient', name=name, iteration=2, rank=1)
    first, second = messages(guarded(tmp_path, nuclei, spoil))
    assert first == second
    assert f"gradients are not or are too large, of ['{name}'] first; images of rank 1: " in first
    assert 'rank 0' not in first


def test_rank_with_bad_buffers_is_reported(nuclei, tmp_path):
    place = dict(what='buffer', stage='after_train_iter', iteration=1, rank=1, priority='HIGH')
    first, second = messages(guarded(tmp_path, nuclei, dict(type='Spoil', **place)))
    assert first == second
    assert 'buffers are not: norm.running_var; images of rank 1: ' in first


def test_sharded_optimizer_state_is_checked(nuclei, tmp_path):
    shared = {
        'optim_wrapper.optimizer': dict(
            _delete_=True, type='ZeroRedundancyOptimizer', optimizer_type='AdamW', lr=1e-3
        ),
        'default_hooks.checkpoint.save_optimizer': False,
    }
    place = dict(what='optimizer', stage='after_train_iter', iteration=1, rank=1, priority='HIGH')
    spoil = dict(type='Spoil', **place)
    first, second = messages(guarded(tmp_path, nuclei, spoil, **shared))
    assert first == second
    assert re.match(
        r'1 of \d+ tensors are not finite in rank 1, after iteration 2: exp_avg_sq', first
    )


def test_launcher_last_line_has_rank_and_images(nuclei, tmp_path):
    bad = spoiled(nuclei)
    changes = {'custom_hooks': [GUARD], 'train_dataloader.dataset.spoiled': [bad]}
    arguments = dict(work_dir=str(tmp_path), data=str(nuclei), kind=None, changes=changes)
    (tmp_path / 'arguments.json').write_text(json.dumps(arguments))
    command = [sys.executable, '-m', 'mmgab.engine.launch', '--nproc_per_node=2', PROGRAM]
    done = subprocess.run(
        [*command, tmp_path / 'arguments.json'],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT, timeout=120,
    )  # fmt: skip
    last = done.stdout.strip().splitlines()[-1]
    assert done.returncode == 1, done.stdout[-3000:]
    assert re.search(rf'FloatingPointError: .* images of rank [01]: .*{re.escape(bad)}', last), last
