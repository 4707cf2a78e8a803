"""Commands and estimated time of the study at full scale, on COCO or ADE20K."""

from pathlib import Path
from statistics import mean

from .grid import ARMS, ROOT, SEEDS, TASKS, with_arm
from .paired import compare
from .results_table import Result

_IMAGES = 36 * 117_266  # 36 epochs of the annotated training images of COCO
_STEPS = 160_000  # iterations on ADE20K, for any number of GPUs
_BASES = {'coco': 'mask_rcnn_swin_s_coco.py', 'ade20k': 'upernet_swin_s_ade20k.py'}
_IMAGENET = 'swin_s_imagenet.py'
# With pretrained weights, gates start nearly closed.
_PRETRAINED = {'gpsa': 'gpsa_pretrained'}
# Arms that change the outputs of a pretrained baseline at the start. They are pretrained on
# ImageNet first. (CBG starts with the outputs of the baseline.)
_TRAINED_WITH = ('cb', 'cbs', 'gaussian_cb')


def costs(results: list[Result]) -> dict[str, float]:
    """Return the CPU time of every arm relative to the baseline, averaged over the tasks."""
    rows = [row for task in TASKS for row in compare(results, task.name, task.arms)]
    found = {arm: [row.cost for row in rows if row.arm == arm] for arm in ARMS}
    return {arm: mean(values) if values else 1.0 for arm, values in found.items()}


def print_plan(
    dataset: str, gpus: int, step_seconds: float, results: list[Result], folder: Path
) -> None:
    """Write the config of every arm, and print the commands that train and validate it.

    Args:
        dataset: ``'coco'`` or ``'ade20k'``.
        gpus: Number of GPUs of the machine.
        step_seconds: Seconds of a training step of the baseline with two images per GPU.
        results: Results of the small study, for the relative cost of the arms.
        folder: Output folder of the configs.
    """
    steps = _STEPS if dataset == 'ade20k' else _IMAGES / (2 * gpus)
    folder.mkdir(parents=True, exist_ok=True)
    relative, hours = costs(results), 0.0
    for arm in ARMS:
        name = _PRETRAINED.get(arm, arm)
        config_file = folder / f'{dataset}_{name}.py'
        config = with_arm(ROOT / 'configs' / _BASES[dataset], name)
        if arm in _TRAINED_WITH:
            config.model.backbone.init_cfg.checkpoint = print_pretraining(arm, gpus, folder)
        config.dump(config_file)
        hours += len(SEEDS) * relative[arm] * steps * step_seconds / 3600
        for seed in SEEDS:
            work_dir = folder / f'{dataset}_{name}_{seed}'
            print(
                f'tools/dist_train.sh {config_file} {gpus} --work-dir {work_dir} --auto-scale-lr '
                f'--cfg-options randomness.seed={seed}'
            )
    print(
        f'# {len(ARMS) * len(SEEDS)} runs, about {hours:,.0f} hours of {gpus} GPUs if a step of '
        f'the baseline takes {step_seconds} s. Measure a step on your machine and set '
        '--step-seconds. Relative costs of the arms are those of the small networks. ImageNet '
        f'pretraining of the arms {", ".join(_TRAINED_WITH)} is not included.'
    )


def print_pretraining(arm: str, gpus: int, folder: Path) -> str:
    """Write the ImageNet config of an arm, print its command, and return its final checkpoint.

    The baseline uses the authors' weights: same recipe and data, but not the same training.
    """
    config_file, work_dir = folder / f'imagenet_{arm}.py', folder / f'imagenet_{arm}'
    config = with_arm(ROOT / 'configs' / _IMAGENET, arm)
    config.dump(config_file)
    print(f'tools/dist_train.sh {config_file} {gpus} --work-dir {work_dir} --auto-scale-lr')
    return str(work_dir / f'epoch_{config.train_cfg.max_epochs}.pth')
