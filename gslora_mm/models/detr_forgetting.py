"""What makes a DETR forget: LoRA groups, trained on two streams."""
import torch
from mmdet.models.dense_heads import DINOHead
from mmdet.utils import reduce_mean
from mmengine.dist import get_world_size
from mmengine.logging import print_log

from ..lora import (LoRAGroups, freeze_base, inject_lora, reset_lora,
                    target_table)
from ..utils import ForgetError
from .stream_loss import STREAMS, StreamLoss


class DetrForgettingMixin:
    """Trains LoRA groups of a DETR on a forget and a retain stream.

    Mixed in front of a detector class by :func:`forgetting_detector`, so the
    model *is* the user's detector: same keys, same inference, same head.
    """

    def setup_forgetting(self, lora, method, group, aux_loss, dropout,
                         streams, forget_queries):
        """Insert LoRA, freeze the rest and print what was matched."""
        self.targets = inject_lora(self, **lora)
        freeze_base(self)
        self.groups = LoRAGroups(self, by=group)
        self.method = method
        self.aux_loss, self.dropout = aux_loss, dropout
        self.streams, self.forget_queries = streams, forget_queries
        print_log(
            'LoRA inserted; everything else is frozen\n' +
            target_table(self, self.targets), 'current')
        # A new module is in train mode without train() having been called.
        self.train()

    def init_weights(self):
        """Reset LoRA only: base weights come from a checkpoint.

        (mmdet's own ``init_weights`` would randomise them, and ``lora_B``,
        which must start at zero.)
        """
        reset_lora(self)
        self._is_init = True

    def train(self, mode=True):
        """Train mode for the loss, inference mode for the frozen layers.

        Frozen norms always keep their statistics. Frozen dropout is off
        unless ``dropout=True``, so that the function which is trained is
        exactly the one which is evaluated.
        """
        super().train(mode)
        if mode:
            for module in self.children():
                module.train(self.dropout)
            for module in self.modules():
                if isinstance(module, torch.nn.modules.batchnorm._NormBase):
                    module.eval()
        return self

    def loss(self, batch_inputs, batch_data_samples):
        """Losses of a batch that holds both streams.

        Args:
            batch_inputs (Tensor): Images of shape (B, 3, H, W).
            batch_data_samples (list[DetDataSample]): B samples whose
                metainfo ``stream`` is ``'forget'`` or ``'retain'``.

        Returns:
            dict[str, Tensor]: What the forgetting method makes of the two
            streams.
        """
        index = _stream_index(batch_data_samples)
        if self.streams == 'fused':
            terms = self._fused_terms(batch_inputs, batch_data_samples, index)
        else:
            terms = self._separate_terms(batch_inputs, batch_data_samples,
                                         index)
        return self.method.losses(terms['forget'], terms['retain'],
                                  self.groups)

    def _fused_terms(self, inputs, samples, index):
        predictions = self._predictions(inputs, samples)
        return {
            stream: self._terms(
                _take_images(predictions, index[stream] or [0]), samples,
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

    def _predictions(self, inputs, samples):
        """What the head predicts for some images, in full precision.

        Args:
            inputs (Tensor): Images of shape (B, 3, H, W).
            samples (list[DetDataSample]): Their samples.

        Returns:
            dict: ``scores`` (L, B, Q, C) and ``boxes`` (L, B, Q, 4) of the
            supervised decoder layers, and what else the detector gives its
            loss (encoder proposals, denoising queries).
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
        if not self.aux_loss:
            return dict(scores=scores[-1:], boxes=boxes[-1:])
        return dict(scores=scores, boxes=boxes, **outputs)

    def _terms(self, predictions, samples, index, stream):
        """StreamLoss of the images of a stream; None without images.

        Args:
            predictions (dict): Of these images, see :meth:`_predictions`;
                without images, of any one image.
            samples (list[DetDataSample]): The whole batch.
            index (list[int]): Their positions in it.
            stream (str): Which stream they are of.
        """
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
        with torch.autocast(predictions['scores'].device.type, enabled=False):
            terms = supervise(predictions, gt, metas, stream)
        return terms if index else None

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


def _stream_index(samples):
    """Positions of each stream's images in the batch.

    Forget images that a crop left without boxes hold nothing to forget; they
    are left out of the forget term. Retain images without boxes stay: they
    are background, as in the training of any DETR.
    """
    index = {s: [] for s in STREAMS}
    for i, sample in enumerate(samples):
        stream = sample.metainfo.get('stream')
        if stream not in index:
            raise ForgetError(
                'a training sample is not marked as forget or retain; wrap '
                'the dataset in gslora_mm.ForgetRetainDataset')
        if stream == 'retain' or len(sample.gt_instances.bboxes):
            index[stream].append(i)
    return index


def _take_images(predictions, index):
    """Slice predictions along the batch."""
    taken = {}
    for key, value in predictions.items():
        if key == 'dn_meta' or value is None:
            taken[key] = value
        elif key in ('scores', 'boxes'):
            taken[key] = value[:, index]
        else:
            taken[key] = value[index]
    return taken


def _to_float(value):
    if isinstance(value, torch.Tensor):
        return value.float()
    if isinstance(value, list):
        return [v.float() for v in value]
    return value
