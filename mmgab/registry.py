"""The registry nodes that let ``type='mmgab.SwinGAB'`` work in any OpenMMLab config.

MMEngine imports ``{scope}.registry`` when it meets a scoped type, and then the ``locations`` of the
child registry it finds there, so no config needs ``custom_imports``. An ``ImportError`` in this
module would be swallowed by MMEngine and read as "not in the registry": only MMEngine is imported.
"""

from mmengine.registry import DATA_SAMPLERS as MMENGINE_DATA_SAMPLERS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import RUNNERS as MMENGINE_RUNNERS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import Registry

MODELS = Registry(
    'model',
    parent=MMENGINE_MODELS,
    locations=[
        'mmgab.models.swin_gab',
        'mmgab.models.vit_gab',
        'mmgab.models.simple_feature_pyramid',
        'mmgab.models.patch_diversity_loss',
        'mmgab.models.pooled_norm',
    ],
)
HOOKS = Registry('hook', parent=MMENGINE_HOOKS, locations=['mmgab.hooks'])
RUNNERS = Registry('runner', parent=MMENGINE_RUNNERS, locations=['mmgab.engine'])
DATA_SAMPLERS = Registry(
    'data sampler', parent=MMENGINE_DATA_SAMPLERS, locations=['mmgab.datasets']
)
TRANSFORMS = Registry(
    'transform',
    parent=MMENGINE_TRANSFORMS,
    locations=['mmgab.datasets.load_image', 'mmgab.datasets.load_segmentation'],
)
