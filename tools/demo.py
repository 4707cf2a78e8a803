"""Demo: train and evaluate Mask R-CNN and UPerNet on real nuclei; no download is needed.

Example:
    make demo

Prepares the data, trains both models from scratch, and evaluates them with tools/test.py.

Output in work_dirs/demo: results.json, figures (PNG) and report.html.

The exit code is 1 if a step fails or a metric is below the expected value.
"""

import json
import pickle
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
from mmengine.registry import MODELS
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from mmgab.analysis.plots import Tile, plot_gaussians, plot_instances, plot_label_maps
from mmgab.atomic_file import write_text
from mmgab.checkpoints import read_checkpoint
from mmgab.engine import load_config
from mmgab.openmmlab_compat import silence_pycocotools
from mmgab.reliability.checkpoint_note import last_checkpoint

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / 'tools'
DATA = ROOT / 'data' / 'nuclei'
OUT = ROOT / 'work_dirs' / 'demo'
SHOWN_SCORE = 0.5  # score threshold of drawn predictions; the evaluation uses all of them
EXPECTED = dict(bbox_mAP=0.50, segm_mAP=0.46, mIoU=0.88)  # lower bounds of an intact installation
TASKS = {
    'mask_rcnn_swin_gab_nuclei': 'predictions.pkl',
    'upernet_swin_gab_nuclei': 'predictions',
}


def run(step: str, seconds: dict, *command: str | Path) -> None:
    """Run one step as a subprocess, and record its duration."""
    words = ' '.join(
        str(Path(word).relative_to(ROOT) if Path(word).is_relative_to(ROOT) else word)
        for word in command
    )
    print(f'\n=== {step}: python {words}', flush=True)
    start = time.monotonic()
    subprocess.run([sys.executable, '-W', 'ignore', *map(str, command)], check=True, cwd=ROOT)
    seconds[step] = round(time.monotonic() - start, 1)


def train_and_test(name: str, seconds: dict) -> dict:
    """Train and test one config; return the metrics that tools/test.py wrote."""
    config, work_dir = ROOT / 'configs' / f'{name}.py', OUT / name
    run(f'train {name}', seconds, TOOLS / 'train.py', config, '--work-dir', work_dir)
    run(
        f'test {name}', seconds, TOOLS / 'test.py', config, last_checkpoint(work_dir),
        '--work-dir', work_dir / 'test', '--out', work_dir / TASKS[name],
    )  # fmt: skip
    return json.loads((work_dir / 'test' / 'results.json').read_text())['metrics']


def instance_tiles() -> list[Tile]:
    """Return the validation tiles with ground-truth and predicted instances."""
    name = 'mask_rcnn_swin_gab_nuclei'
    predictions = pickle.loads((OUT / name / TASKS[name]).read_bytes())
    coco = COCO(DATA / 'annotations' / 'instances_val.json')
    tiles = []
    for prediction in predictions:
        file = coco.loadImgs(prediction['img_id'])[0]['file_name']
        image = cv2.imread(str(DATA / 'images' / 'val' / file), cv2.IMREAD_GRAYSCALE)
        annotations = coco.loadAnns(coco.getAnnIds(prediction['img_id']))
        truth = np.array([coco.annToMask(annotation) for annotation in annotations])
        found = prediction['pred_instances']
        shown = [i for i, score in enumerate(found['scores']) if score >= SHOWN_SCORE]
        masks = np.zeros((len(shown), *image.shape))
        for row, i in enumerate(shown):
            masks[row] = coco_mask.decode(found['masks'][i])
        scores = [float(found['scores'][i]) for i in shown]
        tiles.append(Tile(Path(file).stem, image, truth, masks, scores))
    return tiles


def label_map_tiles() -> list[Tile]:
    """Return the validation tiles with ground-truth and predicted label maps."""
    name = 'upernet_swin_gab_nuclei'

    def read(path: Path) -> np.ndarray:
        return cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)

    return [
        Tile(
            path.stem,
            read(path),
            read(DATA / 'labels' / 'val' / path.name),
            read(OUT / name / TASKS[name] / path.name),
        )
        for path in sorted((DATA / 'images' / 'val').iterdir())
    ]


def gaussians(name: str) -> tuple[dict[str, float], dict[str, float]]:
    """Return amplitude and sigma of every layer, before and after training."""
    config = load_config(str(ROOT / 'configs' / f'{name}.py'))
    before = MODELS.build(config.model.backbone).state_dict(prefix='backbone.')
    after = read_checkpoint(last_checkpoint(OUT / name))['state_dict']
    names = [key for key in before if '.gaussian.' in key]
    return {k: before[k].item() for k in names}, {k: after[k].item() for k in names}


def draw(seconds: dict) -> list[Path]:
    """Plot predictions and Gaussians; return the paths of the figures."""
    start = time.monotonic()
    figures = [OUT / f'{name}.png' for name in ('instances', 'pixels', 'gaussians')]
    plot_instances(instance_tiles(), figures[0])
    plot_label_maps(label_map_tiles(), figures[1])
    plot_gaussians({name: gaussians(name) for name in TASKS}, figures[2])
    seconds['pictures'] = round(time.monotonic() - start, 1)
    return figures


def main() -> None:
    """Run all steps and print the metrics and durations."""
    silence_pycocotools()
    OUT.mkdir(parents=True, exist_ok=True)
    seconds: dict[str, float] = {}
    run('data', seconds, TOOLS / 'dataset_converters' / 'nuclei.py', '-o', DATA)
    boxes, pixels = (train_and_test(name, seconds) for name in TASKS)
    results = dict(
        bbox_mAP=boxes['coco/bbox_mAP'],
        segm_mAP=boxes['coco/segm_mAP'],
        mIoU=pixels['mIoU'] / 100,  # MMSegmentation reports percent
    )
    figures = draw(seconds)
    page = OUT / 'report.html'
    report = TOOLS / 'analysis_tools' / 'report.py'
    run('report', seconds, report, OUT, '-o', page, '--run-config')
    results['seconds'] = seconds
    write_text(OUT / 'results.json', json.dumps(results, indent=2) + '\n')

    print('\nMetrics on the validation tiles, which were not used for training')
    for metric, lowest in EXPECTED.items():
        print(f'  {metric:<9} {results[metric]:.3f}  (expected: at least {lowest:.2f})')
    for step, duration in seconds.items():
        print(f'  {duration:6.1f} s  {step}')
    print('\nResults:', (OUT / 'results.json').relative_to(ROOT))
    print('Report:', page.relative_to(ROOT))
    print('Figures:', *(path.relative_to(ROOT) for path in figures), sep='\n  ')
    low = [metric for metric, lowest in EXPECTED.items() if results[metric] < lowest]
    if low:
        sys.exit(f'error: lower than expected: {", ".join(low)}')


if __name__ == '__main__':
    main()
