"""The study at full scale: its exact commands, and about how long they take."""

from pathlib import Path
from statistics import mean

from .grid import ARMS, ROOT, SEEDS, TASKS, with_arm
from .paired import compare
from .results_table import Result

_IMAGES = 36 * 117_266  # of COCO's training set that have annotations, in 36 epochs
_STEPS = 160_000  # of ADE20K, on however many GPUs
_BASES = {'coco': 'mask_rcnn_swin_s_coco.py', 'ade20k': 'upernet_swin_s_ade20k.py'}
_IMAGENET = 'swin_s_imagenet.py'
# A pretrained network knows nothing of gates: they start low there.
_PRETRAINED = {'gpsa': 'gpsa_pretrained'}
# Another network from the first step on, whatever its weights: it starts from an ImageNet training
# of its own. (CBG starts as the plain network.)
_TRAINED_WITH = ('cb', 'cbs', 'gaussian_cb')


def costs(results: list[Result]) -> dict[str, float]:
    """CPU time of every arm relative to the plain network's, mean over the study's tasks."""
    rows = [row for task in TASKS for row in compare(results, task.name, task.arms)]
    found = {arm: [row.cost for row in rows if row.arm == arm] for arm in ARMS}
    return {arm: mean(values) if values else 1.0 for arm, values in found.items()}


def print_plan(
    dataset: str, gpus: int, step_seconds: float, results: list[Result], folder: Path
) -> None:
    """Write the config of every arm, and print the commands that train and validate it.

    Args:
        dataset: ``'coco'`` or ``'ade20k'``.
        gpus: Of one machine.
        step_seconds: Of a step of the plain network with two images on each GPU.
        results: Of the study as it is, for what the arms cost.
        folder: Where the configs are written.
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
        f'the plain network takes {step_seconds} s, which is an assumption: time a step of yours, '
        'and give it with --step-seconds. Costs of the arms are those of the small networks; '
        f'ImageNet trainings, of the arms {", ".join(_TRAINED_WITH)}, are not counted.'
    )


def print_pretraining(arm: str, gpus: int, folder: Path) -> str:
    """Write the ImageNet config of an arm, print its command, and return the weights it ends with.

    They are as the plain network's, which are those of the authors: the same network, recipe and
    data, but not the same training.
    """
    config_file, work_dir = folder / f'imagenet_{arm}.py', folder / f'imagenet_{arm}'
    config = with_arm(ROOT / 'configs' / _IMAGENET, arm)
    config.dump(config_file)
    print(f'tools/dist_train.sh {config_file} {gpus} --work-dir {work_dir} --auto-scale-lr')
    return str(work_dir / f'epoch_{config.train_cfg.max_epochs}.pth')
