"""Make the environment .venv that `make` uses; see the README for using another one.

    python3 tools/setup_env.py                   skipped in a second when nothing has changed
    python3 tools/setup_env.py --mmcv FILE       with a wheel of mmcv in place of building it
    python3 tools/setup_env.py --line openmmlab  OpenMMLab's own packages, in .venv-openmmlab

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
REQUIREMENTS = ROOT / 'requirements'
SUPPORTED = ((3, 10), (3, 12))
# Lines of OpenMMLab's packages, which have the same import names: environment and requirements.
LINES = {
    'onedl': ('.venv', 'mminstall.txt'),
    'openmmlab': ('.venv-openmmlab', 'mminstall_openmmlab.txt'),
}
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


class Environment:
    """A virtual environment with one line of OpenMMLab's packages.

    Attributes:
        folder: Of the environment.
        packages: mmcv first, then MMEngine, the toolboxes and mmpretrain: exact requirements.
    """

    def __init__(self, line: str) -> None:
        name, file = LINES[line]
        self.folder = ROOT / name
        lines = (REQUIREMENTS / file).read_text().splitlines()
        self.packages = [line for line in lines if line and not line.startswith('#')]
        self.python = self.folder / 'bin' / 'python'
        self.stamp = self.folder / 'set-up'
        self.mmcv_stamp = self.folder / 'mmcv-built'
        self.log = self.folder / 'set-up.log'

    def fingerprint(self) -> str:
        """What the environment was made from: a change of it means a new set-up."""
        digest = hashlib.sha256(sys.version.encode())
        for path in (Path(__file__), ROOT / 'pyproject.toml', *sorted(REQUIREMENTS.iterdir())):
            digest.update(path.read_bytes())
        return digest.hexdigest()

    def mmcv_fingerprint(self) -> str:
        """What mmcv was built from: only a change of that means a new build."""
        pins = (REQUIREMENTS / 'build.txt').read_text() + self.packages[0]
        return hashlib.sha256((sys.version + pins).encode()).hexdigest()

    def mmcv_ops(self) -> list[Path]:
        """The compiled ops of the installed mmcv: none where it was built without torch."""
        suffix = importlib.machinery.EXTENSION_SUFFIXES[-1]
        return list(self.folder.glob(f'lib/python*/site-packages/mmcv/_ext*{suffix}'))

    def is_up_to_date(self) -> bool:
        """Whether nothing is to be done."""
        return read(self.stamp) == self.fingerprint() and bool(self.mmcv_ops())

    def create(self) -> None:
        """Make it with the Python that runs this; one of the same Python is kept."""
        if not SUPPORTED[0] <= sys.version_info[:2] <= SUPPORTED[1]:
            found = '.'.join(map(str, sys.version_info[:3]))
            sys.exit(f'Python 3.10 to 3.12 is needed, found {found}: make setup PYTHON=python3.11')
        version = self.folder / 'python-version'
        if read(version) == sys.version:
            return
        if self.folder.exists() and not version.exists():
            sys.exit(
                f'{self.folder} was not made by this set-up: remove it, or use it with make PY=...'
            )
        shutil.rmtree(self.folder, ignore_errors=True)
        # Not sys.executable: that may be the Python of the environment that was just removed.
        python = getattr(sys, '_base_executable', sys.executable)
        done = subprocess.run([python, '-m', 'venv', self.folder], capture_output=True, text=True)
        if done.returncode:
            sys.exit(
                f'Cannot make {self.folder}: {done.stdout}{done.stderr}\n'
                'On Debian: apt-get install python3-venv python3-dev g++'
            )
        version.write_text(sys.version)

    def run(self, title: str, command: list, env: dict | None = None) -> None:
        """Run a command with its output in the log, and a line of progress now and then."""
        start = shown = time.monotonic()
        print(f'-- {title}', flush=True)
        with self.log.open('a') as log:
            log.write(f'\n$ {" ".join(map(str, command))}\n')
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env,
                cwd=ROOT,
            )  # fmt: skip
            for line in process.stdout:
                log.write(line)
                if time.monotonic() - shown > PROGRESS_EVERY and (doing := progress(line)):
                    shown = time.monotonic()
                    print(f'   {shown - start:4.0f} s  {doing}', flush=True)
        if process.wait():
            print(*self.log.read_text().splitlines()[-25:], sep='\n')
            sys.exit(f'Set-up failed in: {title}. The whole output is in {self.log}')
        print(f'   {time.monotonic() - start:4.0f} s  done', flush=True)

    def pip(self, title: str, *arguments: str | Path, env: dict | None = None) -> None:
        """Install with the exact versions of the constraints file."""
        constraints = ('-c', REQUIREMENTS / 'constraints.txt')
        self.run(title, [self.python, '-m', 'pip', 'install', *constraints, *arguments], env)

    def install_mmcv(self, wheel: str | None) -> None:
        """Install mmcv from a wheel, or build it; either way it must have its ops."""
        if wheel:
            self.pip(f'mmcv from {wheel}', '--force-reinstall', '--no-deps', wheel)
        else:
            with tempfile.TemporaryDirectory() as folder:
                print('-- preparing to build mmcv', flush=True)
                flags = precompile_torch_headers(Path(folder), self.python)
                # Never from pip's cache: a wheel that was built without torch would come back.
                self.pip(
                    'building mmcv with its ops, 3 to 8 minutes',
                    *('-v', '--no-build-isolation', '--no-cache-dir', '--force-reinstall'),
                    '--no-deps',
                    self.packages[0],
                    env=without_debug_info(flags),
                )
        if not self.mmcv_ops():
            sys.exit(
                'Set-up failed: mmcv was installed without its compiled ops (no mmcv/_ext*.so). '
                f'Is there a C++ compiler, and are the Python headers there? See {self.log}'
            )
        self.mmcv_stamp.write_text(self.mmcv_fingerprint())

    def install_the_rest(self) -> None:
        """Install all but torch and mmcv."""
        # Not isolated: the source distributions among them build with the pinned setuptools.
        tests = ('--no-build-isolation', *self.packages[1:], '-r', REQUIREMENTS / 'tests.txt')
        self.pip('mmdet, mmseg and what tests need, about 1 minute', *tests)
        # Two variants of OpenCV come with them, in one place; that without a display must win.
        opencv = pinned('opencv-python-headless')
        self.pip('OpenCV without a display', '--force-reinstall', '--no-deps', opencv)
        self.pip('the micrograph of the demo', '--no-deps', '-r', REQUIREMENTS / 'demo.txt')
        peers = ('--no-deps', '--no-build-isolation', '--upgrade', '--target')
        peers += (self.folder / 'peers', '-r', REQUIREMENTS / 'peers.txt')
        self.pip('other Swins for the tests', *peers)
        self.pip('mmgab itself', '--no-build-isolation', '--no-deps', '-e', '.')

    def set_up(self, wheel: str | None) -> None:
        """Install everything, and check that it works together."""
        self.create()
        self.pip('torch and what builds with it, about 2 minutes', '-r', REQUIREMENTS / 'build.txt')
        is_built = read(self.mmcv_stamp) == self.mmcv_fingerprint() and self.mmcv_ops()
        if wheel or not is_built:
            self.install_mmcv(wheel)
        self.install_the_rest()
        command = [self.python, '-W', 'ignore', '-c', FINAL_CHECK]
        self.run('a last check that all of it works together', command)
        self.stamp.write_text(self.fingerprint())


def pinned(name: str) -> str:
    """The requirement, in any of the files, that pins a package."""
    lines = [line for path in REQUIREMENTS.iterdir() for line in path.read_text().splitlines()]
    return next(line for line in lines if line.startswith(f'{name}=='))


def read(stamp: Path) -> str:
    """A stamp's contents; empty where there is none."""
    return stamp.read_text() if stamp.exists() else ''


def progress(line: str) -> str:
    """What a line of pip's or ninja's output says about how far it is; empty where nothing."""
    if match := re.search(r'\[(\d+)/(\d+)\] ', line):
        return f'compiled {match[1]} of {match[2]} files'
    match = re.match(r'\s*((?:Collecting|Downloading|Building|Installing)\b.*)', line)
    return match[1][:80] if match else ''


def precompile_torch_headers(folder: Path, python: Path) -> list[str]:
    """Compile torch's headers once instead of in each of mmcv's files: a third of the time.

    Returns:
        Flags that make g++ use them; none where the compiler cannot.
    """
    header = folder / 'torch_types.h'
    header.write_text('#include <torch/types.h>\n')
    flags = subprocess.run(
        [python, '-c', COMPILE_FLAGS], env=without_debug_info([]), capture_output=True, text=True
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


def main() -> None:
    """Make the environment, unless it is there and up to date."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--mmcv', metavar='WHEEL', help='a wheel of mmcv, instead of building it')
    parser.add_argument('--line', choices=LINES, default='onedl', help="whose packages; 'onedl'")
    args = parser.parse_args()
    environment = Environment(args.line)
    if environment.is_up_to_date() and not args.mmcv:
        return
    start = time.monotonic()
    print(f'Setting up {environment.folder.name}: 5 to 15 minutes, 7 GB', flush=True)
    environment.set_up(args.mmcv)
    print(f'Set-up done in {(time.monotonic() - start) / 60:.1f} minutes', flush=True)


if __name__ == '__main__':
    main()
