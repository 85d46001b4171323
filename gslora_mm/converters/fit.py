"""Checking converted weights against the model of a config."""
from mmengine.registry import DefaultScope
from mmpretrain.models.utils import MultiheadAttention
from mmpretrain.registry import MODELS
from torch import nn

from ..engine import read_config
from ..engine.checkpoints import check_state
from ..engine.tasks import task_of
from ..utils import ForgetError


def check_fit(state, form, config):
    """Check that converted weights are those of a config's model.

    Besides keys and shapes, this compares what no tensor tells: LayerNorm's
    eps and, where the format fixes it, the width of the attention heads.

    Args:
        state (dict[str, Tensor]): The converted state dict.
        form (CheckpointFormat): Where it comes from.
        config (str): Config file with a plain mmpretrain model.

    Raises:
        ForgetError: If the config cannot be built or does not fit.
    """
    model = _build(config)
    check_state(model, state, f'converted from {form.title}')
    for name, module in model.named_modules():
        if isinstance(module, nn.LayerNorm) and module.eps != form.eps:
            raise ForgetError(
                f'{config}: {name} has eps {module.eps}, {form.title} has '
                f"{form.eps}; set norm_cfg=dict(type='LN', eps={form.eps}) "
                'in the backbone')
        if (isinstance(module, MultiheadAttention) and form.head_dims
                and module.head_dims != form.head_dims):
            raise ForgetError(
                f'{config}: the heads of {name} are {module.head_dims} wide, '
                f'those of {form.title} {form.head_dims}; set num_heads='
                f'{module.embed_dims // form.head_dims} in backbone.arch')


def _build(config):
    cfg = read_config(config)
    if 'model' not in cfg:
        raise ForgetError(f'{config} has no model; name the config of an '
                          'mmpretrain classifier')
    try:
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            return MODELS.build(task_of(cfg).plain_model(cfg))
    except (TypeError, KeyError, ValueError, AttributeError, AssertionError,
            ImportError, IndexError) as err:
        reason = str(err.args[0] if err.args else err).split()
        raise ForgetError(
            f'the model of {config} cannot be built: '
            f'{" ".join(reason) or type(err).__name__}; correct the config') \
            from err
