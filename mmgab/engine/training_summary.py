"""The end of a training in a few lines: best metrics, the checkpoint, and the next commands."""

import math
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from mmengine.runner import Runner

from mmgab.hooks import AtomicCheckpointHook
from mmgab.reliability.checkpoint_note import last_checkpoint

# Metrics by which results are compared, of all that an evaluator reports.
_MAIN_METRIC = re.compile(r'(mAP|AP|PQ|mIoU|mDice|mFscore|top1)$')


def training_summary(runner: Runner, config: str, program: str) -> str:
    """Summarise a training that has ended.

    Args:
        runner: After its training.
        config: The config file, as given on the command line.
        program: What begins a command: ``mmgab``, or ``python -m mmgab``.

    Returns:
        Lines with the best validation metrics, the checkpoint to use, and commands to test it, to
        predict with it and to write a report.
    """
    lines = ['Training finished']
    metrics = _best_metrics(runner)
    if metrics:
        lines.append('  metrics     ' + ', '.join(f'{k} {v:.4f}' for k, v in metrics.items()))
    checkpoint = _checkpoint(runner)
    if checkpoint is None:
        return '\n'.join(lines)
    lines.append(f'  checkpoint  {checkpoint}')
    files = shlex.join((config, checkpoint))
    lines.append(f'  test        {program} test {files}')
    if metrics and not any('accuracy' in name for name in metrics):
        lines.append(f'  predict     {program} predict {files} IMAGES -o predictions')
    work_dir = shlex.quote(_from_here(runner.work_dir))
    lines.append(f'  report      {program} report {work_dir} -o report.html')
    return '\n'.join(lines)


def _from_here(path: str | Path) -> str:
    """Shorten a path below the current folder."""
    path = Path(path)
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _best_metrics(runner: Runner) -> Mapping[str, float]:
    """The main metrics of validation, each at its best."""
    found = {}
    for name, history in runner.message_hub.log_scalars.items():
        values = [float(value) for value in history.data[0] if math.isfinite(float(value))]
        if name.startswith('val/') and values and _MAIN_METRIC.search(name):
            found[name.removeprefix('val/')] = max(values)
    return found


def _checkpoint(runner: Runner) -> str | None:
    """The best checkpoint where a hook keeps it, else the last; None where none was saved."""
    for hook in runner.hooks:
        best = getattr(hook, 'best_ckpt_path', None)
        if isinstance(hook, AtomicCheckpointHook) and best:
            return _from_here(best)
    last = last_checkpoint(Path(runner.work_dir))
    return None if last is None else _from_here(last)
