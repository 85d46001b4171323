"""Questions to frozen features, answered by logistic regression."""
import warnings

import numpy as np
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

# Inverse strength of the penalty, of standardised features.
STRENGTHS = (1e-3, 1e-2, 1e-1, 1.)
FOLDS, _ITERATIONS = 3, 200
APART_FOLDS = 5


def linear_probe(features, labels, seed):
    """Fit a linear probe: multinomial logistic regression.

    Features are standardised; the strength of the penalty is the best of
    :data:`STRENGTHS` by cross-validation on these very samples.

    Args:
        features (ndarray): (N, D).
        labels (ndarray): (N, ).
        seed (int): Of the folds.

    Returns:
        BaseEstimator: Has ``predict``.
    """
    return _fitted(features, labels, seed, 'accuracy')


def probe_accuracy(train, labels, test, test_labels, seed):
    """Accuracy of a linear probe, class by class.

    Args:
        train (ndarray): Features that it learns from, (N, D).
        labels (ndarray): Their classes, (N, ).
        test (ndarray): Features that it is measured on, (M, D).
        test_labels (ndarray): Their classes, (M, ).
        seed (int): Of the folds.

    Returns:
        dict[int, float]: Share of the samples of each class of
        ``test_labels`` that the probe gives this class, among all classes.
    """
    right = linear_probe(train, labels, seed).predict(test) == test_labels
    return {int(c): float(right[test_labels == c].mean())
            for c in np.unique(test_labels)}  # yapf: disable


def tell_apart(features, forgotten, seed):
    """How well some samples can be told from others.

    Logistic regression on standardised features, both kinds weighted alike,
    its penalty chosen inside each fold's training part.

    Args:
        features (ndarray): (N, D).
        forgotten (ndarray): Which samples are meant, bool (N, ).
        seed (int): Of the folds.

    Returns:
        float: Area under the ROC curve of held out samples, mean over
        :data:`APART_FOLDS` folds; NaN with fewer than two samples of a kind.
    """
    least = min(forgotten.sum(), (~forgotten).sum())
    if least < 2:
        return float('nan')
    folds = StratifiedKFold(
        int(min(APART_FOLDS, least)), shuffle=True, random_state=seed)
    found = []
    for known, held in folds.split(features, forgotten):
        model = _fitted(features[known], forgotten[known], seed, 'roc_auc',
                        'balanced')
        found.append(
            roc_auc_score(forgotten[held],
                          model.decision_function(features[held])))
    return float(np.mean(found))


def area(scores, forgotten):
    """Area under the ROC curve of one number, whichever way it points.

    Args:
        scores (ndarray): (N, ).
        forgotten (ndarray): bool (N, ).

    Returns:
        float: In [0.5, 1]; NaN without samples of both kinds.
    """
    if forgotten.all() or not forgotten.any():
        return float('nan')
    found = float(roc_auc_score(forgotten, scores))
    return max(found, 1 - found)


def output_scores(logits, sigmoid):
    """Numbers that say how sure a model is of what it sees.

    Args:
        logits (ndarray): (N, C).
        sigmoid (bool): Whether each logit has a sigmoid of its own; else a
            softmax makes scores of them.

    Returns:
        dict[str, ndarray]: ``max_logit``; ``entropy`` of the softmax, or the
        sum of those of the sigmoids, in nats; ``energy``, log of the sum of
        exponentials (Liu et al., Energy-based Out-of-distribution Detection,
        NeurIPS 2020). (N, ) each.
    """
    logits = logits.astype(np.float64)
    top = logits.max(1)
    if sigmoid:
        p, q = expit(logits), expit(-logits)
        entropy = -(p * log_expit(logits) + q * log_expit(-logits)).sum(1)
    else:
        entropy = -(softmax(logits, 1) * log_softmax(logits, 1)).sum(1)
    energy = top + np.log(np.exp(logits - top[:, None]).sum(1))
    return dict(max_logit=top, entropy=entropy, energy=energy)


def sorted_outputs(logits, sigmoid):
    """Logarithms of the scores, largest first: no class has a name there.

    Args:
        logits (ndarray): (N, C).
        sigmoid (bool): See :func:`output_scores`.

    Returns:
        ndarray: (N, C).
    """
    logits = logits.astype(np.float64)
    scores = log_expit(logits) if sigmoid else log_softmax(logits, 1)
    return -np.sort(-scores, 1)


def _fitted(features, labels, seed, scoring, weight=None):
    """A regression whose penalty is chosen by cross-validation."""
    model = make_pipeline(
        StandardScaler(),
        LogisticRegression(max_iter=_ITERATIONS, class_weight=weight))
    least = int(np.unique(labels, return_counts=True)[1].min())
    with warnings.catch_warnings():
        # A probe need not be at its optimum to the last digit.
        warnings.simplefilter('ignore', ConvergenceWarning)
        if least < 2:
            return model.fit(features, labels)
        folds = StratifiedKFold(
            min(FOLDS, least), shuffle=True, random_state=seed)
        search = GridSearchCV(
            model, {'logisticregression__C': list(STRENGTHS)},
            scoring=scoring,
            cv=folds)
        return search.fit(features, labels)
