"""Compile the Triton kernels for several GPUs, without one, and print the resources they use.

Examples:
    python -m projects.benchmark.kernel_resources
    python -m projects.benchmark.kernel_resources --window 12 --dtype float16 --arch 90

Registers of a thread and bytes of stack (spilled registers) come from NVIDIA's cuobjdump, which
Triton brings; bytes of shared memory of a program from Triton. A row is one kernel for one
architecture: 80 is A100, 86 RTX 30, 89 RTX 40 and L4, 90 H100, 100 B200.
"""

import argparse
import re
import subprocess
import tempfile
from pathlib import Path

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from mmgab.kernels import triton_kernels
from mmgab.kernels.triton_operator import kernel_sizes
from projects.markdown import markdown_table

KERNELS = ('attend', 'attend_backward', 'sum_pairs')
ARCHITECTURES = (80, 86, 89, 90, 100)
DTYPES = dict(float16='fp16', bfloat16='bf16', float32='fp32')
SINGLE = ('table', 'amplitude', 'sigma', 'grad_padding', 'grad_pairs')
TENSORS = ('qkv', 'padding', 'out', 'grad_out', 'grad_qkv')
HEADS = 3  # of the first stage of a Swin-T or Swin-S
CUOBJDUMP = Path(triton.__file__).parent / 'backends' / 'nvidia' / 'bin' / 'cuobjdump'


def compile_kernel(
    name: str, architecture: int, dtype: str, window: int, channels: int
) -> dict[str, int]:
    """Compile a kernel; return its ``registers``, ``stack`` and ``shared`` memory in bytes."""
    kernel = getattr(triton_kernels, name)
    sizes = kernel_sizes(getattr(torch, dtype), (window, window), HEADS, channels)
    options = {key: sizes.pop(key) for key in ('num_warps', 'num_stages', 'maxnreg')}
    constants = dict(sizes, TABLE_HEADS=HEADS, GAUSSIANS=1, HAS_PADDING=True)
    types = {argument: 'i32' for argument in kernel.arg_names}
    types |= {argument: 'constexpr' for argument in constants} | dict(scale='fp32')
    pointers = {argument: '*fp32' for argument in SINGLE}
    pointers |= {argument: f'*{DTYPES[dtype]}' for argument in TENSORS}
    types |= {argument: kind for argument, kind in pointers.items() if argument in types}
    # Of PyTorch's allocations; Triton finds it out when it launches a kernel.
    aligned = {
        (kernel.arg_names.index(argument),): [['tt.divisibility', 16]]
        for argument in pointers
        if argument in types
    }
    source = ASTSource(kernel, types, constants, aligned)
    compiled = triton.compile(source, target=GPUTarget('cuda', architecture, 32), options=options)
    return resources(compiled.asm['cubin']) | dict(shared=compiled.metadata.shared)


def resources(cubin: bytes) -> dict[str, int]:
    """Return registers of a thread and bytes of its stack."""
    with tempfile.NamedTemporaryFile(suffix='.cubin') as file:
        file.write(cubin)
        file.flush()
        words = [CUOBJDUMP, '--dump-resource-usage', file.name]
        output = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    found = re.search(r'REG:(\d+) STACK:(\d+)', output)
    if found is None:
        raise RuntimeError(f'cuobjdump reported no resource usage: {output!r}')
    return dict(registers=int(found[1]), stack=int(found[2]))


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog='python -m projects.benchmark.kernel_resources',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--window', type=int, default=7, help='side of a window; default: 7')
    parser.add_argument('--channels', type=int, default=32, help='of a head; default: 32')
    parser.add_argument(
        '--dtype', nargs='+', choices=list(DTYPES), default=list(DTYPES), help='default: all'
    )
    parser.add_argument(
        '--arch', nargs='+', type=int, default=list(ARCHITECTURES), help='default: all five'
    )
    return parser.parse_args()


def main() -> None:
    """Compile all kernels and print a table."""
    args = parse_args()
    rows = []
    for name in KERNELS:
        for dtype in args.dtype:
            for architecture in args.arch:
                used = compile_kernel(name, architecture, dtype, args.window, args.channels)
                row = name, dtype, f'sm_{architecture}', *used.values()
                rows.append([str(value) for value in row])
    print(
        markdown_table(
            ['kernel', 'dtype', 'GPU', 'registers', 'stack, bytes', 'shared, bytes'], rows
        )
    )


if __name__ == '__main__':
    main()
