"""Make the files of version 0.1.0 that the tests next to it read with the current code.

    mkdir /tmp/mmgab-0.1.0
    git archive 53059d6 | tar x -C /tmp/mmgab-0.1.0
    PYTHONPATH=/tmp/mmgab-0.1.0 python tests/version_0_1_0/make_files.py /tmp/mmgab-0.1.0

It takes a minute. 53059d6 is the last commit of 0.1.0. Data and runs go to its folder, whose path
is in the checkpoints then; results go to ``files`` beside this program. Parameters are drawn at
random, so that each of them matters.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import mmengine
import torch

import mmgab
from mmgab.checkpoints import read_checkpoint, write_checkpoint

HERE = Path(__file__).resolve().parent
FILES = HERE / 'files'
IMAGE = (1, 3, 13, 10)  # no multiple of a window or a patch
_SWIN = dict(
    type='SwinGAB', embed_dims=4, depths=(2, 1), num_heads=(1, 2), strides=(2, 2), patch_size=2,
    out_indices=(0, 1), mlp_ratio=1, window_size=3,
)  # fmt: skip
_VIT = dict(
    type='ViTGAB', img_size=(20, 16), patch_size=4, embed_dims=8, depth=2, num_heads=2, mlp_ratio=1,
    out_indices=(0, 1), layer_scale=None,
)  # fmt: skip
_GAUSSIAN = dict(amplitude=1.2, sigma=2.0)
NETWORKS = {
    'swin_shared': dict(_SWIN, window_size=(4, 3), gab_cfg=_GAUSSIAN),
    'swin_per_head': dict(_SWIN, window_size=4, gab_cfg=dict(_GAUSSIAN, per_head=True)),
    'swin_gated': dict(_SWIN, gab_cfg=_GAUSSIAN, gpsa_cfg=dict(stages=(1,))),
    'swin_cb': dict(_SWIN, gab_cfg=_GAUSSIAN, cb_cfg=dict(type='CB')),
    'swin_cbs': dict(_SWIN, gab_cfg=None, cb_cfg=dict(type='CBS', stages=(1,))),
    'swin_cbg': dict(_SWIN, gab_cfg=_GAUSSIAN, cb_cfg=dict(type='CBG')),
    'swin_plain': dict(_SWIN, gab_cfg=None, attn_backend='explicit', window_size=(2, 5)),
    'swin_position': dict(
        _SWIN, gab_cfg=_GAUSSIAN, use_abs_pos_embed=True, pretrain_img_size=(12, 6),
        shift_single_window=False,
    ),
    'vit_table': dict(_VIT, rel_pos_cfg=dict(type='table'), gab_cfg=_GAUSSIAN),
    'vit_mlp': dict(_VIT, rel_pos_cfg=dict(type='mlp', hidden=8), layer_scale=0.5),
    'vit_windows': dict(
        _VIT, rel_pos_cfg=dict(type='table'), window_size=(2, 3), global_blocks=(1,),
        gab_cfg=dict(_GAUSSIAN, per_head=True), cb_cfg=dict(type='CBS', blocks=(0,)),
    ),
    'vit_gated': dict(
        _VIT, rel_pos_cfg=None, use_abs_pos_embed=True, qkv_bias=True, gab_cfg=_GAUSSIAN,
        gpsa_cfg=dict(blocks=(0,)), layer_scale=0.1,
    ),
}  # fmt: skip
FOLDED_NETWORK, FOLDED_FILE = 'swin_shared', 'swin_per_head'  # stock windows are square
# PyTorch's own format also notes what tensors do not tell: a grid, a window that is not square.
SUFFIXES = {name: '.pth' for name in ('swin_position', 'swin_shared', 'vit_gated')}
# Each run is stopped by nobody and has a checkpoint half-way, which files keep.
RUNS = {'by_iteration': 'iter_{}.pth', 'by_epoch': 'epoch_{}.pth'}
HALF, WHOLE = {'by_iteration': 2, 'by_epoch': 1}, {'by_iteration': 4, 'by_epoch': 2}
ONE_THREAD = dict(OMP_NUM_THREADS='1', MKL_NUM_THREADS='1')


def file_of(name: str) -> Path:
    """Where the parameters of a network are."""
    return FILES / f'{name}{SUFFIXES.get(name, ".safetensors")}'


def build(name: str, **changes: object) -> torch.nn.Module:
    """Build a network as the table says, for evaluation."""
    arguments = {**NETWORKS[name], **changes}
    return getattr(mmgab, arguments.pop('type'))(**arguments).eval()


def pretrained(name: str) -> dict:
    """Make the ``init_cfg`` that loads a network's file."""
    return dict(type='Pretrained', checkpoint=str(file_of(name)))


def environment() -> dict[str, str]:
    """Describe what decides about the last bits of a floating-point result."""
    processor = Path('/proc/cpuinfo')
    lines = processor.read_text().splitlines() if processor.exists() else []
    vendors = [line.rpartition(': ')[2] for line in lines if line.startswith('vendor_id')]
    return dict(
        torch=torch.__version__,
        instructions=torch.backends.cpu.get_cpu_capability(),
        vendor=vendors[0] if vendors else '',
        mmengine=mmengine.__version__,  # and so the line of OpenMMLab, whose data pipelines differ
    )


def losses(work_dir: Path) -> list[float]:
    """Read the losses of the latest run in a work dir, in order."""
    (log,) = sorted(work_dir.glob('*/vis_data/scalars.json'))[-1:]
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return [line['loss'] for line in lines if 'loss' in line]


def drawn_hash(name: str) -> str:
    """SHA-256 of what a network draws from a seed, parameter by parameter, names included."""
    torch.manual_seed(3)
    digest = hashlib.sha256()
    for key, parameter in build(name).named_parameters():
        digest.update(key.encode() + parameter.detach().numpy().tobytes())
    return digest.hexdigest()


def _write_networks() -> None:
    """Write parameters of every network, and what each makes of one image."""
    tensors = dict(image=torch.rand(IMAGE))
    for name in NETWORKS:
        network = build(name)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter += 0.2 * torch.randn_like(parameter)
            outputs = network(tensors['image'])
        write_checkpoint(network.state_dict(), file_of(name))
        tensors |= {f'{name}.{index}': output for index, output in enumerate(outputs)}
    write_checkpoint(tensors, FILES / 'outputs.safetensors')


def _write_conversions(clone: Path) -> None:
    """Fold a network in memory and a file with the tool; unfold it again; publish another."""
    network = build(FOLDED_NETWORK, init_cfg=pretrained(FOLDED_NETWORK))
    network.init_weights()
    write_checkpoint(network.fold_().state_dict(), FILES / 'folded_network.safetensors')
    tool, folded = 'tools/model_converters/convert.py', FILES / 'folded_file.safetensors'
    _run(clone, tool, 'fold', file_of(FOLDED_FILE), '--to', 'mmdet', '-o', folded)
    unfolded = FILES / 'unfolded_file.safetensors'
    _run(clone, tool, 'unfold', folded, '--per-head', '-o', unfolded)
    _run(clone, tool, 'publish', file_of('vit_gated'), '-o', FILES / 'published.pth')


def _write_run(clone: Path, name: str) -> None:
    """Train to the end; keep the state half-way, the dumped config and how the run ended."""
    work_dir, kept = Path('work_dirs', name), FILES / name
    _run(clone, 'tools/train.py', HERE / 'configs' / f'{name}.py', '--work-dir', work_dir)
    work_dir = clone / work_dir
    kept.mkdir()
    shutil.copy(work_dir / f'{name}.py', kept)
    shutil.copy(work_dir / RUNS[name].format(HALF[name]), kept)
    ended = read_checkpoint(work_dir / RUNS[name].format(WHOLE[name]))
    write_checkpoint(ended['state_dict'], kept / 'end.safetensors')
    (kept / 'losses.json').write_text(json.dumps(losses(work_dir), indent=2) + '\n')


def _run(clone: Path, *words: object) -> None:
    command = [sys.executable, '-W', 'ignore', *map(str, words)]
    env = {**os.environ, **ONE_THREAD, 'PYTHONPATH': str(clone)}
    subprocess.run(command, cwd=clone, env=env, check=True)


def main() -> None:
    """Write all files anew."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('clone', type=Path, help='folder with version 0.1.0')
    clone = parser.parse_args().clone.resolve()
    if not Path(mmgab.__file__).is_relative_to(clone):
        sys.exit(f'mmgab is {mmgab.__file__}, not that in {clone}: set PYTHONPATH')
    torch.set_num_threads(1)
    torch.manual_seed(0)
    shutil.rmtree(FILES, ignore_errors=True)
    FILES.mkdir()
    drawn = {name: drawn_hash(name) for name in NETWORKS}
    (FILES / 'drawn.json').write_text(json.dumps(drawn, indent=2) + '\n')
    _write_networks()
    _write_conversions(clone)
    _run(clone, 'tools/dataset_converters/nuclei.py', '-o', 'data/nuclei')
    for name in RUNS:
        _write_run(clone, name)
    (FILES / 'environment.json').write_text(json.dumps(environment(), indent=2) + '\n')


if __name__ == '__main__':
    main()
