"""`make test-security-long`: many flipped bits; its figures are in docs/reliability.md."""

import argparse
import sys
import tempfile
import time

from .flips import CHANGED, flip, random_bits, write_files, write_files_without_sums


def main():
    """Print the figures; exit with 1 where a damaged file was loaded with other values."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--flips', type=int, default=100_000, help='over three formats')
    parser.add_argument('--seed', type=int, default=1)
    args = parser.parse_args()
    start, changed = time.monotonic(), 0
    with tempfile.TemporaryDirectory() as folder:
        for name, (path, sha256) in write_files(folder).items():
            times = -(-args.flips // 3)
            outcomes = flip(path, sha256, random_bits(path, times, args.seed))
            changed += outcomes[CHANGED]
            print(f'{name}: {times} flips: {dict(outcomes)}', flush=True)
        for name, (path, _) in write_files_without_sums(folder).items():
            outcomes = flip(path, None, random_bits(path, 1000, args.seed))
            print(f'{name}, which has no sums: 1000 flips: {dict(outcomes)}', flush=True)
    print(f'{changed} loaded with other values; {(time.monotonic() - start) / 60:.1f} minutes')
    return int(bool(changed))


if __name__ == '__main__':
    sys.exit(main())
