"""The counterfactual teacher: the original model in a world without."""
import torch

from ..registry import METHODS
from ..utils import ForgetError
from .base import check_numbers
from .drawn_anew import DrawnAnew
from .group_sparsity import bounded_loss
from .matching import (box_distance, excess, feature_error, looking_queries,
                       raised, score_divergence, token_weights)

TERMS = ('memory', 'embeddings', 'scores', 'boxes', 'push')
LAYERS = ('all', 'last')


@METHODS.register_module()
class CounterfactualTeacher(DrawnAnew):
    r"""What the original model says of the world without the classes.

    .. math::
        L = \sum_{s \in \{f, r\}} \lambda_s \sum_k w_k
        d_k(p(x_s), p_0(\tilde x_s)) + \beta L_{forget}

    :math:`\tilde x` is the image with all objects of all classes forgotten so
    far painted out (``forget.painting``), the image itself where it shows
    none. Of the original model :math:`p_0` looking at :math:`\tilde x` the
    model learns to say the same while it looks at :math:`x`, query by query:
    nothing is matched to labels, and nothing is raised without a bound. The
    distances :math:`d_k` are

    - ``memory``: squared error of the encoder's tokens as a share of the
      teacher's mean square, and ``mahalanobis`` times that in the metric of
      a linear probe; tokens that touch a painted box count ``inside`` times;
    - ``embeddings``: the same of the decoder's queries, behind every layer
      or the last; queries that look at a painted place, as the centre of
      their box is in a painted one, count ``queries`` times (both within
      the limit ``most``);
    - ``scores``: cross entropy of the last layer's scores beyond the
      teacher's entropy, by the number of objects that it sees;
    - ``boxes``: L1 of its boxes, weighted by the teacher's largest scores;
    - ``push``: squared excess of forgotten logits over the teacher's.

    With the group penalty of :class:`GroupSparsity` on top. Of earlier
    requests the teacher is the original model too, so that errors do not add
    up. Stores nothing between requests; the teacher is the base checkpoint.

    Args:
        memory (float): Weight of the term. Defaults to 0.5.
        embeddings (float): See ``memory``. Defaults to 1.
        scores (float): See ``memory``. Defaults to 4.
        boxes (float): See ``memory``. Features that move take the boxes of
            what stays with them: without a large weight these are found as
            before and framed less exactly. Defaults to 60.
        push (float): See ``memory``. Defaults to 0.
        forget (float): :math:`\lambda_f`. Defaults to 1.
        retain (float): :math:`\lambda_r`. With 0, the retain stream is not
            loaded, and the surroundings of forgotten objects are all that
            says what stays. Defaults to 2.
        inside (float, optional): See above; None, as 1, knows no boxes and
            no padding. Defaults to 9.
        queries (float): See above. What a head that is trained anew finds
            of a forgotten object, it finds by these. Defaults to 9.
        most (float, optional): m. Tokens and queries that count more count
            together at most m times what the others of the batch do, each of
            them at least 1: the more classes are gone, the more of the images
            is painted, and what stays would count less and less. With None
            there is no such limit. Defaults to 1.
        mahalanobis (float): Weight of the metric of a linear probe beside
            the relative errors of ``memory`` and ``embeddings``, which leave
            what is small and tells classes apart all the same: see
            :func:`~gslora_mm.methods.matching.feature_error`. Defaults to
            0.5.
        layers (str): ``'all'`` or ``'last'``, of the embeddings. Defaults to
            ``'all'``.
        mask (bool): Whether the teacher's scores of forgotten classes are 0,
            and not what it says of the painted image. Defaults to True.
        beta (float): :math:`\beta`, of the published forget loss, whose
            bound raises the classification loss. Defaults to 0.
        bound (float, optional): Its BND. Defaults to what suits the head.
        unlabelled (float, optional): Score from which what the teacher takes
            for a forgotten class is painted out of its image although no
            label says that it is there, and the teacher looks again: see
            :func:`~gslora_mm.models.unlabelled.paint_unlabelled`. With None
            labels are trusted. Defaults to 0.15.
        teacher_cache (float): Megabytes for what the teacher said of images
            that come again. Defaults to 1024.
        half_cache (bool): Keep it in half precision. Defaults to False.
        anew, anew_epochs: See :class:`DrawnAnew`. Default to 0 and 1.
        alpha, sparsity_start, sparsity_end, mode: See
            :class:`GroupSparsity`. Default to 0, 0, None, ``'proximal'``.

    Raises:
        ForgetError: If an argument is out of range.
    """

    needs_outputs = True
    needs_middle = True
    needs_painting = True
    needs_teacher = ('forget', 'retain')

    def __init__(self,
                 memory=.5,
                 embeddings=1.,
                 scores=4.,
                 boxes=60.,
                 push=0.,
                 forget=1.,
                 retain=2.,
                 inside=9.,
                 queries=9.,
                 most=1.,
                 mahalanobis=.5,
                 layers='all',
                 mask=True,
                 beta=0.,
                 bound=None,
                 unlabelled=.15,
                 teacher_cache=1024.,
                 half_cache=False,
                 anew=0.,
                 anew_epochs=1,
                 alpha=0.,
                 sparsity_start=0,
                 sparsity_end=None,
                 mode='proximal'):
        super().__init__(anew, anew_epochs, alpha, sparsity_start,
                         sparsity_end, mode)
        self.weights = dict(
            memory=memory,
            embeddings=embeddings,
            scores=scores,
            boxes=boxes,
            push=push)
        self.streams = dict(forget=forget, retain=retain)
        numbers = dict(
            self.weights,
            **self.streams,
            inside=inside,
            queries=queries,
            most=most,
            mahalanobis=mahalanobis,
            beta=beta,
            bound=bound,
            unlabelled=unlabelled,
            teacher_cache=teacher_cache)
        owner = type(self).__name__
        check_numbers(
            owner, numbers, optional=('inside', 'most', 'bound', 'unlabelled'))
        if unlabelled is not None and not 0 < unlabelled <= 1:
            raise ForgetError(f'unlabelled of {owner} is {unlabelled!r}; it '
                              'is a score above 0 and at most 1, or None')
        if layers not in LAYERS:
            raise ForgetError(f'layers of {owner} must be one of '
                              f'{", ".join(LAYERS)}, not {layers!r}')
        if not any(self.weights.values()) or not forget:
            raise ForgetError(f'{owner} needs a weight above 0 of one of '
                              f'{", ".join(TERMS)}, and of forget')
        self.inside, self.mask, self.beta = inside, bool(mask), beta
        self.queries, self.most = queries, most
        self.mahalanobis = mahalanobis
        self.unlabelled = unlabelled
        self.bound, self._bound_given = bound, bound is not None
        self.needs_losses = ('forget', ) if beta else ()
        self.needs_layers, self.needs_middle = layers == 'all', bool(memory)
        self.teacher_cache, self.half_cache = teacher_cache, bool(half_cache)
        self.forgotten = []

    def default_bound(self, bound):
        """See :meth:`ForgettingMethod.default_bound`."""
        if not self._bound_given:
            self.bound = bound

    def begin(self, model, stored, fresh=True):
        """See :meth:`ForgettingMethod.begin`."""
        super().begin(model, stored, fresh)
        self.forgotten = model.forgotten

    def phase(self, epoch):
        """See :meth:`ForgettingMethod.phase`."""
        return ('forget', 'retain') if self.streams['retain'] else ('forget', )

    def losses(self, forget, retain, groups):
        """See :meth:`ForgettingMethod.losses`."""
        terms = {}
        for stream, seen in (('forget', forget), ('retain', retain)):
            if seen is None:
                continue
            for name, value in self.distances(seen).items():
                weight = self.streams[stream] * self.weights[name]
                key = f'loss_{name}'
                terms[key] = terms.get(key, 0) + weight * value
                terms[f'{stream}/{name}'] = value.detach()
        if forget is not None and self.beta:
            terms['loss_forget'] = self.beta * bounded_loss(forget, self.bound)
            terms.update(forget.logged('forget'))
        return self.structure(terms, groups) if len(groups) else terms

    def distances(self, seen):
        """The distances of a stream that have a weight.

        Args:
            seen (StreamLoss): With student, teacher and painted boxes.

        Returns:
            dict[str, Tensor]: Scalars by the names of the terms.
        """
        student, teacher = seen.student, seen.teacher
        rules = dict(
            memory=lambda: self._error(student.middle, teacher.middle,
                                       self._token_weights(seen)),
            embeddings=lambda: self._embeddings(seen),
            scores=lambda: score_divergence(
                student, teacher, self.forgotten if self.mask else ()),
            boxes=lambda: box_distance(student, teacher),
            push=lambda: excess(student, teacher, self.forgotten))
        return {k: rule() for k, rule in rules.items() if self.weights[k]}

    def _error(self, *features):
        return feature_error(*features, mahalanobis=self.mahalanobis)

    def _token_weights(self, seen):
        if self.inside is None:
            return None
        student = seen.student
        return token_weights(student.grids, student.middle.shape[1],
                             _places(seen), seen.extents, self.inside,
                             self.most)

    def _embeddings(self, seen):
        """Mean over the layers that are compared."""
        student, teacher, weights = seen.student, seen.teacher, None
        if self.queries != 1:
            looks = looking_queries(student.boxes, _places(seen), seen.extents)
            weights = raised(looks, self.queries, self.most)
        if student.layers is None:
            return self._error(student.embeddings, teacher.embeddings, weights)
        pairs = zip(student.layers.unbind(1), teacher.layers.unbind(1))
        errors = [self._error(*pair, weights) for pair in pairs]
        return sum(errors) / len(errors)


def _places(seen):
    """Where objects were painted out, labelled or found; a list of (K, 4)."""
    if seen.teacher.found is None:
        return seen.painted
    return [
        torch.cat([boxes, found[found.isfinite().all(-1)].to(boxes)])
        for boxes, found in zip(seen.painted, seen.teacher.found)
    ]
