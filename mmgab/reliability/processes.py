"""Communication between the processes of a run: agreed numbers and shared buffers."""

import os

import torch
from mmengine.dist import broadcast, is_distributed
from torch import distributed, nn

from .run_state import saved_buffers


def speaks() -> bool:
    """Return whether this process prints what all processes of a machine would print alike."""
    return os.environ.get('LOCAL_RANK', '0') == '0'


class Agreement:
    """Numbers that all processes agree on, without waiting for what an accelerator does."""

    def __init__(self) -> None:
        self._group: distributed.ProcessGroup | None = None

    def begin(self) -> None:
        """Prepare; called by all processes of a run."""
        if is_distributed() and distributed.get_backend() != 'gloo':
            self._group = distributed.new_group(backend='gloo')

    def largest(self, number: int) -> int:
        """The largest of the processes' numbers; all of them ask."""
        if not is_distributed():
            return number
        largest = torch.tensor(number)
        distributed.all_reduce(largest, distributed.ReduceOp.MAX, group=self._group)
        return int(largest)


def share_buffers(model: nn.Module) -> None:
    """Replace the model's buffers by those of the first process, which checkpoints hold.

    All processes call it.

    Args:
        model: Not wrapped.
    """
    if not is_distributed():
        return
    for buffer in saved_buffers(model).values():
        content = buffer.contiguous().flatten().view(torch.uint8)  # backends lack some dtypes
        broadcast(content)
        buffer.copy_(content.view(buffer.dtype).view(buffer.shape))


def leave_processes() -> None:
    """Leave the process group together, at the end of a run.

    A rank that vanishes while another still waits for it makes that one abort, and one that left
    while another still saves has the launcher end that as well.
    """
    if is_distributed():
        distributed.barrier()
        distributed.destroy_process_group()
