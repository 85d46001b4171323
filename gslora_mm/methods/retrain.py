"""Training from scratch on what stays."""
from ..registry import METHODS
from ..utils import ForgetError
from .fine_tune import FineTune


@METHODS.register_module()
class Retrain(FineTune):
    r"""The reference: a model that never saw what is to be forgotten.

    .. math:: L = L_{retain}, \quad \theta_0 = \text{drawn anew}

    Every request begins with weights as the plain model draws them
    (``init_weights``, with a seed of the request), and trains on its retain
    stream: nothing of the base model stays. On the images that the request
    may use it is the baseline of the papers; with all images of the retained
    classes, ``forget.data.ratio=1`` (and no ``shots``), it is the oracle
    that forgetting is measured by. Either wants the schedule of an ordinary
    training. Norms gather their statistics, as far as those of the plain
    model do: not in a backbone with ``norm_eval=True``.

    (In the published code of GS-LoRA the detector is never drawn anew, and
    ViT-B/16 keeps its attention of ImageNet.)

    Trains the whole model (``forget.train='all'``). Stores nothing between
    requests.

    Raises:
        ForgetError: If LoRA is trained, or a weight that is drawn anew would
            stay as it is drawn.
    """

    trains_norms = True
    starts_anew = True

    def check_groups(self, groups):
        """See :meth:`ForgettingMethod.check_groups`."""
        if len(groups):
            raise ForgetError(
                f'{type(self).__name__} draws every weight anew, and LoRA '
                "would leave them so; set forget.train='all'")

    def begin(self, model, stored, fresh=True):
        """See :meth:`ForgettingMethod.begin`."""
        if fresh:
            model.start_anew()
