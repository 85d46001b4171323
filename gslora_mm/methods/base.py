"""What every forgetting method offers."""


class ForgettingMethod:
    """A forgetting method: one file, these three calls.

    The model calls :meth:`losses` once per batch; the engine calls
    :meth:`start_epoch` before every epoch and :meth:`after_step` after every
    optimizer step.
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

    def start_epoch(self, epoch):
        """Called before epoch ``epoch`` (from 0) starts."""

    def after_step(self, groups, lr):
        """Called after every optimizer step with its learning rate."""
