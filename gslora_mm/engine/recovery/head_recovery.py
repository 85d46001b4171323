"""Training that brings classes back."""
import torch

from ...methods import FineTune
from ...registry import METHODS


@METHODS.register_module()
class HeadRecovery(FineTune):
    r"""Learns forgotten classes again.

    The ordinary loss of all images; what trains is ``forget.train``: of a
    recovery the head alone, or the whole model. First the rows of the
    forgotten classes are drawn anew,

    .. math::
        w_c \sim N(0, \sigma^2), \quad
        b_c = \mathrm{mean}_{k\ \mathrm{retained}} b_k

    with :math:`\sigma^2` the mean square of the entries of the retained
    rows, so that what is measured is what the features still hold. From the
    rows as they were left (published) a bias of :math:`-10^4`, which nobody
    who wants a class back would keep, looks like forgetting.

    Args:
        classes (list[int]): Labels of the forgotten classes.
        fresh (bool): Whether their rows are drawn anew. Defaults to True.
    """

    def __init__(self, classes, fresh=True):
        self.classes, self.fresh = list(classes), fresh

    def phase(self, epoch):
        """See :meth:`ForgettingMethod.phase`.

        Both, as the data set keeps few images of forgotten classes apart.
        """
        return ('forget', 'retain')

    @torch.no_grad()
    def begin(self, model, stored, fresh=True):
        """See :meth:`ForgettingMethod.begin`."""
        if not (self.fresh and fresh):
            return
        params = dict(model.named_parameters(remove_duplicate=False))
        kept = [c for c in range(model.num_classes()) if c not in self.classes]
        done = set()
        for weight, bias in model.class_row_keys():
            rows = params[weight]
            if id(rows) in done:
                continue
            done.add(id(rows))
            drawn = torch.randn(
                len(self.classes), rows.shape[1], generator=model.generator)
            size = rows[kept].square().mean().sqrt()
            rows[self.classes] = size * drawn.to(rows)
            if bias is not None:
                params[bias][self.classes] = params[bias][kept].mean()
