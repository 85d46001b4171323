"""Which of the candidate images a request may use.

Every function takes ``labels_per_image`` (list[set[int]]), the classes in
each candidate image, draws from its own generator and returns the sorted
positions of the chosen images: the same for every method, rank and resume.
"""
from collections import Counter

import numpy as np

from ..utils.errors import ForgetError

# How many random candidates compete for each image of a few-shot set.
_POOL_PER_SHOT = 16
# Few-shot sets are drawn so often, at most, to find one without surplus.
_DRAWS = 4


def stratified_subset(labels_per_image, ratio, seed):
    """Share of the images in which every class keeps its share.

    Iterative stratification (Sechidis et al., On the Stratification of
    Multi-Label Data, ECML PKDD 2011, Algorithm 1) into the folds ``ratio``
    and ``1 - ratio``: images go, rarest remaining class first, to the fold
    that still misses most images of that class.

    Args:
        labels_per_image (list[set[int]]): Classes in each image.
        ratio (float): Share of the images to take, in (0, 1].
        seed (int): Seed of the draw.

    Returns:
        list[int]: Positions of the chosen images, ascending.

    Raises:
        ForgetError: If ``ratio`` is not in (0, 1].
    """
    check_ratio(ratio)
    num = len(labels_per_image)
    if ratio == 1:
        return list(range(num))
    rng = np.random.default_rng(seed)
    order = rng.permutation(num).tolist()
    coin = rng.random(num) < ratio
    images_of = _images_of(labels_per_image, order)
    # What each class, and the whole, still misses in the two folds.
    missing = {
        c: [len(v) * ratio, len(v) * (1 - ratio)]
        for c, v in images_of.items()
    }
    missing_any = [num * ratio, num * (1 - ratio)]
    left = {c: len(v) for c, v in images_of.items()}
    fold_of = {}

    def assign(i, needs):
        gap = needs[0] - needs[1]
        if abs(gap) < 1e-9:
            gap = missing_any[0] - missing_any[1]
        if abs(gap) < 1e-9:
            gap = 1 if coin[i] else -1
        fold_of[i] = fold = int(gap < 0)
        missing_any[fold] -= 1
        for c in labels_per_image[i]:
            missing[c][fold] -= 1
            left[c] -= 1

    while any(left.values()):
        rarest = min((n, c) for c, n in left.items() if n)[1]
        for i in images_of[rarest]:
            if i not in fold_of:
                assign(i, missing[rarest])
    for i in order:
        if i not in fold_of:
            assign(i, missing_any)
    return sorted(i for i, fold in fold_of.items() if fold == 0)


def random_subset(labels_per_image, ratio, seed):
    """Share of the images, drawn uniformly (the published protocol).

    Args and errors as in :func:`stratified_subset`.

    Returns:
        list[int]: Positions of ``round(ratio * N)`` images, ascending.
    """
    check_ratio(ratio)
    num = round(len(labels_per_image) * ratio)
    return pooled_subset(labels_per_image, num, seed)


def few_shot_subset(labels_per_image, shots, seed, names=None):
    """``shots`` images of every class: exactly, or few more.

    Rare classes choose first, at random, and prefer images that serve other
    classes in need and burden none that already has enough. An image that
    shows several classes counts for each, so that some may get more than
    ``shots``; of several draws the tightest is taken. Where images show one
    class each, as in classification, every draw is exact.

    Args:
        labels_per_image (list[set[int]]): Classes in each image.
        shots (int): Images per class.
        seed (int): Seed of the draw.
        names (Sequence[str], optional): Class names for the error message.

    Returns:
        list[int]: Positions of the chosen images, ascending.

    Raises:
        ForgetError: If a class has fewer than ``shots`` images.
    """
    check_shots(shots)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels_per_image)).tolist()
    images_of = _images_of(labels_per_image, order)
    few = {c: len(v) for c, v in images_of.items() if len(v) < shots}
    if few:
        listed = ', '.join(f'{names[c] if names else c} ({n})'
                           for c, n in sorted(few.items()))
        raise ForgetError(
            f'shots={shots} is more than some classes have images: {listed}; '
            f'lower it to {min(few.values())} or use a ratio')
    draws = []
    for _ in range(_DRAWS):
        draws.append(_draw_shots(labels_per_image, images_of, shots))
        if not draws[-1][0]:
            break
        order = rng.permutation(len(labels_per_image)).tolist()
        images_of = _images_of(labels_per_image, order)
    return sorted(min(draws, key=lambda draw: draw[0])[1])


def _draw_shots(labels_per_image, images_of, shots):
    """How many images too many the classes get, and the chosen images."""
    chosen, count = set(), Counter()
    for c in sorted(images_of, key=lambda c: (len(images_of[c]), c)):
        free = [i for i in images_of[c] if i not in chosen]
        pool = free[:_POOL_PER_SHOT * shots]
        while count[c] < shots:
            best = max(
                pool,
                key=lambda i: _balance(labels_per_image[i], count, shots))
            pool.remove(best)
            chosen.add(best)
            count.update(labels_per_image[best])
    return sum(count.values()) - shots * len(count), chosen


def pooled_subset(labels_per_image, num, seed):
    """``num`` images drawn uniformly from the pool, without replacement.

    The published few-shot protocol with ``num = shots * classes``; it does
    not promise an image to any class.

    Args:
        labels_per_image (list[set[int]]): Classes in each image.
        num (int): Images to draw, at most the whole pool.
        seed (int): Seed of the draw.

    Returns:
        list[int]: Positions of the chosen images, ascending.
    """
    rng = np.random.default_rng(seed)
    total = len(labels_per_image)
    return sorted(rng.permutation(total)[:min(num, total)].tolist())


def check_ratio(ratio):
    """Raise a ForgetError unless ``ratio`` is in (0, 1]."""
    if isinstance(ratio,
                  bool) or not isinstance(ratio,
                                          (int, float)) or not 0 < ratio <= 1:
        raise ForgetError(
            f'ratio is {ratio!r}; give the share of images to use, a number '
            'above 0 and at most 1')


def check_shots(shots):
    """Raise a ForgetError unless ``shots`` is a positive integer."""
    if isinstance(shots, bool) or not isinstance(shots, int) or shots < 1:
        raise ForgetError(
            f'shots is {shots!r}; give the images per class, an integer of 1 '
            'or more')


def _images_of(labels_per_image, order):
    images_of = {}
    for i in order:
        for c in labels_per_image[i]:
            images_of.setdefault(c, []).append(i)
    return images_of


def _balance(labels, count, shots):
    return sum(1 if count[c] < shots else -1 for c in labels)
