"""The frozen original model beside the one that learns."""
import copy

import torch

from ..utils import ForgetError
from .painted_images import painted_inputs
from .stream_loss import STREAMS, StreamOutputs
from .teacher_cache import TeacherCache, image_key
from .unlabelled import paint_unlabelled


class TeacherMixin:
    """Keeps a copy of a model, and asks it about the images of a batch.

    The copy is no part of the module tree: it is in no state dict, no
    optimizer and no distributed wrapper, and never in train mode. It goes to
    other devices and types with the model.
    """

    # In a list, in which torch does not look for modules.
    _teacher = ()
    _cache = None
    # Images that it was shown, and those in which it found what nobody
    # labelled.
    _looks = _finds = 0

    def keep_teacher(self):
        """Copy the model as it is; the weights are loaded by the engine."""
        teacher = copy.deepcopy(self)
        teacher.requires_grad_(False)
        teacher.eval()
        self._teacher = [teacher]
        self.clear_teacher_cache()

    def clear_teacher_cache(self):
        """Forget what the teacher said: its weights are others."""
        size = self.method.teacher_cache
        self._cache = TeacherCache(size,
                                   self.method.half_cache) if size else None

    def teacher_log(self, inputs):
        """What is known of the teacher's images so far, to log.

        Args:
            inputs (Tensor): Any images, for the device.

        Returns:
            dict[str, Tensor]: ``teacher/hits``, which share of the images the
            cache had, and ``teacher/unlabelled``, in which share of those
            that it was shown there were objects that nobody labelled.
        """
        cache, found = self._cache, {}
        if cache is not None and cache.asked:
            found['teacher/hits'] = cache.found / cache.asked
        if self._looks:
            found['teacher/unlabelled'] = self._finds / self._looks
        return {k: inputs.new_tensor(v) for k, v in found.items()}

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

        Of the painted image, where a sample has one. One forward for all
        streams that the method wants it for, and none if the batch has no
        image of theirs.

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
        images = inputs if whole else inputs[chosen]
        about = [samples[i] for i in chosen]
        images = painted_inputs(self, images, about)
        if self._cache is None:
            predictions, inside = self._see(images, about)
        for stream in wanted:
            places = [chosen.index(i) for i in index[stream]]
            of_stream = [samples[i] for i in index[stream]]
            if self._cache is not None:
                said = self._recall(images[places], of_stream)
            else:
                said = self.teacher._outputs(
                    self._take_images(predictions, places),
                    of_stream,
                    match=False)
                inside.add_to(said, places)
            terms[stream].teacher = said

    def _see(self, images, samples):
        """What the teacher makes of images; see ForgettingMixin._look.

        It looks again where it found what nobody labelled.
        """
        predictions, inside = self.teacher._look(images, samples)
        if self.method.unlabelled is None:
            return predictions, inside
        said = self.teacher._outputs(predictions, samples, match=False)
        again, found = paint_unlabelled(self, images, samples, said)
        self._looks += len(samples)
        if again is not images:
            self._finds += int((again != images).flatten(1).any(1).sum())
            predictions, inside = self.teacher._look(again, samples)
        inside.found = found
        return predictions, inside

    def _recall(self, images, samples):
        """What the teacher says; it is not shown an image again.

        New ones are shown one by one: the last bits of a product depend on
        what else is in the batch.
        """

        def ask(i):
            predictions, inside = self._see(images[i:i + 1], samples[i:i + 1])
            said = self.teacher._outputs(
                predictions, samples[i:i + 1], match=False)
            inside.add_to(said)
            self._cache.sigmoid = said.sigmoid
            return {k: v[0] for k, v in said.tensors().items()}

        kept = [
            self._cache.get(image_key(image, samples[i]), lambda i=i: ask(i))
            for i, image in enumerate(images)
        ]
        together = {
            k: torch.stack([one[k] for one in kept]).to(images.device)
            for k in kept[0]
        }
        return StreamOutputs.from_tensors(
            {
                k: v.to(images) if v.is_floating_point() else v
                for k, v in together.items()
            }, self._cache.sigmoid)


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
