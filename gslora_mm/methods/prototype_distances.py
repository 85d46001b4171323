"""How far samples are from the prototypes of their classes."""
from typing import Callable, NamedTuple

from torch.nn import functional as F


def kl_divergence(found, expected):
    """``KL(softmax(expected) || softmax(found))`` of each row.

    Args:
        found (Tensor): Of the samples, shape (N, D).
        expected (Tensor): Of their prototypes, shape (N, D).

    Returns:
        Tensor: Shape (N, ).
    """
    return F.kl_div(
        found.log_softmax(1),
        expected.log_softmax(1),
        reduction='none',
        log_target=True).sum(1)


def cosine_distance(found, expected):
    """``1 - cos`` of each row; see :func:`kl_divergence`."""
    return 1 - F.cosine_similarity(found, expected)


class Distance(NamedTuple):
    """A distance of samples from prototypes.

    Args:
        looks_at (str): ``'embeddings'`` or ``'logits'``.
        measure (Callable): Takes those of N samples and of their prototypes.
        bound (float): BND_pro unless one is given.
    """
    looks_at: str
    measure: Callable
    bound: float


# 18 is published; embeddings at a right angle have nothing in common.
DISTANCES = dict(
    kl=Distance('embeddings', kl_divergence, 18.),
    logits=Distance('logits', kl_divergence, 18.),
    cosine=Distance('embeddings', cosine_distance, 1.))
