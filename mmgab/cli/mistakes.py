"""User errors: one message on stderr and exit code 2; ``--debug`` adds the traceback."""

import sys
import traceback
from collections.abc import Callable
from types import FrameType

MISTAKE = 2  # exit code, the same as argparse uses
_KINDS = (OSError, ValueError, TypeError, KeyError, ImportError, SyntaxError)
_TERSE = (TypeError, KeyError)  # their messages are often not sentences
# Packages that read arguments, configs, checkpoints and data. Any other code is user code.
_READERS = {
    'PIL', 'cv2', 'mmcv', 'mmdet', 'mmengine', 'mmgab', 'mmpretrain', 'mmseg', 'numpy',
    'pycocotools', 'safetensors', 'timm', 'torch', 'transformers', 'yaml',
    *sys.stdlib_module_names,
}  # fmt: skip
_LOOP = ('mmengine.runner.loops', 'run')  # the training, validation and test loops


class CommandError(Exception):
    """An error that ends a command with its message.

    Attributes:
        code: Exit code of the command.
    """

    def __init__(self, message: str, code: int = MISTAKE) -> None:
        super().__init__(message)
        self.code = code


def exit_code_of(command: Callable[[], int | None], debug: bool) -> int:
    """Run a command, print a user error if one occurs, and return the exit code.

    Args:
        command: Function that returns an exit code; None means 0.
        debug: Print the traceback of a user error before its message.
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
    """Return True if an error is a user error, which its message explains.

    An error needs its traceback if user code is in the call stack, such as a hook or a config
    file, or if a training or test loop has started.
    """
    if isinstance(error, CommandError):
        return True
    if not isinstance(error, _KINDS) or _is_mmgab_import_error(error):
        return False
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return all(map(_reads, frames))


def _is_mmgab_import_error(error: BaseException) -> bool:
    """Return True if a module of this package cannot be imported."""
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
        return f'{text} ({type(error).__name__}; add --debug for the traceback)'
    return text or type(error).__name__
