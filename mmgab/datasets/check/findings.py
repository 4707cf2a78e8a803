"""Collect findings about a dataset: counted by kind, with examples."""

import reprlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mmgab.printable_text import printable

EXAMPLES = 20  # stored per kind; the count includes all
_LONGEST = 600  # characters of an example

_SHORT = reprlib.Repr()
_SHORT.maxlist = _SHORT.maxdict = _SHORT.maxlevel = 6
_SHORT.maxstring = _SHORT.maxlong = _SHORT.maxother = 80


@dataclass(frozen=True)
class Finding:
    """Finding of the check: an error or a note.

    Attributes:
        kind: Title of the finding; findings with the same kind are counted together.
        detail: File or setting, the value found, and the allowed values.
        is_error: Training would fail or learn from wrong data; False for a note.
    """

    kind: str
    detail: str
    is_error: bool = True


@dataclass
class Split:
    """Counts and findings of one loader's data.

    Attributes:
        name: Name of the loader.
        counts: Numbers of images, annotations and so on.
        classes: Number of instances or pixels per class.
        hashes: Digest of every image file, by path.
        labels: Classes in the order of their labels, per dataset.
    """

    name: str
    counts: dict[str, int] = field(default_factory=dict)
    classes: dict[str, int] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    labels: list[Sequence[str]] = field(default_factory=list)
    _found: dict[tuple[str, bool], list[str]] = field(default_factory=dict)
    _numbers: dict[tuple[str, bool], int] = field(default_factory=dict)

    def add(self, findings: Iterable[Finding]) -> None:
        """Add findings."""
        for finding in findings:
            key = (finding.kind, finding.is_error)
            self._numbers[key] = self._numbers.get(key, 0) + 1
            examples = self._found.setdefault(key, [])
            if len(examples) < EXAMPLES:
                examples.append(_cut(printable(finding.detail)))

    def count(self, counts: Mapping[str, int], classes: Mapping[str, int]) -> None:
        """Set the numbers of images, annotations and so on, and those per class."""
        self.counts.update(counts)
        self.classes.update(classes)

    def take(self, part: 'Split', name: str = '') -> None:
        """Merge the counts and findings of one dataset of the loader.

        Args:
            part: Counts and findings of the dataset.
            name: Prefix of its examples.
        """
        for mine, added in ((self.counts, part.counts), (self.classes, part.classes)):
            total = Counter(mine)
            total.update(added)
            mine.update(total)
        self.hashes.update(part.hashes)
        for key, number in part._numbers.items():
            self._numbers[key] = self._numbers.get(key, 0) + number
            examples = self._found.setdefault(key, [])
            named = [_cut(f'{name}: {each}' if name else each) for each in part._found[key]]
            examples += named[: EXAMPLES - len(examples)]

    @property
    def errors(self) -> int:
        """Return the number of errors."""
        return sum(number for (_, is_error), number in self._numbers.items() if is_error)

    def found(self) -> list[dict]:
        """Return the findings by kind: errors first, then by frequency."""
        kinds = sorted(self._numbers.items(), key=lambda item: (not item[0][1], -item[1]))
        return [
            dict(kind=kind, is_error=is_error, count=count, examples=self._found[kind, is_error])
            for (kind, is_error), count in kinds
        ]


def in_file(findings: Iterable[Finding], path: object) -> Iterator[Finding]:
    """Append the file that findings are about to their details."""
    for finding in findings:
        yield Finding(finding.kind, f'{finding.detail} ({path})', finding.is_error)


def shown(value: object) -> str:
    """Shorten a value of a file for a message, however long or deeply nested it is."""
    return _SHORT.repr(value)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f'{text[:_LONGEST]}...'
