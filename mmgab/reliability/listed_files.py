"""Reduce the file lists in a checkpoint to files that the run may delete."""

import reprlib
from collections.abc import Mapping
from math import isnan
from numbers import Real
from pathlib import PurePath

from .own_files import OwnFiles

# In runtime_info. The first two are MMEngine's.
LAST_CHECKPOINT, KEPT_STEPS = 'last_ckpt', 'keep_ckpt_ids'
OUTDATED = 'outdated_files'  # names
_SHORT = reprlib.Repr()
_SHORT.maxstring = 300


def score_key(suffix: str) -> str:
    """MMEngine's key for the best value of a metric."""
    return f'best_score{suffix}'


def best_key(suffix: str) -> str:
    """MMEngine's key for the path of the checkpoint with that value."""
    return f'best_ckpt{suffix}'


def reduce_lists(
    listed: Mapping[str, object], files: OwnFiles, suffixes: Mapping[str, str]
) -> tuple[dict[str, object], list[str]]:
    """Reduce lists, which may hold anything, to files of the hook's own.

    Args:
        listed: What a checkpoint lists, by the keys of ``runtime_info``.
        files: The run's own files.
        suffixes: The end of a metric's keys, by its name.

    Returns:
        What remains, and a sentence for each thing that was dropped. Steps whose files were
        deleted since are dropped without one.
    """
    steps, dropped = _reduce_steps(listed.get(KEPT_STEPS), files)
    names, others = _reduce_names(listed.get(OUTDATED), files)
    facts: dict[str, object] = {KEPT_STEPS: steps}
    last = _name(listed.get(LAST_CHECKPOINT))
    if files.step_of(last) is not None and files.has(last):
        facts[LAST_CHECKPOINT] = files.path(last)
    problems = [
        f'{number} entries of {key} are dropped: they are not checkpoints in {files.folder}'
        for key, number in ((KEPT_STEPS, dropped), (OUTDATED, others))
        if number
    ]
    for metric, suffix in suffixes.items():
        path, score = listed.get(best_key(suffix)), listed.get(score_key(suffix))
        name, number = _name(path), _number(score)
        if number is not None and files.is_best(name, metric) and files.has(name):
            facts |= {best_key(suffix): files.path(name), score_key(suffix): number}
            names = [each for each in names if each != name]
        elif path is not None or score is not None:
            problems.append(
                f'the best {metric} is reset: the best checkpoint {_SHORT.repr(name)} '
                f'is not in {files.folder}, or its score is not a number'
            )
    return {**facts, OUTDATED: names}, problems


def _reduce_steps(listed: object, files: OwnFiles) -> tuple[list[int], int]:
    """Steps whose files are here, and the number of entries that are not steps of regular files."""
    entries = _entries(listed)
    there = {step: name for name in files.names() if (step := files.step_of(name)) is not None}
    here = {step for step, name in there.items() if files.has(name)}
    steps = [entry for entry in entries if type(entry) is int and entry >= 0]
    strange = sum(step in there and step not in here for step in steps)
    return (
        [step for step in dict.fromkeys(steps) if step in here],
        len(entries) - len(steps) + strange,
    )


def _reduce_names(listed: object, files: OwnFiles) -> tuple[list[str], int]:
    """Names whose files are here, and the number of entries that are not names of regular files."""
    entries, there = _entries(listed), files.names()
    names = [entry for entry in entries if isinstance(entry, str) and files.is_replaceable(entry)]
    here = [name for name in dict.fromkeys(names) if name in there and files.has(name)]
    strange = sum(name in there and not files.has(name) for name in dict.fromkeys(names))
    return here, len(entries) - len(names) + strange


def _entries(listed: object) -> list:
    if isinstance(listed, (list, tuple)):
        return list(listed)
    return [] if listed is None else [listed]


def _name(path: object) -> str:
    return PurePath(path).name if isinstance(path, str) else ''


def _number(score: object) -> float | None:
    if isinstance(score, bool) or not isinstance(score, Real):
        return None
    try:
        number = float(score)
    except OverflowError:  # an integer that no score has
        return None
    return None if isnan(number) else number
