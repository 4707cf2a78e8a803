"""The ``type`` of settings in a config: a name, a class or function, or one imported on demand."""

from collections.abc import Callable, Mapping
from functools import partial

from mmengine.config.lazy import LazyAttr, LazyObject
from mmengine.registry import Registry


def type_name(settings: Mapping) -> str:
    """Name what ``type`` names, without its scope or module; nothing is imported.

    A text config has ``'mmdet.MaskRCNN'``, a pure Python config has the class, and one that was
    written by a run ``'mmdet.models.detectors.mask_rcnn.MaskRCNN'``: all are ``'MaskRCNN'``.
    """
    # Without ConfigDict's own access, which imports what is imported on demand.
    kind = dict.get(settings, 'type') if isinstance(settings, dict) else settings.get('type')
    while isinstance(kind, partial):
        kind = kind.func
    if isinstance(kind, (str, LazyObject, LazyAttr)):
        return str(kind).rpartition('.')[-1]
    return '' if kind is None else getattr(kind, '__name__', type(kind).__name__)


def type_of(settings: Mapping, registry: Registry, scope: str | None = None) -> Callable | None:
    """Find the class or function that ``type`` names, as MMEngine would to build it.

    Args:
        settings: With a ``type``; its ``_scope_`` comes before the argument.
        registry: One of MMEngine's, such as ``mmengine.registry.MODELS``.
        scope: The config's ``default_scope``; None is MMEngine's own.

    Returns:
        The class or function; None where there is no ``type``, or nothing of that name.
    """
    kind = settings.get('type')
    if isinstance(kind, (LazyObject, LazyAttr)):
        kind = kind.build()
    while isinstance(kind, partial):
        kind = kind.func
    if not isinstance(kind, str):
        return kind
    scope = settings.get('_scope_') or scope or 'mmengine'
    with registry.switch_scope_and_registry(scope) as scoped:
        try:
            return scoped.get(kind)
        except RuntimeError:  # MMEngine's, for a name that it does not know
            return None


def is_type(
    settings: Mapping, wanted: type | str, registry: Registry, scope: str | None = None
) -> bool:
    """Return True if ``type`` is a class or a subclass of it.

    Args:
        settings: With a ``type``; without one the answer is no.
        wanted: The class, or its name where it is not to be imported here.
        registry: See :func:`type_of`.
        scope: See :func:`type_of`.
    """
    found = type_of(settings, registry, scope)
    if not isinstance(found, type):
        return isinstance(wanted, str) and type_name(settings) == wanted
    if isinstance(wanted, type):
        return issubclass(found, wanted)
    return any(base.__name__ == wanted for base in found.__mro__)
