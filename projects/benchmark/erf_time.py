"""Compare the time of receptive field measurements with the openerf package.

Example:
    python -m projects.benchmark.erf_time --images FOLDER

Both use the same network, images, transform and protocol. Their maps are compared before the
timing. Prints median seconds over rounds and the median ratio.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import numpy as np
import timm
import torch
from openerf.erf import compute_erf
from torch import nn

from mmgab.analysis.cost import interleaved_times, paired_ratio
from mmgab.analysis.erf import PROTOCOLS, centre, measure_erf
from mmgab.inspection.erf_images import batches, folder_images
from mmgab.inspection.erf_subject import Target, build_subject


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog='python -m projects.benchmark.erf_time',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--images', required=True, type=Path, help='folder of images')
    parser.add_argument(
        '--models',
        nargs='+',
        default=['swin_tiny_patch4_window7_224'],
        help='timm models; default: swin_tiny_patch4_window7_224',
    )
    parser.add_argument(
        '--batch-size', type=int, default=4, help='batch size of mmgab; default: 4 (openerf uses 1)'
    )
    parser.add_argument('--rounds', type=int, default=7, help='timed rounds; default: 7')
    return parser.parse_args()


def weights(name: str, path: Path) -> nn.Module:
    """Create a timm network with random norm weights, so that the channel mean is not constant."""
    torch.manual_seed(0)
    model = timm.create_model(name).eval()
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            nn.init.normal_(module.weight, mean=1, std=0.3)
    torch.save(model.state_dict(), path)
    return model


def compare(name: str, args: argparse.Namespace) -> None:
    """Compare the maps, then time both packages in turn."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder, 'weights.pth')
        model = weights(name, checkpoint)
        subject = build_subject(Target(f'timm:{name}', str(checkpoint)))

    def ours() -> np.ndarray:
        sources = batches(folder_images(args.images, subject), args.batch_size, {})
        *_, erf = measure_erf(subject.features, sources, centre, PROTOCOLS['gab2023'])
        return erf.sums[0].mean / erf.sums[0].mean.sum()

    def theirs() -> np.ndarray:
        return compute_erf(model, args.images, show_progress=False, device='cpu').erf_map

    difference = np.abs(ours() - theirs()).max() / theirs().max()
    if difference > 1e-4:
        raise RuntimeError(
            f'{name}: the maps differ by {difference:.1e} of their maximum, allowed is 1e-4'
        )
    times = interleaved_times(dict(ours=ours, openerf=theirs), args.rounds, print)
    seconds = {who: statistics.median(values) for who, values in times.items()}
    ratio = paired_ratio(times['ours'], times['openerf'])
    print(f'{name}: seconds {seconds}, ratio {ratio:.2f}, largest difference {difference:.1e}')


def main() -> None:
    """Measure all networks."""
    args = parse_args()
    for name in args.models:
        compare(name, args)


if __name__ == '__main__':
    main()
