"""Make the environment .venv that `make` uses; see the README for using another one.

    python3 tools/setup_env.py              skipped in a second when nothing has changed
    python3 tools/setup_env.py --mmcv FILE  with a wheel of mmcv in place of building it

Runs on the Python standard library alone.
"""

from __future__ import annotations  # so that an older Python gets as far as being told so

import argparse
import hashlib
import importlib.machinery
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / '.venv'
PYTHON = VENV / 'bin' / 'python'
STAMP = VENV / 'set-up'
MMCV_STAMP = VENV / 'mmcv-built'
LOG = VENV / 'set-up.log'
REQUIREMENTS = ROOT / 'requirements'
SUPPORTED = ((3, 10), (3, 12))
PROGRESS_EVERY = 15  # seconds between lines of progress

# Printed by the new environment: what it takes to compile as mmcv's build will do.
COMPILE_FLAGS = """
import sysconfig
from setuptools._distutils.ccompiler import new_compiler
from setuptools._distutils.sysconfig import customize_compiler
from torch.utils.cpp_extension import include_paths
compiler = new_compiler()
customize_compiler(compiler)
folders = [*include_paths(), sysconfig.get_paths()['include']]
print(*compiler.compiler_so[1:], *(f'-I{folder}' for folder in folders), sep='\\n')
"""
FINAL_CHECK = """
import mmcv.ops, mmdet, mmseg, torch
from mmengine.registry import MODELS
MODELS.build(dict(type='mmgab.SwinGAB'))
print('torch', torch.__version__, '| mmcv', mmcv.__version__, '| mmdet', mmdet.__version__,
      '| mmseg', mmseg.__version__)
"""


def fingerprint() -> str:
    """What the environment was made from: a change of it means a new set-up."""
    digest = hashlib.sha256(sys.version.encode())
    for path in (Path(__file__), ROOT / 'pyproject.toml', *sorted(REQUIREMENTS.iterdir())):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def mmcv_fingerprint() -> str:
    """What mmcv was built from: a change of it, not of other requirements, means a new build."""
    pins = (REQUIREMENTS / 'build.txt').read_text() + pinned('onedl-mmcv')
    return hashlib.sha256((sys.version + pins).encode()).hexdigest()


def pinned(name: str) -> str:
    """The requirement, in any of the files, that pins a package."""
    lines = [line for path in REQUIREMENTS.iterdir() for line in path.read_text().splitlines()]
    return next(line for line in lines if line.startswith(f'{name}=='))


def read(stamp: Path) -> str:
    """A stamp's contents; empty where there is none."""
    return stamp.read_text() if stamp.exists() else ''


def mmcv_ops() -> list[Path]:
    """The compiled ops of the installed mmcv: none where it was built without torch."""
    suffix = importlib.machinery.EXTENSION_SUFFIXES[-1]
    return list(VENV.glob(f'lib/python*/site-packages/mmcv/_ext*{suffix}'))


def run(title: str, command: list, env: dict | None = None) -> None:
    """Run a command with its output in the log, and a line of progress now and then."""
    start = shown = time.monotonic()
    print(f'-- {title}', flush=True)
    with LOG.open('a') as log:
        log.write(f'\n$ {" ".join(map(str, command))}\n')
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env, cwd=ROOT
        )
        for line in process.stdout:
            log.write(line)
            if time.monotonic() - shown > PROGRESS_EVERY and (doing := progress(line)):
                shown = time.monotonic()
                print(f'   {shown - start:4.0f} s  {doing}', flush=True)
    if process.wait():
        print(*LOG.read_text().splitlines()[-25:], sep='\n')
        sys.exit(f'Set-up failed in: {title}. The whole output is in {LOG}')
    print(f'   {time.monotonic() - start:4.0f} s  done', flush=True)


def progress(line: str) -> str:
    """What a line of pip's or ninja's output says about how far it is; empty where nothing."""
    if match := re.search(r'\[(\d+)/(\d+)\] ', line):
        return f'compiled {match[1]} of {match[2]} files'
    match = re.match(r'\s*((?:Collecting|Downloading|Building|Installing)\b.*)', line)
    return match[1][:80] if match else ''


def pip(title: str, *arguments: str | Path, env: dict | None = None) -> None:
    """Install with the exact versions of the constraints file."""
    constraints = ('-c', REQUIREMENTS / 'constraints.txt')
    run(title, [PYTHON, '-m', 'pip', 'install', *constraints, *arguments], env)


def precompile_torch_headers(folder: Path) -> list[str]:
    """Compile torch's headers once instead of in each of mmcv's files: a third of the time.

    Returns:
        Flags that make g++ use them; none where the compiler cannot.
    """
    header = folder / 'torch_types.h'
    header.write_text('#include <torch/types.h>\n')
    flags = subprocess.run(
        [PYTHON, '-c', COMPILE_FLAGS], env=without_debug_info([]), capture_output=True, text=True
    ).stdout.split()
    definitions = ['-std=c++17', '-DTORCH_API_INCLUDE_EXTENSION_H', '-DTORCH_EXTENSION_NAME=_ext']
    compiler = os.environ.get('CXX', 'c++')
    command = [compiler, *flags, *definitions, '-x', 'c++-header', header, '-o', f'{header}.gch']
    done = subprocess.run(command, capture_output=True)
    return [f'-I{folder}', '-include', header.name] if done.returncode == 0 else []


def without_debug_info(flags: list[str]) -> dict:
    """Environment for a compiler: debug information would double the time."""
    cflags = ' '.join([os.environ.get('CFLAGS', ''), '-g0', *flags]).strip()
    jobs = os.environ.get('MAX_JOBS', str(len(os.sched_getaffinity(0))))
    return dict(os.environ, CFLAGS=cflags, MAX_JOBS=jobs)


def install_mmcv(wheel: str | None) -> None:
    """Install mmcv from a wheel, or build it; either way it must have its ops."""
    if wheel:
        pip(f'mmcv from {wheel}', '--force-reinstall', '--no-deps', wheel)
    else:
        with tempfile.TemporaryDirectory() as folder:
            print('-- preparing to build mmcv', flush=True)
            env = without_debug_info(precompile_torch_headers(Path(folder)))
            # Never from pip's cache: a wheel that was once built without torch would come back.
            pip(
                'building mmcv with its ops, 3 to 8 minutes',
                *('-v', '--no-build-isolation', '--no-cache-dir', '--force-reinstall', '--no-deps'),
                pinned('onedl-mmcv'),
                env=env,
            )
    if not mmcv_ops():
        sys.exit(
            'Set-up failed: mmcv was installed without its compiled ops (no mmcv/_ext*.so). '
            f'Is there a C++ compiler, and are the Python headers there? See {LOG}'
        )
    MMCV_STAMP.write_text(mmcv_fingerprint())


def create_venv() -> None:
    """Make an environment with the Python that runs this; one of the same Python is kept."""
    if not SUPPORTED[0] <= sys.version_info[:2] <= SUPPORTED[1]:
        found = '.'.join(map(str, sys.version_info[:3]))
        sys.exit(f'Python 3.10 to 3.12 is needed, found {found}: make setup PYTHON=python3.11')
    version = VENV / 'python-version'
    if read(version) == sys.version:
        return
    if VENV.exists() and not version.exists():
        sys.exit(f'{VENV} was not made by this set-up: remove it, or use it with make PY=...')
    shutil.rmtree(VENV, ignore_errors=True)
    # Not sys.executable: that may be the Python of the .venv that was just removed.
    python = getattr(sys, '_base_executable', sys.executable)
    done = subprocess.run([python, '-m', 'venv', VENV], capture_output=True, text=True)
    if done.returncode:
        sys.exit(
            f'Cannot make {VENV}: {done.stdout}{done.stderr}\n'
            'On Debian: apt-get install python3-venv python3-dev g++'
        )
    version.write_text(sys.version)


def main() -> None:
    """Make the environment, unless it is there and up to date."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--mmcv', metavar='WHEEL', help='a wheel of mmcv, instead of building it')
    wheel = parser.parse_args().mmcv
    if read(STAMP) == fingerprint() and mmcv_ops() and not wheel:
        return
    start = time.monotonic()
    print('Setting up .venv: 5 to 15 minutes, 7 GB', flush=True)
    create_venv()
    pip('torch and what builds with it, about 2 minutes', '-r', REQUIREMENTS / 'build.txt')
    if wheel or read(MMCV_STAMP) != mmcv_fingerprint() or not mmcv_ops():
        install_mmcv(wheel)
    others = [pinned(f'onedl-{name}') for name in ('mmengine', 'mmdetection', 'mmsegmentation')]
    # Not isolated: the source distributions among them build with the pinned setuptools.
    tests = ('-r', REQUIREMENTS / 'tests.txt')
    pip('mmdet, mmseg and what tests need, about 1 minute', '--no-build-isolation', *others, *tests)
    # Two variants of OpenCV come with them, in one place; the one that needs no display must win.
    opencv = pinned('opencv-python-headless')
    pip('OpenCV without a display', '--force-reinstall', '--no-deps', opencv)
    pip('the micrograph of the demo', '--no-deps', '-r', REQUIREMENTS / 'demo.txt')
    peers = ('--no-deps', '--no-build-isolation', '--upgrade', '--target', VENV / 'peers')
    pip('other Swins for the tests', *peers, '-r', REQUIREMENTS / 'peers.txt')
    pip('mmgab itself', '--no-build-isolation', '--no-deps', '-e', '.')
    run('a last check that all of it works together', [PYTHON, '-W', 'ignore', '-c', FINAL_CHECK])
    STAMP.write_text(fingerprint())
    print(f'Set-up done in {(time.monotonic() - start) / 60:.1f} minutes', flush=True)


if __name__ == '__main__':
    main()
