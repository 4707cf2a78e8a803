"""Where the data that travels in a Python package lies."""

import importlib.util
from pathlib import Path


def package_folder(package: str, what: str, cure: str) -> Path:
    """Folder of an installed package, without importing it.

    Raises:
        ModuleNotFoundError: If it is not installed; the message says what is part of it, and the
            cure.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(
            f'the {what} is part of the package {package}, which is not installed: {cure}'
        )
    return Path(spec.origin).parent
