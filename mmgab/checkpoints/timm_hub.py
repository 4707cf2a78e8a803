"""``timm://NAME``: pretrained weights through timm's own hub code."""

from collections.abc import Mapping

import torch

TIMM_SCHEME = 'timm://'


def load_from_timm(filename: str, map_location: str | torch.device | None = None) -> Mapping:
    """Get the pretrained weights of a model of timm.

    Args:
        filename: ``timm://swin_tiny_patch4_window7_224.ms_in1k``, say.
        map_location: Device for the tensors.

    Returns:
        Its state dict.

    Raises:
        ImportError: If timm is not installed.
        ValueError: If timm has no such model or no weights for it.
        ConnectionError: If timm's hub cannot be reached.
    """
    name = filename.removeprefix(TIMM_SCHEME)
    try:
        import timm
    except ImportError as error:
        raise ImportError(f'{filename} needs timm: pip install timm') from error
    if not timm.is_model(name):
        raise ValueError(f'{filename}: timm {timm.__version__} has no model {name!r}')
    if not timm.is_model_pretrained(name):
        raise ValueError(f'{filename}: timm {timm.__version__} has no weights for {name!r}')
    try:
        model = timm.create_model(name, pretrained=True)
    except (OSError, RuntimeError) as error:  # nearly all network errors are OSErrors
        raise ConnectionError(
            f'{filename}: timm could not download the weights ({type(error).__name__}: {error}); '
            'without network access, download them elsewhere and give their path instead'
        ) from error
    return {n: t.to(map_location or 'cpu') for n, t in model.state_dict().items()}
