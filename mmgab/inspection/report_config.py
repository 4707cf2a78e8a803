"""Settings of a run as its work dir has them: Python text, read as data and not run."""

import ast
import math
from pathlib import Path

from mmengine.config import Config

_LARGEST = 2**20  # bytes
_SHOWN = 60  # letters of what is refused
_NUMBERS = dict(inf=math.inf, nan=math.nan)  # as Python prints them


class NotDataError(ValueError):
    """The text would have to be run to know what it means; the message says where."""


def read_config(path: Path) -> Config:
    """Read a config that MMEngine dumped: names, and their values as literals.

    MMEngine writes a mapping as ``dict(...)`` and a class as its bare name, which is read as text.

    Raises:
        NotDataError: If there is anything else in the file, or more than 1 MiB.
        OSError: If it cannot be read.
    """
    if path.stat().st_size > _LARGEST:
        raise NotDataError(f'{path} has more than {_LARGEST} bytes')
    try:
        tree = ast.parse(path.read_bytes())
        return Config(dict(map(_assignment, tree.body)))
    except (SyntaxError, ValueError, TypeError, KeyError, MemoryError, RecursionError) as error:
        raise NotDataError(
            f'{path} cannot be read as data: {error}. --run-config runs it as Python, with your '
            'rights'
        ) from error


def _assignment(node: ast.stmt) -> tuple[str, object]:
    """Name and value of ``name = value``."""
    names = node.targets if isinstance(node, ast.Assign) else []
    if isinstance(node, ast.Assign) and len(names) == 1 and isinstance(names[0], ast.Name):
        return names[0].id, _Literals().visit(node.value)
    raise _not_data(node)


def _not_data(node: ast.stmt | ast.expr) -> NotDataError:
    beginning = ast.unparse(node).splitlines()[0][:_SHOWN]
    return NotDataError(f'line {node.lineno} would have to be run: {beginning}')


class _Literals(ast.NodeVisitor):
    """Value of an expression of literals."""

    def visit_Constant(self, node: ast.Constant) -> object:
        return node.value

    def visit_List(self, node: ast.List) -> list:
        return [self.visit(element) for element in node.elts]

    def visit_Tuple(self, node: ast.Tuple) -> tuple:
        return tuple(self.visit(element) for element in node.elts)

    def visit_Set(self, node: ast.Set) -> set:
        return {self.visit(element) for element in node.elts}

    def visit_Dict(self, node: ast.Dict) -> dict:
        keys = [key for key in node.keys if key is not None]
        if len(keys) < len(node.keys):  # **
            raise _not_data(node)
        return {self.visit(k): self.visit(v) for k, v in zip(keys, node.values, strict=True)}

    def visit_Call(self, node: ast.Call) -> dict:
        """``dict(name=value)`` or ``dict({key: value})``."""
        is_dict = isinstance(node.func, ast.Name) and node.func.id == 'dict'
        mappings = [type(argument) for argument in node.args]
        has_names = all(keyword.arg for keyword in node.keywords)  # none of **
        if not is_dict or mappings not in ([], [ast.Dict]) or not has_names:
            raise _not_data(node)
        given = self.visit(node.args[0]) if node.args else {}
        return given | {keyword.arg: self.visit(keyword.value) for keyword in node.keywords}

    def visit_UnaryOp(self, node: ast.UnaryOp) -> complex:
        if not isinstance(node.op, ast.USub):
            raise _not_data(node)
        return -self.visit(node.operand)

    def visit_Name(self, node: ast.Name) -> str | float:
        return _NUMBERS.get(node.id, node.id)

    def visit_Attribute(self, node: ast.Attribute) -> str:
        return f'{self.visit(node.value)}.{node.attr}'

    def generic_visit(self, node: ast.AST) -> None:
        assert isinstance(node, ast.expr)  # nothing else is visited
        raise _not_data(node)
