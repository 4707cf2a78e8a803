"""The doctor says what is wrong with installations that really are: packages made for a test."""

import json
import subprocess
import sys

import pytest

from mmgab.doctor import machine, packages
from mmgab.doctor.diagnosis import run_check
from mmgab.doctor.install import install_command

from ..conftest import IS_ORIGINAL, ROOT


def install(folder, name, version):
    """A distribution, as far as its name and version."""
    info = folder / f'{name.replace("-", "_")}-{version}.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n')


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder before all others in which packages are looked for."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def doctor(*words, **env):
    import os

    return subprocess.run(
        [sys.executable, '-W', 'ignore', '-m', 'mmgab.doctor', *map(str, words)],
        capture_output=True, text=True, env={**os.environ, **env},
    )  # fmt: skip


@pytest.mark.process
def test_this_installation_passes(tmp_path):
    done = doctor('--json', '--work-dir', tmp_path / 'not' / 'there')
    assert done.returncode == 0, done.stdout
    result = json.loads(done.stdout)
    assert result['failed'] == []
    assert len(result['outcomes']) == 17
    assert {outcome['status'] for outcome in result['outcomes']} <= {'PASS', 'NOTE'}


@pytest.mark.process
def test_what_fails_is_told_with_its_cure_and_in_the_exit_code(tmp_path):
    """An mmcv without ops, before the real one."""
    (tmp_path / 'mmcv').mkdir()
    (tmp_path / 'mmcv' / '__init__.py').write_text("__version__ = '2.3.6'\n")
    done = doctor('--work-dir', tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert 'FAIL  ops of mmcv: no mmcv._ext' in done.stdout
    assert '--no-build-isolation' in done.stdout
    assert 'checks failed: ' in done.stdout.splitlines()[-1]


def test_two_lines_of_a_package_fail(site):
    assert packages.check_openmmlab('mmengine').status == 'PASS'
    assert packages.check_one_line().status == 'PASS'
    install(site, 'onedl-mmengine' if IS_ORIGINAL else 'mmengine', '0.10.99')
    outcome = packages.check_openmmlab('mmengine')
    assert outcome.status == 'FAIL'
    assert 'mmengine 0.10.99' in outcome.found
    assert 'uninstall both' in outcome.cure
    assert packages.check_one_line().status == 'FAIL'


def test_a_version_that_is_not_tested_is_noted(site):
    name = 'mmsegmentation' if IS_ORIGINAL else 'onedl-mmsegmentation'
    install(site, name, '9.9.9')
    outcome = packages.check_openmmlab('mmseg')
    assert outcome.status == 'NOTE'
    assert f'{name} 9.9.9' in outcome.found
    assert packages.TESTED[name] in outcome.cure


def test_an_mmengine_that_needs_pkg_resources_fails_where_there_is_none(site, monkeypatch):
    install(site, 'mmengine', '0.10.7')
    install(site, 'setuptools', '82.0.0')
    find = packages.util.find_spec
    monkeypatch.setattr(
        packages.util, 'find_spec', lambda name: None if name == 'pkg_resources' else find(name)
    )
    outcome = packages.check_pkg_resources()
    assert outcome.status == 'FAIL'
    assert 'setuptools 82.0.0' in outcome.found


def test_an_old_mmengine_beside_transformers_fails(site, monkeypatch):
    versions = {'mmengine': '0.10.5', 'transformers': '4.50.0'}
    monkeypatch.setattr(packages, 'version_of', versions.get)
    assert packages.check_adafactor().status == 'FAIL'
    versions['mmengine'] = '0.10.7'
    assert packages.check_adafactor().status == 'PASS'


def test_a_disk_that_is_nearly_full_fails(tmp_path, monkeypatch):
    assert machine.check_disk(tmp_path).status == 'PASS'
    monkeypatch.setattr(machine, '_ENOUGH', 2**62)
    assert machine.check_disk(tmp_path / 'a' / 'b').status == 'FAIL'


def test_a_gpu_that_torch_cannot_use_fails(tmp_path, monkeypatch):
    """A file stands for the device: no GPU is here."""
    import torch

    if torch.cuda.is_available():
        pytest.skip('torch can use the GPU that is here')
    assert machine.check_accelerator().status == 'NOTE'
    monkeypatch.setattr(machine, '_DRIVERS', (str(tmp_path),))
    assert machine.check_accelerator().status == 'FAIL'


def test_a_check_that_breaks_has_failed_with_what_it_broke_with():
    def broken():
        raise ImportError('libcudart.so.11 is not there')

    def incomplete():
        import a_package_that_nobody_has  # noqa: F401

    assert run_check('mmseg', incomplete).cure == 'pip install a_package_that_nobody_has'
    outcome = run_check('mmcv', broken)
    assert (outcome.name, outcome.status) == ('mmcv', 'FAIL')
    assert 'ImportError: libcudart.so.11 is not there' in outcome.found


@pytest.mark.parametrize(
    ('module', 'package'),
    [('mmcv', 'onedl-mmcv'), ('mmcv._ext', 'onedl-mmcv'), ('mmseg', 'onedl-mmsegmentation')],
)
def test_a_missing_package_of_openmmlab_is_built_with_the_torch_that_is_there(module, package):
    def missing():
        raise ModuleNotFoundError(name=module)

    cure = run_check('any', missing).cure
    assert f'pip install --no-build-isolation {package}=={packages.TESTED[package]}' in cure


def test_the_torch_that_is_advised_is_the_one_that_set_up_builds_mmcv_with():
    def missing():
        raise ModuleNotFoundError(name='torch')

    cure = run_check('torch', missing).cure
    pins = (ROOT / 'requirements' / 'build.txt').read_text().split()
    for pin in (pin for pin in pins if pin.startswith(('torch==', 'torchvision=='))):
        assert pin in cure
    assert cure.startswith('pip install torch==')


def test_packages_are_advised_by_the_names_that_pip_knows():
    for module, package in (('cv2', 'opencv-python-headless'), ('PIL', 'pillow')):
        assert install_command(module) == f'pip install {package}'


@pytest.mark.parametrize(('version', 'status'), [('2.5.1', 'FAIL'), ('2.14.0+cu128', 'NOTE')])
def test_a_torch_that_does_not_go_with_mmcv_is_told(version, status, monkeypatch):
    import torch

    monkeypatch.setattr(torch, '__version__', version)
    monkeypatch.setattr(packages.util, 'find_spec', lambda name: None)
    outcome = packages.check_torch()
    assert outcome.status == status
    assert 'pip install torch==' in outcome.cure


@pytest.mark.parametrize('version', ['2.6.0', '2.9.1+cpu', '2.6.0a0+df5bbc09d1.nv24.12'])
def test_a_supported_torch_passes_whatever_its_build(version, monkeypatch):
    import torch

    monkeypatch.setattr(torch, '__version__', version)
    assert packages.check_torch().status == 'PASS'


@pytest.mark.parametrize('version', ['3.9.18', '2.7'])
def test_an_old_python_fails(version, monkeypatch):
    parts = tuple(map(int, version.split('.')))
    monkeypatch.setattr(packages.sys, 'version_info', parts)
    assert packages.check_python().status == 'FAIL'
