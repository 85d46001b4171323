"""Loss terms of one data stream, as the forgetting methods see them."""
from dataclasses import dataclass, field, fields
from typing import Dict, List, Optional

from torch import Tensor

STREAMS = ('forget', 'retain')
# Before the name of a block among tensors by name.
_BLOCK = 'blocks.'


@dataclass
class StreamFeatures:
    """What the last layer of the head sees, of a stream or a batch.

    Args:
        embeddings (Tensor): One for each labelled image of a classifier, for
            each matched object of a detector; shape (N, D).
        logits (Tensor): What the last layer makes of them, shape (N, C).
        labels (Tensor): Their classes, shape (N, ).
    """

    embeddings: Tensor
    logits: Tensor
    labels: Tensor


@dataclass
class StreamOutputs:
    """What a model says of the N images of a stream.

    Args:
        logits (Tensor): Of every image of a classifier, (N, C), without
            margin; of every query of a detector's last layer, (N, Q, C).
        embeddings (Tensor): What the last layer of the head sees, (N, D) or
            (N, Q, D).
        labels (Tensor, optional): Classes of the images, (N, ); of the
            objects that the queries are matched to, (N, Q), and the number
            of classes where there is none. Detectors have them of the model
            that learns, not of its teacher.
        boxes (Tensor, optional): Of a detector, normalised cx, cy, w, h,
            (N, Q, 4).
        sigmoid (bool): Whether every class has a sigmoid of its own, as with
            a focal loss; else a softmax makes scores of logits.
        middle (Tensor, optional): What the lower half of the model makes of
            the images, (N, tokens, D), where the method needs it.
        layers (Tensor, optional): Of a detector, ``embeddings`` behind every
            layer of the decoder, (N, L, Q, D), where the method needs it.
        blocks (dict[str, Tensor], optional): Of a classifier, what its
            Transformer blocks make of the images, by their names, (N, F),
            where the method needs it.
        found (Tensor, optional): Of a detector's teacher, boxes x1, y1, x2,
            y2 of what it found although nobody labelled it, and was painted
            out, by the queries that found it; shares of the padded image, NaN
            for the other queries, (N, Q, 4).
        grids (list[tuple[int]], optional): Heights and widths of the maps of
            features that a detector's tokens come from.
    """

    logits: Tensor
    embeddings: Tensor
    labels: Optional[Tensor] = None
    boxes: Optional[Tensor] = None
    sigmoid: bool = False
    middle: Optional[Tensor] = None
    layers: Optional[Tensor] = None
    blocks: Optional[Dict[str, Tensor]] = None
    found: Optional[Tensor] = None
    grids: Optional[list] = None

    def tensors(self):
        """dict[str, Tensor]: What differs from image to image, by name."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        found = {k: v for k, v in found.items() if isinstance(v, Tensor)}
        for name, value in (self.blocks or {}).items():
            found[f'{_BLOCK}{name}'] = value
        return found

    @classmethod
    def from_tensors(cls, tensors, sigmoid):
        """Put together what :meth:`tensors` took apart.

        Args:
            tensors (dict[str, Tensor]): By the same names.
            sigmoid (bool): See the class.

        Returns:
            StreamOutputs: With these tensors.
        """
        blocks = {
            k.removeprefix(_BLOCK): v
            for k, v in tensors.items() if k.startswith(_BLOCK)
        }
        others = {k: v for k, v in tensors.items() if not k.startswith(_BLOCK)}
        return cls(sigmoid=sigmoid, blocks=blocks or None, **others)


@dataclass
class Inside:
    """What a model made of some images on the way to its head.

    Args:
        middle (Tensor, optional): See :class:`StreamOutputs`.
        blocks (dict[str, Tensor]): See there; empty where nobody looked.
        found (Tensor, optional): See there.
    """

    middle: Optional[Tensor] = None
    blocks: Dict[str, Tensor] = field(default_factory=dict)
    found: Optional[Tensor] = None

    def add_to(self, said, index=slice(None)):
        """Put it beside what the head says.

        Args:
            said (StreamOutputs): Of some of the images.
            index (list[int]): Which of them. Defaults to all.
        """
        if self.middle is not None:
            said.middle = self.middle[index]
        if self.found is not None:
            said.found = self.found[index]
        if self.blocks:
            said.blocks = {k: v[index] for k, v in self.blocks.items()}


@dataclass
class StreamLoss:
    """Weighted loss terms of one stream (forget or retain) of a batch.

    Args:
        classification (list[Tensor]): Weighted classification losses, one
            per supervised layer (one, unless auxiliary losses are on): a
            scalar, or a value for each image, of shape (N, ).
        others (dict[str, Tensor]): Every other weighted term, e.g. ``bbox``
            and ``iou`` of a detector; scalars.
        features (StreamFeatures, optional): Embeddings behind the terms,
            where the method needs them.
        student (StreamOutputs, optional): What the model that learns says of
            the images, where the method needs it.
        teacher (StreamOutputs, optional): What the original model says of
            the same images, where the method needs it; without gradient.
        images (tuple, optional): The images (N, 3, H, W) and a list of their
            samples, with the true labels, where the method needs them.
        painted (list[Tensor], optional): Where objects were painted out of
            the images that the teacher saw: for each image boxes x1, y1, x2,
            y2 as shares of the padded image, (K, 4), where the method needs
            them.
        extents (Tensor, optional): Which share of the padded image is the
            image: widths and heights, (N, 2), beside ``painted``.
    """

    classification: List[Tensor]
    others: Dict[str, Tensor] = field(default_factory=dict)
    features: Optional[StreamFeatures] = None
    student: Optional[StreamOutputs] = None
    teacher: Optional[StreamOutputs] = None
    images: Optional[tuple] = None
    painted: Optional[List[Tensor]] = None
    extents: Optional[Tensor] = None

    def __post_init__(self):
        # Some losses of mmdet have the shape (1, ).
        self.others = {
            k: v.sum() if v.dim() else v
            for k, v in self.others.items()
        }

    @classmethod
    def from_mmdet(cls, losses, class_agnostic=('enc_loss_cls', )):
        """Sort an mmdet loss dict.

        Args:
            losses (dict[str, Tensor]): What ``bbox_head.loss_by_feat``
                returns; scalars.
            class_agnostic (tuple[str]): Keys that look like classification
                but tell objects from background only, so that there is no
                class in them to forget.

        Returns:
            StreamLoss: The sorted terms.
        """
        classification, others = [], {}
        for key, value in losses.items():
            if 'loss_cls' in key and key not in class_agnostic:
                classification.append(value)
            else:
                others[key.replace('loss_', '')] = value
        return cls(classification, others)

    def emptied(self):
        """The same terms without any image: zeros.

        A process whose share of a batch has no image of a stream has them,
        where others have some.

        Returns:
            StreamLoss: Zeros with a gradient, and features of no sample.
        """
        features = self.features and StreamFeatures(
            *(getattr(self.features, name)[:0]
              for name in ('embeddings', 'logits', 'labels')))
        return StreamLoss([0 * c for c in self.classification], {
            k: 0 * v
            for k, v in self.others.items()
        }, features)

    def total(self):
        """Sum of all terms, a scalar tensor."""
        return self._mean() + sum(self.others.values())

    def _mean(self):
        return sum(c.mean() for c in self.classification)

    def logged(self, stream):
        """Detached terms for the log, under keys without the word loss.

        mmengine adds every key that contains ``loss`` to the objective.
        """
        terms = {f'{stream}/cls': self._mean().detach()}
        for key, value in self.others.items():
            if '.' not in key:
                terms[f'{stream}/{key}'] = value.detach()
        return terms
