"""Measure every config and update configs/metafile.yml, the model index of mim and `mmgab list`.

Builds each model on the meta device, counts the parameters of the model and the FLOPs of its
backbone, and reads task, data and training settings from the config. The fields Results and
Reported, written by hand, are kept.

Examples:
    python -m projects.metafile            # updates the file, a minute
    python -m projects.metafile --check    # writes nothing; exit code 1 if the file is outdated
"""

import argparse
import sys
from logging import ERROR
from pathlib import Path

from mmengine.logging import MMLogger
from tqdm import tqdm

from mmgab.atomic_file import write_text

from .config_facts import facts_of
from .index_file import updated

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
METAFILE = CONFIGS / 'metafile.yml'


def main() -> None:
    """Measure the configs, and write or compare the file."""
    parser = argparse.ArgumentParser(
        prog='python -m projects.metafile',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--check', action='store_true', help='exit with code 1 if the file is outdated'
    )
    args = parser.parse_args()
    MMLogger.get_current_instance().setLevel(ERROR)  # it warns of every change of scope
    before = METAFILE.read_text()
    files = sorted(CONFIGS.glob('*.py'))
    after = updated(before, [facts_of(file) for file in tqdm(files, 'configs', leave=False)])
    if before == after:
        print(f'{METAFILE} is up to date: {len(files)} configs')
    elif args.check:
        sys.exit(f'error: {METAFILE} is outdated. Run: python -m projects.metafile')
    else:
        write_text(METAFILE, after)
        print(f'Updated {METAFILE}: {len(files)} configs')


if __name__ == '__main__':
    main()
