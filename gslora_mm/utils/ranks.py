"""Losses of a batch that several processes share.

DistributedDataParallel averages gradients over the processes. What is linear
in the images is right by that; a bound on a mean, or a mean over as many
objects as a process happens to hold, is not: it needs the number of all.
"""
import torch
from mmengine.dist import all_reduce, get_world_size


def share_values(scalars):
    """Give scalars their mean over all processes, and leave the gradients.

    Every process must call it with as many.

    Args:
        scalars (list[Tensor]): Of one process, one element each.

    Returns:
        list[Tensor]: With the value of the whole batch; the gradients are
        those of the process.
    """
    if get_world_size() == 1 or not scalars:
        return scalars
    own = torch.stack([s.detach().float().reshape(()) for s in scalars])
    mean = own.clone()
    all_reduce(mean, 'mean')
    return [s + (m - o).to(s) for s, m, o in zip(scalars, mean, own)]


def mean_over_ranks(values, known):
    """Mean over the samples of all processes.

    Every process must call it, without samples as well.

    Args:
        values (Tensor): Of the samples of this process, shape (N, ).
        known (Tensor): Which of them count, bool of shape (N, ).

    Returns:
        tuple[Tensor, Tensor]: The mean, 0 if no sample counts; its gradient,
        averaged over the processes, is that of one process with all samples.
        And whether any sample counts, a bool.
    """
    total, count = (values * known).sum(), known.sum().to(values)
    ranks = get_world_size()
    if ranks == 1:
        return total / count.clamp(min=1), count > 0
    seen = torch.stack([total.detach(), count])
    all_reduce(seen, 'sum')
    count = seen[1].clamp(min=1)
    own = total * ranks / count
    return own + (seen[0] / count - own).detach(), seen[1] > 0


def anywhere(numbers):
    """Which of some counts are not 0 in all processes.

    Args:
        numbers (list[int]): Of this process.

    Returns:
        list[bool]: The same in all.
    """
    if get_world_size() == 1:
        return [number > 0 for number in numbers]
    seen = torch.tensor(numbers)
    if torch.cuda.is_available():
        seen = seen.cuda()
    all_reduce(seen, 'sum')
    return [number > 0 for number in seen.tolist()]
