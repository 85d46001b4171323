"""What every model that forgets has in common."""
from contextlib import nullcontext

import torch
from mmengine.dist import get_world_size

from ..utils import ForgetError
from ..utils.ranks import anywhere, share_values
from .block_features import watch_blocks
from .halves import HalvesMixin
from .painted_images import painted_places
from .questions import QuestionsMixin
from .stream_loss import STREAMS, Inside
from .teacher import TeacherMixin
from .training import TrainingMixin


class ForgettingMixin(TrainingMixin, QuestionsMixin, HalvesMixin,
                      TeacherMixin):
    """Trains a model on a forget and a retain stream: LoRA, or its own.

    Mixed in front of the user's own model class, so the model *is* the
    user's: same keys, same inference, same head. A task's mixin says what is
    predicted (:meth:`_predictions`), how predictions are sliced
    (:meth:`_take_images`) and what their loss is (:meth:`_terms`).
    """

    def loss(self, inputs, data_samples):
        """Losses of a batch that holds both streams.

        Args:
            inputs (Tensor): Images of shape (B, 3, H, W).
            data_samples (list[BaseDataElement]): B samples whose metainfo
                ``stream`` is ``'forget'`` or ``'retain'``.

        Returns:
            dict[str, Tensor]: What the forgetting method makes of the two
            streams.
        """
        index = self._stream_index(data_samples)
        true_samples = data_samples
        if self.method.relabels:
            data_samples = self._relabelled(data_samples, index['forget'])
        if self.streams == 'fused':
            terms = self._fused_terms(inputs, data_samples, index)
        else:
            terms = self._separate_terms(inputs, data_samples, index)
        if self.method.needs_teacher:
            self._ask_teacher(inputs, data_samples, index, terms)
        self._add_images(terms, inputs, true_samples, index)
        shared = self.method.averages_ranks and get_world_size() > 1
        if shared:
            self._share(terms, index)
        losses = self.method.losses(terms['forget'], terms['retain'],
                                    self.groups)
        if shared:
            losses = dict(zip(losses, share_values(list(losses.values()))))
        losses.update(self.teacher_log(inputs))
        return self._with_gradient(losses)

    def _add_images(self, terms, inputs, samples, index):
        """What methods want to know of the images, added to the terms."""
        for stream in STREAMS:
            seen, chosen = terms[stream], [samples[i] for i in index[stream]]
            if seen is None:
                continue
            if self.method.needs_painting:
                seen.painted, seen.extents = painted_places(chosen, inputs)
            if self.method.needs_images:
                seen.images = inputs[index[stream]], chosen

    @staticmethod
    def _share(terms, index):
        """Let every process see the losses of the whole batch."""
        present = anywhere([len(index[stream]) for stream in STREAMS])
        for stream, there in zip(STREAMS, present):
            if not there:
                terms[stream] = None
                continue
            found = terms[stream].classification
            # One value for each image needs no other image.
            if all(c.numel() == 1 for c in found):
                terms[stream].classification = share_values(found)

    def _with_gradient(self, losses):
        """Losses with a gradient for every parameter that trains.

        A batch may hold nothing to learn from: no box left, no stream.
        """
        if torch.is_grad_enabled() and not any('loss' in k and v.requires_grad
                                               for k, v in losses.items()):
            losses['loss_none'] = 0 * sum(
                p.sum() for p in self.parameters() if p.requires_grad)
        return losses

    def _relabelled(self, samples, index):
        """The samples of a batch, those of the forget stream relabelled."""

        def draw(labels):
            new = self.method.relabel(labels.cpu(), self.num_classes(),
                                      self.generator)
            return new.to(labels)

        samples = list(samples)
        for i in index:
            samples[i] = self._relabel(samples[i], draw)
        return samples

    def _fused_terms(self, inputs, samples, index):
        predictions, inside = self._look(inputs, samples)
        terms = {}
        for stream in STREAMS:
            chosen = index[stream]
            terms[stream] = self._terms(
                self._take_images(predictions, chosen or [0]), samples, chosen,
                stream)
            if chosen and self.method.needs_outputs:
                inside.add_to(terms[stream].student, chosen)
        return terms

    def _separate_terms(self, inputs, samples, index):
        terms = {}
        for stream in STREAMS:
            chosen = index[stream] or [0]
            terms[stream] = None
            if index[stream] or get_world_size() > 1:
                predictions, inside = self._look(inputs[chosen],
                                                 [samples[i] for i in chosen])
                terms[stream] = self._terms(predictions, samples,
                                            index[stream], stream)
                if index[stream] and self.method.needs_outputs:
                    inside.add_to(terms[stream].student)
        return terms

    def _look(self, inputs, samples):
        """Predictions for some images, and what is inside the model then."""
        with self.watch_middle() as middle, self.watch_inside() as blocks:
            predictions = self._predictions(inputs, samples)
        return predictions, Inside(middle[0] if middle else None, blocks)

    def watch_inside(self):
        """Context that collects what the method ``needs_blocks`` for."""
        last = self.method.needs_blocks
        return watch_blocks(self, last) if last else nullcontext({})

    def _stream_index(self, samples):
        """Positions of each stream's images in the batch.

        Raises:
            ForgetError: If a sample is of neither stream.
        """
        index = {s: [] for s in STREAMS}
        for i, sample in enumerate(samples):
            stream = sample.metainfo.get('stream')
            if stream not in index:
                raise ForgetError(
                    'a training sample is not marked as forget or retain; '
                    'wrap the dataset in gslora_mm.ForgetRetainDataset')
            if self._counts(sample, stream):
                index[stream].append(i)
        return index

    @staticmethod
    def _counts(sample, stream):
        """Whether an image takes part in the loss of its stream."""
        return True

    def _relabel(self, sample, draw):
        """A copy of a sample with other labels.

        Args:
            sample (BaseDataElement): The sample; left as it is.
            draw (Callable): Takes labels (n, ) and returns new ones.
        """
        raise NotImplementedError

    def _predictions(self, inputs, samples):
        """What the loss of some images is made of, sliceable by image."""
        raise NotImplementedError

    @staticmethod
    def _take_images(predictions, index):
        """Slice predictions along the batch."""
        raise NotImplementedError

    def _features(self, predictions, samples):
        """StreamFeatures of these very images; see :meth:`features`."""
        raise NotImplementedError

    def _outputs(self, predictions, samples, match=True):
        """StreamOutputs of these very images.

        Args:
            predictions: Of these images, see :meth:`_predictions`.
            samples (list[BaseDataElement]): These images.
            match (bool): Whether a detector shall match queries to objects.
        """
        raise NotImplementedError

    def _terms(self, predictions, samples, index, stream):
        """StreamLoss of the images of a stream; None without images.

        Args:
            predictions: Of these images, see :meth:`_predictions`; without
                images, of any one image.
            samples (list[BaseDataElement]): The whole batch.
            index (list[int]): Their positions in it.
            stream (str): Which stream they are of.
        """
        raise NotImplementedError
