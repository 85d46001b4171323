"""Child registries of mmengine's, scope ``gslora_mm``.

Configs name what lives here with the prefix, e.g.
``type='gslora_mm.ForgettingDetector'``, and keep ``default_scope='mmdet'``
(or ``'mmpretrain'``), so that everything else resolves as they are used to.
"""
from mmengine.registry import DATA_SAMPLERS as MMENGINE_DATA_SAMPLERS
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import LOOPS as MMENGINE_LOOPS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import Registry

MODELS = Registry(
    'model',
    parent=MMENGINE_MODELS,
    scope='gslora_mm',
    locations=['gslora_mm.models'])
METHODS = Registry(
    'forgetting method', scope='gslora_mm', locations=['gslora_mm.methods'])
DATASETS = Registry(
    'dataset',
    parent=MMENGINE_DATASETS,
    scope='gslora_mm',
    locations=['gslora_mm.datasets'])
DATA_SAMPLERS = Registry(
    'data sampler',
    parent=MMENGINE_DATA_SAMPLERS,
    scope='gslora_mm',
    locations=['gslora_mm.datasets'])
TRANSFORMS = Registry(
    'transform',
    parent=MMENGINE_TRANSFORMS,
    scope='gslora_mm',
    locations=['gslora_mm.datasets'])
LOOPS = Registry(
    'loop',
    parent=MMENGINE_LOOPS,
    scope='gslora_mm',
    locations=['gslora_mm.engine'])
METRICS = Registry(
    'metric',
    parent=MMENGINE_METRICS,
    scope='gslora_mm',
    locations=['gslora_mm.evaluation'])
HOOKS = Registry(
    'hook',
    parent=MMENGINE_HOOKS,
    scope='gslora_mm',
    locations=['gslora_mm.engine'])
