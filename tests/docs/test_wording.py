"""The words that users search for are in the pages, and home-made words for them are nowhere."""

import re

import pytest

from ..conftest import ROOT

README = (ROOT / 'README.md').read_text()
PAGES = README + ''.join(path.read_text() for path in sorted((ROOT / 'docs').glob('*.md')))
# What somebody who trains detectors types into a search box.
TERMS = (
    'activation checkpointing', 'attention mask', 'baseline', 'checkpoint', 'CUDA', 'eager',
    'exact resume', 'fine-tune', 'FLOPs', 'fused', 'GPU', 'gradient clipping', 'inference',
    'label map', 'learning rate', 'mixed precision', 'missing keys', 'ONNX', 'padding mask',
    'pretrained weights',
    'relative position bias', 'resume', 'reduce_zero_label', 'SDPA', 'test-time augmentation',
    'train on your own data', 'unexpected keys', 'weight decay',
)  # fmt: skip
README_HEADINGS = (
    'Installation', 'Quick start', 'Results', 'What you can do', 'Documentation', 'Help',
    'Contributing', 'Citation', 'License',
)  # fmt: skip
# The field's words stand on the right.
BANNED = {
    r'\bby steps\b': 'unfused (eager)',
    r'\b(re)?computed? again in (the )?backward\b': 'recompute (activation checkpointing)',
    r'\b(keeps?|kept) for backward\b': 'save for backward',
    r'\breal tokens?\b|\bis_real\b': 'valid tokens, padding mask',
    r'\border of windows\b': 'permutation',
    r'\btwins?\b': 'baseline',
    r'\bcures?\b': 'fix',
    r'\b(begins?|starts?|began) anew\b': 'start from scratch',
    r'\bcarr(y|ies|ied) code\b': 'contains executable pickle code',
    r'\bkind of number\b': 'dtype',
    r'\bhas no place in\b': 'unexpected key',
    r'\bends all\b': 'the job stops',
    r'\bnobody has seen\b': 'not measured yet',
    r'\bwent the way of\b': 'were not kept',
    r'\bwritten as two products\b': 'replaced by two matrix multiplications',
    r'\bOther ideas are beside\b': 'Three more methods',
    r'\bare none of\b|\bis none of an?\b': 'does not match',
}
FOLDERS = ('configs', 'docs', 'mmgab', 'projects', 'tests', 'tools')
SUFFIXES = {'.ipynb', '.j2', '.md', '.py', '.sh', '.yml'}
FILES = [
    path
    for path in [*ROOT.glob('*'), *(file for name in FOLDERS for file in (ROOT / name).rglob('*'))]
    if (path.suffix in SUFFIXES or path.name == 'Makefile')
    and path.name != 'test_wording.py'
    and '.mim' not in path.parts
]  # fmt: skip


@pytest.mark.parametrize('term', TERMS)
def test_search_term_is_in_pages(term):
    assert term.lower() in PAGES.lower()


def test_readme_has_expected_headings():
    headings = re.findall(r'^## (.+)$', README, re.MULTILINE)
    assert tuple(headings) == README_HEADINGS


def test_readme_shows_both_commands_first():
    first = '\n'.join(README.splitlines()[:25])
    assert 'make demo' in first
    assert 'make test' in first


def test_readme_introduction_reports_both_results():
    first = README.partition('\n## ')[0]
    assert '+0.11' in first
    assert '+0.25' in first
    assert 'no effect' in first


@pytest.mark.parametrize(('word', 'instead'), BANNED.items(), ids=BANNED.values())
def test_banned_word_is_absent(word, instead):
    found = []
    for path in FILES:
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            if re.search(word, line, re.IGNORECASE):
                found.append(f'{path.relative_to(ROOT)}:{number}: {line.strip()}')
    assert not found, f'write {instead!r}:\n' + '\n'.join(found)
