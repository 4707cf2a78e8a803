"""The main job on a laptop, with nothing to download: real nuclei, boxes, masks and pixels.

    make demo

Prepares the data, trains Mask R-CNN and UPerNet from scratch, evaluates both with tools/test.py,
and writes results.json, pictures and report.html to work_dirs/demo.
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
from mmgab.reliability.checkpoint_note import last_checkpoint

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / 'tools'
DATA = ROOT / 'data' / 'nuclei'
OUT = ROOT / 'work_dirs' / 'demo'
SHOWN_SCORE = 0.5  # predictions below it are not drawn; all of them are evaluated
BARS = dict(bbox_mAP=0.50, segm_mAP=0.46, mIoU=0.88)  # what a working project reaches
TASKS = {
    'mask_rcnn_swin_gab_nuclei': 'predictions.pkl',
    'upernet_swin_gab_nuclei': 'predictions',
}


def run(step: str, seconds: dict, *command: str | Path) -> None:
    """Run one step as a command of its own, and keep its time."""
    words = ' '.join(
        str(Path(word).relative_to(ROOT) if Path(word).is_relative_to(ROOT) else word)
        for word in command
    )
    print(f'\n=== {step}: python {words}', flush=True)
    start = time.monotonic()
    subprocess.run([sys.executable, *map(str, command)], check=True, cwd=ROOT)
    seconds[step] = round(time.monotonic() - start, 1)


def train_and_test(name: str, seconds: dict) -> dict:
    """Train and test one config; returns its metrics as tools/test.py wrote them."""
    config, work_dir = ROOT / 'configs' / f'{name}.py', OUT / name
    run(f'train {name}', seconds, TOOLS / 'train.py', config, '--work-dir', work_dir)
    run(
        f'test {name}', seconds, TOOLS / 'test.py', config, last_checkpoint(work_dir),
        '--work-dir', work_dir / 'test', '--out', work_dir / TASKS[name],
    )  # fmt: skip
    return json.loads((work_dir / 'test' / 'results.json').read_text())['metrics']


def instance_tiles() -> list[Tile]:
    """Validation tiles with true and predicted instances."""
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
    """Validation tiles with true and predicted label maps."""
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
    """Amplitude and sigma of every layer, as built and as trained."""
    config = load_config(str(ROOT / 'configs' / f'{name}.py'))
    before = MODELS.build(config.model.backbone).state_dict(prefix='backbone.')
    after = read_checkpoint(last_checkpoint(OUT / name))['state_dict']
    names = [key for key in before if '.gaussian.' in key]
    return {k: before[k].item() for k in names}, {k: after[k].item() for k in names}


def draw(seconds: dict) -> list[Path]:
    """Draw the pictures; returns their files."""
    start = time.monotonic()
    pictures = [OUT / f'{name}.png' for name in ('instances', 'pixels', 'gaussians')]
    plot_instances(instance_tiles(), pictures[0])
    plot_label_maps(label_map_tiles(), pictures[1])
    plot_gaussians({name: gaussians(name) for name in TASKS}, pictures[2])
    seconds['pictures'] = round(time.monotonic() - start, 1)
    return pictures


def main() -> None:
    """Run all steps and print the table."""
    OUT.mkdir(parents=True, exist_ok=True)
    seconds: dict[str, float] = {}
    run('data', seconds, TOOLS / 'dataset_converters' / 'nuclei.py', '-o', DATA)
    boxes, pixels = (train_and_test(name, seconds) for name in TASKS)
    results = dict(
        bbox_mAP=boxes['coco/bbox_mAP'],
        segm_mAP=boxes['coco/segm_mAP'],
        mIoU=pixels['mIoU'] / 100,  # MMSegmentation reports per cent
    )
    pictures = draw(seconds)
    page = OUT / 'report.html'
    report = TOOLS / 'analysis_tools' / 'report.py'
    run('report', seconds, report, OUT, '-o', page, '--run-config')
    results['seconds'] = seconds
    write_text(OUT / 'results.json', json.dumps(results, indent=2) + '\n')

    print('\nReal nuclei, validation tiles that training never saw')
    for metric, bar in BARS.items():
        print(f'  {metric:<9} {results[metric]:.3f}  (at least {bar:.2f} is expected)')
    for step, duration in seconds.items():
        print(f'  {duration:6.1f} s  {step}')
    print('\nNumbers:', (OUT / 'results.json').relative_to(ROOT))
    print('Everything on a page:', page.relative_to(ROOT))
    print('Pictures:', *(path.relative_to(ROOT) for path in pictures), sep='\n  ')
    short = [metric for metric, bar in BARS.items() if results[metric] < bar]
    if short:
        sys.exit(f'Below what is expected: {", ".join(short)}')


if __name__ == '__main__':
    main()
