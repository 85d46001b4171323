"""Running statistics of features, class by class."""
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import one_hot

_LEAST, _TINY = 1e-3, 1e-12


class KeyGroups(NamedTuple):
    """Images of a batch by their pair of labels.

    Attributes:
        found (Tensor): The pairs, each once, (K, 2).
        member (Tensor): 1 where an image has a pair, else 0, (K, N).
        counts (Tensor): Images that have it, (K, 1).
    """

    found: torch.Tensor
    member: torch.Tensor
    counts: torch.Tensor

    @classmethod
    def of(cls, keys):
        """KeyGroups: Of pairs of labels, (N, 2)."""
        found, index = keys.unique(dim=0, return_inverse=True)
        member = one_hot(index, len(found)).float().T
        return cls(found, member, member.sum(1, True))


class ClassStatistics(nn.Module):
    r"""Running means by class, and the covariance inside of classes.

    Images are told by a pair of labels: what they show, and what they are
    taken for. Means move towards those of a batch as if every image moved
    them by itself, so that a class of few images in a batch is averaged over
    more batches. The inverse of the covariance is regularised by a share of
    its mean diagonal (of a thousandth of the features' mean square where that
    is less), a large one while few images were seen, and computed with every
    batch: one that lags behind lets features run away along directions that
    have become tight since.

    Args:
        momentum (float): What is left of a mean after one image.
        ridge (float): The share, at last.
    """

    _SIZED = ('keys', 'means', 'covariance', 'precision')

    def __init__(self, momentum, ridge):
        super().__init__()
        self.momentum, self.ridge = momentum, ridge
        self.register_buffer('keys', torch.zeros(0, 2, dtype=torch.long))
        for name in self._SIZED[1:]:
            self.register_buffer(name, torch.zeros(0, 0))
        self.register_buffer('images', torch.zeros((), dtype=torch.long))

    def _load_from_state_dict(self, state, prefix, *args, **kwargs):
        # Sizes are those of what was seen.
        for name in self._SIZED:
            if f'{prefix}{name}' in state:
                own = getattr(self, name)
                setattr(self, name,
                        own.new_empty(state[f'{prefix}{name}'].shape))
        super()._load_from_state_dict(state, prefix, *args, **kwargs)

    @torch.no_grad()
    def update(self, features, groups):
        """Move the means.

        Args:
            features (Tensor): (N, D).
            groups (KeyGroups): The images by their labels, and what is seen
                in them.
        """
        found, member, counts = groups
        # A product has one order of its sums on a GPU, too.
        new = member @ features.detach().float() / counts
        rows = self.find(found)
        fresh = rows < 0
        if fresh.any():
            if not len(self.means):
                self.means = new[:0]
            self.keys = torch.cat([self.keys, found[fresh]])
            # Where they start they also stay for this batch.
            self.means = torch.cat([self.means, new[fresh]])
            rows = self.find(found)
        self.means[rows] = torch.lerp(new, self.means[rows],
                                      self.momentum**counts)

    @torch.no_grad()
    def spread(self, features, centres):
        """Move the covariance inside of classes, and its inverse.

        Args:
            features (Tensor): (N, D).
            centres (Tensor): Means of their classes, (N, D).
        """
        apart = features.detach().float() - centres
        new, size = apart.T @ apart / len(apart), apart.shape[1]
        if not self.images:
            self.covariance = torch.zeros_like(new)
        self.images += len(apart)
        # As many images as ten times the dimensions, all alike at first.
        left = max(
            1 - len(apart) / int(self.images),
            0) if self.images < 10 * size else 1 - len(apart) / (10 * size)
        self.covariance = left * self.covariance + (1 - left) * new
        share = self.ridge + size / int(self.images)
        # One image of each class has no spread.
        least = _LEAST * features.detach().float().square().mean() + _TINY
        scale = torch.maximum(self.covariance.diagonal().mean(), least)
        shrunk = self.covariance + share * scale * torch.eye(size).to(new)
        self.precision = torch.linalg.inv(shrunk.double()).to(new)

    def find(self, keys):
        """Tensor: Rows of some keys, (N, ); -1 for one that is unknown."""
        if not len(self.keys):
            return keys.new_full((len(keys), ), -1)
        same = (keys[:, None] == self.keys).all(-1)
        return torch.where(same.any(1), same.long().argmax(1), -1)

    def mean(self, keys):
        """Tensor: Means of known keys, (N, D)."""
        return self.means[self.find(keys)]

    def squared(self, gaps):
        """Squared Mahalanobis norm of gaps (N, D); shape (N, )."""
        return ((gaps @ self.precision) * gaps).sum(-1)

    def squared_means(self, gaps, keys, targets):
        r"""Squared distances of running means, with a gradient.

        .. math:: \sum_k \frac{n_k}{N} \lVert \mu_k - \mu_{t(k)}
            \rVert^2_{\Sigma^{-1}}

        The means hold the batch already; the gradient is that of the batch's
        part, as if it were the whole mean.

        Args:
            gaps (Tensor): Features of N images less ``targets``, (N, D),
                with gradient.
            keys (Tensor): Theirs, (N, 2).
            targets (Tensor): Means that theirs shall be, (N, D).

        Returns:
            Tensor: A scalar.
        """
        apart = self.mean(keys) - targets
        pull = apart @ self.precision
        value = (pull * apart).sum(-1)
        own = 2 * (pull * gaps).sum(-1)
        return (own - own.detach() + value).mean()
