"""The same maps and numbers as the openerf package, which has the authors' protocol."""

import numpy as np
import pytest
import timm
import torch
from openerf.data import FlatImageDataset, build_timm_eval_transform
from openerf.erf import compute_erf
from openerf.metrics import compute_erf_metrics
from PIL import Image
from skimage import data
from torch import nn

from mmgab.analysis.erf import PROTOCOLS, as_map, centre, describe_map, fit_surface, measure_erf

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp('photographs')
    for name in ('astronaut', 'chelsea', 'coffee'):
        Image.fromarray(getattr(data, name)()).save(folder / f'{name}.png')
    return folder


@pytest.fixture(scope='module', params=['swin_tiny_patch4_window7_224', 'vit_tiny_patch16_224'])
def maps(request, photographs):
    """A timm network's field by openerf, and by us."""
    torch.manual_seed(0)
    model = timm.create_model(request.param).eval()
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):  # as after training: else the mean is a constant
            nn.init.normal_(module.weight, mean=1, std=0.3)
    theirs = compute_erf(model, photographs, show_progress=False, fit_gaussian=True, device='cpu')
    transform, _ = build_timm_eval_transform(model)
    dataset = FlatImageDataset(image_dir=photographs, transform=transform)
    names, tensors = zip(*((name, x) for x, name in dataset), strict=True)

    def features(x):
        return as_map(model.forward_features(x), tuple(x.shape[-2:]))

    batch = [(names, torch.stack(tensors))]
    (ours,) = measure_erf(features, batch, centre, PROTOCOLS['gab2023'])
    return theirs, ours


def test_maps_equal_openerf(maps):
    theirs, ours = maps
    mean = ours.sums[0].mean
    difference = np.abs(mean / mean.sum() - theirs.erf_map).max()
    assert difference <= 1e-5 * theirs.erf_map.max()


def test_metrics_equal_openerf(maps):
    erf_map = maps[0].erf_map
    theirs = compute_erf_metrics(erf_map)
    centre_of_theirs = tuple(theirs['center_yx'])
    ours = describe_map(erf_map, centre_of_theirs)
    for radius, mass in theirs['radial_cumulative_mass'].items():
        assert ours[f'mass_{radius}'] == pytest.approx(mass, abs=1e-12)
    assert ours['offset_x'] + centre_of_theirs[1] == pytest.approx(theirs['com_x'])
    assert ours['offset_y'] + centre_of_theirs[0] == pytest.approx(theirs['com_y'])


def test_axis_aligned_fit_is_at_least_as_good_as_openerf(maps):
    theirs = maps[0].gaussian_fit
    ours = fit_surface(maps[0].erf_map, is_turned=False)
    assert ours.r_squared >= theirs.r_squared - 1e-6
    if ours.r_squared == pytest.approx(theirs.r_squared, abs=1e-6):
        assert ours.amplitude == pytest.approx(theirs.amp, rel=1e-3)
        assert (ours.row, ours.col) == pytest.approx((theirs.yc, theirs.xc), abs=1e-2)
        widths = (abs(theirs.sigma_x), abs(theirs.sigma_y))
        assert (ours.sigma_x, ours.sigma_y) == pytest.approx(widths, rel=1e-3)
