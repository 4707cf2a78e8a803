"""Checks of what is installed: versions, lines of OpenMMLab, combinations known to be bad."""

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
    """Version of a distribution; None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def release_of(version: str) -> tuple[int, ...]:
    """Release number of a version, of a pre-release or a local build too."""
    from packaging.version import Version  # it may be missing, as all that is checked here

    return Version(version).release


def check_python() -> Outcome:
    """The interpreter's version."""
    found, version = sys.version_info[:2], sys.version.split()[0]
    if found < MINIMUM_PYTHON:
        return Outcome('Python', 'FAIL', version, 'use Python 3.10 to 3.12')
    if found > TESTED_PYTHON:
        cure = 'mmcv and MMEngine are tested on 3.10 to 3.12'
        return Outcome('Python', 'NOTE', version, cure)
    return Outcome('Python', 'PASS', version)


def check_torch() -> Outcome:
    """PyTorch's version."""
    import torch

    found = release_of(torch.__version__)
    if found < MINIMUM_TORCH:
        return Outcome('torch', 'FAIL', torch.__version__, install_command('torch'))
    if found >= FIRST_TOO_NEW_TORCH and util.find_spec('mmcv') is None:
        return Outcome('torch', 'NOTE', torch.__version__, install_command('torch'))
    return Outcome('torch', 'PASS', torch.__version__)


def lines_of(module: str) -> dict[str, str]:
    """Installed distributions that bring a module, with their versions."""
    packages = (ONEDL[module], *ORIGINAL[module])
    return {package: found for package in packages if (found := version_of(package))}


def check_openmmlab(module: str) -> Outcome:
    """One of OpenMMLab's packages: that one line of it is there, a tested one, and imports."""
    found = lines_of(module)
    if len(found) > 1:
        cure = f'they overwrite each other: uninstall both, then install {ONEDL[module]} alone'
        return Outcome(module, 'FAIL', _listed(found), cure)
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
    """That packages of OpenMMLab are all of one line."""
    name = 'one line of OpenMMLab'
    onedl = [p for module in ONEDL for p in lines_of(module) if p == ONEDL[module]]
    original = [p for module in ONEDL for p in lines_of(module) if p != ONEDL[module]]
    if onedl and original:
        cure = 'take all of them from one line; docs/reliability.md has both'
        return Outcome(name, 'FAIL', f'{", ".join(onedl)} beside {", ".join(original)}', cure)
    return Outcome(name, 'PASS', ', '.join(onedl or original) or 'none installed')


def check_pkg_resources() -> Outcome:
    """MMEngine 0.10.7 imports pkg_resources, which setuptools 82 has no more."""
    name, setuptools = 'pkg_resources', version_of('setuptools') or 'not installed'
    if version_of('mmengine') is None or util.find_spec('pkg_resources') is not None:
        return Outcome(name, 'PASS', f'setuptools {setuptools}')
    cure = "pip install 'setuptools<82', or onedl-mmengine, which does without"
    return Outcome(name, 'FAIL', f'setuptools {setuptools} has none, mmengine imports it', cure)


def check_safe_loading() -> Outcome:
    """MMEngine 0.10.7 cannot read its own checkpoints with torch 2.6."""
    name, mmengine = 'reading of checkpoints', version_of('mmengine')
    if mmengine is None:
        return Outcome(name, 'PASS', 'MMEngine reads its own files')
    cure = "use this project's tools/train.py and tools/test.py, which read them, or onedl-mmengine"
    found = f"mmengine {mmengine}'s own runner cannot resume with torch 2.6 and newer"
    return Outcome(name, 'NOTE', found, cure)


def check_adafactor() -> Outcome:
    """Before 0.10.7 MMEngine registers an Adafactor that newer torch and transformers have too."""
    name, version = 'Adafactor', version_of('onedl-mmengine') or version_of('mmengine') or '0'
    transformers = version_of('transformers')
    if transformers and (0,) < release_of(version) < (0, 10, 7):
        found = f'mmengine {version} and transformers {transformers} both register it'
        return Outcome(name, 'FAIL', found, 'install mmengine 0.10.7 or newer')
    return Outcome(name, 'PASS', 'registered once')


def check_numpy() -> Outcome:
    """That what was compiled against NumPy imports with the NumPy that is there."""
    import numpy

    if util.find_spec('pycocotools') is None:
        return Outcome('numpy', 'NOTE', f'{numpy.__version__}; no pycocotools, for detectors')
    import_module('pycocotools.mask')  # the one that breaks first
    return Outcome('numpy', 'PASS', f'{numpy.__version__}, with pycocotools')


def _listed(found: dict[str, str]) -> str:
    return ', '.join(f'{package} {version}' for package, version in found.items())
