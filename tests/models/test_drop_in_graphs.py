"""``torch.onnx.export(dynamo=False)``, as MMDeploy exports networks."""

import io

import onnxruntime
import pytest
import torch

from mmgab.models import SwinGAB

from .drop_in_pairs import SIZES, image, ours, vit

pytestmark = pytest.mark.slow

MAKERS = {
    'ours': (ours, 17),
    'ours with Gaussians': (lambda: SwinGAB(**SIZES), 13),
    'vit': (lambda: vit(img_size=(64, 80)), 13),
    'vit without windows': (lambda: vit(img_size=(64, 80), window_size=None, global_blocks=()), 17),
    'vit with a network of positions': (lambda: vit(rel_pos_cfg=dict(type='mlp')), 17),
    'vit with gates': (lambda: vit(img_size=(64, 80), gpsa_cfg=dict()), 13),
}


def exported(model, x, opset, dynamic_axes=None):
    file = io.BytesIO()
    names = dict(input_names=['image'], dynamic_axes=dynamic_axes)
    torch.onnx.export(model, (x,), file, dynamo=False, opset_version=opset, **names)
    session = onnxruntime.InferenceSession(file.getvalue(), providers=['CPUExecutionProvider'])
    return lambda x: [torch.from_numpy(out) for out in session.run(None, {'image': x.numpy()})]


@pytest.mark.parametrize('name', MAKERS)
@pytest.mark.filterwarnings('ignore')  # of a tracer, and of an exporter that is deprecated
def test_traced_onnx_export_equals_network(name):
    make, opset = MAKERS[name]
    model, x = make().eval(), image()
    for a, b in zip(exported(model, x, opset)(x), model(x), strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('name', ['ours', 'vit'])
@pytest.mark.filterwarnings('ignore')
def test_traced_onnx_export_supports_dynamic_batch(name):
    """The stock Swin writes the example's batch size into the graph."""
    model, x = MAKERS[name][0]().eval(), image(3)
    run = exported(model, x[:2], 17, {'image': {0: 'batch'}})
    for a, b in zip(run(x), model(x), strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)
