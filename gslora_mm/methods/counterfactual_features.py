"""Classifiers: features of what an image would be taken for without."""
import torch
from torch import nn

from ..lora.blocks import find_blocks
from ..registry import METHODS
from ..utils import ForgetError
from .base import check_numbers
from .class_statistics import ClassStatistics, KeyGroups
from .distances import masked_distillation, tempered
from .drawn_anew import DrawnAnew
from .matching import relative_error

# Values of the metric from which they are tempered: those of a training that
# goes well stay below a tenth.
_MOMENTUM, _RIDGE, _LIMIT = .9, 1e-3, 100.


@METHODS.register_module()
class CounterfactualFeatures(DrawnAnew):
    r"""An image of a forgotten class looks, inside, like what it resembles.

    The original model :math:`p_0` without the classes, their logits at
    :math:`-\infty` (:math:`\bar p_0`, as :class:`DELETE`), says what an image
    would be taken for: :math:`t(x) = \arg\max \bar p_0(x)`. Outputs learn
    :math:`\bar p_0`. Features h of the last blocks, and the embeddings,
    learn to be those of class t: in the metric of the covariance inside of
    classes, in which a linear probe looks at them, the mean of the images of
    c taken for t comes to lie on the mean of class t.

    .. math::
        L = KL_f + \lambda_r KL_r + \sum_l \Big( w_m \frac1D
        \sum_{c,t} \frac{n_{ct}}{n} \lVert \mu^l_{ct} - \mu^l_t
        \rVert^2_{\Sigma_l^{-1}} + w_s \frac1D \overline{\lVert
        h^l(x_f) - \mu^l_t \rVert^2_{\Sigma_l^{-1}}} + \lambda_r w_k
        d(h^l(x_r), h_0^l(x_r)) \Big)

    Means are running ones of the model that learns, and :math:`\Sigma_l` is
    the covariance of its retained features around the original means:
    whatever direction tells the classes apart now counts most; sums over the
    blocks above 100 variances count by their logarithm (:func:`tempered`).
    Nothing is raised without a bound. With the group penalty of
    :class:`GroupSparsity` on top. Of a later request the teacher is the model
    that it finds: the original one, as a target for what stays, would bring
    back inside what is forgotten, of which no image is left. Stores nothing
    between requests. Of several processes each has the means of its own
    images.

    Args:
        means (float): :math:`w_m`. Defaults to 20.
        spread (float): :math:`w_s`. Defaults to 4.
        keep (float): :math:`w_k`; d is the squared error as a share of the
            original features' mean square, and :math:`\frac1D` of it in the
            metric. Defaults to 1.
        scores (float): Weight of both divergences. Defaults to 3.
        retain (float): :math:`\lambda_r`. Defaults to 10.
        blocks (int): How many blocks, counted from the last. Defaults to 3.
        teacher_cache (float): Megabytes for what the teacher said of images
            that come again, where ``forget.data.variants`` or the pipeline
            lets them. Defaults to 0: it is asked each time.
        half_cache (bool): Keep it in half precision. Defaults to False.
        anew, anew_epochs: See :class:`DrawnAnew`. Default to 0 and 1.
        alpha, sparsity_start, sparsity_end, mode: See
            :class:`GroupSparsity`. Default to 0, 0, None, ``'proximal'``.

    Raises:
        ForgetError: If an argument is out of range.
    """

    needs_outputs = True
    needs_teacher = ('forget', 'retain')
    needs_losses = ()
    teacher_from = 'request'

    def __init__(self,
                 means=20.,
                 spread=4.,
                 keep=1.,
                 scores=3.,
                 retain=10.,
                 blocks=3,
                 teacher_cache=0.,
                 half_cache=False,
                 anew=0.,
                 anew_epochs=1,
                 alpha=0.,
                 sparsity_start=0,
                 sparsity_end=None,
                 mode='proximal'):
        super().__init__(anew, anew_epochs, alpha, sparsity_start,
                         sparsity_end, mode)
        owner = type(self).__name__
        self.weights = dict(
            means=means, spread=spread, keep=keep, scores=scores)
        check_numbers(
            owner,
            dict(self.weights, retain=retain, teacher_cache=teacher_cache))
        if isinstance(blocks,
                      bool) or not isinstance(blocks, int) or blocks < 0:
            raise ForgetError(f'blocks of {owner} must be a whole number >= '
                              f'0, not {blocks!r}')
        self.retain, self.needs_blocks = retain, blocks
        self.teacher_cache, self.half_cache = teacher_cache, bool(half_cache)
        self.forgotten, self._statistics = [], {}

    def extra_modules(self, model):
        """See :meth:`ForgettingMethod.extra_modules`.

        Raises:
            ForgetError: If the model is no classifier, or has fewer blocks.
        """
        if not hasattr(model, 'head'):
            raise ForgetError(
                f'{type(self).__name__} is for classifiers; a detector '
                'forgets by CounterfactualTeacher')
        found = len(find_blocks(model))
        if found < self.needs_blocks:
            raise ForgetError(
                f'forget.method.blocks is {self.needs_blocks}, and the model '
                f'has {found} Transformer blocks; lower it')
        return {
            name:
            nn.ModuleList(
                ClassStatistics(_MOMENTUM, _RIDGE)
                for _ in range(self.needs_blocks + 1))
            for name in ('statistics', 'original')
        }

    def begin(self, model, stored, fresh=True):
        """See :meth:`ForgettingMethod.begin`."""
        super().begin(model, stored, fresh)
        self.forgotten = model.forgotten
        self._statistics = model.of_method['statistics']
        self._original = model.of_method['original']

    def losses(self, forget, retain, groups):
        """See :meth:`ForgettingMethod.losses`."""
        terms = {}
        if retain is not None:
            terms['retain/scores'] = masked_distillation(
                retain.student, retain.teacher, self.forgotten)
            terms['retain/keep'] = self._kept(retain)
        if forget is not None:
            terms['forget/scores'] = masked_distillation(
                forget.student, forget.teacher, self.forgotten)
            terms['forget/means'], terms['forget/spread'] = self._moved(forget)
        share = dict(forget=1., retain=self.retain)
        found = {k: v.detach() for k, v in terms.items()}
        for key, value in terms.items():
            stream, _, name = key.partition('/')
            weight = share[stream] * self.weights[name]
            if name != 'scores':
                value = tempered(value, _LIMIT)
            found[f'loss_{name}'] = found.get(f'loss_{name}',
                                              0) + weight * value
        return self.structure(found, groups) if len(groups) else found

    @staticmethod
    def _features(said):
        """Of the blocks and the head, (N, F) each."""
        return [*(said.blocks or {}).values(), said.embeddings]

    def _kept(self, retain):
        """How far features of what stays are from the original ones."""
        labels = retain.student.labels
        keys, total = torch.stack([labels, labels], 1), 0.
        groups = KeyGroups.of(keys)
        for known, first, own, original in zip(self._statistics,
                                               self._original,
                                               self._features(retain.student),
                                               self._features(retain.teacher)):
            known.update(own, groups)
            first.update(original, groups)
            # Around the original means: where retained classes drift, the
            # metric forgives more, or all would run away together.
            known.spread(own, first.mean(keys))
            moved = known.squared(own.float() - original.float())
            total = total + relative_error(
                own, original) + moved.mean() / own.shape[1]
        return total / len(self._statistics)

    def _moved(self, forget):
        """How far forgotten images are from what they are taken for."""
        first = self._statistics[0]
        scores = forget.teacher.logits.float().clone()
        # Of the classes that were seen, or there would be no mean.
        known = torch.zeros_like(scores[0], dtype=torch.bool)
        known[first.keys[first.keys[:, 0] == first.keys[:, 1], 0]] = True
        known[self.forgotten] = False
        if not known.any():
            return 2 * [0 * forget.student.embeddings.sum()]
        scores[:, ~known] = -torch.inf
        seen = scores.argmax(1)
        keys = torch.stack([forget.student.labels, seen], 1)
        targets = torch.stack([seen, seen], 1)
        groups = KeyGroups.of(keys)
        means, spread = 0., 0.
        for stats, own in zip(self._statistics,
                              self._features(forget.student)):
            stats.update(own, groups)
            size, wanted = own.shape[1], stats.mean(targets)
            gaps = own.float() - wanted
            means = means + stats.squared_means(gaps, keys, wanted) / size
            spread = spread + stats.squared(gaps).mean() / size
        return means, spread
