"""The trivial baseline: rows of forgotten classes are drawn anew."""
import torch

from ..registry import METHODS
from .base import ForgettingMethod, check_numbers


@METHODS.register_module()
class RowReset(ForgettingMethod):
    r"""The last layer forgets, the features remember.

    In every layer that classifies, the row of each forgotten class and its
    bias become

    .. math::
        w_c \sim N(0, \sigma^2), \quad
        b_c = \min_{k\ \mathrm{retained}} b_k - gap

    where :math:`\sigma^2` is the mean square of the entries of the retained
    rows: a row that knows nothing of the class, of the usual size, and starts
    from behind. A head without bias, such as a cosine head, gets the row
    alone. Layers that share their weights keep sharing them.

    Trains nothing and stores nothing.

    Args:
        gap (float): How far the bias lies below those of retained classes.
            Defaults to 10.

    Raises:
        ForgetError: If an argument is out of range.
    """

    trains = False

    def __init__(self, gap=10.):
        check_numbers(type(self).__name__, dict(gap=gap))
        self.gap = gap

    def edit(self, state, context):
        """See :meth:`ForgettingMethod.edit`."""
        params = dict(context.model.named_parameters(remove_duplicate=False))
        drawn = {}
        for weight, bias in context.model.class_row_keys():
            rows = state[weight] = state[weight].clone()
            shared = id(params[weight])
            if shared not in drawn:
                drawn[shared] = torch.randn(
                    len(context.forget),
                    rows.shape[1],
                    generator=context.generator)
            size = rows[context.retain].float().square().mean().sqrt()
            rows[context.forget] = (size * drawn[shared]).to(rows.dtype)
            if bias is not None:
                state[bias] = state[bias].clone()
                state[bias][context.forget] = (
                    state[bias][context.retain].min() - self.gap)
        return state
