"""Modules that adapt a checkpoint's tensors to themselves, whichever way it is loaded."""

from collections.abc import Mapping, MutableMapping
from typing import Any

from torch import Tensor, nn


class AdaptiveModule(nn.Module):
    """Base of a module whose tensors come in several forms.

    Tensors are adapted once in each load. Torch's ``load_state_dict`` (and MMEngine's) leads to the
    load hook below, which adapts them. :func:`mmgab.checkpoints.load` calls
    :meth:`adapt_state_dict` itself, compares the result with the model, and has the hook take it.

    Attributes:
        takes_as_they_are: Whether the load hook gets tensors that are adapted; True during
            :func:`mmgab.checkpoints.load` alone.
    """

    takes_as_they_are: bool = False

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
        self, state_dict: dict, prefix: str, local_metadata: dict, *args: Any
    ) -> None:
        if not self.takes_as_they_are:
            self.adapt_state_dict(state_dict, prefix, local_metadata)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)
