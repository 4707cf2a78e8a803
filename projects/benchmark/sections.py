"""Sections of the benchmark; each returns its results as Python numbers."""

import math
import statistics
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from mmgab.analysis.cost import interleaved_times, movement, paired_ratio, saved_bytes
from mmgab.deployment import OpenSizes, export_onnx, verify
from mmgab.functional import window_order
from mmgab.models import SwinGAB

from .swin_peers import REFERENCE, VARIANTS, Peer

LARGE, PAIR = (1, 3, 800, 1216), (2, 3, 512, 512)
INFERENCE = {
    'fp32 inference 1x800x1216': (LARGE, torch.float32),
    'fp32 inference 2x512x512': (PAIR, torch.float32),
    'bf16 inference 1x800x1216': (LARGE, torch.bfloat16),
    'bf16 inference 2x512x512': (PAIR, torch.bfloat16),
}
TRAINING = {
    'fp32 training step 2x512x512': (PAIR, torch.float32),
    'bf16 training step 2x512x512': (PAIR, torch.bfloat16),
}
SIDES = (256, 512, 1024, 2048)


def say(title: str, line: str) -> None:
    """Print a progress line, which the next one overwrites."""
    print(f'\r{title}: {line:<40}', end='', flush=True)


def forward(peer: Peer, x: torch.Tensor, dtype: torch.dtype) -> list[torch.Tensor]:
    """Return the feature maps of a backbone; bf16 uses autocast."""
    with torch.autocast(x.device.type, dtype, enabled=dtype != torch.float32):
        return peer.run(x)


def infer(peer: Peer, x: torch.Tensor, dtype: torch.dtype) -> None:
    """Run inference once."""
    peer.model.eval()
    with torch.inference_mode():
        forward(peer, x, dtype)


def step(peer: Peer, x: torch.Tensor, dtype: torch.dtype) -> None:
    """Run one training step without the optimizer."""
    peer.model.train()
    peer.model.zero_grad()
    sum(out.float().mean() for out in forward(peer, x, dtype)).backward()


def in_turn(title: str, runs: dict[str, Callable], rounds: int, reference: str) -> dict:
    """Time runs in turn; return the median seconds and the median ratio to the reference."""
    times = interleaved_times(runs, rounds, lambda line: say(title, line))
    return {
        name: dict(
            rounds=values,
            seconds=statistics.median(values),
            ratio=paired_ratio(values, times[reference]),
            ours=paired_ratio(times[next(iter(times))], values),
        )
        for name, values in times.items()
    }


def measure_inference(peers: list[Peer], device: str, args: Namespace) -> dict:
    """Measure time and, on a GPU, peak memory of inference."""
    return time_modes(INFERENCE, infer, peers, device, args)


def measure_training(peers: list[Peer], device: str, args: Namespace) -> dict:
    """Measure time and, on a GPU, peak memory of training."""
    return time_modes(TRAINING, step, peers, device, args)


def measure_gaussian(peers: list[Peer], device: str, args: Namespace) -> dict:
    """Measure the cost of the Gaussian, for the whole backbone and for its position biases.

    The cost is within the noise of the whole backbone. The Gaussian only affects the position
    biases, so these are timed separately, too.
    """
    both = [peer for peer in peers if peer.name in ('ours', 'ours, off')]
    args = Namespace(**vars(args) | dict(rounds=3 * args.rounds))
    infers = {title: mode for title, mode in INFERENCE.items() if mode == (PAIR, torch.float32)}
    steps = {title: mode for title, mode in TRAINING.items() if mode == (PAIR, torch.float32)}
    results = {
        **time_modes(infers, infer, both, device, args, 'ours, off'),
        **time_modes(steps, step, both, device, args, 'ours, off'),
    }
    for title, run in (('its position biases', _biases), ('with gradients', _bias_gradients)):
        runs = {peer.name: partial(run, peer.model) for peer in both}
        results[title] = in_turn(title, runs, args.rounds, 'ours, off')
    return results


@torch.inference_mode()
def _biases(model: SwinGAB) -> None:
    for block in (block for stage in model.stages for block in stage.blocks):
        block.attn.w_msa.position_bias()


def _bias_gradients(model: SwinGAB) -> None:
    for block in (block for stage in model.stages for block in stage.blocks):
        bias = block.attn.w_msa.position_bias()
        bias.backward(bias.detach())


def measure_selective(peers: list[Peer], device: str, args: Namespace) -> dict:
    """Measure a training step with and without selective activation checkpointing."""
    ours = peers[0]
    selective = SwinGAB(**VARIANTS[args.variant], with_cp='selective').to(device)
    selective.load_state_dict(ours.model.state_dict())
    both = [Peer('selective', selective, selective), ours]
    return time_modes(TRAINING, step, both, device, args, ours.name)


def time_modes(
    modes: dict[str, tuple[tuple[int, ...], torch.dtype]],
    run: Callable[[Peer, torch.Tensor, torch.dtype], None],
    peers: list[Peer],
    device: str,
    args: Namespace,
    reference: str = REFERENCE,
) -> dict:
    """Time networks in turn in several modes, and measure peak memory on a GPU."""
    results = {}
    for title, (shape, dtype) in modes.items():
        shape = (1, 3, shape[2] // 4, shape[3] // 4) if args.quick else shape
        x = torch.randn(shape, device=device)
        runs = {peer.name: partial(run, peer, x, dtype) for peer in peers}
        results[title] = in_turn(title, runs, args.rounds, reference)
        if device == 'cuda':
            for name, once in runs.items():
                torch.cuda.reset_peak_memory_stats()
                once()
                results[title][name]['peak bytes'] = torch.cuda.max_memory_allocated()
    return results


def measure_counts(peers: list[Peer], device: str, args: Namespace) -> dict:
    """Count bytes saved for backward and operations that move data."""
    x = torch.randn((1, 3, 128, 128) if args.quick else PAIR, device=device)
    selective = SwinGAB(**VARIANTS[args.variant], with_cp='selective').to(device)
    counted = [*peers, Peer('ours, selective', selective, selective)]
    counts = {}
    for peer in counted:
        say('counting', peer.name)
        counts[peer.name] = _count(peer, x)
    return counts


def _count(peer: Peer, x: torch.Tensor) -> dict:
    peer.model.train()
    row = {}
    for label, dtype in (('fp32', torch.float32), ('bf16', torch.bfloat16)):
        with torch.autocast(x.device.type, dtype, enabled=label != 'fp32'):
            row[f'saved for backward, {label}'] = saved_bytes(lambda: peer.run(x), peer.model)
    outs: list[torch.Tensor] = []
    passes = {
        'forward': lambda: outs.extend(peer.run(x)),
        'backward': lambda: sum(out.mean() for out in outs).backward(),
    }
    for label, run in passes.items():
        moves = movement(run)
        row[f'moving operations, {label}'] = moves.operations
        row[f'moved, {label}'] = moves.moved
    return row


def measure_geometry(peers: list[Peer], device: str, args: Namespace) -> dict:
    """Measure the bytes of mmgab's cached masks and permutations for several image sizes."""
    results = {}
    for side in SIDES:
        masks, indices = {}, 0  # bytes of masks by address, as layers share masks
        for stage in range(len(VARIANTS[args.variant]['depths'])):
            grid = (math.ceil(side / 4 / 2**stage),) * 2
            for shift in ((0, 0), (3, 3)):
                order = window_order(1, grid, (7, 7), shift, torch.device(device))
                indices += sum(t.nbytes for t in (order.sources, order.slots, order.padding))
                shared = [group.mask for group in order.groups if group.mask is not None]
                masks |= {mask.data_ptr(): mask.nbytes for mask in shared}
        results[f'{side}x{side}'] = {
            'masks of all layers': sum(masks.values()),
            'orders of all layers': indices,
            'masks as other Swins make them': math.ceil(side / 28) ** 2 * 49**2 * 4,
        }
    return results


def measure_scaling(peers: list[Peer], device: str, args: Namespace) -> dict:
    """Measure fp32 inference by image size, and fit the exponent over pixels."""
    chosen = [peer for peer in peers if peer.name in ('ours', REFERENCE)]
    sides = SIDES[:2] if args.quick else SIDES
    seconds = {peer.name: [] for peer in chosen}
    for side in sides:
        x = torch.randn(1, 3, side, side, device=device)
        runs = {peer.name: partial(infer, peer, x, torch.float32) for peer in chosen}
        times = in_turn(f'{side} px', runs, args.rounds, REFERENCE)
        for name, row in times.items():
            seconds[name].append(row['seconds'])
    return {
        name: dict(sides=list(sides), seconds=values, exponent=_exponent(sides, values))
        for name, values in seconds.items()
    }


def _exponent(sides: tuple[int, ...], seconds: list[float]) -> float:
    """Fit the slope of log seconds over log pixels by least squares."""
    pixels = [2 * math.log(side) for side in sides]
    return statistics.linear_regression(pixels, [math.log(value) for value in seconds]).slope


def measure_onnx(peers: list[Peer], device: str, args: Namespace) -> dict:
    """Compare ONNX Runtime on mmgab's folded graph with the reference in PyTorch."""
    folded = next(peer for peer in peers if peer.name == 'ours, folded').model.eval().cpu()
    reference = next(peer for peer in peers if peer.name == REFERENCE)
    x = torch.randn((2, 3, 128, 128) if args.quick else PAIR)
    with tempfile.TemporaryDirectory() as folder:
        say('ONNX', 'exporting')
        run = export_onnx(folded, x, OpenSizes(is_open=False), Path(folder, 'swin.onnx'))
        verify(folded, run, [tuple(x.shape)], lambda line: say('ONNX', line))
        runs = {
            'ours, ONNX Runtime': lambda: run(x),
            REFERENCE: partial(infer, reference, x, torch.float32),
        }
        return {'fp32 inference 2x512x512': in_turn('ONNX', runs, args.rounds, REFERENCE)}


def measure_compiled(peers: list[Peer], device: str, args: Namespace) -> dict:
    """Measure ``torch.compile``: seconds to compile, and inference time after it."""
    x = torch.randn((2, 3, 128, 128) if args.quick else PAIR, device=device)
    runs, seconds = {}, {}
    for peer in (p for p in peers if p.name in ('ours', REFERENCE)):
        peer.model.eval()
        say('compiling', peer.name)
        compiled = Peer(f'{peer.name}, compiled', peer.model, torch.compile(peer.model))
        runs[compiled.name] = partial(infer, compiled, x, torch.float32)
        start = time.perf_counter()
        runs[compiled.name]()
        seconds[compiled.name] = time.perf_counter() - start
    reference = next(peer for peer in peers if peer.name == REFERENCE)
    runs[REFERENCE] = partial(infer, reference, x, torch.float32)
    results = in_turn('compiled', runs, args.rounds, REFERENCE)
    for name, value in seconds.items():
        results[name]['compile seconds'] = value
    return {'fp32 inference 2x512x512': results}
