"""Modules that adapt a checkpoint's tensors to themselves, whichever way it is loaded."""

from collections.abc import Mapping, MutableMapping

from torch import Tensor


class AdaptiveModule:
    """Mix-in of an ``nn.Module`` whose tensors come in several forms.

    Both ways of loading lead here: torch's (and MMEngine's) call the load hook below;
    :func:`mmgab.checkpoints.load` calls :meth:`adapt_state_dict` first, compares the result with
    the model, and marks it, so that nothing is adapted twice.
    """

    def adapt_state_dict(
        self, state_dict: MutableMapping[str, Tensor], prefix: str, local_metadata: Mapping
    ) -> list[str]:
        """Bring this module's tensors to its own form.

        What already fits stays as it is; what cannot be told stays as well, for the caller to
        refuse.

        Args:
            state_dict: What is loaded; changed in place.
            prefix: What stands before this module's names.
            local_metadata: What the module that saved them noted; may be empty.

        Returns:
            Names of the tensors that were resized.
        """
        raise NotImplementedError

    def _load_from_state_dict(
        self, state_dict: dict, prefix: str, local_metadata: dict, *args
    ) -> None:
        if not local_metadata.get('is_adapted'):
            self.adapt_state_dict(state_dict, prefix, local_metadata)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)
