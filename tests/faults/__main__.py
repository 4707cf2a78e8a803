"""`make test-faults`: many kills and damaged files; its figures are in docs/reliability.md."""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .damage import damage_repeatedly
from .kills import Launched, kill_repeatedly
from .training import config, train

ROOT = Path(__file__).resolve().parents[2]


def main():
    """Print the figures; exit with 1 where anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--kills', type=int, default=150, help='of runs in one process')
    parser.add_argument('--launched', type=int, default=50, help='of launchers and ranks')
    parser.add_argument('--damages', type=int, default=2000)
    parser.add_argument('--seed', type=int, default=1)
    args = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, 'nuclei')
        converter = ROOT / 'tools' / 'dataset_converters' / 'nuclei.py'
        subprocess.run([sys.executable, converter, '-o', data], check=True)
        alone = kill_repeatedly(f'{folder}/alone', data, args.kills, args.seed, tell=print)
        launched = kill_repeatedly(
            f'{folder}/launched', data, args.launched, args.seed, Launched(), tell=print
        )
        work_dir = Path(folder, 'whole')
        code, log = train(config(work_dir, data))
        assert code == 0, log
        outcomes = damage_repeatedly(work_dir / 'epoch_3.pth', args.damages, args.seed, tell=print)
    loaded = outcomes['loaded though damaged']
    print(f'one process: {alone}')
    print(f'two processes behind a launcher: {launched}')
    print(f'{args.damages} damaged files: {outcomes["refused"]} refused, '
          f'{outcomes["harmless"]} read as they were, {loaded} loaded though damaged')  # fmt: skip
    print(f'{(time.monotonic() - begun) / 60:.1f} minutes')
    return int(bool(loaded or not alone.is_sound() or not launched.is_sound()))


if __name__ == '__main__':
    sys.exit(main())
