"""The scope in which MMEngine looks for the types that a config names."""

from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmgab.openmmlab_compat import forget_default_scope


def set_default_scope(config: Config) -> None:
    """Set the default scope of a config.

    In a pure Python config ``default_scope`` is None: each toolbox then finds its own types in its
    own registry.
    """
    scope = config.get('default_scope', 'mmengine')
    if scope is None:
        forget_default_scope()
    else:
        init_default_scope(scope)
