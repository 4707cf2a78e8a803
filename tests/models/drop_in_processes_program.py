"""Shares SwinGAB and the stock Swin out among two processes, in each way that PyTorch has.

python -m tests.models.drop_in_processes_program RESULT.json
"""

import json
import sys
import tempfile
import warnings
from functools import partial
from pathlib import Path

import torch
from torch import distributed, nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import bf16_compress_hook
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.fsdp.wrap import ModuleWrapPolicy, size_based_auto_wrap_policy
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    RowwiseParallel,
    parallelize_module,
)
from torch.nn.parallel import DistributedDataParallel

from .drop_in_pairs import image, loss, ours, stock

PROCESSES = 2


def stages_of(model):
    return list(model.stages)


def blocks_of(model):
    return [block for stage in model.stages for block in stage.blocks]


def linear_layers_of(model):
    return [module for module in model.modules() if type(module) is nn.Linear]


def compressed(model):
    wrapped = DistributedDataParallel(model)
    wrapped.register_comm_hook(None, bf16_compress_hook)
    return wrapped


def sharded(parts_of, use_orig_params=True):
    """FSDP1, a unit for each of these parts, or for any part that is large enough."""

    def wrap(model):
        if parts_of is None:
            policy = None
        elif parts_of == 'size':
            policy = partial(size_based_auto_wrap_policy, min_num_params=500)
        else:
            policy = ModuleWrapPolicy({type(part) for part in parts_of(model)})
        return FullyShardedDataParallel(
            model,
            auto_wrap_policy=policy,
            device_id=torch.device('cpu'),
            use_orig_params=use_orig_params,
        )

    return wrap


def fully_sharded(parts_of):
    """FSDP2."""

    def wrap(model):
        mesh = init_device_mesh('cpu', (PROCESSES,))
        for part in parts_of(model):
            fully_shard(part, mesh=mesh)
        fully_shard(model, mesh=mesh)
        return model

    return wrap


def tensor_parallel(model):
    mesh = init_device_mesh('cpu', (PROCESSES,))
    plan = {'layers.0.0': ColwiseParallel(), 'layers.1': RowwiseParallel()}
    for block in blocks_of(model):
        parallelize_module(block.ffn, mesh, plan)
    return model


USES = {
    'DDP': DistributedDataParallel,
    'DDP, static graph': partial(DistributedDataParallel, static_graph=True),
    'DDP, communication hook': compressed,
    'DDP, compiled': lambda model: torch.compile(DistributedDataParallel(model), backend='eager'),
    'FSDP1': sharded(None),
    'FSDP1, stages': sharded(stages_of),
    'FSDP1, blocks': sharded(blocks_of),
    'FSDP1, by size': sharded('size'),
    'FSDP1, by size, flat': sharded('size', use_orig_params=False),
    'FSDP1, linear layers': sharded(linear_layers_of),
    'FSDP2': fully_sharded(lambda model: ()),
    'FSDP2, stages': fully_sharded(stages_of),
    'FSDP2, blocks': fully_sharded(blocks_of),
    'FSDP2, linear layers': fully_sharded(linear_layers_of),
    'tensor parallel': tensor_parallel,
    'ZeRO': DistributedDataParallel,
}


def outcome(name, build):
    """Mean of each map after a step of training, or the error that ends it."""
    try:
        model = USES[name](build())
        kind = partial(ZeroRedundancyOptimizer, optimizer_class=torch.optim.SGD)
        kind = kind if name == 'ZeRO' else torch.optim.SGD
        optimizer = kind(model.parameters(), lr=0.1)
        for _ in range(2):
            maps = model(image())
            optimizer.zero_grad()
            loss(maps).backward()
            optimizer.step()
        return [one.double().abs().mean().item() for one in maps]
    except Exception as error:
        return f'{type(error).__name__}: {error}'[:500]


def work(rank, store, path):
    warnings.simplefilter('ignore')
    distributed.init_process_group('gloo', f'file://{store}', rank=rank, world_size=PROCESSES)
    torch.set_num_threads(1)
    results = {name: [outcome(name, build) for build in (stock, ours)] for name in USES}
    if rank == 0:
        Path(path).write_text(json.dumps(results))
    distributed.destroy_process_group()


if __name__ == '__main__':
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(work, (f'{folder}/store', sys.argv[1]), PROCESSES)
