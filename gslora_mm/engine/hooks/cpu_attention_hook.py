"""Deformable attention of a training on a CPU."""
from mmengine.hooks import Hook

from ...models.cpu_deformable_attention import (use_fast_cpu_attention,
                                                use_mmcv_attention)
from ...registry import HOOKS


@HOOKS.register_module()
class CPUAttentionHook(Hook):
    """Trains with the fast deformable attention, whoever runs the config.

    The runner of the engine uses it anyway; with the hook, the config of a
    request gives the same weights in a plain runner of mmengine.
    """

    def before_train(self, runner):
        """Put it in the place of mmcv's."""
        self.changed = use_fast_cpu_attention()

    def after_train(self, runner):
        """Put mmcv's back."""
        if self.changed:
            use_mmcv_attention()
