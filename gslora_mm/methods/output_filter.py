"""The trivial baseline: outputs of forgotten classes are suppressed."""
from ..registry import METHODS
from .base import ForgettingMethod

# Far below any logit, and a number in half precision.
_NEVER = -1e4


@METHODS.register_module()
class OutputFilter(ForgettingMethod):
    r"""A filter on the outputs that any plain model can load.

    The bias of the row of each forgotten class becomes :math:`-10^4` in every
    layer that classifies: behind a softmax and behind a sigmoid its score is
    exactly 0, whatever the image. Every other weight keeps its bits: nothing
    is forgotten, only hidden.

    A head without bias, such as a cosine head, has no such place. There the
    row becomes zero, so that the class has the logit 0 for every image: it
    wins only where every other logit is negative. With the many classes of a
    face model that is rare; with few it is not, and the score of the class
    is never 0.

    Trains nothing and stores nothing.
    """

    trains = False

    def edit(self, state, context):
        """See :meth:`ForgettingMethod.edit`."""
        for weight, bias in context.model.class_row_keys():
            key, value = (weight, 0.) if bias is None else (bias, _NEVER)
            state[key] = state[key].clone()
            state[key][context.forget] = value
        return state
