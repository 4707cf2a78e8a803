"""Mistakes of users: one message on stderr and exit code 2; ``--debug`` shows the traceback too."""

import sys
import traceback
from collections.abc import Callable
from types import FrameType

MISTAKE = 2  # exit code, as argparse's
_KINDS = (OSError, ValueError, TypeError, KeyError, ImportError, SyntaxError)
_TERSE = (TypeError, KeyError)  # Python's own, whose text is often no sentence
# Through these, arguments, configs, checkpoints and data are read. Other code is the user's own.
_READERS = {
    'PIL', 'cv2', 'mmcv', 'mmdet', 'mmengine', 'mmgab', 'mmpretrain', 'mmseg', 'numpy',
    'pycocotools', 'safetensors', 'timm', 'torch', 'transformers', 'yaml',
    *sys.stdlib_module_names,
}  # fmt: skip
_LOOP = ('mmengine.runner.loops', 'run')  # of training, validation and testing


class CommandError(Exception):
    """Ends a command with this message.

    Attributes:
        code: The exit code.
    """

    def __init__(self, message: str, code: int = MISTAKE) -> None:
        super().__init__(message)
        self.code = code


def exit_code_of(command: Callable[[], int | None], debug: bool) -> int:
    """Run a command; a user's mistake in it is printed.

    Args:
        command: Returns an exit code; None is 0.
        debug: Print the traceback of a mistake before its message.
    """
    try:
        return command() or 0
    except Exception as error:
        if not is_mistake(error):
            raise
        if debug:
            traceback.print_exception(error)
        print(f'error: {_message(error)}', file=sys.stderr)
        return error.code if isinstance(error, CommandError) else MISTAKE


def is_mistake(error: BaseException) -> bool:
    """Whether an error is a user's mistake, which its message explains.

    An error needs its traceback if code of the user's own took part, such as a hook or a config
    file, or if a loop of training or testing had begun.
    """
    if isinstance(error, CommandError):
        return True
    if not isinstance(error, _KINDS) or _is_ours(error):
        return False
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return all(map(_reads, frames))


def _is_ours(error: BaseException) -> bool:
    """Whether something of this package cannot be imported."""
    return isinstance(error, ImportError) and str(error.name).startswith('mmgab')


def _reads(frame: FrameType) -> bool:
    module = frame.f_globals.get('__name__', '')
    return module.partition('.')[0] in _READERS and (module, frame.f_code.co_name) != _LOOP


def _message(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        from mmgab.doctor.install import install_command

        return f'{error}: {install_command(error.name)}'
    text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    if isinstance(error, _TERSE):
        return f'{text} ({type(error).__name__}; --debug shows where)'
    return text or type(error).__name__
