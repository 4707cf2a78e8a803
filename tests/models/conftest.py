"""Files that tests of ViTGAB share."""

import pytest
import timm
import torch

from .small_vits import NETWORKS, TIMM, stir


@pytest.fixture
def timm_file(tmp_path):
    def save(name, **more):
        architecture, arguments, _ = NETWORKS[name]
        model = timm.create_model(architecture, **{**TIMM, **arguments, **more})
        path = tmp_path / f'{name}.pth'
        torch.save(stir(model).state_dict(), path)
        return model, str(path)

    return save
