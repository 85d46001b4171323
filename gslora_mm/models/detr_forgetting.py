"""What makes a DETR forget."""
import copy

import torch
from mmdet.models.dense_heads import DINOHead
from mmdet.utils import reduce_mean
from mmengine.dist import get_world_size

from ..utils import ForgetError
from .forgetting_features import last_classifier, matched_once
from .forgetting_mixin import ForgettingMixin
from .stream_loss import StreamFeatures, StreamLoss, StreamOutputs


class DetrForgettingMixin(ForgettingMixin):
    """The forgetting of a DETR: matched classification and box losses."""

    def natural_bound(self):
        """BND of the published COCO runs, on the weighted focal loss."""
        return 15.

    @staticmethod
    def _counts(sample, stream):
        # Forget images that a crop left without boxes hold nothing to
        # forget. Retain images without boxes stay: they are background, as
        # in the training of any DETR.
        return stream == 'retain' or len(sample.gt_instances.bboxes)

    def _predictions(self, inputs, samples):
        """What the head predicts for some images, in full precision.

        Args:
            inputs (Tensor): Images of shape (B, 3, H, W).
            samples (list[DetDataSample]): Their samples.

        Returns:
            dict: ``scores`` (L, B, Q, C) and ``boxes`` (L, B, Q, 4) of the
            supervised decoder layers, ``queries`` (B, Q, D) of the last
            one and ``layers`` (B, L, Q, D) of all where the method needs
            it, ``grids``, sizes of the maps of features, and what else the
            detector gives its loss (encoder proposals, denoising queries).
        """
        features = self.extract_feat(inputs)
        # Encoder proposals and denoising queries are made for auxiliary
        # losses alone, by a detector that believes to be in training.
        training, self.training = self.training, self.aux_loss
        try:
            outputs = self.forward_transformer(features, samples)
        finally:
            self.training = training
        # The Hungarian costs overflow in half precision.
        with torch.autocast(inputs.device.type, enabled=False):
            outputs = {k: _to_float(v) for k, v in outputs.items()}
            decoded = {
                k: outputs.pop(k)
                for k in ('hidden_states', 'references') if k in outputs
            }
            scores, boxes = self.bbox_head(**decoded)
        found = dict(
            queries=decoded['hidden_states'][-1],
            grids=[tuple(f.shape[-2:]) for f in features])
        if self.method.needs_layers:
            found['layers'] = decoded['hidden_states'].transpose(0, 1)
        if not self.aux_loss:
            return dict(scores=scores[-1:], boxes=boxes[-1:], **found)
        return dict(scores=scores, boxes=boxes, **found, **outputs)

    @staticmethod
    def _take_images(predictions, index):
        """Slice predictions along the batch."""
        first, last = index[0], index[-1] + 1
        if index == list(range(first, last)):
            # As the sampler puts them: views, with a cheap gradient.
            index = slice(first, last)
        taken = {}
        for key, value in predictions.items():
            if key in ('dn_meta', 'grids') or value is None:
                taken[key] = value
            elif key in ('scores', 'boxes'):
                taken[key] = value[:, index]
            else:
                taken[key] = value[index]
        return taken

    def _terms(self, predictions, samples, index, stream):
        """See :meth:`ForgettingMixin._terms`."""
        if not index and get_world_size() == 1:
            return None
        chosen = [samples[i] for i in index or [0]]
        # mmdet averages the number of boxes over all ranks. A rank without
        # images of the stream must take part, or the others wait for ever.
        gt = [s.gt_instances if index else s.gt_instances[:0] for s in chosen]
        metas = [s.metainfo for s in chosen]
        supervise = (
            self._all_layers_terms
            if self.aux_loss else self._last_layer_terms)
        with torch.autocast(
                predictions['scores'].device.type,
                enabled=False), matched_once(self.bbox_head):
            terms, needed = StreamLoss([]), stream in self.method.needs_losses
            if needed:
                terms = supervise(predictions, gt, metas, stream)
            shared = self.method.averages_ranks
            if (index or shared) and self.method.needs_features:
                terms.features = self._features(predictions, chosen)
            if index and self.method.needs_outputs:
                terms.student = self._outputs(predictions, chosen, needed)
        if not index:
            return terms.emptied() if shared else None
        return terms

    def _features(self, predictions, samples):
        """See :meth:`ForgettingMixin._features`."""
        found = self._outputs(predictions, samples)
        matched = found.labels < self.bbox_head.num_classes
        return StreamFeatures(found.embeddings[matched], found.logits[matched],
                              found.labels[matched])

    def _outputs(self, predictions, samples, match=True):
        """See :meth:`ForgettingMixin._outputs`."""
        # Denoising queries come first and are matched to nothing.
        skip = (predictions.get('dn_meta') or {}).get('num_denoising_queries',
                                                      0)
        scores, boxes, queries = (
            value[:, skip:]
            for value in (predictions['scores'][-1], predictions['boxes'][-1],
                          predictions['queries']))
        labels = None
        if match:
            labels = torch.stack(
                self.bbox_head.get_targets(
                    list(scores), list(boxes),
                    [s.gt_instances for s in samples],
                    [s.metainfo for s in samples])[0])
        layers = predictions.get('layers')
        return StreamOutputs(
            scores,
            queries,
            labels,
            boxes,
            self.bbox_head.loss_cls.use_sigmoid,
            layers=None if layers is None else layers[:, :, skip:],
            grids=predictions['grids'])

    def _relabel(self, sample, draw):
        """See :meth:`ForgettingMixin._relabel`."""
        changed = copy.copy(sample)
        objects = copy.copy(sample.gt_instances)
        objects.labels = draw(objects.labels)
        changed.gt_instances = objects
        return changed

    def keep_teacher(self):
        """See :meth:`TeacherMixin.keep_teacher`.

        Raises:
            ForgetError: If the queries of both would not be the same.
        """
        if getattr(self, 'as_two_stage', False):
            raise ForgetError(
                f'{type(self.method).__name__} compares queries with those of '
                'the original model, and a two-stage detector makes its own '
                'of every image; use a detector with as_two_stage=False, or '
                'a method without a teacher')
        super().keep_teacher()
        self.teacher.aux_loss = False

    def classifying_modules(self):
        """See :meth:`ForgettingMixin.classifying_modules`."""
        name = 'cls_branches' if hasattr(self.bbox_head,
                                         'cls_branches') else 'fc_cls'
        return (f'bbox_head.{name}', )

    @staticmethod
    def lower_half():
        """See :meth:`HalvesMixin.lower_half`."""
        return ['encoder']

    def class_row_keys(self):
        """See :meth:`ForgettingMixin.class_row_keys`."""
        found = super().class_row_keys()
        if isinstance(self.bbox_head, DINOHead):
            return found
        # The encoder of a two-stage Deformable DETR tells objects from
        # background, with the first row of a layer of its own.
        encoder = f'cls_branches.{self.decoder.num_layers}.'
        return [keys for keys in found if encoder not in keys[0]]

    def class_rows(self):
        """See :meth:`ForgettingMixin.class_rows`."""
        return last_classifier(self).weight[:self.bbox_head.num_classes]

    def classify(self, embeddings):
        """See :meth:`ForgettingMixin.classify`."""
        return last_classifier(self)(embeddings)

    def _last_layer_terms(self, predictions, gt, metas, stream):
        head = self.bbox_head
        scores, boxes = predictions['scores'][-1], predictions['boxes'][-1]
        losses = head.loss_by_feat_single(
            scores, boxes, batch_gt_instances=gt, batch_img_metas=metas)
        terms = StreamLoss([losses[0]], dict(bbox=losses[1], iou=losses[2]))
        if stream == 'forget' and self.forget_queries == 'matched':
            terms.classification = [
                matched_classification(head, scores, boxes, gt, metas)
            ]
        return terms

    def _all_layers_terms(self, predictions, gt, metas, stream):
        extra = {}
        if 'enc_outputs_class' in predictions:
            extra['enc_cls_scores'] = predictions['enc_outputs_class']
            extra['enc_bbox_preds'] = predictions['enc_outputs_coord']
        if 'dn_meta' in predictions:
            extra['dn_meta'] = predictions['dn_meta']
        losses = self.bbox_head.loss_by_feat(
            predictions['scores'],
            predictions['boxes'],
            batch_gt_instances=gt,
            batch_img_metas=metas,
            **extra)
        # DINO scores classes in the encoder, Deformable DETR only objects.
        agnostic = () if isinstance(self.bbox_head,
                                    DINOHead) else ('enc_loss_cls', )
        return StreamLoss.from_mmdet(losses, agnostic)


def matched_classification(head, scores, boxes, gt, metas):
    """Weighted classification loss of matched queries, for their own class.

    The published loss of the forget stream holds every query, and raising it
    also rewards scores for objects whose boxes were dropped from the forget
    images. Where retained objects share nearly every image with forgotten
    ones, that reward outweighs the rest. Here only the queries matched to
    forgotten objects count, and of their scores only that of the object's
    class (all classes, where a softmax ties them together).

    Args:
        head (DETRHead): The head, for its matching and its loss.
        scores (Tensor): Logits of the last layer, (B, Q, C).
        boxes (Tensor): Its normalised boxes cx, cy, w, h, (B, Q, 4).
        gt (list[InstanceData]): Ground truth of the B images.
        metas (list[dict]): Their meta information.

    Returns:
        Tensor: A scalar, averaged over the matched queries of all ranks.
    """
    labels, *_, count, _ = head.get_targets(
        list(scores), list(boxes), gt, metas)
    labels = torch.cat(labels)
    matched = labels < head.num_classes
    scores, labels = scores.flatten(0, 1)[matched], labels[matched]
    if head.loss_cls.use_sigmoid:
        scores = scores.gather(1, labels[:, None])
        labels = torch.zeros_like(labels)
    count = reduce_mean(scores.new_tensor([float(count)])).clamp(min=1)
    return head.loss_cls(scores, labels, avg_factor=count)


def _to_float(value):
    if isinstance(value, torch.Tensor):
        return value.float()
    if isinstance(value, list):
        return [v.float() for v in value]
    return value
