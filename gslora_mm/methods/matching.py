"""How far a student's features and outputs are from a teacher's."""
import torch

from ..utils import ForgetError
from .distances import binary_divergence


def relative_error(found, wanted, weights=None):
    r"""Mean squared error as a share of the teacher's mean square.

    .. math:: \frac{\frac1n \sum_i w_i \lVert s_i - t_i\rVert^2}
        {\frac1n \sum_i \lVert t_i\rVert^2}

    Args:
        found (Tensor): The student's, (..., D).
        wanted (Tensor): The teacher's, of the same shape; a constant.
        weights (Tensor, optional): w, of shape (...). Defaults to 1.

    Returns:
        Tensor: A scalar.
    """
    found, wanted = found.float(), wanted.detach().float()
    errors = (found - wanted).square().mean(-1)
    if weights is not None:
        errors = errors * weights
    scale = wanted.square().mean()
    return errors.mean() / scale.clamp(min=_tiny(scale))


def feature_error(found, wanted, weights=None, mahalanobis=.1, shrinkage=.02):
    r"""Relative error, and the error in the metric of a linear probe.

    .. math:: \frac1{nD} \sum_i w_i (s_i - t_i)^\top
        (\tfrac1c I + m \Sigma^{-1}) (s_i - t_i)

    with c the teacher's mean square. What a linear probe can tell apart is
    what lies apart in units of the spread: a gap in a direction along which
    features hardly differ is next to nothing of a mean square, and all that a
    probe needs.

    Args:
        found (Tensor): The student's s, (..., D).
        wanted (Tensor): The teacher's t, of the same shape; a constant.
        weights (Tensor, optional): w, of shape (...); what has 0 is not in
            the covariance either. Defaults to 1.
        mahalanobis (float): m. With 0, :func:`relative_error`. Defaults to
            0.1.
        shrinkage (float): Share of the mean variance that is added to the
            diagonal of :math:`\Sigma`, the covariance of s, a constant.
            Defaults to 0.02.

    Returns:
        Tensor: A scalar.

    Source: the metric of Fisher's linear discriminant (Annals of Eugenics 7,
        1936), with the covariance shrunk as by Ledoit and Wolf (Journal of
        Multivariate Analysis 88, 2004), but by a fixed share.
    """
    if not mahalanobis:
        return relative_error(found, wanted, weights)
    gaps = found.float() - wanted.detach().float()
    with torch.no_grad(), torch.autocast(gaps.device.type, enabled=False):
        metric = mahalanobis * _precision(found.float(), weights, shrinkage)
        scale = wanted.float().square().mean()
        metric.diagonal().add_(1 / scale.clamp(min=_tiny(scale)))
        # One product serves both metrics.
        moved = gaps @ metric / gaps.numel()
        if weights is not None:
            moved = moved * weights[..., None]
    # Of a constant metric: the gradient is twice what is moved.
    error = (moved * gaps).sum()
    return 2 * error - error.detach()


def _precision(tokens, weights, shrinkage):
    """Inverse of the shrunk covariance of tokens (..., D) that count."""
    tokens = tokens.flatten(0, -2)
    counts = tokens.new_ones(len(tokens), 1)
    if weights is not None:
        counts = (weights.reshape(-1, 1) > 0).to(tokens)
    number = counts.sum().clamp(min=1)
    tokens = (tokens - counts.T @ tokens / number) * counts
    covariance = tokens.T @ tokens / number
    ridge = shrinkage * covariance.diagonal().mean()
    covariance.diagonal().add_(ridge.clamp(min=torch.finfo(tokens.dtype).eps))
    # Unlike inv it raises nothing where a training has diverged.
    return torch.cholesky_inverse(torch.linalg.cholesky_ex(covariance)[0])


def _tiny(value):
    return torch.finfo(value.dtype).tiny


def largest_scores(said):
    """The largest score of every query, background left out.

    Args:
        said (StreamOutputs): Of a detector, logits (N, Q, C).

    Returns:
        Tensor: Shape (N, Q), constants.
    """
    logits = said.logits.detach().float()
    if said.sigmoid:
        return logits.sigmoid().amax(-1)
    return logits.softmax(-1)[..., :-1].amax(-1)


def score_divergence(student, teacher, gone=()):
    r"""Cross entropy of scores beyond the entropy of the teacher's.

    The Kullback-Leibler divergence of the student's scores from the
    teacher's, for each class where each has a sigmoid of its own: the
    gradient of the binary cross entropy, and 0 where both agree. Summed over
    queries and divided by the number of objects that the teacher sees, as a
    detector's own loss.

    Args:
        student (StreamOutputs): Logits (N, Q, C).
        teacher (StreamOutputs): The same of the teacher.
        gone (Sequence[int]): Classes whose scores the teacher shall have at
            0, whatever it says. Defaults to none.

    Returns:
        Tensor: A scalar.
    """
    found = student.logits.float()
    wanted = teacher.logits.detach().float().clone()
    wanted[..., list(gone)] = -torch.inf
    if student.sigmoid:
        each = binary_divergence(found, wanted.sigmoid())
    else:
        scores = wanted.softmax(-1)
        each = torch.xlogy(scores, scores) - scores * found.log_softmax(-1)
    return each.sum() / largest_scores(teacher).sum().clamp(min=1)


def box_distance(student, teacher):
    """L1 distance of boxes, weighted by the teacher's largest scores.

    Args:
        student (StreamOutputs): Boxes (N, Q, 4).
        teacher (StreamOutputs): The same, with logits.

    Returns:
        Tensor: A scalar, the weighted mean over queries of the sum over the
        four numbers.
    """
    weights = largest_scores(teacher)
    gaps = (student.boxes.float() - teacher.boxes.detach().float()).abs()
    return (gaps.sum(-1) * weights).sum() / weights.sum().clamp(min=1)


def excess(student, teacher, gone):
    """How far logits of some classes are above the teacher's.

    Args:
        student (StreamOutputs): Logits (N, Q, C).
        teacher (StreamOutputs): The same of the teacher.
        gone (Sequence[int]): The classes.

    Returns:
        Tensor: A scalar, the mean square of what is above, 0 for what is
        below.
    """
    found, wanted = (
        said.logits[..., list(gone)].float() for said in (student, teacher))
    return torch.relu(found - wanted.detach()).square().mean()


def raised(chosen, weight, most=None, known=None):
    r"""What each of many counts, where some count more, within a limit.

    Args:
        chosen (Tensor): Those that count more; bool, any shape.
        weight (float): What each of them counts.
        most (float, optional): m; together they count at most m times what
            the others do, but never less than 1 each:
            :math:`\min(w, \max(1, m \frac{others}{chosen}))`. Defaults to
            no limit.
        known (Tensor, optional): What counts at all, of the same shape.
            Defaults to all.

    Returns:
        Tensor: The weights: 1 for the others, 0 for what does not count.
    """
    if known is None:
        known = torch.ones_like(chosen)
    weights = known.float()
    chosen = chosen & known
    weight = weights.new_tensor(weight)
    if most is not None:
        number = chosen.sum()
        limit = most * (known.sum() - number) / number.clamp(min=1)
        weight = torch.minimum(weight, limit.clamp(min=1.))
    return torch.where(chosen, weight, weights)


def token_weights(grids, tokens, painted, extents, inside=1., most=None):
    """What the tokens of some images count.

    Args:
        grids (list[tuple[int]]): Heights and widths of the maps of features.
        tokens (int): T, in the order of the maps (of the last one alone in
            detectors of a single level), row by row.
        painted (list[Tensor]): For each image boxes x1, y1, x2, y2 as shares
            of the padded image, (K, 4).
        extents (Tensor): Shares that are no padding, widths and heights,
            (N, 2).
        inside (float): Weight of a token whose cell touches a box.
        most (float, optional): See :func:`raised`. Defaults to no limit.

    Returns:
        Tensor: Shape (N, T): ``inside`` or what the limit leaves of it, 1 for
        the others, 0 in the padding.

    Raises:
        ForgetError: If the tokens are not those of the maps.
    """
    if sum(h * w for h, w in grids) != tokens:
        grids = grids[-1:]
    if sum(h * w for h, w in grids) != tokens:
        raise ForgetError(
            f'the encoder returns {tokens} tokens, which are not the cells of '
            'its maps of features; set forget.method.inside=None')
    whole = torch.cat([torch.zeros_like(extents), extents], 1)
    touched, known = (
        torch.stack([_touched(grids, boxes) for boxes in each])
        for each in (painted, whole[:, None]))
    return raised(touched, inside, most, known)


def looking_queries(boxes, painted, extents):
    """Which queries have the centre of their box in a painted one.

    Args:
        boxes (Tensor): Of the queries, cx, cy, w, h as shares of the image
            without its padding, (N, Q, 4).
        painted (list[Tensor]): See :func:`token_weights`.
        extents (Tensor): See :func:`token_weights`.

    Returns:
        Tensor: bool (N, Q).
    """
    centres = boxes.detach()[..., :2].float() * extents[:, None]
    found = []
    for points, areas in zip(centres, painted):
        within = ((points[:, None] >= areas[:, :2]) &
                  (points[:, None] <= areas[:, 2:]))
        found.append(within.all(-1).any(-1))
    return torch.stack(found)


def _touched(grids, boxes):
    """Which cells of some maps a box has a part of; bool (T, )."""
    found = []
    for height, width in grids:
        sides = []
        for cells, first in ((height, 1), (width, 0)):
            edges = torch.arange(cells + 1, device=boxes.device) / cells
            sides.append((edges[1:] > boxes[:, first, None])
                         & (edges[:-1] < boxes[:, first + 2, None]))
        both = sides[0][:, :, None] & sides[1][:, None]
        found.append(both.any(0).flatten())
    return torch.cat(found)
