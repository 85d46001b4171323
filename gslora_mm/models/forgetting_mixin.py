"""What every model that forgets has in common."""
import torch
from mmengine.dist import get_world_size
from mmengine.logging import print_log

from ..lora import (LoRAGroups, NoGroups, count_parameters, freeze_base,
                    inject_lora, is_lora_key, reset_lora, target_table)
from ..utils import ForgetError
from .stream_loss import STREAMS
from .teacher import TeacherMixin
from .trainable import train_only, training_table


class ForgettingMixin(TeacherMixin):
    """Trains a model on a forget and a retain stream: LoRA, or its own.

    Mixed in front of the user's own model class, so the model *is* the
    user's: same keys, same inference, same head. A task's mixin says what is
    predicted (:meth:`_predictions`), how predictions are sliced
    (:meth:`_take_images`) and what their loss is (:meth:`_terms`).
    """

    def setup_forgetting(self,
                         lora,
                         method,
                         group,
                         dropout,
                         streams,
                         train='lora'):
        """Choose what trains, freeze the rest and print what was matched.

        Args:
            lora (dict): Arguments of :func:`gslora_mm.lora.inject_lora`.
            method (ForgettingMethod): The forgetting method.
            group (str): ``'block'``, ``'lora'`` or ``'matrix'``.
            dropout (bool): Keep the dropout of frozen layers on.
            streams (str): ``'fused'`` or ``'separate'``.
            train (str | dict): What trains, see
                :func:`~gslora_mm.models.check_train`. A method that does not
                train leaves it out.
        """
        self.method, self.dropout, self.streams = method, dropout, streams
        if method.needs_teacher:
            self.keep_teacher()
        # For what the method draws; the engine seeds it.
        self.generator = torch.Generator()
        if train == 'lora' and method.trains:
            table = self._insert_lora(lora, group)
        else:
            table = self._train_own(train if method.trains else None)
        method.default_bound(self.natural_bound())
        method.check_groups(self.groups)
        self.parameter_counts = count_parameters(self)
        print_log(table, 'current')
        # A new module is in train mode without train() having been called.
        self.train()

    def _insert_lora(self, lora, group):
        """Train LoRA; returns a table of where it is."""
        self.targets = inject_lora(self, **lora)
        freeze_base(self)
        self.groups = LoRAGroups(self, by=group)
        return ('LoRA inserted; everything else is frozen\n' +
                target_table(self, self.targets))

    def _train_own(self, train):
        """Train parameters of the model; returns a table of them."""
        # Backbones freeze their first stages here.
        super().train(True)
        self.groups, self._own = NoGroups(), ()
        self._own = train_only(self, train, self.classifying_modules())
        return training_table(self, train, self._own)

    def trained_keys(self):
        """list[str]: Keys of the state dict that training changes."""
        keys = list(self.state_dict())
        if len(self.groups):
            return [key for key in keys if is_lora_key(key)]
        own = set(self._own)
        if self.method.trains_norms:
            own.update(name for name, _ in self.named_buffers())
        return [key for key in keys if key in own]

    def init_weights(self):
        """Reset LoRA only: base weights come from a checkpoint.

        (The libraries' own ``init_weights`` would randomise them, and
        ``lora_B``, which must start at zero.)
        """
        reset_lora(self)
        self._is_init = True

    def train(self, mode=True):
        """Train mode for the loss, inference mode for the frozen layers.

        Norms keep their statistics unless the method trains them. Dropout
        is off unless ``dropout=True``, so that the function which is trained
        is exactly the one which is evaluated.
        """
        trained = [p for p in self.parameters() if p.requires_grad]
        super().train(mode)
        if mode:
            norms = [(m, m.training) for m in self.modules()
                     if isinstance(m, torch.nn.modules.batchnorm._NormBase)]
            for module in self.children():
                module.train(self.dropout)
            for norm, plain in norms:
                norm.train(plain and self.method.trains_norms)
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
        if self.method.relabels:
            data_samples = self._relabelled(data_samples, index['forget'])
        if self.streams == 'fused':
            terms = self._fused_terms(inputs, data_samples, index)
        else:
            terms = self._separate_terms(inputs, data_samples, index)
        if self.method.needs_teacher:
            self._ask_teacher(inputs, data_samples, index, terms)
        losses = self.method.losses(terms['forget'], terms['retain'],
                                    self.groups)
        return self._with_gradient(losses)

    def _with_gradient(self, losses):
        """Losses with a gradient for every parameter that trains.

        A batch may hold nothing to learn from: no box left, no stream.
        """
        if torch.is_grad_enabled() and not any(
                'loss' in k and v.requires_grad for k, v in losses.items()):
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

    def plain_loss(self, inputs, samples):
        """The ordinary loss of some images, as the retain stream has it.

        Args:
            inputs (Tensor): Images of shape (B, 3, H, W).
            samples (list[BaseDataElement]): Their samples, with labels.

        Returns:
            Tensor: A scalar.
        """
        predictions = self._predictions(inputs, samples)
        index = list(range(len(samples)))
        return self._terms(predictions, samples, index, 'retain').total()

    def class_row_keys(self):
        """Where the rows of the classes are, in every layer that classifies.

        Returns:
            list[tuple[str, str | None]]: Keys of weight and bias in the state
            dict, each with a row for each class first; shared layers under
            each of their names. None without a bias.

        Raises:
            ForgetError: If no layer has such rows.
        """
        head, found = self.get_submodule(self.classifying_modules()[0]), []
        count = getattr(self, 'bbox_head', None)
        count = count.cls_out_channels if count else self.num_classes()
        for name, module in head.named_modules(
                prefix=self.classifying_modules()[0], remove_duplicate=False):
            weight, bias = (
                module._parameters.get(k) for k in ('weight', 'bias'))
            if weight is not None and weight.ndim == 2 and len(
                    weight) == count:
                found.append((f'{name}.weight',
                              None if bias is None else f'{name}.bias'))
        if not found:
            raise ForgetError(f'the head {type(head).__name__} has no layer '
                              f'with {count} rows, one for each class')
        return found

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

    def num_classes(self):
        """int: Classes of the head."""
        head = self.head if hasattr(self, 'head') else self.bbox_head
        return head.num_classes

    def classifying_modules(self):
        """tuple[str]: Names of the modules that classify."""
        raise NotImplementedError

    def _relabel(self, sample, draw):
        """A copy of a sample with other labels.

        Args:
            sample (BaseDataElement): The sample; left as it is.
            draw (Callable): Takes labels (n, ) and returns new ones.
        """
        raise NotImplementedError

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
