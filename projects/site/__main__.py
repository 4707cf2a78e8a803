"""Build the documentation website into build/site; a warning or a broken link is an error.

make docs
"""

import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from .generated_pages import write_commands, write_notebook, write_reference
from .sources import ROOT, BrokenLinkError, copy_pages
from .zoo_page import write_zoo

BUILD = ROOT / 'build'


def pages_of(nav: list) -> list[str]:
    """Return the pages of a navigation, at any depth."""
    pages = []
    for entry in nav:
        for value in entry.values():
            pages += pages_of(value) if isinstance(value, list) else [value]
    return pages


def main() -> None:
    """Collect the sources, then build."""
    source = BUILD / 'site_source'
    shutil.rmtree(source, ignore_errors=True)
    shutil.rmtree(BUILD / 'site', ignore_errors=True)
    (source / 'reference').mkdir(parents=True)
    try:
        pages = copy_pages(source)
    except BrokenLinkError as error:
        sys.exit(f'error: {error}')
    shutil.copy(Path(__file__).with_name('style.css'), source)
    print('Commands and reference', flush=True)
    write_commands(source)
    write_reference(source / 'reference')
    write_zoo(source)
    print('Executing docs/quick_start.ipynb', flush=True)
    write_notebook(source, ROOT)
    settings = yaml.safe_load((ROOT / 'mkdocs.yml').read_text())
    missing = set(pages) - set(pages_of(settings['nav']))
    if missing:
        sys.exit(f'error: mkdocs.yml: nav lacks {", ".join(sorted(missing))}')
    subprocess.run(
        [sys.executable, '-m', 'zensical', 'build', '--strict', '--clean'], cwd=ROOT, check=True
    )
    print(f'Written to {BUILD / "site" / "index.html"}')


if __name__ == '__main__':
    main()
