"""Sphinx roles in docstrings, such as ``:class:`~mmgab.SwinGAB```, as code on the website."""

import re
from typing import Any

import griffe

_ROLE = re.compile(r':(?:attr|class|data|exc|func|meth|mod):`([^`]+)`')


def _as_code(match: re.Match) -> str:
    """Return the name; a leading ``~`` keeps its last part only."""
    name = match[1].lstrip('.')
    return f'``{name.rpartition(".")[2] if name.startswith("~") else name}``'


class DocstringRoles(griffe.Extension):
    """Replace the roles in every docstring."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Replace the roles in the docstring of an object."""
        if obj.docstring:
            obj.docstring.value = _ROLE.sub(_as_code, obj.docstring.value)
