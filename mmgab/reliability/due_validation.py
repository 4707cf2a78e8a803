"""Validations that were due when a run ended, and that the resumed run makes."""

from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner

# In a run's message hub, and its checkpoints: iterations that were trained when it validated last.
# (MMEngine logs what begins with train, val or test.)
_LAST = 'last_validation'


def note_validation(runner: Runner) -> None:
    """Note that the validation after the present iteration is done."""
    runner.message_hub.update_info(_LAST, runner.iter)


def owes_validation(runner: Runner, trained: int) -> bool:
    """Return True if a validation is due where a run resumes and not known to be done.

    A checkpoint is saved before the validation of its step, so that it does not know of it, unless
    it was saved once more because the score was the best so far. A validation that is repeated
    gives the same score, which is no better than itself.

    Args:
        runner: A run, before its first iteration.
        trained: Iterations of the present epoch that are trained already.
    """
    loop = runner.train_loop
    if isinstance(loop, IterBasedTrainLoop):
        done, last = loop.iter, loop.max_iters
    elif isinstance(loop, EpochBasedTrainLoop) and trained == 0:
        done, last = loop.epoch, loop.max_epochs
    else:
        return False
    is_known = runner.message_hub.runtime_info.get(_LAST) == runner.iter
    if runner.iter == 0 or runner.val_loop is None or is_known:
        return False
    loop._decide_current_val_interval()  # as the loop does before it asks the same
    return done >= loop.val_begin and (done % loop.val_interval == 0 or done == last)
