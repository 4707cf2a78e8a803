"""Check the training length: zero raises an error, a finished run is logged."""

from collections.abc import Mapping

from mmengine.runner import BaseLoop, EpochBasedTrainLoop, IterBasedTrainLoop, Runner


def check_length(train_cfg: Mapping) -> None:
    """Check that the settings of a training loop ask for an epoch or an iteration.

    Raises:
        ValueError: If they do not.
    """
    for name in ('max_epochs', 'max_iters'):
        if train_cfg.get(name, 1) < 1:
            raise ValueError(f'train_cfg.{name} is {train_cfg[name]}: it must be an integer >= 1')


def report_if_over(runner: Runner) -> None:
    """Log a warning if a resumed run has been trained to its end already."""
    loop = runner.train_loop
    if isinstance(loop, IterBasedTrainLoop):
        done, length, unit = loop.iter, loop.max_iters, 'iters'
    else:
        done, length, unit = loop.epoch, loop.max_epochs, 'epochs'
    if done >= length:
        runner.logger.warning(
            f'Nothing is left to train: {done} of {length} {unit} are done. To train longer, '
            f'resume with a larger train_cfg.max_{unit}'
        )


def length_line(loop: BaseLoop) -> str:
    """Describe how long a training is: samples, iterations and, if it counts them, epochs."""
    text = f'Training on {len(loop.dataloader.dataset)} samples'
    if isinstance(loop, EpochBasedTrainLoop):
        return f'{text}: {len(loop.dataloader)} iterations per epoch, {loop.max_epochs} epochs'
    return f'{text}: {loop.max_iters} iterations' if hasattr(loop, 'max_iters') else text
