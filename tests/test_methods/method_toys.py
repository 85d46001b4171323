"""Streams and models of a few numbers, for objectives on paper."""
from types import SimpleNamespace

import torch
from torch import nn

from gslora_mm.models import StreamLoss, StreamOutputs

SHAPES = dict(classifier=(5, 7), detector=(3, 4, 7))


def outputs(shape, seed, sigmoid=False):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(*shape, generator=generator)
    return StreamOutputs(logits.requires_grad_(), logits, sigmoid=sigmoid)


def total(losses):
    return sum(v for k, v in losses.items() if 'loss' in k)


def leaf(value):
    return torch.tensor(float(value), requires_grad=True)


def streams(shape=SHAPES['classifier'], sigmoid=False):
    """Totals of 3.5 and 2.25; every stream has a student and a teacher."""
    forget = StreamLoss([leaf(3.)], dict(bbox=leaf(.5)))
    retain = StreamLoss([leaf(2.)], dict(bbox=leaf(.25)))
    for seed, stream in ((1, retain), (3, forget)):
        stream.student, stream.teacher = (
            outputs(shape, seed + i, sigmoid) for i in range(2))
    return forget, retain


class Line(nn.Module):
    """y = w x + b with a squared error: every gradient is known."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))
        self.bias = nn.Parameter(torch.zeros(1))
        self.frozen = nn.Parameter(torch.ones(1), requires_grad=False)

    def plain_loss(self, inputs, samples):
        found = inputs @ self.weight + self.bias * self.frozen
        return (found - samples).square().mean()


def context_of(model, inputs, targets, previous=None, stream='retain', size=1):

    def batches(wanted, batch_size=None):
        assert (wanted, batch_size or size) == (stream, size)
        return zip(inputs.split(size), targets.split(size))

    return SimpleNamespace(
        model=model, batches=batches, previous=previous or {})
