"""HTML pages from Jinja templates."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def render(template: Path, **content: object) -> str:
    """Fill in a template; text is escaped, and lines that hold only a statement are dropped.

    Args:
        template: A ``.html.j2`` file.
        content: Its variables.

    Raises:
        jinja2.UndefinedError: If it uses a variable that is not given.
    """
    environment = Environment(
        loader=FileSystemLoader(template.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template.name).render(content)
