"""The trivial baseline that trains: the last layer is taught to forget."""
from ..registry import METHODS
from .base import ForgettingMethod, check_numbers
from .distances import masked_distillation


@METHODS.register_module()
class HeadDistillation(ForgettingMethod):
    r"""What the original model says, without what is forgotten.

    .. math::
        L = KL(\bar p_0(x_f) \Vert p(x_f)) +
        \lambda_r KL(\bar p_0(x_r) \Vert p(x_r))

    where :math:`\bar p_0` is the original model's softmax with the logits of
    all classes forgotten so far at :math:`-\infty`; with a sigmoid for every
    class, its scores with theirs at 0. Of a detector, query by query. Meant
    for the head alone: it takes the class out of the last layer and leaves
    it in the features, and is what forgetting in depth has to beat.

    Trains what ``forget.train`` says, ``'head'`` for the baseline. Stores
    nothing between requests; the teacher is the base checkpoint.

    Args:
        retain (float): :math:`\lambda_r`. Defaults to 1; with 0 the retain
            stream is not loaded.

    Raises:
        ForgetError: If an argument is out of range.
    """

    needs_outputs = True
    needs_teacher = ('forget', 'retain')
    needs_losses = ()

    def __init__(self, retain=1.):
        check_numbers(type(self).__name__, dict(retain=retain))
        self.retain, self.forgotten = retain, []

    def begin(self, model, stored, fresh=True):
        """See :meth:`ForgettingMethod.begin`."""
        self.forgotten = model.forgotten

    def phase(self, epoch):
        """See :meth:`ForgettingMethod.phase`."""
        return ('forget', 'retain') if self.retain else ('forget', )

    def losses(self, forget, retain, groups):
        """See :meth:`ForgettingMethod.losses`."""
        terms = {}
        if forget is not None:
            terms['loss_masked'] = masked_distillation(forget.student,
                                                       forget.teacher,
                                                       self.forgotten)
        if retain is not None:
            terms['loss_distill'] = self.retain * self.keep(retain)
        return terms

    def keep(self, retain):
        """Loss of the retain stream.

        Args:
            retain (StreamLoss): With student and teacher.

        Returns:
            Tensor: A scalar.
        """
        return masked_distillation(retain.student, retain.teacher,
                                   self.forgotten)
