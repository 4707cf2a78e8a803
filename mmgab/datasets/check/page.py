"""Write the HTML page of a check: counts, findings and class frequencies."""

from collections.abc import Mapping
from pathlib import Path

from mmgab.atomic_file import write_text
from mmgab.html_template import render

_TEMPLATE = Path(__file__).with_name('check.html.j2')


def write_page(result: Mapping, path: Path) -> None:
    """Write the content of ``check.json`` as one HTML file."""
    splits = [
        dict(split, largest=max([1, *split['classes'].values()])) for split in result['splits']
    ]
    page = render(_TEMPLATE, **dict(result, splits=splits))
    write_text(path, page, errors='backslashreplace')
