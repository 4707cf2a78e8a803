"""Write figures, tables and verdicts, the last part of docs/study.md, from the results."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean

from mmgab.analysis.plots import MethodPicture, plot_comparison
from mmgab.atomic_file import write_text
from projects.markdown import markdown_table

from .grid import SEEDS, TASKS, Run, Task
from .paired import BASELINE, BETTER, TOO_FEW, UNSEEN, WORSE, Comparison, Interval, compare
from .results_table import Result

MARK = '<!-- What follows is written by `make study`. -->\n'
METRICS = {
    'coco/bbox_mAP': 'box AP',
    'coco/segm_mAP': 'mask AP',
    'mIoU': 'mIoU',
    'mAcc': 'mean accuracy',
}


def write_page(page: Path, figures: Path, results: Sequence[Result], runs: Sequence[Run]) -> None:
    """Write the tables of the page, and a figure for each task.

    Args:
        page: File of the page; the text below the marker is replaced.
        figures: Folder for the figures.
        results: All results.
        runs: All runs of the study.

    Raises:
        ValueError: If the page has no marker.
    """
    text = page.read_text(encoding='utf-8')
    if MARK not in text:
        raise ValueError(f'{page} has no line {MARK!r}; add it where the results shall begin')
    compared = {task: compare(results, task.name, task.arms) for task in TASKS}
    compared = {task: rows for task, rows in compared.items() if rows}
    sections = ['\n', *_progress(results, runs), *_verdicts(compared)]
    for task, rows in compared.items():
        picture = figures / f'study_{task.name}.png'
        plot_comparison(
            {row.arm: _picture(results, task, row) for row in rows},
            task.title,
            f'{METRICS[task.metrics[0]]}, per cent',
            picture,
        )
        sections += _task_section(task, rows, results, picture.relative_to(page.parent))
    write_text(page, text[: text.index(MARK) + len(MARK)] + ''.join(sections))


def _picture(results: Sequence[Result], task: Task, row: Comparison) -> MethodPicture:
    own = [r for r in results if (r.task, r.arm) == (task.name, row.arm)]
    curves = [result.curve for result in own if result.seed in row.seeds]
    curve = {i: mean(curve[i] for curve in curves) for i in curves[0]}
    return MethodPicture(row.differences, row.bootstrap, curve)


def _progress(results: Sequence[Result], runs: Sequence[Run]) -> Iterator[str]:
    hours = sum(result.seconds for result in results) / 3600
    done = {result.run for result in results}
    missing = [run.name for run in runs if run.name not in done]
    yield (
        f'{len(results)} of {len(runs)} runs, {hours:.1f} hours of one core in all, '
        f'{3600 * hours / max(len(results), 1):.0f} seconds each.'
    )
    yield ' Not trained yet: ' + ', '.join(missing[:8]) if missing else ''
    yield f' and {len(missing) - 8} more.\n' if len(missing) > 8 else '\n'


def _verdicts(compared: dict[Task, list[Comparison]]) -> Iterator[str]:
    rows = [row for task_rows in compared.values() for row in task_rows if row.arm != BASELINE]
    tested = [row for row in rows if row.verdict != TOO_FEW]
    counts = {word: sum(row.verdict == word for row in tested) for word in (BETTER, WORSE, UNSEEN)}
    yield '\n### Verdicts\n\n'
    yield (
        f'Of {len(tested)} comparisons with the baseline, {counts[BETTER]} are better, '
        f'{counts[WORSE]} are worse, and {counts[UNSEEN]} show no effect: an interval of the mean '
        'difference contains 0.\n\n'
    )
    names = list(dict.fromkeys(row.arm for row in rows))
    lines = [[name, *(_verdict(own, name) for own in compared.values())] for name in names]
    yield markdown_table(['arm', *(task.title for task in compared)], lines)


def _verdict(rows: Sequence[Comparison], arm: str) -> str:
    """Return difference and verdict of an arm; empty if the task does not have the arm."""
    row = next((row for row in rows if row.arm == arm), None)
    return '' if row is None else f'{row.difference:+.1f} {row.verdict}'


def _task_section(
    task: Task, rows: Sequence[Comparison], results: Sequence[Result], picture: Path
) -> Iterator[str]:
    first, second = (METRICS[metric] for metric in task.metrics)
    yield f'\n### {task.title}\n\n'
    yield f'![Differences to the baseline, and scores over iterations]({picture})\n\n'
    header = (
        'arm',
        first,
        'difference',
        'bootstrap 95 %',
        "Student's 95 %",
        'seeds',
        second,
        'CPU time',
        'learned',
    )
    lines = [
        (
            row.arm,
            f'{mean(row.scores):.2f}',
            '' if row.arm == BASELINE else f'{row.difference:+.2f}',
            _words(row.bootstrap),
            _words(row.student),
            str(len(row.scores)),
            f'{row.second:.2f}',
            f'{row.cost:.2f}',
            _learned(results, task, row.arm),
        )
        for row in rows
    ]
    yield markdown_table(header, lines)
    if min(len(row.scores) for row in rows) < len(SEEDS):
        yield '\nSome seeds are not trained yet.\n'


def _words(interval: Interval | None) -> str:
    return '' if interval is None else '{:+.2f} to {:+.2f}'.format(*interval)


def _learned(results: Sequence[Result], task: Task, arm: str) -> str:
    """Format the learned parameters of every layer, averaged over seeds."""
    found = [r.learned for r in results if (r.task, r.arm) == (task.name, arm)]
    parts = []
    for kind in found[0]:
        layers = zip(*(learned[kind] for learned in found), strict=True)
        parts.append(f'{kind} ' + ', '.join(f'{mean(values):.3g}' for values in layers))
    return '; '.join(parts)
