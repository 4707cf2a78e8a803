"""Tasks, arms and seeds of the study, and the config of each run."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from mmgab.engine import load_config

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / 'configs' / 'study'
ARMS = (
    'none',
    'gaussian_sigma_1',
    'gaussian_sigma_2',
    'gaussian_sigma_5',
    'gaussian_per_head_sigma_1',
    'gaussian_per_head_sigma_2',
    'gaussian_per_head_sigma_5',
    'cb',
    'cbs',
    'cbg',
    'gpsa',
    'gaussian_cb',
    'diversity',
)
VIT_ARMS = ('none', 'gaussian_sigma_5', 'gpsa', 'cb')
SEEDS = (0, 1, 2, 3, 4)


@dataclass(frozen=True)
class Task:
    """A model on a dataset, with its metrics.

    Attributes:
        name: Name of its config in ``configs/study``.
        title: Title in figures and tables.
        arms: Names of configs in ``configs/study/arms``; the baseline is the first.
        metrics: Two metrics of the evaluator; the first is the main metric.
        scale: Factor that converts the metrics to percent.
    """

    name: str
    title: str
    arms: tuple[str, ...]
    metrics: tuple[str, str]
    scale: float


_BOXES = (('coco/bbox_mAP', 'coco/segm_mAP'), 100.0)
_PIXELS = (('mIoU', 'mAcc'), 1.0)  # MMSegmentation reports percent
TASKS = (
    Task('mask_rcnn_swin_digits', 'Mask R-CNN, Swin, digit scenes', ARMS, *_BOXES),
    Task('upernet_swin_digits', 'UPerNet, Swin, digit scenes', ARMS, *_PIXELS),
    Task('mask_rcnn_swin_nuclei', 'Mask R-CNN, Swin, nuclei', ARMS, *_BOXES),
    Task('upernet_swin_nuclei', 'UPerNet, Swin, nuclei', ARMS, *_PIXELS),
    Task('mask_rcnn_vit_digits', 'Mask R-CNN, plain ViT, digit scenes', VIT_ARMS, *_BOXES),
    Task('upernet_vit_digits', 'UPerNet, plain ViT, digit scenes', VIT_ARMS, *_PIXELS),
)


@dataclass(frozen=True)
class Run:
    """One training: a task, an arm, a seed."""

    task: Task
    arm: str
    seed: int

    @property
    def name(self) -> str:
        """Name of the run, ``TASK/ARM/SEED``, and of its log folder."""
        return f'{self.task.name}/{self.arm}/{self.seed}'

    @property
    def config(self) -> Config:
        """Complete config of the run."""
        config = with_arm(CONFIGS / f'{self.task.name}.py', self.arm)
        config.randomness = dict(seed=self.seed)
        return config


def with_arm(path: Path, arm: str) -> Config:
    """Load a config with the changes of an arm; hooks of the arm are appended.

    Raises:
        FileNotFoundError: If the config or the arm does not exist.
    """
    config = load_config(str(path))
    changes = load_config(str(CONFIGS / 'arms' / f'{arm}.py')).to_dict()
    hooks = [*config.get('custom_hooks', []), *changes.pop('custom_hooks', [])]
    changes = {key: value for key, value in changes.items() if key not in ('work_dir', 'launcher')}
    config.merge_from_dict(changes)
    config.custom_hooks = hooks
    return config


def config_hash(config: Config) -> str:
    """Return a hash of ten digits of everything in a config that affects the result.

    The seed, the work dir, the launcher, private variables of the config file and the test
    pipeline (only used by mmseg.apis) are excluded.
    """
    others = ('work_dir', 'launcher', 'randomness', 'test_pipeline')
    content = config.to_dict()
    content = {k: v for k, v in content.items() if k not in others and not k.startswith('_')}
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def all_runs() -> Iterator[Run]:
    """Yield every run of the study, ordered by seed, so that a partial study is balanced."""
    for seed in SEEDS:
        for task in TASKS:
            for arm in task.arms:
                yield Run(task, arm, seed)
