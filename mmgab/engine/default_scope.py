"""The scope in which MMEngine looks for the types that a config names."""

from mmengine.config import Config
from mmengine.registry import DefaultScope, init_default_scope


def set_default_scope(config: Config) -> None:
    """Have types looked for where a config says.

    In a pure Python config ``default_scope`` is None: each toolbox then finds its own types in its
    own registry. MMEngine has no call for that; it is so in a process that never had a scope.
    """
    scope = config.get('default_scope', 'mmengine')
    if scope is None:
        DefaultScope._instance_dict.clear()
    else:
        init_default_scope(scope)
