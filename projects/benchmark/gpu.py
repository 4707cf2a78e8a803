"""Section of the benchmark for NVIDIA GPUs: mixed precision at the sizes that people train with."""

from argparse import Namespace

import torch

from mmgab.models import SwinGAB

from .sections import infer, step, time_modes
from .swin_peers import REFERENCE, VARIANTS, Peer

SIZES = {'2x800x1344': (2, 3, 800, 1344), '16x512x512': (16, 3, 512, 512)}
DTYPES = {'fp16': torch.float16, 'bf16': torch.bfloat16}


def measure_gpu(peers: list[Peer], device: str, args: Namespace) -> dict:
    """Measure time and peak memory of the Triton kernels beside all others.

    Raises:
        RuntimeError: If the Triton kernels compute other feature maps than SDPA.
    """
    triton = SwinGAB(**VARIANTS[args.variant], attn_backend='triton').to(device)
    triton.load_state_dict(peers[0].model.state_dict())
    check_agreement(triton, peers[0].model)
    everyone = [*peers, Peer('ours, triton', triton, triton)]
    results = {}
    for mode, run in (('inference', infer), ('training step', step)):
        modes = {
            f'{name} {mode} {size}': (shape, dtype)
            for name, dtype in DTYPES.items()
            for size, shape in SIZES.items()
        }
        results |= time_modes(modes, run, everyone, device, args, REFERENCE)
    return results


@torch.inference_mode()
def check_agreement(ours: SwinGAB, expected: SwinGAB) -> None:
    """Compare feature maps of an image that needs padding, in single precision."""
    image = torch.randn(1, 3, 250, 333, device='cuda')
    for found, exact in zip(ours.eval()(image), expected.eval()(image), strict=True):
        error = float((found - exact).abs().max() / exact.abs().max())
        if error > 1e-3:
            raise RuntimeError(f'the Triton kernels differ from SDPA by {error:.1e}; limit 1e-3')
