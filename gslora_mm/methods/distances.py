"""How far a student is from its teacher, over the axis of the classes."""
import torch
from torch.nn import functional as F


def distillation(student, teacher, temperature=1.):
    r"""Knowledge distillation, ``T^2 KL(teacher || student)``.

    Where a softmax makes scores of logits, the divergence of the two
    distributions over the classes at temperature T. Where every class has a
    sigmoid of its own, as in detectors with a focal loss, the sum of those of
    the classes, each of two outcomes.

    Args:
        student (StreamOutputs): Logits (..., C).
        teacher (StreamOutputs): The same of the teacher.
        temperature (float): T.

    Returns:
        Tensor: A scalar, the mean over images (and queries).

    Source: Hinton et al., arXiv 1503.02531, section 2.
    """
    found = student.logits.float() / temperature
    wanted = teacher.logits.float() / temperature
    if student.sigmoid:
        # Minus the entropy of the teacher, which has no gradient.
        each = F.binary_cross_entropy_with_logits(
            found, wanted.sigmoid(),
            reduction='none') - F.binary_cross_entropy_with_logits(
                wanted, wanted.sigmoid(), reduction='none')
    else:
        each = F.kl_div(
            found.log_softmax(-1),
            wanted.log_softmax(-1),
            reduction='none',
            log_target=True)
    return temperature**2 * each.sum(-1).mean()


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
