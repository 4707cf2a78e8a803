"""The toolboxes' own functions, inferencers and tools on the configs here.

The tools are the scripts that MMDetection, MMSegmentation and MMPretrain install with their
packages. Models are small and so are images: what is tried is what these read of a config.
"""

import contextlib
import json
import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS, TRANSFORMS, DefaultScope, init_default_scope
from PIL import Image

from ..conftest import IS_ORIGINAL, ROOT
from ..test_configs import WHOLE, shrunk

pytestmark = pytest.mark.slow

CONFIGS = [*WHOLE, *sorted(ROOT.glob('configs/study/*.py'))]  # baselines: the same
# One of each base of models and data.
DETECTORS = (
    'mask_rcnn_swin_gab_nuclei',
    'mask_rcnn_vit_s_gab_coco',
    'cascade_mask_rcnn_swin_s_gab_coco',
    'retinanet_swin_t_gab_coco',
)
SEGMENTORS = ('upernet_swin_gab_nuclei', 'upernet_vit_gab_nuclei', 'upernet_swin_t_gab_ade20k',
              'upernet_vit_s_gab_ade20k')  # fmt: skip
CLASSIFIERS = ('swin_s_gab_imagenet', 'vit_s_gab_pets')
# MMSegmentation 1.2.2's inferencer has a progress bar that cannot be turned off.
QUIET = {} if IS_ORIGINAL else dict(show_progress=False)
SMALL_SIDE = 96  # pixels: two places on the coarsest level; of one mmdet's RPN fails


@pytest.fixture(autouse=True)
def _own_scope():
    """The toolboxes' functions leave their scope behind."""
    yield
    DefaultScope._instance_dict.clear()


@pytest.fixture
def image(tmp_path):
    """A picture, as a file and as an array; in this order they are tried.

    Of an array the toolboxes change the loader in the model's own config: files are no longer read.
    """
    array = np.random.default_rng(0).integers(0, 255, (64, SMALL_SIDE, 3), dtype=np.uint8)
    Image.fromarray(array).save(tmp_path / 'image.png')
    return str(tmp_path / 'image.png'), array


def small(name):
    """A config as MMEngine reads it, with a small model, and small images made by its pipelines."""
    config = shrunk(Config.fromfile(ROOT / 'configs' / f'{name}.py'))
    config.model.backbone.init_cfg = None
    shrink_heads(config.model)
    for test_cfg in (config.model.get('test_cfg') or {}).values():
        if isinstance(test_cfg, dict) and 'max_per_img' in test_cfg:
            test_cfg.max_per_img = 5
    pipelines = [config.test_dataloader.dataset.pipeline, config.get('test_pipeline', [])]
    for transform in (transform for pipeline in pipelines for transform in pipeline):
        if transform.type == 'Resize':
            transform.scale = (SMALL_SIDE, SMALL_SIDE)
    return config


def shrink_heads(settings):
    """Narrow layers of heads, at any depth: these tests are not about them."""
    for name, value in list(settings.items()):
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, dict):
                shrink_heads(each)
        if name in ('channels', 'conv_out_channels', 'fc_out_channels'):
            settings[name] = 16


def types(pipeline):
    return [transform['type'] for transform in pipeline]


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_config_has_settings_of_toolboxes(path):
    config = Config.fromfile(path)
    pipeline = config.test_dataloader.dataset.pipeline
    # Inferencers look for the loader by this name, and put their own first.
    assert types(pipeline)[0] == 'LoadImageFromFile'
    assert config.visualizer.type.endswith('Visualizer')
    assert config.train_dataloader.dataset.pipeline
    if config.default_scope == 'mmseg':
        assert config.test_pipeline == pipeline
    if config.default_scope != 'mmpretrain':
        dataset = config.test_dataloader.dataset
        init_default_scope(config.default_scope)
        metainfo = DATASETS.build({**dataset, 'lazy_init': True}).metainfo
        assert len(metainfo['classes']) == len(metainfo['palette'])
        for transform in pipeline:
            TRANSFORMS.build(transform)


@pytest.mark.parametrize('name', DETECTORS)
@pytest.mark.filterwarnings('ignore')
def test_mmdet_infers(name, image, tmp_path):
    apis = import_module('mmdet.apis')
    model = apis.init_detector(small(name), None, device='cpu')
    file, array = image
    assert len(apis.inference_detector(model, [file])) == 1
    assert 'scores' in apis.inference_detector(model, array).pred_instances
    inferencer = apis.DetInferencer(small(name), device='cpu', show_progress=False)
    assert len(inferencer(array)['predictions']) == 1
    # Predictions of an array are not saved: DetInferencer asks for the name of its file.
    inferencer(file, out_dir=str(tmp_path), no_save_pred=False)
    assert (tmp_path / 'vis' / 'image.png').is_file()
    assert (tmp_path / 'preds' / 'image.json').is_file()


@pytest.mark.parametrize('name', SEGMENTORS)
@pytest.mark.filterwarnings('ignore')
def test_mmseg_infers(name, image, tmp_path):
    apis = import_module('mmseg.apis')
    model = apis.init_model(small(name), None, device='cpu')
    file, array = image
    assert len(apis.inference_model(model, [file, file])) == 2
    result = apis.inference_model(model, array)
    assert result.pred_sem_seg.data.shape == (1, *array.shape[:2])
    model.dataset_meta = dict(classes=['a', 'b'], palette=[[0, 0, 0], [9, 9, 9]])
    result.pred_sem_seg.data.clamp_(max=1)
    drawn = apis.show_result_pyplot(model, array, result, show=False)
    assert drawn.shape == array.shape
    inferencer = apis.MMSegInferencer(small(name), device='cpu', **QUIET)
    found = inferencer([file, array], out_dir=str(tmp_path))
    assert [map_.shape for map_ in found['predictions']] == [array.shape[:2]] * 2
    assert (tmp_path / 'vis' / 'image.png').is_file()


@pytest.mark.parametrize('name', CLASSIFIERS)
@pytest.mark.filterwarnings('ignore')
def test_mmpretrain_infers(name, image):
    apis = import_module('mmpretrain.apis')
    config = small(name)
    inferencer = apis.ImageClassificationInferencer(config, pretrained=None, device='cpu')
    for given, count in ((image[0], 1), (image[1], 1), ([image[1]] * 2, 2)):
        assert len(inferencer(given)) == count
    with pytest.raises(NotImplementedError):  # it is for the models of MMPretrain's own index
        apis.inference_model(apis.get_model(config), image[1])


@pytest.fixture
def stock_tool(capsys, monkeypatch):
    """Run a script of a toolbox in this process; returns what it printed."""

    def run(package, tool, *words):
        path = Path(import_module(package).__file__).parent / '.mim' / 'tools' / tool
        monkeypatch.setattr('sys.argv', [str(path), *map(str, words)])
        spec = spec_from_file_location('stock_tool', path)
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        with contextlib.suppress(SystemExit):
            module.main()
        return capsys.readouterr().out

    return run


TRAINED = pytest.mark.parametrize(
    ('package', 'fixture', 'name', 'checkpoint'),
    [
        ('mmdet', 'detector', 'mask_rcnn_swin_gab_nuclei', 'epoch_1.pth'),
        ('mmseg', 'segmentor', 'upernet_swin_gab_nuclei', 'iter_3.pth'),
    ],
    ids=['mmdet', 'mmseg'],
)


@TRAINED
@pytest.mark.filterwarnings('ignore')
def test_stock_tools_read_a_run(
    package, fixture, name, checkpoint, request, stock_tool, tmp_path, monkeypatch
):
    folder = request.getfixturevalue(fixture)
    config = folder / f'{name}.py'
    monkeypatch.chdir(tmp_path)
    assert 'mmgab.SwinGAB' in stock_tool(package, 'misc/print_config.py', config)
    words = ('--output-dir', tmp_path / 'seen', '--not-show',
             '--cfg-options', 'train_dataloader.dataset.indices=2')  # fmt: skip
    if IS_ORIGINAL and package == 'mmseg':
        # MMSegmentation 1.2.2 draws into an array whose strides OpenCV rejects.
        with pytest.raises(cv2.error, match='Layout of the output array'):
            stock_tool(package, 'analysis_tools/browse_dataset.py', config, *words)
    else:
        stock_tool(package, 'analysis_tools/browse_dataset.py', config, *words)
        assert len(list((tmp_path / 'seen').iterdir())) == 2
    # Of seaborn, which is not installed here, the style of plots is taken: 'dark' by default.
    monkeypatch.setitem(sys.modules, 'seaborn', SimpleNamespace(set_style=lambda style: None))
    log = max(folder.glob('2*')) / 'vis_data' / 'scalars.json'
    plot = (log, '--keys', 'loss', '--out', tmp_path / 'loss.png')
    command = ('plot_curve', '--style', 'default') if package == 'mmdet' else ()
    stock_tool(package, 'analysis_tools/analyze_logs.py', *command[:1], *plot, *command[1:])
    assert (tmp_path / 'loss.png').is_file()


@TRAINED
@pytest.mark.filterwarnings('ignore')
def test_stock_tools_accept_mmgab_checkpoint(
    package, fixture, name, checkpoint, request, stock_tool, tmp_path, image
):
    folder = request.getfixturevalue(fixture)
    config, checkpoint = str(folder / f'{name}.py'), str(folder / checkpoint)
    stock_tool(package, 'test.py', config, checkpoint, '--work-dir', tmp_path,
               '--cfg-options', 'test_dataloader.dataset.indices=1')  # fmt: skip
    (scores,) = tmp_path.glob('2*/*.json')
    assert json.loads(scores.read_text())
    apis = import_module(f'{package}.apis')
    build = apis.init_detector if package == 'mmdet' else apis.init_model
    model = build(config, checkpoint, device='cpu')
    assert 'nucleus' in model.dataset_meta['classes']
    if package == 'mmdet':  # whose inferencer can read the config of a checkpoint
        apis.DetInferencer(weights=checkpoint, device='cpu', show_progress=False)(image[0])
    else:
        apis.MMSegInferencer(config, checkpoint, device='cpu', **QUIET)(image[0])


@pytest.mark.parametrize('name', [DETECTORS[0], *SEGMENTORS[:2], CLASSIFIERS[1]])
@pytest.mark.filterwarnings('ignore')
def test_stock_get_flops_counts(name, nuclei, stock_tool, tmp_path):
    config = small(name)
    package = config.default_scope
    # A ViT with a table of relative positions is counted for the images that it is built for.
    side = config.model.backbone.get('img_size', SMALL_SIDE)
    words = ('--shape', side, side)
    if package == 'mmdet':  # it takes images of the data set
        config.val_dataloader.dataset.data_root = str(nuclei)
        words = ('--num-images', 1)
    config.dump(tmp_path / 'config.py')
    command = (package, 'analysis_tools/get_flops.py', tmp_path / 'config.py', *words)
    if IS_ORIGINAL and package == 'mmseg':
        # MMSegmentation 1.2.2 passes a shape and images, MMEngine 0.10.7 accepts one of them.
        with pytest.raises(ValueError, match='cannot be both set'):
            stock_tool(*command)
        return
    assert 'Flops:' in stock_tool(*command)


PURE = 'pure_python/{}_swin_gab_nuclei'
# What looks for a transform by its name, and in these configs it is a class.
needs_names = pytest.raises((AttributeError, ValueError, KeyError))


def pure(head):
    return Config.fromfile(ROOT / 'configs' / f'{PURE.format(head)}.py')


@pytest.mark.filterwarnings('ignore')
def test_mmdet_functions_accept_pure_python_config(image):
    apis = import_module('mmdet.apis')
    model = apis.init_detector(pure('retinanet'), None, device='cpu')
    for given in image:
        assert 'scores' in apis.inference_detector(model, given).pred_instances
    if not IS_ORIGINAL:  # whose inferencer takes classes too
        with needs_names:
            apis.DetInferencer(pure('retinanet'), device='cpu', show_progress=False)


@pytest.mark.filterwarnings('ignore')
def test_mmseg_functions_reject_pure_python_config():
    apis = import_module('mmseg.apis')
    with pytest.raises(AssertionError, match='type of name should be str'):  # default_scope is None
        apis.init_model(pure('upernet'), None, device='cpu')
    with needs_names:
        apis.MMSegInferencer(pure('upernet'), device='cpu', **QUIET)
