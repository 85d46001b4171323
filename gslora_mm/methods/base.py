"""What every forgetting method offers."""


class ForgettingMethod:
    """A forgetting method: one file, these four calls.

    The model calls :meth:`default_bound` once and :meth:`losses` for every
    batch; the engine calls
    :meth:`start_epoch` before every epoch and :meth:`after_step` after every
    optimizer step.

    Attributes:
        uses_lr (bool): Whether :meth:`after_step` needs the learning rate.
    """

    uses_lr = True

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
