"""CosFace head: a cosine classifier with an additive margin."""
import torch
from mmpretrain.evaluation.metrics import Accuracy
from mmpretrain.models.heads import ClsHead
from torch import nn
from torch.nn import functional as F

from ..registry import MODELS

# Of the published face models.
_SCALE, _MARGIN = 64., .35


@MODELS.register_module()
class CosFaceClsHead(ClsHead):
    """Large-margin cosine head.

    The loss sees ``s * (cos(e, W_k) - m * [k == label])``, everything else
    the logits without margin, ``s * cos(e, W_k)``: a prediction never depends
    on the label. Where batch augmentation gives scores instead of labels, each
    class bears the margin in proportion to its score.

    Args:
        num_classes (int): Number of classes (identities).
        in_channels (int): Width of the embedding.
        s (float): Scale of the cosines. Defaults to 64.
        m (float): Margin on the cosine of the label. Defaults to 0.35.
        **kwargs: ``loss``, ``topk``, ``cal_acc``, ``init_cfg`` of mmpretrain
            ``ClsHead``. The accuracy is that of the logits without margin.

    Attributes:
        weight (nn.Parameter): One row per class, shape (num_classes,
            in_channels); only its direction counts.

    Raises:
        ValueError: If a size or the scale is not positive.

    Source: Wang et al., CosFace, arXiv 1801.09414, equation 4.
    """

    def __init__(self,
                 num_classes,
                 in_channels,
                 s=_SCALE,
                 m=_MARGIN,
                 **kwargs):
        # Named with its scope: mmdet has another loss of that name.
        kwargs.setdefault('loss', dict(type='mmpretrain.CrossEntropyLoss'))
        super().__init__(**kwargs)
        for name, value in (('num_classes', num_classes),
                            ('in_channels', in_channels), ('s', s)):
            if value <= 0:
                raise ValueError(f'{name}={value} must be positive')
        self.num_classes, self.in_channels = num_classes, in_channels
        self.s, self.m = float(s), float(m)
        self.weight = nn.Parameter(torch.empty(num_classes, in_channels))
        nn.init.xavier_uniform_(self.weight)

    @staticmethod
    def logit_margin(s=_SCALE, m=_MARGIN, **_):
        """What a head takes from the logit of the label in its loss.

        Any head class may offer this to have the accuracy with margin
        measured. An angular margin (ArcFace) is no such number.

        Args:
            s (float): Scale of the cosines.
            m (float): Margin on the cosine of the label.

        Returns:
            float: ``s * m``.
        """
        return s * m

    def pre_logits(self, feats):
        """Return the embedding.

        Args:
            feats (tuple[Tensor]): Outputs of the backbone's stages; the last
                has shape (B, C).

        Returns:
            Tensor: The last one.
        """
        return feats[-1]

    def forward(self, feats, target=None):
        """Compute logits, without margin unless a target is given.

        Args:
            feats (tuple[Tensor]): Outputs of the backbone's stages.
            target (Tensor, optional): See :meth:`add_margin`.

        Returns:
            Tensor: Shape (B, num_classes), float32 under autocast as well.
        """
        embedding = self.pre_logits(feats)
        # Half precision resolves cosines near 1 to 0.03 in the logits.
        with torch.autocast(embedding.device.type, enabled=False):
            cosine = F.linear(
                F.normalize(embedding.float()),
                F.normalize(self.weight.float()))
        logits = self.s * cosine
        return logits if target is None else self.add_margin(logits, target)

    def add_margin(self, logits, target):
        """Lower the logits of the labels by ``s * m``.

        Args:
            logits (Tensor): Without margin, shape (B, num_classes).
            target (Tensor): Labels (B,), or scores (B, num_classes).

        Returns:
            Tensor: Shape (B, num_classes).
        """
        if target.ndim == 1:
            target = F.one_hot(target, self.num_classes)
        return logits - self.s * self.m * target.to(logits.dtype)

    def _get_loss(self, cls_score, data_samples, **kwargs):
        if 'gt_score' in data_samples[0]:
            target = torch.stack([i.gt_score for i in data_samples])
        else:
            target = torch.cat([i.gt_label for i in data_samples])
        loss = self.loss_module(
            self.add_margin(cls_score, target),
            target,
            avg_factor=cls_score.size(0),
            **kwargs)
        losses = dict(loss=loss)
        if self.cal_acc:
            acc = Accuracy.calculate(cls_score, target, topk=self.topk)
            losses.update({
                f'accuracy_top-{k}': a
                for k, a in zip(self.topk, acc)
            })
        return losses
