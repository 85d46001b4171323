"""Where the embeddings of a model are, and what classifies them."""
from contextlib import contextmanager

import torch

from ..utils import ForgetError


def embeddings_of(head, feats):
    """What the last layer of a classifier's head sees.

    Args:
        head (ClsHead): The head.
        feats (tuple): What the backbone gives it.

    Returns:
        Tensor: Shape (N, D).

    Raises:
        ForgetError: If there is no such layer, or more than one.
    """
    if not hasattr(head, 'pre_logits'):
        raise ForgetError(f'the head {type(head).__name__} gives no '
                          'embeddings; use a method without prototypes and '
                          'teacher, such as GSLoRA')
    found = head.pre_logits(feats)
    if not isinstance(found, torch.Tensor):
        raise ForgetError(
            f'the head {type(head).__name__} gives more than one embedding; '
            'use a method without prototypes and teacher, such as GSLoRA')
    return found.flatten(1)


def head_logits(head, embeddings):
    """What the last layer of a classifier's head makes of embeddings.

    Args:
        head (ClsHead): The head.
        embeddings (Tensor): Shape (N, D).

    Returns:
        Tensor: Logits (N, C), of margin heads without margin.

    Raises:
        ForgetError: If the head does not classify what its ``pre_logits``
            returns.
    """
    used = []

    def pre_logits(feats):
        used.append(True)
        return embeddings

    # mmpretrain's heads have no other way in behind their hidden layers.
    head.pre_logits = pre_logits
    try:
        logits = head((embeddings, ))
    finally:
        del head.pre_logits
    if not used or not isinstance(logits, torch.Tensor):
        raise ForgetError(
            f'the head {type(head).__name__} does not classify what its '
            'pre_logits returns; use a method without prototypes and teacher, '
            'such as GSLoRA')
    return logits


def class_rows(head):
    """Rows of a classifier's last layer, one per class.

    Args:
        head (ClsHead): The head.

    Returns:
        Tensor: Shape (C, D).

    Raises:
        ForgetError: If it has none, or several for each class.
    """
    count = getattr(head, 'num_classes', None)
    rows = [
        p for p in head.parameters() if p.ndim == 2 and p.shape[0] == count
    ]
    if len(rows) != 1:
        raise ForgetError(
            f"forget.prototypes.source='weight' takes the one layer of the "
            f'head with a row for each class, of which {type(head).__name__} '
            f"has {len(rows)}; use source='mean'")
    return rows[0]


def last_classifier(detector):
    """The layer that classifies the queries of the last decoder layer.

    Args:
        detector (DetectionTransformer): The detector.

    Returns:
        nn.Linear: Has a row for each class, and one for the background where
        the head ends in a softmax.
    """
    head = detector.bbox_head
    if hasattr(head, 'cls_branches'):
        # Two-stage detectors have one more, for the encoder's proposals.
        return head.cls_branches[detector.decoder.num_layers - 1]
    return head.fc_cls


@contextmanager
def matched_once(head):
    """Let a DETR head remember the matching of the queries it has seen.

    Several terms of a loss look at the same predictions, and the Hungarian
    algorithm is the slow part of each. Targets are constants, so that no
    gradient is recorded.

    Args:
        head (DETRHead): The head; as before when the block is left.
    """
    match, known = head.get_targets, {}

    def get_targets(scores, *args, **kwargs):
        key = tuple((s.data_ptr(), s.shape) for s in scores)
        if key not in known:
            # The tensors are kept: their memory must not get new content.
            with torch.no_grad():
                known[key] = scores, match(scores, *args, **kwargs)
        return known[key][1]

    head.get_targets = get_targets
    try:
        yield
    finally:
        del head.get_targets
