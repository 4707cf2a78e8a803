"""Names of the arguments that classes and functions of a config take."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence

import mmengine.registry
from mmengine.hooks import CheckpointHook
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
    return arguments_of_any([builder for builder in found if builder is not None])


def arguments_of_any(builders: Sequence[Callable]) -> set[str] | None:
    """Name the arguments of any of some classes; None where one takes any, or there are none."""
    names: set[str] = set()
    for taken in map(arguments_of, builders):
        if taken is None:
            return None
        names |= taken
    return names if builders else None


def arguments_of(builder: Callable) -> set[str] | None:
    """Name the arguments of a class or function; None where it takes any.

    A class that hands all others (``**kwargs``) to the class that it is derived from takes those of
    that class. CheckpointHook hands them to ``Runner.save_checkpoint``, which takes no others.
    """
    names: set[str] = set()
    for function in _initializers(builder):
        if function is object.__init__:
            return names if getattr(builder, '__new__', None) is object.__new__ else None
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):  # compiled code does not say
            return None
        names |= {each.name for each in parameters if each.kind in _NAMED} - {'self'}
        others = [each.name for each in parameters if each.kind is each.VAR_KEYWORD]
        if not others or function is CheckpointHook.__init__:
            return names
        read = _read_by_name(function, others[0])
        if read is None:
            return None
        names |= read
    return None


def _initializers(builder: Callable) -> Iterator[Callable]:
    if not isinstance(builder, type):
        yield builder
        return
    yield from (vars(kind)['__init__'] for kind in builder.__mro__ if '__init__' in vars(kind))


def _read_by_name(function: Callable, others: str) -> set[str] | None:
    """Name the keyword arguments that are read one by one, as in ``kwargs.get('rng')``.

    Returns:
        Names; None where others than these go anywhere but to ``super().__init__``.
    """
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return None
    nodes = list(ast.walk(tree))
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    handed = [
        keyword.value
        for call in calls
        if ast.unparse(call.func) == 'super().__init__'
        for keyword in call.keywords
    ]
    read = dict(found for call in calls for found in _read(call, others))
    known = {id(each) for each in handed} | set(read)
    uses = [node for node in nodes if isinstance(node, ast.Name) and node.id == others]
    return set(read.values()) if known >= set(map(id, uses)) else None


def _read(call: ast.Call, others: str) -> Iterator[tuple[int, str]]:
    """Find where a call reads a keyword argument by name, and that name."""
    name = call.args[0] if call.args else None
    if not isinstance(call.func, ast.Attribute) or not isinstance(name, ast.Constant):
        return
    if ast.unparse(call.func) in (f'{others}.get', f'{others}.pop'):
        yield id(call.func.value), str(name.value)
