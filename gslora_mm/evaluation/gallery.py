"""Identification and verification by embedding, against a gallery.

Faces are used by embedding, not by the classifier's head: a system enrols
each identity by a few images (the gallery), and compares a new image (the
probe) with the templates. All similarities are cosines.
"""
import numpy as np

from ..datasets.requests import check_class_names
from ..utils.errors import ForgetError
from .measure import ALL


def enroll(embeddings, labels):
    """Make one template of each identity.

    Args:
        embeddings (array): (N, D), of the gallery images.
        labels (array): (N,), identity of each.

    Returns:
        tuple[ndarray, ndarray]: Templates (K, D), the mean of the identity's
        unit-length embeddings, of unit length; and their labels (K,),
        ascending.

    Raises:
        ForgetError: If an embedding is zero or not finite, or those of an
            identity cancel each other out.
    """
    vectors, labels = _checked(embeddings, labels, 'gallery')
    identities, place, count = np.unique(
        labels, return_inverse=True, return_counts=True)
    means = np.zeros((len(identities), vectors.shape[1]))
    np.add.at(means, place, vectors)
    means /= count[:, None]
    norms = np.linalg.norm(means, axis=1)
    if (norms < 1e-9).any():
        raise ForgetError(
            f'the gallery embeddings of identity {identities[norms.argmin()]}'
            ' cancel each other out, so that it has no template; enrol it '
            'with other images')
    return means / norms[:, None], identities


def rank1(templates, template_labels, probes, labels):
    """Closed-set identification: is the nearest template the right one?

    Args:
        templates (array): (K, D), of all identities.
        template_labels (array): (K,).
        probes (array): (P, D), embeddings.
        labels (array): (P,), identity of each.

    Returns:
        ndarray: (P,), bool. The first of equally near templates counts; an
        identity without a template is never right.

    Raises:
        ForgetError: If an embedding is zero or not finite.
    """
    probes, labels = _checked(probes, labels, 'probe')
    templates, names = _checked(templates, template_labels, 'template')
    if not len(names):
        return np.zeros(len(labels), bool)
    return names[_cosines(probes, templates).argmax(1)] == labels


def tar_at_far(scores_genuine, scores_impostor, far):
    """True accept rate at a fixed false accept rate.

    A pair is accepted if its score is *above* the threshold, the highest
    impostor score for which no more than a share ``far`` of the impostors
    passes. Nothing is interpolated between operating points: the rate is
    that of a threshold that exists, and the actual FAR is at most ``far``.

    Args:
        scores_genuine (array): Similarities of pairs of one identity.
        scores_impostor (array): Similarities of pairs of two identities.
        far (float): False accept rate, in (0, 1).

    Returns:
        float | None: In [0, 1]; None without genuine pairs, or with fewer
        than ``1 / far`` impostor pairs, which cannot show such a rate.

    Raises:
        ForgetError: If ``far`` is no such rate.
    """
    threshold = _threshold(scores_impostor, far)
    return _accepted(np.asarray(scores_genuine), threshold)


def gallery_report(gallery_emb,
                   gallery_labels,
                   probe_emb,
                   probe_labels,
                   classes,
                   sets,
                   far=1e-3,
                   templates=None):
    """Measure probes of named class sets against templates of everybody.

    Two kinds of templates: ``new_templates`` are enrolled here, by the model
    that embeds the probes, as by a system that enrols its users again after
    an update; ``old_templates`` are given, e.g. those that the pre-trained
    model enrolled before forgetting. For the pre-trained model they agree.

    - ``rank1``: share of the probes of a set whose nearest template, of
      *all* identities, is their own (closed set). ``chance`` is what a
      guess gets, one over the number of templates.
    - ``tar``: share of the pairs (probe of the set, own template) above
      ``threshold``, which lets at most a share ``far`` of the impostor pairs
      pass (see :func:`tar_at_far`). Impostors are pairs of two *retained*
      identities, so that forgetting does not move its own yardstick: those
      of the set ``retain`` of the same request (``01_retain`` for
      ``01_forget``), else all classes.

    Needs 8 bytes for each pair of probe and template.

    Args:
        gallery_emb (array): (N, D), embeddings to enrol; None: only the
            given templates.
        gallery_labels (array): (N,), their labels.
        probe_emb (array): (P, D), embeddings of images not in the gallery.
        probe_labels (array): (P,), their labels.
        classes (Sequence[str]): Identities in label order.
        sets (dict[str, list[str]]): Identities of each set, as in
            :class:`ForgetAccuracyMetric`.
        far (float): False accept rate. Defaults to 1e-3.
        templates (tuple[array, array], optional): What :func:`enroll`
            returned for another model. Defaults to None.

    Returns:
        dict: JSON-ready::

            {'far': float, 'all': SET, 'sets': {name: SET}}
            SET = {'classes': [...], 'new_templates': VALUES,
                   'old_templates': VALUES}
            VALUES = {'rank1': float, 'chance': float, 'tar': float,
                      'threshold': float, 'num_probes': int,
                      'not_enrolled': int, 'per_class': {class: rank1}}

        ``not_enrolled`` counts the identities of the set without a template;
        their probes are left out. None where there is nothing to measure.

    Raises:
        ForgetError: If an embedding is zero or not finite, a label or a
            name is not one of the classes, or embeddings and templates do
            not fit.
    """
    probes, labels = _checked(probe_emb, probe_labels, 'probe', classes)
    tables = dict()
    if gallery_emb is not None:
        own = enroll(
            *_checked(gallery_emb, gallery_labels, 'gallery', classes))
        tables['new_templates'] = _Scores(probes, labels, *own, far)
    if templates is not None:
        given = _checked(*templates, 'template', classes)
        tables['old_templates'] = _Scores(probes, labels, *given, far)
    if not tables:
        raise ForgetError('the gallery test has neither gallery images nor '
                          'templates; give one of them')
    labels_of = {name: label for label, name in enumerate(classes)}

    def measure(name, members):
        # The same request's retained classes fix the threshold.
        check_class_names(members, classes, f'class set {name!r}')
        request = name[:name.rfind('_') + 1]
        retain = sets.get(f'{request}retain', classes)
        wanted = {c: labels_of[c] for c in members}
        yardstick = tuple(labels_of[c] for c in retain)
        return dict(
            classes=list(members),
            **{
                kind: table.measure(wanted, yardstick)
                for kind, table in tables.items()
            })

    return {
        'far': far,
        ALL: measure(ALL, classes),
        'sets': {
            k: measure(k, v)
            for k, v in sets.items()
        }
    }


class _Scores:
    """Similarities of all probes to all templates."""

    def __init__(self, probes, labels, templates, names, far):
        self.cosines = _cosines(probes, templates)
        self.labels, self.names, self.far = labels, names, far
        self.own = labels[:, None] == names
        self.enrolled = self.own.any(1)
        self.thresholds = dict()
        self.hits = rank1(templates, names, probes, labels)

    def threshold(self, labels):
        """Threshold by the impostor pairs among some identities."""
        if labels not in self.thresholds:
            rows = np.isin(self.labels, labels) & self.enrolled
            pairs = np.outer(rows, np.isin(self.names, labels)) & ~self.own
            self.thresholds[labels] = _threshold(self.cosines[pairs], self.far)
        return self.thresholds[labels]

    def measure(self, wanted, yardstick):
        """VALUES of the identities ``wanted``, a dict of name to label."""
        inside = np.isin(self.labels, list(wanted.values())) & self.enrolled
        genuine = self.cosines[self.own & inside[:, None]]
        threshold = self.threshold(yardstick)
        return dict(
            rank1=_share(self.hits[inside]),
            chance=1 / len(self.names) if len(self.names) else None,
            tar=_accepted(genuine, threshold),
            threshold=threshold,
            num_probes=int(inside.sum()),
            not_enrolled=len(set(wanted.values()) - set(self.names.tolist())),
            per_class={
                name: _share(self.hits[inside & (self.labels == label)])
                for name, label in wanted.items()
            })


def _threshold(impostors, far):
    """The score that at most a share ``far`` of the impostors exceeds."""
    if not 0 < far < 1:
        raise ForgetError(f'far={far!r} of the gallery test; give a false '
                          'accept rate between 0 and 1, e.g. 1e-3')
    impostors = np.asarray(impostors, float)
    # 0.29 * 100 is 28.999...
    allowed = int(far * len(impostors) + 1e-9)
    if allowed < 1:
        return None
    place = len(impostors) - 1 - allowed
    return float(np.partition(impostors, place)[place])


def _accepted(genuine, threshold):
    return None if threshold is None else _share(genuine > threshold)


def _share(hits):
    return float(np.mean(hits)) if len(hits) else None


def _cosines(probes, templates):
    if probes.shape[1] != templates.shape[1]:
        raise ForgetError(
            f'probes have embeddings of {probes.shape[1]} numbers, templates '
            f'of {templates.shape[1]}; enrol with a model of the same '
            'architecture')
    return probes @ templates.T


def _checked(embeddings, labels, what, classes=None):
    """Unit-length embeddings in double, and their labels."""
    vectors = np.asarray(embeddings, float)
    labels = np.asarray(labels)
    if vectors.ndim != 2 or labels.shape != vectors.shape[:1]:
        raise ForgetError(
            f'{what} embeddings of the shape {vectors.shape} and labels of '
            f'the shape {labels.shape} do not fit; give (N, D) and (N,)')
    norms = np.linalg.norm(vectors, axis=1)
    bad = ~np.isfinite(vectors).all(1) | (norms == 0)
    if bad.any():
        raise ForgetError(
            f'{what} embedding {bad.argmax()} is zero or not finite: the '
            'weights of the model are damaged; take another checkpoint')
    if classes is not None and not np.isin(labels, range(len(classes))).all():
        raise ForgetError(
            f'a {what} image has a label outside of the {len(classes)} '
            'classes; correct the annotations or metainfo.classes')
    return vectors / norms[:, None], labels
