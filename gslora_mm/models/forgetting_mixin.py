"""What every model that forgets has in common."""
import torch
from mmengine.dist import get_world_size
from mmengine.logging import print_log

from ..lora import (LoRAGroups, freeze_base, inject_lora, reset_lora,
                    target_table)
from ..utils import ForgetError
from .stream_loss import STREAMS


class ForgettingMixin:
    """Trains LoRA groups of a model on a forget and a retain stream.

    Mixed in front of the user's own model class, so the model *is* the
    user's: same keys, same inference, same head. A task's mixin says what is
    predicted (:meth:`_predictions`), how predictions are sliced
    (:meth:`_take_images`) and what their loss is (:meth:`_terms`).
    """

    def setup_forgetting(self, lora, method, group, dropout, streams):
        """Insert LoRA, freeze the rest and print what was matched.

        Args:
            lora (dict): Arguments of :func:`gslora_mm.lora.inject_lora`.
            method (ForgettingMethod): The forgetting method.
            group (str): ``'block'``, ``'lora'`` or ``'matrix'``.
            dropout (bool): Keep the dropout of frozen layers on.
            streams (str): ``'fused'`` or ``'separate'``.
        """
        self.targets = inject_lora(self, **lora)
        freeze_base(self)
        self.groups = LoRAGroups(self, by=group)
        self.method = method
        method.default_bound(self.natural_bound())
        self.dropout, self.streams = dropout, streams
        print_log(
            'LoRA inserted; everything else is frozen\n' +
            target_table(self, self.targets), 'current')
        # A new module is in train mode without train() having been called.
        self.train()

    def init_weights(self):
        """Reset LoRA only: base weights come from a checkpoint.

        (The libraries' own ``init_weights`` would randomise them, and
        ``lora_B``, which must start at zero.)
        """
        reset_lora(self)
        self._is_init = True

    def train(self, mode=True):
        """Train mode for the loss, inference mode for the frozen layers.

        Frozen norms always keep their statistics. Frozen dropout is off
        unless ``dropout=True``, so that the function which is trained is
        exactly the one which is evaluated.
        """
        trained = [p for p in self.parameters() if p.requires_grad]
        super().train(mode)
        if mode:
            for module in self.children():
                module.train(self.dropout)
            for module in self.modules():
                if isinstance(module, torch.nn.modules.batchnorm._NormBase):
                    module.eval()
        # Some backbones freeze stages here, LoRA in them included.
        for param in trained:
            param.requires_grad_(True)
        return self

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
        if self.streams == 'fused':
            terms = self._fused_terms(inputs, data_samples, index)
        else:
            terms = self._separate_terms(inputs, data_samples, index)
        return self.method.losses(terms['forget'], terms['retain'],
                                  self.groups)

    def features(self, inputs, samples):
        """What the last layer of the head sees of some images.

        Args:
            inputs (Tensor): Images of shape (B, 3, H, W).
            samples (list[BaseDataElement]): Their samples, with labels.

        Returns:
            StreamFeatures: Of every image of a classifier, of every matched
            object of a detector.

        Raises:
            ForgetError: If the head gives no embedding.
        """
        return self._features(self._predictions(inputs, samples), samples)

    def class_rows(self):
        """Tensor: Rows of the last layer, one per class, shape (C, D).

        Raises:
            ForgetError: If the head has none.
        """
        raise NotImplementedError

    def classify(self, embeddings):
        """What the last layer makes of embeddings (N, D); shape (N, C)."""
        raise NotImplementedError

    def _fused_terms(self, inputs, samples, index):
        predictions = self._predictions(inputs, samples)
        return {
            stream:
            self._terms(
                self._take_images(predictions, index[stream] or [0]), samples,
                index[stream], stream)
            for stream in STREAMS
        }

    def _separate_terms(self, inputs, samples, index):
        terms = {}
        for stream in STREAMS:
            chosen = index[stream] or [0]
            terms[stream] = None
            if index[stream] or get_world_size() > 1:
                predictions = self._predictions(inputs[chosen],
                                                [samples[i] for i in chosen])
                terms[stream] = self._terms(predictions, samples,
                                            index[stream], stream)
        return terms

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

    def natural_bound(self):
        """float: BND where the method names none."""
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
