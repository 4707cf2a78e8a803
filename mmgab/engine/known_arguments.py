"""Names of the arguments that classes and functions of a config take."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping

import mmengine.registry
from mmengine.registry import Registry

from mmgab.config_types import type_of

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
# Registries of what no dict in a config builds.
_OTHERS = {'FUNCTIONS', 'INFERENCERS', 'RUNNERS', 'RUNNER_CONSTRUCTORS', 'STRATEGIES'}


def arguments_of_type(settings: Mapping, scope: str | None) -> set[str] | None:
    """Name the arguments of what ``type`` builds, in whichever of MMEngine's registries it is.

    Args:
        settings: With a ``type``.
        scope: The config's ``default_scope``.

    Returns:
        Names; None where the type is not known, or takes any argument.
    """
    registries = (
        registry
        for name, registry in vars(mmengine.registry).items()
        if isinstance(registry, Registry) and name not in _OTHERS
    )
    found = [type_of(settings, registry, scope) for registry in registries]
    names = [arguments_of(builder) for builder in found if builder is not None]
    return set().union(*names) if names and None not in names else None


def arguments_of(builder: Callable) -> set[str] | None:
    """Name the arguments of a class or function; None where it takes any.

    A class that hands all others (``**kwargs``) to the class that it is derived from takes those of
    that class.
    """
    names: set[str] = set()
    for function in _initializers(builder):
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):  # compiled code does not say
            return None
        names |= {each.name for each in parameters if each.kind in _NAMED} - {'self'}
        others = [each.name for each in parameters if each.kind is each.VAR_KEYWORD]
        if not others:
            return names
        if not _hands_on(function, others[0]):
            return None
    return None


def _initializers(builder: Callable) -> Iterator[Callable]:
    if not isinstance(builder, type):
        yield builder
        return
    yield from (vars(kind)['__init__'] for kind in builder.__mro__ if '__init__' in vars(kind))


def _hands_on(function: Callable, name: str) -> bool:
    """Whether keyword arguments go to ``super().__init__`` or nowhere."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return False
    nodes = list(ast.walk(tree))
    uses = [node for node in nodes if isinstance(node, ast.Name) and node.id == name]
    handed = [
        keyword.value
        for node in nodes
        if isinstance(node, ast.Call) and ast.unparse(node.func) == 'super().__init__'
        for keyword in node.keywords
    ]
    return all(any(use is each for each in handed) for use in uses)
