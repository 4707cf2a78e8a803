"""``mmgab doctor`` on broken installations, which are made of stand-in packages."""

import json
import subprocess
import sys

import pytest

from mmgab.doctor import machine, packages
from mmgab.doctor.diagnosis import run_check
from mmgab.doctor.install import install_command

from ..conftest import IS_ORIGINAL, ROOT


def install(folder, name, version):
    """Create the metadata of a package with a name and a version."""
    info = folder / f'{name.replace("-", "_")}-{version}.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n')


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Return a folder at the start of ``sys.path``."""
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
    assert set(result['outcomes'][0]) == {'name', 'status', 'found', 'fix'}


@pytest.mark.process
def test_failed_check_is_printed_with_its_fix_and_exits_with_1(tmp_path):
    """An mmcv without compiled ops shadows the installed one."""
    (tmp_path / 'mmcv').mkdir()
    (tmp_path / 'mmcv' / '__init__.py').write_text("__version__ = '2.3.6'\n")
    done = doctor('--work-dir', tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert 'FAIL  ops of mmcv: no mmcv._ext' in done.stdout
    assert '\n      fix: pip install --no-build-isolation' in done.stdout
    assert 'checks failed: ' in done.stdout.splitlines()[-1]


def test_two_release_lines_of_a_package_fail(site):
    assert packages.check_openmmlab('mmengine').status == 'PASS'
    assert packages.check_one_line().status == 'PASS'
    install(site, 'onedl-mmengine' if IS_ORIGINAL else 'mmengine', '0.10.99')
    outcome = packages.check_openmmlab('mmengine')
    assert outcome.status == 'FAIL'
    assert 'mmengine 0.10.99' in outcome.found
    assert 'uninstall both' in outcome.fix
    assert packages.check_one_line().status == 'FAIL'


def test_untested_version_is_a_note(site):
    name = 'mmsegmentation' if IS_ORIGINAL else 'onedl-mmsegmentation'
    install(site, name, '9.9.9')
    outcome = packages.check_openmmlab('mmseg')
    assert outcome.status == 'NOTE'
    assert f'{name} 9.9.9' in outcome.found
    assert packages.TESTED[name] in outcome.fix


def test_mmengine_without_pkg_resources_fails(site, monkeypatch):
    install(site, 'mmengine', '0.10.7')
    install(site, 'setuptools', '82.0.0')
    find = packages.util.find_spec
    monkeypatch.setattr(
        packages.util, 'find_spec', lambda name: None if name == 'pkg_resources' else find(name)
    )
    outcome = packages.check_pkg_resources()
    assert outcome.status == 'FAIL'
    assert 'setuptools 82.0.0' in outcome.found


def test_old_mmengine_with_transformers_fails(site, monkeypatch):
    versions = {'mmengine': '0.10.5', 'transformers': '4.50.0'}
    monkeypatch.setattr(packages, 'version_of', versions.get)
    assert packages.check_adafactor().status == 'FAIL'
    versions['mmengine'] = '0.10.7'
    assert packages.check_adafactor().status == 'PASS'


def test_nearly_full_disk_fails(tmp_path, monkeypatch):
    assert machine.check_disk(tmp_path).status == 'PASS'
    monkeypatch.setattr(machine, '_MIN_FREE', 2**62)
    assert machine.check_disk(tmp_path / 'a' / 'b').status == 'FAIL'


def test_gpu_that_torch_cannot_use_fails(tmp_path, monkeypatch):
    """A file stands in for the device file of a GPU."""
    import torch

    if torch.cuda.is_available():
        pytest.skip('torch can use the GPU of this machine')
    assert machine.check_accelerator().status == 'NOTE'
    monkeypatch.setattr(machine, '_DRIVERS', (str(tmp_path),))
    assert machine.check_accelerator().status == 'FAIL'


def test_exception_in_a_check_is_a_failed_check():
    def broken():
        raise ImportError('libcudart.so.11 is not there')

    def incomplete():
        import a_package_that_nobody_has  # noqa: F401

    assert run_check('mmseg', incomplete).fix == 'pip install a_package_that_nobody_has'
    outcome = run_check('mmcv', broken)
    assert (outcome.name, outcome.status) == ('mmcv', 'FAIL')
    assert 'ImportError: libcudart.so.11 is not there' in outcome.found


@pytest.mark.parametrize(
    ('module', 'package'),
    [('mmcv', 'onedl-mmcv'), ('mmcv._ext', 'onedl-mmcv'), ('mmseg', 'onedl-mmsegmentation')],
)
def test_fix_of_missing_openmmlab_package_disables_build_isolation(module, package):
    def missing():
        raise ModuleNotFoundError(name=module)

    fix = run_check('any', missing).fix
    assert f'pip install --no-build-isolation {package}=={packages.TESTED[package]}' in fix


def test_fix_of_missing_torch_has_the_versions_of_build_txt():
    def missing():
        raise ModuleNotFoundError(name='torch')

    fix = run_check('torch', missing).fix
    pins = (ROOT / 'requirements' / 'build.txt').read_text().split()
    for pin in (pin for pin in pins if pin.startswith(('torch==', 'torchvision=='))):
        assert pin in fix
    assert fix.startswith('pip install torch==')


def test_install_command_uses_pip_package_names():
    for module, package in (('cv2', 'opencv-python-headless'), ('PIL', 'pillow')):
        assert install_command(module) == f'pip install {package}'


@pytest.mark.parametrize(('version', 'status'), [('2.5.1', 'FAIL'), ('2.14.0+cu128', 'NOTE')])
def test_torch_incompatible_with_mmcv_has_a_fix(version, status, monkeypatch):
    import torch

    monkeypatch.setattr(torch, '__version__', version)
    monkeypatch.setattr(packages.util, 'find_spec', lambda name: None)
    outcome = packages.check_torch()
    assert outcome.status == status
    assert 'pip install torch==' in outcome.fix


@pytest.mark.parametrize('version', ['2.6.0', '2.9.1+cpu', '2.6.0a0+df5bbc09d1.nv24.12'])
def test_supported_torch_passes_for_any_build(version, monkeypatch):
    import torch

    monkeypatch.setattr(torch, '__version__', version)
    assert packages.check_torch().status == 'PASS'


@pytest.mark.parametrize('version', ['3.9.18', '2.7'])
def test_old_python_fails(version, monkeypatch):
    parts = tuple(map(int, version.split('.')))
    monkeypatch.setattr(packages.sys, 'version_info', parts)
    assert packages.check_python().status == 'FAIL'
