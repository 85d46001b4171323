"""GS-LoRA++."""
import torch
from torch.nn import functional as F

from ..registry import METHODS
from ..utils import ForgetError
from .base import check_numbers
from .gs_lora import GSLoRA
from .prototype_file import load_prototypes


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


# Distance: what it looks at, how, and the bound unless one is given. 18 is
# published; embeddings at a right angle have nothing in common.
DISTANCES = dict(
    kl=('embeddings', kl_divergence, 18.),
    logits=('logits', kl_divergence, 18.),
    cosine=('embeddings', cosine_distance, 1.))


@METHODS.register_module()
class GSLoRAPlusPlus(GSLoRA):
    r"""Group Sparse LoRA with prototypes.

    .. math::
        L = L_{GS-LoRA} + w_f \mathrm{ReLU}(BND_{pro} - D_{forget}) +
        w_r D_{retain}

    where D is the mean distance of the embeddings of a stream from the
    prototypes of their classes in the *original* model: forgotten classes
    leave theirs, retained ones stay close. Where samples are few, a prototype
    says more about a class than they do. `Practical Continual Forgetting for
    Pre-trained Vision Models <https://arxiv.org/abs/2501.09705>`_.

    The published scripts have w_r at 0 throughout: what retained classes
    should stay close to is not used there.

    Args:
        prototype_forget (float): w_f. Defaults to 0.01.
        prototype_retain (float): w_r. Defaults to 0.01.
        prototype_bound (float, optional): BND_pro, the distance at which
            forgotten classes are far enough. Defaults to 18 (published), with
            cosines to 1.
        distance (str): ``'kl'`` (published),
            :math:`KL(softmax(p) \Vert softmax(z))` of embeddings;
            ``'logits'``, the same of what the last layer makes of them; or
            ``'cosine'``, one minus the cosine of embeddings.
        prototypes (str, optional): The file; the engine fills it in.
        **options: Arguments of :class:`GSLoRA`.

    Samples of a class without a prototype are left out.

    Raises:
        ForgetError: If an argument is out of range.
    """

    needs_features = True
    needs_prototypes = True

    def __init__(self,
                 *,
                 prototype_forget=0.01,
                 prototype_retain=0.01,
                 prototype_bound=None,
                 distance='kl',
                 prototypes=None,
                 **options):
        super().__init__(**options)
        check_numbers(
            type(self).__name__,
            dict(
                prototype_forget=prototype_forget,
                prototype_retain=prototype_retain,
                prototype_bound=prototype_bound),
            optional=('prototype_bound', ))
        if distance not in DISTANCES:
            raise ForgetError(
                f'distance of {type(self).__name__} must be one of '
                f'{", ".join(DISTANCES)}, not {distance!r}')
        self.prototype_forget = prototype_forget
        self.prototype_retain = prototype_retain
        self._looks_at, self._distance, natural = DISTANCES[distance]
        self.prototype_bound = (
            natural if prototype_bound is None else prototype_bound)
        self.prototype_file, self._prototypes = prototypes, None

    def losses(self, forget, retain, groups):
        """See :meth:`ForgettingMethod.losses`."""
        terms = super().losses(forget, retain, groups)
        near = {}
        for stream, loss in (('forget', forget), ('retain', retain)):
            if loss is not None and len(loss.features.labels):
                near[stream] = self.mean_distance(loss.features)
                terms[f'{stream}/prototype'] = near[stream][0].detach()
        total = 0
        if 'forget' in near:
            distance, some = near['forget']
            total = self.prototype_forget * some * torch.relu(
                self.prototype_bound - distance)
        if 'retain' in near:
            total = total + self.prototype_retain * near['retain'][0]
        if near:
            terms['loss_prototype'] = total
        return terms

    def mean_distance(self, features):
        """Mean distance of samples from the prototypes of their classes.

        Args:
            features (StreamFeatures): Of N samples.

        Returns:
            tuple[Tensor, Tensor]: The mean over those that have a prototype,
            0 if none has; and whether any has. Scalars.
        """
        known = self._load(features.labels.device)
        # In full precision: softmax of D entries under autocast has none.
        found = getattr(features, self._looks_at).float()
        expected = getattr(known, self._looks_at)[features.labels]
        counts = (known.counts[features.labels] > 0).float()
        distances = self._distance(found, expected)
        total = (distances * counts).sum() / counts.sum().clamp(min=1)
        return total, counts.any()

    def _load(self, device):
        """The prototypes on a device, read once."""
        if self._prototypes is None:
            if self.prototype_file is None:
                raise ForgetError(
                    f'{type(self).__name__} needs prototypes=FILE; '
                    'tools/train.py computes it')
            self._prototypes = load_prototypes(self.prototype_file)[0]
        if self._prototypes.counts.device != device:
            self._prototypes = self._prototypes.to(device)
        return self._prototypes
