"""A plain wheel, installed outside the repository, brings backbone, configs and tools."""

import json
import os
import subprocess
import sys
import zipfile

import pytest
import torch

from mmgab.models import SwinGAB

from .conftest import ROOT

pytestmark = pytest.mark.process


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """The wheel that `pip install .` builds, from a copy of what git knows."""
    source, out = (tmp_path_factory.mktemp(name) for name in ('source', 'wheel'))
    listed = subprocess.run(
        ['git', 'ls-files', '-co', '--exclude-standard'], cwd=ROOT, capture_output=True, text=True
    )
    there = [name for name in listed.stdout.split() if os.path.lexists(ROOT / name)]
    archive = ['tar', '-cf', source / 'a.tar', '-C', ROOT, *there]
    subprocess.run(archive, check=True)
    subprocess.run(['tar', '-xf', 'a.tar'], cwd=source, check=True)
    command = [sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation']
    subprocess.run([*command, '-w', out, source], check=True)
    return next(out.glob('mmgab-*.whl'))


@pytest.fixture(scope='module')
def site(wheel, tmp_path_factory):
    """A folder that the wheel was installed into."""
    folder = tmp_path_factory.mktemp('site')
    command = [sys.executable, '-m', 'pip', 'install', '-q', '--no-deps', '--target', folder, wheel]
    subprocess.run(command, check=True)
    return folder


def start(site, *command, cwd):
    """Run Python with the installed package before everything else, away from the repository."""
    return subprocess.run(
        [sys.executable, '-W', 'ignore', *map(str, command)],
        env={**os.environ, 'PYTHONPATH': str(site)},
        cwd=cwd,
        capture_output=True,
        text=True,
    )


def run(site, *command, cwd):
    """Like start, for what must succeed; returns what it printed."""
    done = start(site, *command, cwd=cwd)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def test_the_wheel_holds_configs_tools_and_the_index_as_files(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for folder in ('configs', 'configs/_base_'):
        for path in (ROOT / folder).glob('*.py'):
            assert f'mmgab/.mim/{folder}/{path.name}' in names
    for name in (
        'model-index.yml',
        'configs/metafile.yml',
        'tools/train.py',
        'tools/dist_train.sh',
    ):
        assert f'mmgab/.mim/{name}' in names
    assert {'mmgab/py.typed', 'mmgab/__init__.pyi', 'mmgab/models/__init__.pyi'} <= set(names)
    assert not [name for name in names if '__pycache__' in name or name.startswith('tests')]
    assert not [name for name in names if name.endswith(('setup_env.py', 'demo.py'))]


def test_both_toolboxes_find_the_backbone(site, tmp_path):
    code = """
import mmdet.registry, mmseg.registry, mmgab
for registry in (mmdet.registry.MODELS, mmseg.registry.MODELS):
    print(type(registry.build(dict(type='mmgab.SwinGAB', depths=(1, 1, 1, 1)))).__name__)
print(mmgab.__file__)
"""
    output = run(site, '-c', code, cwd=tmp_path).split()
    assert output[-3:] == ['SwinGAB', 'SwinGAB', str(site / 'mmgab' / '__init__.py')]


def test_its_configs_are_inherited_and_its_tools_train(site, nuclei, tmp_path):
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data' / 'nuclei').symlink_to(nuclei)
    (tmp_path / 'mine.py').write_text(
        "_base_ = 'mmgab::_base_/../upernet_swin_gab_nuclei.py'\n"
        'train_cfg = dict(max_iters=1)\ndefault_hooks = dict(checkpoint=dict(interval=1))\n'
    )
    run(site, site / 'mmgab' / '.mim' / 'tools' / 'train.py', 'mine.py', cwd=tmp_path)
    assert (tmp_path / 'work_dirs' / 'mine' / 'iter_1.pth').is_file()


def test_its_command_trains_with_a_packaged_config_from_any_folder(site, tmp_path):
    words = ('train', 'mmgab::mask_rcnn_swin_s_gab_coco.py')
    done = start(site, site / 'bin' / 'mmgab', *words, cwd=tmp_path)
    assert done.returncode == 2
    message = done.stderr.splitlines()[-1]
    assert message.startswith('error: train_dataloader: data/coco/ does not exist')
    assert str(tmp_path / 'data' / 'coco') in message
    assert 'Traceback' not in done.stderr
    assert not list(tmp_path.iterdir())


def test_its_command_inspects_and_examines(site, tmp_path):
    program = site / 'bin' / 'mmgab'
    assert '\n    publish ' in run(site, program, '--help', cwd=tmp_path)
    torch.save(SwinGAB(depths=(1, 1, 1, 1)).state_dict(), tmp_path / 'swin.pth')
    assert 'stages.3.blocks.0' in run(site, program, 'inspect', 'swin.pth', cwd=tmp_path)
    found = json.loads(run(site, program, 'doctor', '--json', '--work-dir', '.', cwd=tmp_path))
    assert found['failed'] == []


def test_its_command_lists_the_packaged_configs(site, tmp_path):
    found = json.loads(run(site, site / 'bin' / 'mmgab', 'list', '--json', cwd=tmp_path))
    assert {config['name'] for config in found} == {p.stem for p in (ROOT / 'configs').glob('*.py')}
