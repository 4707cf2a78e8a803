"""What MMEngine's checkpoints hold beside tensors, and may be read without trusting a file."""

from collections.abc import Callable

import numpy as np
from mmengine.logging import HistoryBuffer

_DTYPES = ('bool', 'int32', 'int64', 'uint32', 'float32', 'float64')


def safe_types() -> list[Callable]:
    """Types and functions that the reading of a checkpoint may call.

    Histories of losses and numbers of NumPy. ``getattr`` is among them because histories name their
    own methods with it; what it returns, the reader calls only if it is in this list itself.
    """
    array, number = np.zeros(1), np.float64(0)
    rebuild_array, rebuild_number = array.__reduce__()[0], number.__reduce__()[0]
    dtypes = {type(np.dtype(name)) for name in _DTYPES}
    return [HistoryBuffer, getattr, slice, np.ndarray, np.dtype, rebuild_array, rebuild_number,
            *dtypes]  # fmt: skip
