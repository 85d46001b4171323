"""Questions that every model that forgets answers about itself."""
from ..utils import ForgetError


class QuestionsMixin:
    """What the plain model says of images, and where its classes are."""

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

    def outputs(self, inputs, samples):
        """What the model says of some images, whatever their labels.

        Args:
            inputs (Tensor): Images of shape (B, 3, H, W).
            samples (list[BaseDataElement]): Their samples.

        Returns:
            StreamOutputs: Logits and what they are made of.
        """
        predictions = self._predictions(inputs, samples)
        return self._outputs(predictions, samples, match=False)

    def plain_loss(self, inputs, samples):
        """The ordinary loss of some images, as the retain stream has it.

        Args:
            inputs (Tensor): Images of shape (B, 3, H, W).
            samples (list[BaseDataElement]): Their samples, with labels.

        Returns:
            Tensor: A scalar.
        """
        return self.plain_terms(inputs, samples).total()

    def plain_terms(self, inputs, samples):
        """StreamLoss: The terms of :meth:`plain_loss`."""
        predictions = self._predictions(inputs, samples)
        index = list(range(len(samples)))
        return self._terms(predictions, samples, index, 'retain')

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

    def num_classes(self):
        """int: Classes of the head."""
        head = self.head if hasattr(self, 'head') else self.bbox_head
        return head.num_classes

    def classifying_modules(self):
        """tuple[str]: Names of the modules that classify."""
        raise NotImplementedError

    def natural_bound(self):
        """float: BND where the method names none."""
        raise NotImplementedError
