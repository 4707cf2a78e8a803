"""The fenced code blocks of the README and of docs/, as a reader copies them."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from ..conftest import ROOT

PAGES = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted((ROOT / 'docs').glob('*.md'))]
_FENCE = re.compile(r'^( *)```(\w*)[^\n]*\n(.*?)^\1```$', re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: File that it stands in.
        line: Line of its first line of code.
        language: Word after the fence.
        text: The code.
    """

    page: Path
    line: int
    language: str
    text: str

    def __str__(self):
        return f'{self.page.relative_to(ROOT)}:{self.line}'


def blocks_of(page):
    """Return the blocks of a page in order."""
    text = page.read_text()
    return [
        Block(page, text[: match.start(3)].count('\n') + 1, match[2], match[3])
        for match in _FENCE.finditer(text)
    ]


def commands_of(block):
    """Yield the commands of a shell block as lists of words, without comments."""
    for line in block.text.replace('\\\n', ' ').splitlines():
        words = shlex.split(line, comments=True)
        if words:
            yield words
