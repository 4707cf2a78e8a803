"""What MMEngine's checkpoints hold beside tensors, and may be read without trusting a file."""

from collections.abc import Callable

import numpy as np
from mmengine.logging import HistoryBuffer

_DTYPES = ('bool', 'int8', 'uint8', 'int16', 'int32', 'uint32', 'int64', 'float16', 'float32',
           'float64', 'S1', 'U1')  # fmt: skip


class StoredArray(np.ndarray):
    """An array from a file, which a file can have restored but not made.

    NumPy's own class, called by a file, would make objects out of bytes that the file chose.
    """

    def __new__(cls, *args: object, **kwargs: object) -> 'StoredArray':
        """Refuse.

        Raises:
            ValueError: Always.
        """
        raise ValueError('an array of a checkpoint is restored, never made')

    def __setstate__(self, state: tuple) -> None:
        """Restore it.

        Raises:
            ValueError: If it would hold objects.
        """
        if any(isinstance(part, np.dtype) and part.hasobject for part in state):
            raise ValueError('an array of a checkpoint holds objects')
        super().__setstate__(state)

    def __reduce__(self) -> tuple:
        """Be saved as an ordinary array."""
        return np.asarray(self).view(np.ndarray).__reduce__()


def safe_types() -> list[Callable | tuple[Callable, str]]:
    """Types and functions that the reading of a checkpoint may call.

    Histories of losses and numbers of NumPy. ``getattr`` is among them because histories name their
    own methods with it; what it returns, the reader calls only if it is in this list itself.
    """
    array, number = np.zeros(1), np.float64(0)
    rebuild_array, rebuild_number = array.__reduce__()[0], number.__reduce__()[0]
    dtypes = {type(np.dtype(name)) for name in _DTYPES}
    return [HistoryBuffer, getattr, slice, (StoredArray, 'numpy.ndarray'), np.dtype, rebuild_array,
            rebuild_number, *dtypes]  # fmt: skip
