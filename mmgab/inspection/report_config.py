"""Read the config of a work dir as literals, without executing it."""

import ast
import math
from pathlib import Path

from mmengine.config import Config

_LARGEST = 2**20  # bytes
_SHOWN = 60  # characters of rejected code in the error message
_NUMBERS = dict(inf=math.inf, nan=math.nan)  # printed by Python without quotes


class NotDataError(ValueError):
    """The config has code that is not a literal; the message gives the line."""


def read_config(path: Path) -> Config:
    """Read a config file dumped by MMEngine: assignments of literals to names.

    MMEngine writes a mapping as ``dict(...)`` and a class as its bare name, which is read as text.

    Raises:
        NotDataError: If the file has any other code, or is larger than 1 MiB.
        OSError: If the file cannot be read.
    """
    if path.stat().st_size > _LARGEST:
        size = path.stat().st_size
        raise NotDataError(f'{path} has {size} bytes, allowed are at most {_LARGEST}')
    try:
        tree = ast.parse(path.read_bytes())
        return Config(dict(map(_assignment, tree.body)))
    except (SyntaxError, ValueError, TypeError, KeyError, MemoryError, RecursionError) as error:
        raise NotDataError(
            f'{path} cannot be read without executing it: {error}. --run-config executes it as '
            'Python code, with your permissions'
        ) from error


def _assignment(node: ast.stmt) -> tuple[str, object]:
    """Return name and value of ``name = value``."""
    names = node.targets if isinstance(node, ast.Assign) else []
    if isinstance(node, ast.Assign) and len(names) == 1 and isinstance(names[0], ast.Name):
        return names[0].id, _Literals().visit(node.value)
    raise _not_data(node)


def _not_data(node: ast.stmt | ast.expr) -> NotDataError:
    beginning = ast.unparse(node).splitlines()[0][:_SHOWN]
    return NotDataError(f'line {node.lineno} is not a literal: {beginning}')


class _Literals(ast.NodeVisitor):
    """Evaluates an expression of literals."""

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
        """Evaluate ``dict(name=value)`` or ``dict({key: value})``."""
        is_dict = isinstance(node.func, ast.Name) and node.func.id == 'dict'
        mappings = [type(argument) for argument in node.args]
        has_names = all(keyword.arg for keyword in node.keywords)  # False for **mapping
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
        assert isinstance(node, ast.expr)  # only expressions are visited
        raise _not_data(node)
