"""What every forgetting method offers."""
import math

from ..utils import ForgetError


class ForgettingMethod:
    """A forgetting method: one file, these four calls.

    The model calls :meth:`default_bound` once and :meth:`losses` for every
    batch; the engine calls
    :meth:`start_epoch` before every epoch and :meth:`after_step` after every
    optimizer step.

    Attributes:
        uses_lr (bool): Whether :meth:`after_step` needs the learning rate.
        needs_features (bool): Whether :meth:`losses` looks at the
            ``features`` of the streams, which are left out otherwise.
        needs_prototypes (bool): Whether the engine shall compute the
            prototypes of the original model and hand their file to every
            request as the argument ``prototypes``.
    """

    uses_lr = True
    needs_features = False
    needs_prototypes = False

    def default_bound(self, bound):
        """Called once, with a bound for the forget loss of this model.

        Args:
            bound (float): BND that suits the head of the model.
        """

    def losses(self, forget, retain, groups):
        """Turn the loss terms of both streams into the objective.

        Args:
            forget (StreamLoss | None): Terms of the forget images; None if
                the batch holds none with boxes.
            retain (StreamLoss | None): Terms of the retain images.
            groups (LoRAGroups): The LoRA groups of the model.

        Returns:
            dict[str, Tensor]: Scalars. mmengine minimises the sum of those
            whose key contains ``loss`` and logs all of them.
        """
        raise NotImplementedError

    def start_epoch(self, epoch, groups):
        """Called before an epoch starts, resumed ones included.

        Args:
            epoch (int): Which epoch, from 0.
            groups (LoRAGroups): The LoRA groups of the model.
        """

    def after_step(self, groups, lr):
        """Called after every optimizer step with its learning rate.

        Args:
            groups (LoRAGroups): The LoRA groups of the model.
            lr (float | None): Learning rate of the LoRA parameters; None
                unless ``uses_lr``.
        """


def check_numbers(owner, numbers, optional=()):
    """Check the numbers among the arguments of a method.

    Args:
        owner (str): Name of the method.
        numbers (dict): Values by name.
        optional (Container[str]): Those that may be None.

    Raises:
        ForgetError: At the first that is no finite number >= 0.
    """
    for name, value in numbers.items():
        if value is None and name in optional:
            continue
        if isinstance(value, bool) or not isinstance(
                value, (int, float)) or not 0 <= value < math.inf:
            raise ForgetError(
                f'{name} of {owner} must be a number >= 0, not {value!r}')
