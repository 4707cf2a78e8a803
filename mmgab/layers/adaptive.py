"""Base class of modules that convert a checkpoint's tensors on load."""

from collections.abc import Mapping, MutableMapping
from typing import Any

from torch import Tensor, nn


class AdaptiveModule(nn.Module):
    """Base of a module that converts (renames, resizes) the tensors of a state dict on load.

    Tensors are converted once in each load. ``load_state_dict`` of PyTorch and MMEngine converts
    them in the load hook below. :func:`mmgab.checkpoints.load` calls :meth:`adapt_state_dict`
    itself, compares the result with the model, and turns the hook's conversion off.

    Attributes:
        skips_conversion: True while the load hook receives converted tensors, that is only during
            :func:`mmgab.checkpoints.load`.
    """

    skips_conversion: bool = False

    def adapt_state_dict(
        self, state_dict: MutableMapping[str, Tensor], prefix: str, local_metadata: Mapping
    ) -> list[str]:
        """Convert this module's tensors in a state dict to the form that this module has.

        Tensors that already fit, or whose form is unknown, stay unchanged; the caller reports
        those that do not fit.

        Args:
            state_dict: State dict to load; changed in place.
            prefix: Prefix of this module's tensor names.
            local_metadata: Metadata of the module that saved the tensors; may be empty.

        Returns:
            Names of the tensors that were resized.
        """
        raise NotImplementedError

    def _load_from_state_dict(
        self, state_dict: dict, prefix: str, local_metadata: dict, *args: Any
    ) -> None:
        if not self.skips_conversion:
            self.adapt_state_dict(state_dict, prefix, local_metadata)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)
