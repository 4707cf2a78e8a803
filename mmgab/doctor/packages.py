"""Checks of installed packages: versions, OpenMMLab release lines, known incompatibilities."""

import sys
from importlib import import_module, metadata, util

from .diagnosis import Outcome, Status
from .install import FIRST_TOO_NEW_TORCH, ONEDL, TESTED, install_command

MINIMUM_PYTHON, TESTED_PYTHON = (3, 10), (3, 12)
MINIMUM_TORCH = (2, 6)
ORIGINAL = {
    'mmengine': ('mmengine',),
    'mmcv': ('mmcv', 'mmcv-lite'),
    'mmdet': ('mmdet',),
    'mmseg': ('mmsegmentation',),
}
_NEEDED = ('mmengine', 'mmcv')


def version_of(package: str) -> str | None:
    """Return the version of a package; None if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def release_of(version: str) -> tuple[int, ...]:
    """Return the release numbers of a version, without pre-release and local build tags."""
    from packaging.version import Version  # may be missing, like all packages checked here

    return Version(version).release


def check_python() -> Outcome:
    """Check the version of Python."""
    found, version = sys.version_info[:2], sys.version.split()[0]
    if found < MINIMUM_PYTHON:
        return Outcome('Python', 'FAIL', version, 'use Python 3.10 to 3.12')
    if found > TESTED_PYTHON:
        fix = 'if mmcv or MMEngine fail, use Python 3.10 to 3.12, the tested versions'
        return Outcome('Python', 'NOTE', version, fix)
    return Outcome('Python', 'PASS', version)


def check_torch() -> Outcome:
    """Check the version of PyTorch."""
    import torch

    found = release_of(torch.__version__)
    if found < MINIMUM_TORCH:
        return Outcome('torch', 'FAIL', torch.__version__, install_command('torch'))
    if found >= FIRST_TOO_NEW_TORCH and util.find_spec('mmcv') is None:
        return Outcome('torch', 'NOTE', torch.__version__, install_command('torch'))
    return Outcome('torch', 'PASS', torch.__version__)


def lines_of(module: str) -> dict[str, str]:
    """Return the installed packages that provide a module, with their versions."""
    packages = (ONEDL[module], *ORIGINAL[module])
    return {package: found for package in packages if (found := version_of(package))}


def check_openmmlab(module: str) -> Outcome:
    """Check that one release line of an OpenMMLab package is installed and can be imported."""
    found = lines_of(module)
    if len(found) > 1:
        fix = f'uninstall both, which overwrite each other, then install only {ONEDL[module]}'
        return Outcome(module, 'FAIL', _listed(found), fix)
    if not found and util.find_spec(module) is None:
        status: Status = 'FAIL' if module in _NEEDED else 'NOTE'
        return Outcome(module, status, 'not installed', install_command(module))
    import_module(module)
    package, version = next(iter(found.items()), (module, 'of unknown version'))
    text = f'{package} {version}'
    if TESTED.get(package) != version:
        return Outcome(module, 'NOTE', text, f'tested with {package} {TESTED.get(package)}')
    return Outcome(module, 'PASS', text)


def check_one_line() -> Outcome:
    """Check that all OpenMMLab packages are of the same release line."""
    name = 'one line of OpenMMLab'
    onedl = [p for module in ONEDL for p in lines_of(module) if p == ONEDL[module]]
    original = [p for module in ONEDL for p in lines_of(module) if p != ONEDL[module]]
    if onedl and original:
        fix = 'install all of them from one release line; docs/reliability.md lists both lines'
        return Outcome(name, 'FAIL', f'{", ".join(onedl)} and {", ".join(original)}', fix)
    return Outcome(name, 'PASS', ', '.join(onedl or original) or 'none installed')


def check_pkg_resources() -> Outcome:
    """Check pkg_resources, which MMEngine 0.10.7 imports and setuptools 82 removed."""
    name, setuptools = 'pkg_resources', version_of('setuptools') or 'not installed'
    if version_of('mmengine') is None or util.find_spec('pkg_resources') is not None:
        return Outcome(name, 'PASS', f'setuptools {setuptools}')
    fix = "pip install 'setuptools<82', or use onedl-mmengine, which does not need it"
    found = f'setuptools {setuptools} does not have the pkg_resources that mmengine imports'
    return Outcome(name, 'FAIL', found, fix)


def check_safe_loading() -> Outcome:
    """Check MMEngine's resuming, which fails in 0.10.7 with torch 2.6 and newer."""
    name, mmengine = 'reading of checkpoints', version_of('mmengine')
    if mmengine is None:
        return Outcome(name, 'PASS', 'the Runner of MMEngine can resume from its checkpoints')
    fix = 'use mmgab train and mmgab test, which can resume, or install onedl-mmengine'
    found = f'the Runner of mmengine {mmengine} cannot resume with torch 2.6 and newer'
    return Outcome(name, 'NOTE', found, fix)


def check_adafactor() -> Outcome:
    """Check Adafactor, which MMEngine before 0.10.7 registers together with transformers."""
    name, version = 'Adafactor', version_of('onedl-mmengine') or version_of('mmengine') or '0'
    transformers = version_of('transformers')
    if transformers and (0,) < release_of(version) < (0, 10, 7):
        found = f'mmengine {version} and transformers {transformers} both register Adafactor'
        return Outcome(name, 'FAIL', found, 'install mmengine 0.10.7 or newer')
    return Outcome(name, 'PASS', 'registered once')


def check_numpy() -> Outcome:
    """Check that pycocotools, which is compiled against NumPy, works with this NumPy."""
    import numpy

    if util.find_spec('pycocotools') is None:
        found = f'{numpy.__version__}; pycocotools, which detectors need, is not installed'
        return Outcome('numpy', 'NOTE', found)
    import_module('pycocotools.mask')  # fails first if NumPy is incompatible
    return Outcome('numpy', 'PASS', f'{numpy.__version__}, with pycocotools')


def _listed(found: dict[str, str]) -> str:
    return ', '.join(f'{package} {version}' for package, version in found.items())
