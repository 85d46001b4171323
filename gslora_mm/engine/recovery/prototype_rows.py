"""Forgotten classes brought back without a gradient."""
import torch
from torch.nn.functional import normalize

from ...methods import ForgettingMethod
from ...registry import METHODS
from ...utils import ForgetError


@METHODS.register_module()
class PrototypeRows(ForgettingMethod):
    r"""The reverse of forgetting: class rows from a few embeddings.

    With :math:`\mu_c` the mean embedding of a few images of class c
    (objects, of a detector: of the queries matched to them) the row of each
    forgotten class becomes

    .. math:: w_c \leftarrow s\,n(a\,n(d_c) + (1 - a)\,n(w_c)), \quad
        n(x) = x / \lVert x \rVert

    where s is the mean norm of the retained rows. A head without bias, such
    as a cosine head, has :math:`d_c = \mu_c`, the prototypical relearning
    attack on unlearned models. With a bias, embeddings share a mean that
    says nothing of their class: :math:`d_c = \mu_c - \bar\mu`, with
    :math:`\bar\mu` the mean over the retained classes, and the bias is such
    that :math:`w_c \mu_c + b_c` is what retained classes have on average.

    Args:
        mix (float): a, in (0, 1]. Defaults to 0.5.

    Raises:
        ForgetError: If it is out of range.
    """

    trains = False

    def __init__(self, mix=.5):
        if isinstance(
                mix, bool) or not isinstance(mix,
                                             (int, float)) or not 0 < mix <= 1:
            raise ForgetError(f'mix of PrototypeRows is {mix!r}; it must be '
                              'above 0 and at most 1')
        self.mix = mix

    def edit(self, state, context):
        """See :meth:`ForgettingMethod.edit`."""
        means = mean_embeddings(context)
        lost = [c for c in context.forgotten if c not in means]
        known = [c for c in context.retain if c in means]
        if lost or not known:
            raise ForgetError('no embedding of class '
                              f'{", ".join(map(str, lost)) or "that stays"}: '
                              'no query is matched to an object of it')
        weight, bias = last_layer(context.model)
        rows = state[weight[0]].float()
        found = prototype_rows(rows,
                               None if not bias else state[bias[0]].float(),
                               means, context.forgotten, known, self.mix)
        for keys, values in zip((weight, bias), found):
            for key in keys:
                state[key] = state[key].clone()
                state[key][context.forgotten] = values.to(state[key].dtype)
        return state


@torch.no_grad()
def mean_embeddings(context):
    """Mean embedding of each class over the images of a request.

    Args:
        context (RequestContext): The request.

    Returns:
        dict[int, Tensor]: Shape (D, ) each, on the CPU, by label.
    """
    found = {}
    for stream in ('forget', 'retain'):
        for inputs, samples in context.batches(stream):
            features = context.model.features(inputs, samples)
            for row, label in zip(features.embeddings.float().cpu(),
                                  features.labels.tolist()):
                found.setdefault(label, []).append(row)
    return {label: torch.stack(rows).mean(0) for label, rows in found.items()}


def last_layer(model):
    """Keys of the layer that classifies last, under all of its names.

    Args:
        model (ForgettingMixin): The model.

    Returns:
        tuple[list[str], list[str]]: Of the weight and of the bias; no key
        without a bias.
    """
    params = dict(model.named_parameters(remove_duplicate=False))
    place = model.class_rows().data_ptr()
    pairs = [(weight, bias) for weight, bias in model.class_row_keys()
             if params[weight].data_ptr() == place]
    return ([weight for weight, _ in pairs],
            [bias for _, bias in pairs if bias is not None])


def prototype_rows(rows, bias, means, forgotten, retain, mix):
    """Rows and biases of :class:`PrototypeRows`.

    Args:
        rows (Tensor): Of the last layer, (C, D).
        bias (Tensor | None): Its bias, (C, ).
        means (dict[int, Tensor]): Mean embeddings (D, ) by label.
        forgotten (list[int]): Labels whose rows are made.
        retain (list[int]): Labels to measure them by.
        mix (float): a.

    Returns:
        tuple[Tensor, Tensor | None]: (len(forgotten), D) and
        (len(forgotten), ).
    """
    own = torch.stack([means[c] for c in retain])
    lost = torch.stack([means[c] for c in forgotten])
    size = rows[retain].norm(dim=1).mean()
    aim = lost if bias is None else lost - own.mean(0)
    made = size * normalize(mix * normalize(aim) +
                            (1 - mix) * normalize(rows[forgotten]))
    if bias is None:
        return made, None
    usual = ((rows[retain] * own).sum(1) + bias[retain]).mean()
    return made, usual - (made * lost).sum(1)
