"""SCRUB, and SCRUB-S."""
import torch
from mmengine.model import ExponentialMovingAverage
from torch import nn

from ..registry import METHODS
from ..utils import ForgetError
from .base import ForgettingMethod, check_numbers
from .distances import distillation
from .springs import trained_parameters

_DECAY = .9


@METHODS.register_module()
class SCRUB(ForgettingMethod):
    r"""Away from the teacher where it goes, close to it where it stays.

    In turn, an epoch each, with the true labels and the original model as
    teacher:

    .. math::
        L_{max} = -T^2 KL(p_0(x_f) \Vert p(x_f)) + \mu S, \quad
        L_{min} = \gamma L(x_r, y) + \alpha T^2 KL(p_0(x_r) \Vert p(x_r)) +
        \mu S

    A cycle has ``max_epochs`` epochs of the first kind, each followed by one
    of the second, and goes on with the second kind. Kurmanji et al., Towards
    Unbounded Machine Unlearning, NeurIPS 2023, and SCRUB-S of the GS-LoRA
    papers with :math:`\mu > 0`,
    :math:`S = \sum_n \lVert \theta_n - \bar\theta_n \rVert_2` over the
    parameters that train, where :math:`\bar\theta` are the weights at the
    start of the request, then, from the end of the first cycle, those; from
    there on :math:`0.9 \bar\theta + 0.1 \theta` after every cycle.

    The published runs are ten cycles of 15 epochs (``train_cfg.max_epochs``
    150; 45 for detectors). There a pass over either stream is an epoch, here
    it has ``forget.data.epoch_batches`` batches. Of a detector the
    divergence is over the classes of each query; the published code has it
    over the queries, and a random teacher. What is maximised has no bound
    there and here: ``max_epochs`` and the learning rate keep it small.

    Trains what ``forget.train`` says, the whole model as published
    (``'all'``). Stores nothing between requests; while SCRUB-S trains, its
    checkpoints hold the average.

    Args:
        max_epochs (int): Epochs of the first kind in a cycle. Defaults to 5.
        cycle (int): Epochs of a cycle. Defaults to 15.
        retain (float): :math:`\gamma`. Defaults to 0.99.
        distill (float): :math:`\alpha`. Defaults to 0.001.
        temperature (float): T. Defaults to 2.
        smooth (float): :math:`\mu`, 0.05 to 0.1 in published runs of
            SCRUB-S. Defaults to 0, SCRUB.

    Raises:
        ForgetError: If an argument is out of range.
    """

    needs_outputs = True
    needs_teacher = ('forget', 'retain')
    needs_losses = ('retain', )
    lower = 'the learning rate or forget.method.max_epochs'

    def __init__(self,
                 max_epochs=5,
                 cycle=15,
                 retain=.99,
                 distill=.001,
                 temperature=2.,
                 smooth=0.):
        check_numbers(
            'SCRUB',
            dict(
                max_epochs=max_epochs,
                cycle=cycle,
                retain=retain,
                distill=distill,
                temperature=temperature,
                smooth=smooth))
        if not temperature:
            raise ForgetError('temperature of SCRUB must be above 0')
        if not 0 < 2 * max_epochs <= cycle:
            raise ForgetError(
                f'max_epochs={max_epochs} of SCRUB do not fit into '
                f'cycle={cycle}, which has a second epoch for each of them')
        self.max_epochs, self.cycle = max_epochs, cycle
        self.retain, self.distill = retain, distill
        self.temperature, self.smooth = temperature, smooth
        self._params, self._average = [], None

    def extra_modules(self, model):
        """See :meth:`ForgettingMethod.extra_modules`."""
        if not self.smooth:
            return {}
        params = nn.ParameterList(trained_parameters(model).values())
        # The first update copies.
        return dict(average=ExponentialMovingAverage(params, 1 - _DECAY))

    def begin(self, model, stored, fresh=True):
        """See :meth:`ForgettingMethod.begin`."""
        if self.smooth:
            self._average = model.of_method['average']
            self._params = nn.ParameterList(trained_parameters(model).values())
            if fresh:
                with torch.no_grad():
                    for mean, param in self._pairs():
                        mean.copy_(param)

    def _pairs(self):
        return zip(self._average.module, self._params)

    def phase(self, epoch):
        """See :meth:`ForgettingMethod.phase`."""
        epoch %= self.cycle
        away = epoch % 2 == 0 and epoch < 2 * self.max_epochs
        return ('forget', ) if away else ('retain', )

    def start_epoch(self, epoch, groups):
        """Update the average where a cycle has ended."""
        if self.smooth and epoch and epoch % self.cycle == 0:
            self._average.update_parameters(self._params)

    def losses(self, forget, retain, groups):
        """See :meth:`ForgettingMethod.losses`."""
        terms = {}
        if forget is not None:
            terms['loss_away'] = -distillation(forget.student, forget.teacher,
                                               self.temperature)
        if retain is not None:
            terms['loss_retain'] = self.retain * retain.total()
            terms['loss_distill'] = self.distill * distillation(
                retain.student, retain.teacher, self.temperature)
            terms.update(retain.logged('retain'))
        if self.smooth:
            terms['loss_smooth'] = self.smooth * sum(
                torch.linalg.vector_norm(param - mean)
                for mean, param in self._pairs())
        return terms
