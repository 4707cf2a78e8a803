"""Test the paper's claims about effective receptive fields, at a scale for two CPU cores.

Example:
    python -m projects.erf    # 20 minutes

Measures untrained networks on photographs of the scikit-image and StarDist packages, and the nuclei
models before and after training, with and without the Gaussian. The models without the Gaussian are
also measured with random relative positions after training, which is the control of the paper.
Models already trained in --work-dir are not trained again.

Output: the last part of erf.md and figures/erf_*.png in --docs, and results.json in --work-dir.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import cv2
import torch
from mmengine.model import ImgDataPreprocessor
from torch import Tensor
from tqdm import tqdm

from mmgab.analysis.erf import PROTOCOLS, Erf, centre, describe_sums, measure_erf
from mmgab.analysis.plots import ErfPicture, plot_erfs
from mmgab.atomic_file import write_text
from mmgab.checkpoints import read_checkpoint
from mmgab.inspection.erf_images import batches, folder_images
from mmgab.inspection.erf_subject import Target, build_subject, prepare_image
from mmgab.reliability.checkpoint_note import last_checkpoint

from .claims_page import Row, redrawn_name, write_page
from .measures import SAMPLES, beyond, beyond_map
from .untrained_networks import BIASES, NETWORKS, REDRAWN, SIDE, Bias, set_bias_

ROOT = Path(__file__).resolve().parents[2]
PHOTOGRAPHS = {
    'skimage': ('data', 'astronaut.png brick.png camera.png cell.png chelsea.png clock_motion.png '
                'coffee.png coins.png grass.png gravel.png hubble_deep_field.jpg ihc.png moon.png '
                'motorcycle_left.png retina.jpg rocket.jpg'),
    'stardist': ('data/images', 'histo.jpg'),
}  # fmt: skip
IMAGENET = ImgDataPreprocessor((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), bgr_to_rgb=True)
SEEDS = (0, 1, 2)
# Side of the training images of each config, in pixels.
NUCLEI = {
    'mask_rcnn_swin_gab_nuclei': 192,
    'mask_rcnn_swin_nuclei': 192,
    'upernet_swin_gab_nuclei': 128,
    'upernet_swin_nuclei': 128,
}
# The norm is excluded: the channel mean after an untrained norm is constant.
LAST_STAGE = 'backbone.stages.3'


def photographs() -> list[tuple[str, Tensor]]:
    """Return the preprocessed photographs with their names."""
    found = []
    for package, (folder, names) in PHOTOGRAPHS.items():
        spec = find_spec(package)
        if spec is None:
            sys.exit(
                f'error: the package {package}, which has photographs, is not installed. Run: '
                'pip install -r requirements/tests.txt -r requirements/demo.txt'
            )
        for name in names.split():
            image = cv2.imread(str(Path(spec.origin).parent / folder / name), cv2.IMREAD_COLOR)
            found.append((name, prepare_image(image, (SIDE, SIDE), IMAGENET)))
    return found


def measure(features: Callable, images: list[tuple[str, Tensor]], title: str) -> Erf:
    """Measure the receptive field of the central unit."""
    in_turn = (([name], image[None]) for name, image in tqdm(images, title, leave=False))
    *_, erf = measure_erf(features, in_turn, centre, PROTOCOLS['gab2023'])
    if erf.refused:
        raise ValueError(f'{title}: {erf.refused}')
    return erf


def described(erf: Erf, name: str, others: Sequence[Erf] = ()) -> Row:
    """Return the measures and plot panels of a receptive field."""
    whole = describe_sums(erf.sums[0], erf.centre(0), samples=SAMPLES)
    return Row(
        name,
        whole,
        beyond(erf),
        [beyond(other)['r_squared']['value'] for other in others],
        ErfPicture(name, erf.sums[0].mean, erf.centre(0)),
        ErfPicture(name, beyond_map(erf), erf.centre(0)),
        erf.sums[0].count,
    )


def untrained() -> dict[str, list[Row]]:
    """Measure every untrained network with every bias on the photographs."""
    images, rows = photographs(), {}
    for network, build in NETWORKS.items():
        rows[network] = []
        for bias in tqdm(BIASES, network):
            fields = [measure(build(bias, seed), images, f'seed {seed}') for seed in SEEDS]
            rows[network].append(described(fields[0], bias.name, fields[1:]))
    return rows


def trained(work_dir: Path, data: Path) -> dict[str, list[Row]]:
    """Measure the nuclei models before and after training, and with redrawn positions."""
    rows = {}
    for name in NUCLEI:
        weights = str(last_checkpoint(work_dir / name))
        rows[name] = [of_nuclei(name, data, None), of_nuclei(name, data, weights)]
        if '_gab_' not in name:
            rows[name] += [of_nuclei(name, data, weights, bias) for bias in REDRAWN]
    return rows


def of_nuclei(name: str, data: Path, weights: str | None, redrawn: Bias | None = None) -> Row:
    """Measure a nuclei model with initial or trained weights, optionally with redrawn tables."""
    torch.manual_seed(0)
    side = NUCLEI[name]
    config = str(ROOT / 'configs' / f'{name}.py')
    subject = build_subject(Target(config, weights, LAST_STAGE, size=(side, side)))
    title = 'after training' if weights else 'before training'
    if redrawn is not None:
        set_bias_(subject.network, redrawn)
        title = redrawn_name(redrawn)
    sources = folder_images(data / 'images', subject)
    images = [(names[0], one[0]) for names, one in batches(sources, 1, {})]
    return described(measure(subject.features, images, title), title)


def train(work_dir: Path, data: Path) -> None:
    """Train the nuclei models; finished trainings are skipped, stopped ones resumed."""
    if not data.is_dir():
        _run('tools/dataset_converters/nuclei.py', '-o', data)
    for name in NUCLEI:
        _run('tools/train.py', f'configs/{name}.py', '--work-dir', work_dir / name, '--resume')


def _run(*words: str | Path) -> None:
    subprocess.run([sys.executable, '-W', 'ignore', *map(str, words)], check=True, cwd=ROOT)


def learned_sigmas(work_dir: Path) -> dict[str, list[float]]:
    """Return the sigma of every layer of the trained models with Gaussians."""
    found = {}
    for name in NUCLEI:
        tensors = read_checkpoint(last_checkpoint(work_dir / name))['state_dict']
        sigmas = [abs(float(t)) for key, t in tensors.items() if key.endswith('gaussian.sigma')]
        if sigmas:
            found[name] = sigmas
    return found


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog='python -m projects.erf',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--work-dir',
        type=Path,
        default=ROOT / 'work_dirs' / 'erf_study',
        help='folder for models and results.json; default: work_dirs/erf_study',
    )
    parser.add_argument(
        '--docs', type=Path, default=ROOT / 'docs', help='folder with erf.md; default: docs'
    )
    return parser.parse_args()


def main() -> None:
    """Measure everything, and write results.json, figures and the page."""
    args = parse_args()
    args.work_dir.mkdir(parents=True, exist_ok=True)
    data = ROOT / 'data' / 'nuclei'
    fresh = untrained()
    train(args.work_dir, data)
    nuclei = trained(args.work_dir, data)
    sigmas = learned_sigmas(args.work_dir)
    for name, rows, what in (
        ('erf_untrained', fresh, f'before training, {len(photographs())} photographs'),
        ('erf_nuclei', nuclei, 'nuclei'),
    ):
        pictures = {}
        for network, own in rows.items():
            pictures[network] = [row.picture for row in own]
            pictures[f'{network}, own patch left out'] = [row.picture_beyond for row in own]
        path = args.docs / 'figures' / f'{name}.png'
        plot_erfs(pictures, f'protocol gab2023, {what}', path)
    numbers = {
        network: {
            row.name: dict(whole=row.whole, beyond=row.beyond, r_squared_of_other_seeds=row.others)
            for row in own
        }
        for network, own in (fresh | nuclei).items()
    }
    results = dict(fields=numbers, sigmas=sigmas)
    write_text(args.work_dir / 'results.json', json.dumps(results, indent=2) + '\n')
    write_page(args.docs / 'erf.md', fresh, nuclei, sigmas)
    print(f'Written to {args.docs / "erf.md"} and {args.work_dir / "results.json"}')


if __name__ == '__main__':
    main()
