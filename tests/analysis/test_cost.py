import gc
import weakref

import torch
from torch import nn

from mmgab.analysis.cost import interleaved_times, movement, paired_ratio, saved_bytes


def test_saved_bytes_match_a_hand_count():
    """A linear layer keeps its input; a ReLU its output; weights do not count."""
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
    x = torch.randn(10, 4)
    assert saved_bytes(lambda: model(x), model) == 4 * (10 * 4 + 10 * 8)


def test_shared_storage_counts_once():
    x = torch.randn(100, requires_grad=True)
    assert saved_bytes(lambda: x * x, nn.Module()) == 400


def test_counting_leaves_no_memory_behind():
    """An output that its own node keeps, as softmax does, must be freed afterwards."""
    freed = []

    def run():
        out = torch.randn(10, requires_grad=True).softmax(dim=0)
        weakref.finalize(out, freed.append, True)
        return out

    saved_bytes(run, nn.Module())
    gc.collect()
    assert freed


def test_nothing_is_saved_without_gradients():
    model = nn.Linear(4, 4).requires_grad_(False)
    assert saved_bytes(lambda: model(torch.randn(2, 4)), model) == 0


def test_moving_operations_are_counted_with_what_they_read_and_write():
    x = torch.randn(10, 10)
    moves = movement(lambda: x.roll(1, dims=0))
    assert (moves.operations, moves.moved) == (1, 2 * 400)
    moves = movement(lambda: torch.cat((x, x)))
    assert (moves.operations, moves.moved) == (1, 2 * 800)


def test_views_and_arithmetic_move_nothing():
    x = torch.randn(10, 10)
    assert movement(lambda: x.t() + 1).operations == 0
    assert movement(lambda: x @ x).moved == 0


def test_custom_operators_are_counted_inside():
    @torch.library.custom_op('mmgab_tests::twice_rolled', mutates_args=())
    def twice_rolled(x: torch.Tensor) -> torch.Tensor:
        return x.roll(1, dims=0).roll(1, dims=0)

    moves = movement(lambda: twice_rolled(torch.randn(10, 10)))
    assert (moves.operations, moves.moved) == (2, 2 * 2 * 400)


def test_rows_written_into_a_tensor_count_by_themselves():
    x, index = torch.zeros(10, 10), torch.tensor([2, 5])
    moves = movement(lambda: x.index_copy_(0, index, torch.ones(2, 10)))
    assert (moves.operations, moves.moved) == (1, 2 * (2 * 40 + 2 * 8))


def test_a_backward_pass_is_counted_too():
    x = torch.randn(10, 10, requires_grad=True)
    out = x.roll(1, dims=0).sum()
    assert movement(out.backward).operations >= 1


def test_runs_take_turns_in_an_order_that_changes():
    order = []
    runs = {name: lambda name=name: order.append(name) for name in 'abc'}
    times = interleaved_times(runs, 9, progress=lambda line: order.append(line))
    assert order[:4] == ['a', 'b', 'c', 'round 1 of 9']
    rounds = [tuple(order[start : start + 3]) for start in range(4, len(order), 4)]
    assert all(sorted(names) == ['a', 'b', 'c'] for names in rounds)
    assert len(rounds) == 9
    assert len(set(rounds)) > 3
    assert {name: len(values) for name, values in times.items()} == {'a': 9, 'b': 9, 'c': 9}


def test_a_ratio_is_the_median_of_ratios_in_one_round():
    assert paired_ratio([2.0, 40.0, 6.0], [1.0, 10.0, 3.0]) == 2.0
