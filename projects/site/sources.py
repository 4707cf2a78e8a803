"""The pages of the repository as pages of the website: links lead where the page is there."""

import re
import shutil
from pathlib import Path

from mmgab.atomic_file import write_text

ROOT = Path(__file__).resolve().parents[2]
# Pages that have another name on the website.
_RENAMED = {
    'README.md': 'index.md',
    'CHANGELOG.md': 'changelog.md',
    'CONTRIBUTING.md': 'contributing.md',
    'docs/quick_start.ipynb': 'quick_start.md',
}
_LINK = re.compile(r'(?P<mark>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)')
_FENCE = re.compile(r'(^```.*?^```$)', re.MULTILINE | re.DOTALL)


class BrokenLinkError(ValueError):
    """A link of a page leads to nothing."""


def copy_pages(out: Path) -> list[str]:
    """Copy the Markdown pages and their figures.

    Args:
        out: Folder of the website's sources.

    Returns:
        Names of the pages.

    Raises:
        BrokenLinkError: If a page links to a file that does not exist.
    """
    pages = [ROOT / name for name in _RENAMED if name.endswith('.md')]
    pages += sorted((ROOT / 'docs').glob('*.md'))
    for page in pages:
        write_text(out / _site_name(page), _with_links(page))
    shutil.copytree(ROOT / 'docs' / 'figures', out / 'figures')
    return [_site_name(page) for page in pages]


def _site_name(file: Path) -> str:
    name = file.relative_to(ROOT).as_posix()
    return _RENAMED.get(name) or name.removeprefix('docs/')


def _with_links(page: Path) -> str:
    """Return a page whose links fit the website; code is left alone."""

    def replace(match: re.Match) -> str:
        target, _, anchor = match['target'].partition('#')
        if '://' in target or not target:
            return match[0]
        file = (page.parent / target).resolve()
        if not file.exists():
            raise BrokenLinkError(
                f'{page.relative_to(ROOT)}: the link to {target} leads to nothing'
            )
        if file.is_relative_to(ROOT / 'docs') or file.relative_to(ROOT).as_posix() in _RENAMED:
            anchor = f'#{anchor}' if anchor else ''
            return f'{match["mark"]}[{match["text"]}]({_site_name(file)}{anchor})'
        return match['text']  # a file of the repository, which the website does not have

    parts = _FENCE.split(page.read_text())
    return ''.join(part if part.startswith('```') else _LINK.sub(replace, part) for part in parts)
