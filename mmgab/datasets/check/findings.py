"""What is wrong with a data set, counted by kind, with examples."""

import reprlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mmgab.printable_text import printable

EXAMPLES = 20  # kept of each kind; the count is of all
_LONGEST = 600  # characters of an example

_SHORT = reprlib.Repr()
_SHORT.maxlist = _SHORT.maxdict = _SHORT.maxlevel = 6
_SHORT.maxstring = _SHORT.maxlong = _SHORT.maxother = 80


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        kind: What, in a few words; findings of a kind are counted together.
        detail: Where, and what was found there.
        is_error: Training would stop, or learn from something wrong; else it is worth knowing.
    """

    kind: str
    detail: str
    is_error: bool = True


@dataclass
class Split:
    """What is known of one loader's data.

    Attributes:
        name: Of the loader.
        counts: Images, annotations and so on.
        classes: Instances, or pixels, of every class.
        hashes: Digest of every image file, by path.
        labels: Classes in the order of their labels, of each data set.
    """

    name: str
    counts: dict[str, int] = field(default_factory=dict)
    classes: dict[str, int] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    labels: list[Sequence[str]] = field(default_factory=list)
    _found: dict[tuple[str, bool], list[str]] = field(default_factory=dict)
    _numbers: dict[tuple[str, bool], int] = field(default_factory=dict)

    def add(self, findings: Iterable[Finding]) -> None:
        """Count findings."""
        for finding in findings:
            key = (finding.kind, finding.is_error)
            self._numbers[key] = self._numbers.get(key, 0) + 1
            examples = self._found.setdefault(key, [])
            if len(examples) < EXAMPLES:
                examples.append(_cut(printable(finding.detail)))

    def count(self, counts: Mapping[str, int], classes: Mapping[str, int]) -> None:
        """Set numbers of images, annotations and so on, and of every class."""
        self.counts.update(counts)
        self.classes.update(classes)

    def take(self, part: 'Split', name: str = '') -> None:
        """Add what is known of a part of the loader's data.

        Args:
            part: One of several data sets.
            name: Put before its examples.
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
        """How many errors there are."""
        return sum(number for (_, is_error), number in self._numbers.items() if is_error)

    def found(self) -> list[dict]:
        """Kinds of findings, errors first, the most frequent first."""
        kinds = sorted(self._numbers.items(), key=lambda item: (not item[0][1], -item[1]))
        return [
            dict(kind=kind, is_error=is_error, count=count, examples=self._found[kind, is_error])
            for (kind, is_error), count in kinds
        ]


def shown(value: object) -> str:
    """Write a value of a file in some characters, however long or deeply nested it is."""
    return _SHORT.repr(value)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f'{text[:_LONGEST]}...'
