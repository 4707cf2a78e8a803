"""Logging to MMEngine's current logger, or to Python's where MMEngine is not in use."""

import logging
import sys


def log(message: str, level: int = logging.INFO) -> None:
    """Log a message to MMEngine's current logger, or to Python's logger ``mmgab``."""
    mmengine_logging = sys.modules.get('mmengine.logging')
    if mmengine_logging is None:
        logging.getLogger('mmgab').log(level, message)
    else:
        mmengine_logging.print_log(message, logger='current', level=level)
