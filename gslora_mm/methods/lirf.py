"""Learning with recoverable forgetting."""
import copy

import torch
from torch import nn
from torch.nn import functional as F

from ..models.halves import swapped
from ..registry import METHODS
from ..utils import ForgetError
from .base import ForgettingMethod, check_numbers
from .distances import distillation

# Smaller entries of a normalised attention map count as nothing.
_FAINT = .005


@METHODS.register_module()
class LIRF(ForgettingMethod):
    r"""What goes is moved into a deposit, from which it can come back.

    .. math::
        L = (1 - a) L(x_f, \tilde y) +
        \lambda_k a T^2 KL(p_0^K(x_f) \Vert p^K(x_f)) -
        \lambda_m \lVert A(x_f) - A_0(x_f) \rVert^2 / D +
        \lambda_r L(x_r, y) + \lambda_d L_{dep}

        L_{dep} = (1 - a) L_d(x_f, y) +
        a T^2 KL(p_0^F(x_f) \Vert p_d^F(x_f))

    Ye et al., Learning with Recoverable Forgetting, ECCV 2022, as the
    GS-LoRA papers compare it. A model has a lower and an upper half: the
    first and the last half of the Transformer blocks of a classifier, the
    encoder and what follows of a DETR. :math:`\tilde y` is a wrong label
    drawn anew for every image (object) and batch, of all classes but its own.
    F are the classes forgotten so far, K all others; :math:`p^K` is the
    softmax of the logits of K alone. A is the attention map of the lower
    half: its squared activations, averaged over the tokens, normalised over
    the D channels, entries below 0.005 at 0. The deposit d is a second lower
    half under the upper half of the original model. It begins as the original
    one and learns what is forgotten, with the true labels.

    The published code takes the first logits for the classes of the request,
    though classes are shuffled, and leaves the deposit out of the optimizer.
    Its upper half is frozen: set ``forget.train`` to patterns of the blocks
    of the lower half, or to another choice.

    Stores the deposit of each request, as large as the lower half, in
    ``kept.safetensors``. It is no part of the merged checkpoint, and is not
    counted as trained; the gradient that is clipped holds its own.

    Args:
        share (float): a, in [0, 1]. Defaults to 0.1.
        temperature (float): T. Defaults to 10.
        keep (float): :math:`\lambda_k`. Defaults to 10.
        apart (float): :math:`\lambda_m`. Defaults to 300.
        retain (float): :math:`\lambda_r`. Defaults to 5.
        deposit (float): :math:`\lambda_d`. Defaults to 0.05.

    Raises:
        ForgetError: If an argument is out of range, or the model has no
            halves.
    """

    relabels = True
    needs_outputs = True
    needs_middle = True
    needs_images = True
    needs_teacher = ('forget', )
    keeps_modules = True

    def __init__(self,
                 share=.1,
                 temperature=10.,
                 keep=10.,
                 apart=300.,
                 retain=5.,
                 deposit=.05):
        check_numbers(
            'LIRF',
            dict(
                share=share,
                temperature=temperature,
                keep=keep,
                apart=apart,
                retain=retain,
                deposit=deposit))
        if share > 1 or not temperature:
            raise ForgetError('share of LIRF must be at most 1, and '
                              'temperature above 0')
        self.share, self.temperature = share, temperature
        self.keep, self.apart = keep, apart
        self.retain, self.deposit = retain, deposit

    def extra_modules(self, model):
        """See :meth:`ForgettingMethod.extra_modules`."""
        lower = [
            copy.deepcopy(model.teacher.get_submodule(name))
            for name in model.lower_half()
        ]
        return dict(deposit=nn.ModuleList(lower).requires_grad_(True))

    def begin(self, model, stored, fresh=True):
        """See :meth:`ForgettingMethod.begin`."""
        self._teacher, self._names = model.teacher, model.lower_half()
        self._deposit = model.of_method['deposit']
        self.gone = model.forgotten
        if fresh:
            for name, module in zip(self._names, self._deposit):
                module.load_state_dict(
                    self._teacher.get_submodule(name).state_dict())

    def losses(self, forget, retain, groups):
        """See :meth:`ForgettingMethod.losses`."""
        terms, a = {}, self.share
        if forget is not None:
            pair = forget.student, forget.teacher
            terms['loss_relabelled'] = (1 - a) * forget.total()
            terms['loss_keep'] = self.keep * a * distillation(
                *pair, self.temperature, self._columns(forget, kept=True))
            terms['loss_apart'] = -self.apart * F.mse_loss(*(attention_map(
                said.middle) for said in pair))  # yapf: disable
            terms['loss_deposit'] = self.deposit * self._deposit_loss(forget)
            terms.update(forget.logged('forget'))
        if retain is not None:
            terms['loss_retain'] = self.retain * retain.total()
            terms.update(retain.logged('retain'))
        return terms

    def _columns(self, forget, kept):
        """Mask of the logits of the classes that stay, or that go."""
        count = forget.teacher.logits.shape[-1]
        return [c for c in range(count) if (c in self.gone) != kept]

    def _deposit_loss(self, forget):
        """L_dep of the forget images, with their true labels."""
        with swapped(self._teacher, self._names, self._deposit):
            found = self._teacher.plain_terms(*forget.images)
        soft = distillation(found.student, forget.teacher, self.temperature,
                            self._columns(forget, kept=False))
        return (1 - self.share) * found.total() + self.share * soft


def attention_map(activations):
    """What channels of a layer look at.

    Args:
        activations (Tensor): Shape (N, tokens, D).

    Returns:
        Tensor: Shape (N, D), of norm 1 but for faint entries at 0.
    """
    found = F.normalize(activations.float().square().mean(1))
    return torch.where(found < _FAINT, 0., found)
