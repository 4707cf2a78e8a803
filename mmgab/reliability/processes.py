"""What the processes of a run decide together."""

import torch
from mmengine.dist import is_distributed
from torch import distributed


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


def leave_processes() -> None:
    """Leave the process group together, at the end of a run.

    A rank that vanishes while another still waits for it makes that one abort, and one that left
    while another still saves has the launcher end that as well.
    """
    if is_distributed():
        distributed.barrier()
        distributed.destroy_process_group()
