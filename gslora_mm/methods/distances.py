"""How far a student is from its teacher, over the axis of the classes."""
import torch
from torch.nn import functional as F


def distillation(student, teacher, temperature=1., columns=None):
    r"""Knowledge distillation, ``T^2 KL(teacher || student)``.

    Where a softmax makes scores of logits, the divergence of the two
    distributions over the classes at temperature T. Where every class has a
    sigmoid of its own, as in detectors with a focal loss, the sum of those of
    the classes, each of two outcomes.

    Args:
        student (StreamOutputs): Logits (..., C).
        teacher (StreamOutputs): The same of the teacher.
        temperature (float): T.
        columns (Sequence[int], optional): Of which logits alone. Defaults to
            all.

    Returns:
        Tensor: A scalar, the mean over images (and queries).

    Source: Hinton et al., arXiv 1503.02531, section 2.
    """
    found, wanted = ((said.logits if columns is None else
                      said.logits[..., columns]).float() / temperature
                     for said in (student, teacher))
    if student.sigmoid:
        each = binary_divergence(found, wanted.sigmoid())
    else:
        each = F.kl_div(
            found.log_softmax(-1),
            wanted.log_softmax(-1),
            reduction='none',
            log_target=True)
    return temperature**2 * each.sum(-1).mean()


def masked_distillation(student, teacher, gone):
    r"""Distillation from a teacher that does not know some classes.

    Its softmax has their logits at minus infinity, ``KL(softmax(z_0 without
    them) || softmax(z))``; with sigmoids, their scores are 0.

    Args:
        student (StreamOutputs): Logits (..., C).
        teacher (StreamOutputs): The same of the teacher.
        gone (Sequence[int]): Their labels.

    Returns:
        Tensor: A scalar, the mean over images (and queries).

    Source: Zhou et al., Decoupled Distillation to Erase, CVPR 2025.
    """
    found, wanted = student.logits.float(), teacher.logits.detach().float(
    ).clone()
    # exp(-inf) and sigmoid(-inf) are 0.
    wanted[..., gone] = -torch.inf
    if student.sigmoid:
        each = binary_divergence(found, wanted.sigmoid())
    else:
        each = F.kl_div(
            found.log_softmax(-1), wanted.softmax(-1), reduction='none')
    return each.sum(-1).mean()


def binary_divergence(found, wanted):
    """KL of two outcomes each, from logits and the probabilities wanted."""
    cross = F.binary_cross_entropy_with_logits(found, wanted, reduction='none')
    return cross + torch.xlogy(wanted, wanted) + torch.xlogy(
        1 - wanted, 1 - wanted)


def distance(student, teacher):
    """Euclidean distance of logits.

    Args:
        student (StreamOutputs): Logits (..., C).
        teacher (StreamOutputs): The same of the teacher.

    Returns:
        Tensor: A scalar: the norm over the classes, the mean over images (and
        queries). Its gradient is 0 where both are the same.
    """
    gap = student.logits.float() - teacher.logits.float()
    return torch.linalg.vector_norm(gap, dim=-1).mean()


def square_distance(student, teacher):
    """Squared Euclidean distance of logits.

    Args:
        student (StreamOutputs): Logits (..., C).
        teacher (StreamOutputs): The same of the teacher.

    Returns:
        Tensor: A scalar: the sum over the classes, the mean over images (and
        queries).
    """
    gap = student.logits.float() - teacher.logits.float()
    return torch.square(gap).sum(-1).mean()


def tempered(value, limit):
    r"""A loss that grows by its logarithm from a limit on.

    The value itself up to the limit c, above it :math:`c (1 + \log(v / c))`,
    whose slope starts at 1 and falls: a batch far off, of which the metric
    makes a huge value, weighs no more beside the other terms.

    Args:
        value (Tensor): v, not negative.
        limit (float): c.

    Returns:
        Tensor: Of the same shape.
    """
    return value.clamp(
        max=limit) + limit * torch.log(value.clamp(min=limit) / limit)
