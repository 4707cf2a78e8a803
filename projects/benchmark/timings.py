"""Format results of the benchmark as Markdown tables, for the terminal and the docs."""

from collections.abc import Callable, Mapping

from projects.markdown import markdown_table

from .swin_peers import REFERENCE


def report(section: str, results: Mapping) -> str:
    """Format the tables of a section."""
    return _WRITERS[section](results)


def _seconds_and_ratios(results: Mapping) -> str:
    """Format a row per network and a column per mode: seconds, and the ratio of the first row."""
    modes = list(results)
    rows = []
    for name in results[modes[0]]:
        cells = [results[mode][name] for mode in modes]
        rows.append([name, *(f'{c["seconds"]:#.4g} ({c["ours"]:.2f})' for c in cells)])
    first = next(iter(results[modes[0]]))
    return markdown_table([f'seconds ({first}, by it)', *modes], rows)


def _times(results: Mapping) -> str:
    peaks = {
        name: row['peak bytes'] for name, row in next(iter(results.values())).items()
        if 'peak bytes' in row
    }  # fmt: skip
    text = _seconds_and_ratios(results)
    if peaks:
        modes = list(results)
        rows = [
            [name, *(f'{results[mode][name]["peak bytes"] / 2**20:.0f}' for mode in modes)]
            for name in peaks
        ]
        text += '\n' + markdown_table(['memory at its peak, MiB', *modes], rows)
    return text


def _counts(results: Mapping) -> str:
    rows = []
    for what in results[REFERENCE]:
        reference = results[REFERENCE][what]
        cells = []
        for row in results.values():
            is_bytes = not what.startswith('moving')
            amount = f'{row[what] / 2**20:.0f} MiB' if is_bytes else str(row[what])
            cells.append(f'{amount} ({row[what] / reference:.2f})')
        rows.append([what, *cells])
    return markdown_table([f'(by {REFERENCE})', *results], rows)


def _geometry(results: Mapping) -> str:
    whats = list(next(iter(results.values())))
    rows = [[what, *(f'{row[what] / 1024:.1f} KiB' for row in results.values())] for what in whats]
    return markdown_table(['one image', *results], rows)


def _scaling(results: Mapping) -> str:
    sides = next(iter(results.values()))['sides']
    rows = [
        [name, *(f'{value:#.4g}' for value in row['seconds']), f'{row["exponent"]:.3f}']
        for name, row in results.items()
    ]
    header = ['seconds, fp32 inference', *(f'{side}x{side}' for side in sides)]
    return markdown_table([*header, 'exponent over pixels'], rows)


def _compiled(results: Mapping) -> str:
    rows = [
        [
            name,
            f'{row["seconds"]:#.4g}',
            f'{row["ratio"]:.2f}',
            f'{row.get("compile seconds", 0):.0f}',
        ]
        for name, row in next(iter(results.values())).items()
    ]
    header = [next(iter(results)), 'seconds', f'by {REFERENCE}', 'seconds to compile']
    return markdown_table(header, rows)


_WRITERS: dict[str, Callable[[Mapping], str]] = {
    'counts': _counts,
    'geometry': _geometry,
    'inference': _times,
    'gpu': _times,
    'training': _times,
    'gaussian': _seconds_and_ratios,
    'selective': _seconds_and_ratios,
    'scaling': _scaling,
    'detector': _seconds_and_ratios,
    'onnx': _seconds_and_ratios,
    'compiled': _compiled,
}
