"""The page of a check: what is there, what is wrong with it, how often each class is."""

from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_TEMPLATES = Path(__file__).resolve().parent


def write_page(result: Mapping, path: Path) -> None:
    """Write what ``check.json`` holds as one HTML file."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined
    )
    splits = [
        dict(split, largest=max([1, *split['classes'].values()])) for split in result['splits']
    ]
    template = environment.get_template('check.html.j2')
    page = template.render(result, splits=splits)
    path.write_text(page, encoding='utf-8', errors='backslashreplace')
