"""`make test-faults`: many kills and damaged files; its figures are in docs/reliability.md."""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .damage import damage_repeatedly
from .kills import kill_repeatedly
from .training import config, train

ROOT = Path(__file__).resolve().parents[2]


def main():
    """Print the figures; exit with 1 where anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--kills', type=int, default=60)
    parser.add_argument('--damages', type=int, default=2000)
    parser.add_argument('--seed', type=int, default=1)
    args = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, 'nuclei')
        converter = ROOT / 'tools' / 'dataset_converters' / 'nuclei.py'
        subprocess.run([sys.executable, converter, '-o', data], check=True)
        figures = kill_repeatedly(folder, data, args.kills, args.seed, tell=print)
        work_dir = Path(folder, 'whole')
        code, log = train(config(work_dir, data))
        assert code == 0, log
        outcomes = damage_repeatedly(work_dir / 'epoch_3.pth', args.damages, args.seed, tell=print)
    loaded = outcomes['loaded though damaged']
    print(f'{figures.kills} kills, {figures.while_saving} of them while a file was written')
    print(f'{len(figures.torn)} torn files, {figures.lost} saved iterations lost')
    print(f'last weights those of a run that was not killed, bit by bit: {figures.same}')
    print(f'{args.damages} damaged files: {outcomes["refused"]} refused, '
          f'{outcomes["harmless"]} read as they were, {loaded} loaded though damaged')  # fmt: skip
    print(f'{(time.monotonic() - begun) / 60:.1f} minutes')
    return int(bool(figures.torn or figures.lost or loaded or not figures.same))


if __name__ == '__main__':
    sys.exit(main())
