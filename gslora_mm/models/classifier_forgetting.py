"""What makes a classifier forget."""
import copy
from contextlib import contextmanager

import torch

from ..utils import ForgetError
from .forgetting_features import class_rows, embeddings_of, head_logits
from .forgetting_mixin import ForgettingMixin
from .stream_loss import StreamFeatures, StreamLoss, StreamOutputs

# BND of the published face runs, for cosine heads of scale 64.
_COSINE_BOUND, _COSINE_SCALE = 105., 64.
_LINEAR_BOUND = 14.
_ALTERING = 'forget.model.forget_margin and retain_margin'


class ClassifierForgettingMixin(ForgettingMixin):
    """The forgetting of an mmpretrain classifier: its head's own loss."""

    def natural_bound(self):
        """BND where the method names none; see :class:`GSLoRA`.

        A cosine head of scale s reaches losses of 2s and a little more for
        its margin, 105 of 128 in the published runs. A linear head knows no
        such limit, and a bound that is never reached lets the forget term
        grow for ever. Either lies above ``forget_margin``, which every loss
        of the forget stream holds.
        """
        # CosFace calls it s, mmpretrain's ArcFace scale.
        scale = getattr(self.head, 's', getattr(self.head, 'scale', None))
        bound = _LINEAR_BOUND if scale is None else (_COSINE_BOUND *
                                                     float(scale) /
                                                     _COSINE_SCALE)
        return bound + self.forget_margin

    def _alters(self, stream):
        """Whether the loss of a stream sees other logits than the head's."""
        if stream == 'retain':
            return self.retain_margin > 0
        return self.forget_margin > 0

    def _forget_logits(self, logits, labels):
        """What the loss of the forget stream sees."""
        own = torch.nn.functional.one_hot(labels, logits.shape[1])
        return logits - self.forget_margin * own.to(logits.dtype)

    def _retain_logits(self, logits, labels):
        """What the loss of the retain stream sees."""
        rise = logits.new_zeros(logits.shape[1])
        rise[self.forgotten] = self.retain_margin
        return logits + rise

    def _predictions(self, inputs, samples):
        """Features of some images, as the head takes them."""
        return self.extract_feat(inputs)

    @staticmethod
    def _take_images(predictions, index):
        """Slice features, nested as the backbone returns them."""
        if isinstance(predictions, torch.Tensor):
            return predictions[index]
        return type(predictions)(
            ClassifierForgettingMixin._take_images(p, index)
            for p in predictions)

    def _terms(self, predictions, samples, index, stream):
        """See :meth:`ForgettingMixin._terms`."""
        if not index:
            return None
        chosen = [samples[i] for i in index]
        terms = StreamLoss([])
        if stream in self.method.needs_losses:
            terms = self._loss_terms(predictions, chosen, stream)
        if self.method.needs_features:
            terms.features = self._features(predictions, chosen)
        if self.method.needs_outputs:
            terms.student = self._outputs(predictions, chosen)
        return terms

    def _loss_terms(self, predictions, chosen, stream):
        """What the head's loss makes of the images of a stream."""
        forgets = stream == 'forget'
        per_sample = self.per_sample and forgets
        rule = self._forget_logits if forgets else self._retain_logits
        altered = _altered(self.head, rule if self._alters(stream) else None,
                           chosen)
        with _unreduced(self.head, per_sample), altered:
            losses = self.head.loss(predictions, chosen)
        losses = [v for k, v in losses.items() if 'loss' in k]
        if per_sample:
            # Binary cross-entropy has one value for each class.
            losses = [v.reshape(len(chosen), -1).sum(1) for v in losses]
        return StreamLoss(losses)

    def _features(self, predictions, samples):
        """See :meth:`ForgettingMixin._features`."""
        embeddings = embeddings_of(self.head, predictions)
        labels = torch.cat([s.gt_label for s in samples])
        return StreamFeatures(embeddings, self.classify(embeddings),
                              labels.to(embeddings.device))

    def _outputs(self, predictions, samples, match=True):
        """See :meth:`ForgettingMixin._outputs`."""
        found = self._features(predictions, samples)
        return StreamOutputs(found.logits, found.embeddings, found.labels)

    def _relabel(self, sample, draw):
        """See :meth:`ForgettingMixin._relabel`."""
        changed = copy.copy(sample)
        return changed.set_gt_label(draw(sample.gt_label))

    @staticmethod
    def classifying_modules():
        """See :meth:`ForgettingMixin.classifying_modules`."""
        return ('head', )

    def class_rows(self):
        """See :meth:`ForgettingMixin.class_rows`."""
        return class_rows(self.head)

    def classify(self, embeddings):
        """See :meth:`ForgettingMixin.classify`."""
        return head_logits(self.head, embeddings)


@contextmanager
def _unreduced(head, wanted):
    """Let a head return one loss per image.

    mmpretrain's losses read their reduction at every call; an ``avg_factor``,
    which heads pass, has no effect without one.
    """
    modules = [m for m in head.modules() if wanted and hasattr(m, 'reduction')]
    before = [m.reduction for m in modules]
    for module in modules:
        module.reduction = 'none'
    try:
        yield
    finally:
        for module, reduction in zip(modules, before):
            module.reduction = reduction


@contextmanager
def _altered(head, rule, samples):
    """Let the loss of a head see other logits.

    Args:
        head (ClsHead): The head.
        rule (Callable | None): Makes logits (N, C) and labels (N, ) the
            logits that the loss sees; None leaves them as they are.
        samples (list[DataSample]): The N samples.

    Raises:
        ForgetError: If the head cannot be altered.
    """
    seen = []

    def alter(head, args, logits):
        seen.append(True)
        if not isinstance(logits, torch.Tensor):
            raise ForgetError(
                f'{_ALTERING} do not go with the head {type(head).__name__}, '
                'which has several outputs; remove them')
        labels = torch.cat([s.gt_label for s in samples]).to(logits.device)
        return rule(logits, labels)

    handle = head.register_forward_hook(alter) if rule else None
    try:
        yield
    finally:
        if handle:
            handle.remove()
    if handle and not seen:
        raise ForgetError(
            f'{_ALTERING} do not go with the head {type(head).__name__}, '
            'whose loss passes its forward by; remove them')
