"""The frozen original model beside the one that learns."""
import copy

import torch

from ..utils import ForgetError
from .stream_loss import STREAMS


class TeacherMixin:
    """Keeps a copy of a model, and asks it about the images of a batch.

    The copy is no part of the module tree: it is in no state dict, no
    optimizer and no distributed wrapper, and never in train mode. It goes to
    other devices and types with the model.
    """

    # In a list, in which torch does not look for modules.
    _teacher = ()

    def keep_teacher(self):
        """Copy the model as it is; the weights are loaded by the engine."""
        teacher = copy.deepcopy(self)
        teacher.requires_grad_(False)
        teacher.eval()
        self._teacher = [teacher]

    @property
    def teacher(self):
        """ForgettingMixin | None: The frozen copy."""
        return self._teacher[0] if self._teacher else None

    def _apply(self, fn, *args, **kwargs):
        for teacher in self._teacher:
            teacher._apply(fn, *args, **kwargs)
        return super()._apply(fn, *args, **kwargs)

    @torch.no_grad()
    def _ask_teacher(self, inputs, samples, index, terms):
        """Add what the teacher says to the terms of the streams.

        One forward for all streams that the method wants it for, and none if
        the batch has no image of theirs.

        Args:
            inputs (Tensor): Images of shape (B, 3, H, W).
            samples (list[BaseDataElement]): Their samples.
            index (dict[str, list[int]]): Positions of every stream.
            terms (dict[str, StreamLoss | None]): Of every stream.
        """
        wanted = [
            s for s in STREAMS
            if s in self.method.needs_teacher and terms[s] is not None
        ]
        chosen = sorted(i for s in wanted for i in index[s])
        if not chosen:
            return
        whole = len(chosen) == len(samples)
        predictions, middle = self.teacher._look(
            inputs if whole else inputs[chosen], [samples[i] for i in chosen])
        for stream in wanted:
            places = [chosen.index(i) for i in index[stream]]
            terms[stream].teacher = self.teacher._outputs(
                self._take_images(predictions, places),
                [samples[i] for i in index[stream]],
                match=False)
            if middle is not None:
                terms[stream].teacher.middle = middle[places]


@torch.no_grad()
def check_agreement(model, inputs, samples, tolerance=1e-4):
    """Check that a model says what its teacher says.

    Args:
        model (ForgettingMixin): With a teacher; LoRA not trained yet.
        inputs (Tensor): Images of shape (B, 3, H, W).
        samples (list[BaseDataElement]): Their samples.
        tolerance (float): Largest difference of a logit, as a share of the
            largest logit where that is above 1.

    Raises:
        ForgetError: If it does not.
    """
    training = model.training
    model.eval()
    try:
        own, taught = (
            m.outputs(inputs, samples) for m in (model, model.teacher))
    finally:
        model.train(training)
    check_same(own.logits, taught.logits, tolerance)


def check_same(found, expected, tolerance=1e-4):
    """Check the outputs of a teacher.

    Args:
        found (Tensor): Its outputs, or those of its student.
        expected (Tensor): What they must be.
        tolerance (float): See :func:`check_agreement`.

    Raises:
        ForgetError: If they are not.
    """
    gap = float((found.float() - expected.float()).abs().max())
    scale = max(1., float(expected.abs().max()))
    # Not `gap > ...`, which holds for no NaN.
    if not gap <= tolerance * scale:
        raise ForgetError(
            f'the teacher is not the original model: outputs differ by '
            f'{gap:.3g} of {scale:.3g}; restore the base checkpoint of '
            'load_from and start again')
