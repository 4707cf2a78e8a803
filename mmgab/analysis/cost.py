"""Cost of a computation: relative time, bytes saved for backward and memory traffic of copies."""

import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, UntypedStorage, nn
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# Operations that only copy or permute values. Views are excluded because they move nothing.
_MOVING = frozenset(
    {
        *('_to_copy', 'clone', 'contiguous', 'copy_', 'repeat'),
        *('cat', 'stack', 'constant_pad_nd', 'roll', 'im2col', 'col2im'),
        *('gather', 'index', 'index_select', 'scatter', 'scatter_add'),
        *('index_add', 'index_add_', 'index_put', 'index_put_', '_index_put_impl_'),
        *('index_copy', 'index_copy_', 'index_fill', 'index_fill_'),
        *('new_zeros', 'zeros_like', 'slice_backward', 'select_backward'),
    }
)
_TORCH_OWN = ('aten', 'prim', 'prims')
_BACKENDS = {
    'cpu': torch._C.DispatchKeySet(torch._C.DispatchKey.CPU),
    'cuda': torch._C.DispatchKeySet(torch._C.DispatchKey.CUDA),
}


@dataclass(frozen=True)
class Movement:
    """Count of operations that only copy or permute values.

    Attributes:
        operations: Number of these operations.
        moved: Bytes that they read and write.
    """

    operations: int
    moved: int


def interleaved_times(
    runs: Mapping[str, Callable[[], object]], repeats: int, progress: Callable[[str], None]
) -> dict[str, list[float]]:
    """Time several computations in turn, so that slow phases of the machine affect all of them.

    The order is shuffled in each round, because memory left by one computation affects the next.

    Args:
        runs: Computations by name. Each first runs once without timing.
        repeats: Number of timed runs of each computation.
        progress: Called with a line before each round.

    Returns:
        Seconds of each run, by name and round.
    """
    for run in runs.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in runs}
    shuffle = random.Random(0)
    for repeat in range(repeats):
        progress(f'round {repeat + 1} of {repeats}')
        for name in shuffle.sample(list(runs), len(runs)):
            start = time.perf_counter()
            runs[name]()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            times[name].append(time.perf_counter() - start)
    return times


def paired_ratio(times: list[float], reference: list[float]) -> float:
    """Compute the median over rounds of the time ratio of two computations."""
    return statistics.median(a / b for a, b in zip(times, reference, strict=True))


def saved_bytes(run: Callable[[], object], model: nn.Module) -> int:
    """Count the bytes that autograd saves for backward, each storage once.

    Args:
        run: A forward pass with gradients.
        model: The network; its parameters are not counted.
    """
    parameters = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    storages: dict[int, UntypedStorage] = {}

    def pack(tensor: Tensor) -> None:
        # Hold the storage, so that its address is not reused before it is counted. Holding the
        # tensor would create a reference cycle with its autograd node.
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            storages[storage.data_ptr()] = storage

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda packed: packed):
        run()
    return sum(storage.nbytes() for storage in storages.values())


class _Counter(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.operations = self.moved = 0

    def __torch_dispatch__(
        self, function: OpOverload, types: tuple, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        if function.namespace not in _TORCH_OWN:
            # Decompose a custom operator: this mode stays active for the operators that it calls.
            device = next(_tensors((args, kwargs))).device.type
            with self:
                return function.redispatch(_BACKENDS[device], *args, **(kwargs or {}))
        result = function(*args, **(kwargs or {}))
        if function.overloadpacket.__name__ in _MOVING:
            self.operations += 1
            self.moved += _moved(function.overloadpacket.__name__, args, kwargs, result)
        return result


def _moved(name: str, args: tuple, kwargs: dict | None, result: object) -> int:
    """Return the bytes that an operation reads and writes."""
    if name.startswith('index_') and name.endswith('_'):  # writes rows into an existing tensor
        return 2 * sum(map(_bytes, _tensors(args[1:])))
    read = args[1:] if name.endswith('_') else (args, kwargs)
    return sum(map(_bytes, _tensors((read, result))))


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _tensors(tree: object) -> Iterator[Tensor]:
    return (leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor))


def movement(run: Callable[[], object]) -> Movement:
    """Count a computation's operations that only copy or permute values, and their bytes."""
    with _Counter() as counter:
        run()
    return Movement(counter.operations, counter.moved)
