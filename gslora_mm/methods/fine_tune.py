"""Fine-tuning on what stays."""
from ..registry import METHODS
from .base import ForgettingMethod


@METHODS.register_module()
class FineTune(ForgettingMethod):
    r"""Ordinary training on the retain stream, and nothing else.

    .. math:: L = L_{retain}

    What is not shown any more fades, at best: the baseline that forgetting by
    catastrophe is measured by (Golatkar et al., CVPR 2020). Images of the
    forget stream are not loaded.

    Trains what ``forget.train`` says, the whole model as published
    (``'all'``). Stores nothing between requests.
    """

    def phase(self, epoch):
        """See :meth:`ForgettingMethod.phase`."""
        return ('retain', )

    def losses(self, forget, retain, groups):
        """See :meth:`ForgettingMethod.losses`."""
        if retain is None:
            return {}
        return dict(loss_retain=retain.total(), **retain.logged('retain'))
