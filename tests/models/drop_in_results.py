"""Results of a program that uses both Swins in an environment, or in processes, of its own."""

import json
import os
import subprocess
import sys

from ..conftest import ROOT


def results_of(program, folder, **environment):
    """Run a module of this folder; returns, for each use, what the stock Swin and ours gave.

    It runs without what a launcher has left in the environment, or a test that acts as one.
    """
    path = folder / 'results.json'
    own = {key: value for key, value in os.environ.items() if 'RANK' not in key}
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-m', f'tests.models.{program}', path],
        env={**own, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(path.read_text())
