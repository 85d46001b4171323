"""GS-LoRA++."""
import torch
from mmengine.dist import get_world_size

from ..registry import METHODS
from ..utils import ForgetError
from ..utils.ranks import mean_over_ranks
from .base import check_numbers
from .gs_lora import GSLoRA
from .prototype_distances import DISTANCES
from .prototype_file import load_prototypes


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

    A prototype is a mean, and the samples of a class lie around it. Drawing
    all of them into it changes the model more than keeping them does. With
    ``prototype_slack`` s a retained sample counts with
    :math:`\mathrm{ReLU}(D - s \bar D_c)` instead, where :math:`\bar D_c` is
    the mean distance of its class in the original model: only what has left
    its place is brought back. This is not in the paper.

    Args:
        prototype_forget (float): w_f. Defaults to 0.01.
        prototype_retain (float): w_r. Defaults to 0.01.
        prototype_bound (float, optional): BND_pro, the distance at which
            forgotten classes are far enough. Defaults to 18 (published), with
            cosines to 1.
        prototype_slack (float): s. Defaults to 0 (published).
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
                 prototype_slack=0.,
                 distance='kl',
                 prototypes=None,
                 **options):
        super().__init__(**options)
        check_numbers(
            type(self).__name__,
            dict(
                prototype_forget=prototype_forget,
                prototype_retain=prototype_retain,
                prototype_bound=prototype_bound,
                prototype_slack=prototype_slack),
            optional=('prototype_bound', ))
        if distance not in DISTANCES:
            raise ForgetError(
                f'distance of {type(self).__name__} must be one of '
                f'{", ".join(DISTANCES)}, not {distance!r}')
        self.prototype_forget = prototype_forget
        self.prototype_retain = prototype_retain
        self.prototype_slack = prototype_slack
        self.distance = distance
        natural = DISTANCES[distance].bound
        self.prototype_bound = (
            natural if prototype_bound is None else prototype_bound)
        self.prototype_file, self._prototypes = prototypes, None

    def losses(self, forget, retain, groups):
        """See :meth:`ForgettingMethod.losses`."""
        terms = super().losses(forget, retain, groups)
        parts = []
        for stream, loss in (('forget', forget), ('retain', retain)):
            if loss is not None and (len(loss.features.labels)
                                     or get_world_size() > 1):
                distances, known, usual = self.distances(loss.features)
                mean, some = mean_over_ranks(distances, known)
                terms[f'{stream}/prototype'] = mean.detach()
                if stream == 'forget':
                    parts.append(self.prototype_forget * some *
                                 torch.relu(self.prototype_bound - mean))
                else:
                    far = torch.relu(distances - self.prototype_slack * usual)
                    parts.append(self.prototype_retain *
                                 mean_over_ranks(far, known)[0])
        if parts:
            terms['loss_prototype'] = sum(parts)
        return terms

    def distances(self, features):
        """Distances of samples from the prototypes of their classes.

        Args:
            features (StreamFeatures): Of N samples.

        Returns:
            tuple[Tensor, Tensor, Tensor]: The distances; whether there is a
            prototype (bool; else the distance means nothing); and what is
            usual in the class in the original model. Shape (N, ) each.
        """
        prototypes = self._load(features.labels.device)
        rule = DISTANCES[self.distance]
        # In full precision: softmax of D entries under autocast has none.
        found = getattr(features, rule.looks_at).float()
        expected = getattr(prototypes, rule.looks_at)[features.labels]
        known = prototypes.counts[features.labels] > 0
        column = list(DISTANCES).index(self.distance)
        usual = prototypes.spreads[features.labels, column]
        return rule.measure(found, expected), known, usual

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
