"""The log of a run on the terminal: short lines, without what the log file keeps anyway."""

import logging
import re
import textwrap

from mmgab.openmmlab_compat import drop_debug_prints

drop_debug_prints()  # before a toolbox is imported
_COLUMNS = 120
# Beginnings of messages about the set-up, and of messages that repeat others.
_LOG_FILE_ONLY = (
    '\n---',  # versions and environment
    'Checkpoints will be saved',
    'Command:',
    'Config:',
    'Distributed training is not used',
    'Evaluating bbox',
    'Evaluating segm',
    'Exp name:',
    'Gaussians after',
    'Hooks will be executed',
    'bbox_mAP_copypaste',
    'paramwise_options',
    'per class results',
    'segm_mAP_copypaste',
)
# Warnings of OpenMMLab's packages about their own code, which a user cannot act on.
_INTERNAL = ('"FileClient" will be deprecated', '"HardDiskBackend"', 'The prefix is not set')
_STEP = re.compile(r'(Epoch|Iter)\((train|val|test)\)')
_NOT_SHOWN = ('base_lr:', 'data_time:')


def shorten_terminal(logger: logging.Logger) -> None:
    """Shorten what a logger writes to the terminal; files get every message unchanged.

    A step of training is one line of at most 120 columns: progress, loss, learning rate, time, then
    as many of the other values as fit.

    Args:
        logger: MMEngine's.
    """
    for handler in logger.handlers:
        if isinstance(handler, logging.StreamHandler) and not isinstance(
            handler, logging.FileHandler
        ):
            handler.addFilter(_is_shown)
            handler.setFormatter(_TerminalFormatter())


def _is_shown(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    is_warning = record.levelno >= logging.WARNING
    return not message.startswith(_INTERNAL if is_warning else _LOG_FILE_ONLY)


class _TerminalFormatter(logging.Formatter):
    """The time, the level of warnings and errors, and the message."""

    def __init__(self) -> None:
        super().__init__('%(asctime)s %(message)s', '%H:%M:%S')

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Format a record; the message was computed before."""
        message = record.message
        step = _STEP.match(message)
        if step:
            width = _COLUMNS - len(f'{record.asctime} ')
            message = _one_line(message, width) if step[2] == 'train' else _wrapped(message, width)
        if record.levelno >= logging.WARNING:
            message = f'{record.levelname} - {message}'
        return f'{record.asctime} {message}'


def _one_line(message: str, width: int) -> str:
    """Loss first, then other values in their order, as long as they fit."""
    progress, values = _parts(message)
    first = [value for value in values if value.startswith('loss:')]
    line = progress
    for value in [*first, *(value for value in values if value not in first)]:
        if not value.startswith(_NOT_SHOWN) and len(line) + 2 + len(value) <= width:
            line += f'  {value}'
    return line


def _wrapped(message: str, width: int) -> str:
    """All values, on as many lines as they need."""
    progress, values = _parts(message)
    values = [value for value in values if not value.startswith(_NOT_SHOWN)]
    # COCO's -1: no ground truth of that size.
    values = [value.replace(' ', '\0') for value in values if not value.endswith(': -1.0000')]
    lines = textwrap.wrap('  '.join([progress.replace(' ', '\0'), *values]), width - 9)
    return '\n         '.join(lines).replace('\0', ' ')


def _parts(message: str) -> tuple[str, list[str]]:
    """Split MMEngine's line of a step: progress, and ``name: value`` each."""
    start = re.search(r'(?<=\])\s+(?=\S+:)', message)
    if start is None:
        return message, []
    values = re.findall(r'\S+: .*?(?=\s+\S+: |\s*$)', message[start.end() :])
    return re.sub(r'\)\s+\[', ') [', message[: start.start()]), values
