"""Locate data files inside an installed Python package."""

import importlib.util
from pathlib import Path


def package_folder(package: str, what: str, fix: str) -> Path:
    """Return the folder of an installed package, without importing it.

    Raises:
        ModuleNotFoundError: If it is not installed; the message contains the fix.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(
            f'the {what} is part of the package {package}, which is not installed; run: {fix}'
        )
    return Path(spec.origin).parent
