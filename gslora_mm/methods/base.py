"""What every forgetting method offers."""
import math

import torch

from ..utils import ForgetError

_STREAMS = ('forget', 'retain')


class ForgettingMethod:
    """A forgetting method: one file, :meth:`losses` and what else it needs.

    The model calls :meth:`default_bound` and :meth:`check_groups` once and
    :meth:`losses` for every batch. The engine calls :meth:`prepare` once per
    request and :meth:`begin` in every process that trains it; :meth:`phase`
    and :meth:`start_epoch` before every epoch; and :meth:`after_step` after
    every optimizer step. Of a method that does not train it calls
    :meth:`edit` alone.

    Attributes:
        trains (bool): Whether there is anything to train. If not,
            :meth:`edit` changes the weights.
        trains_norms (bool): Whether norms gather statistics, as far as those
            of the plain model do.
        uses_lr (bool): Whether :meth:`after_step` needs the learning rate of
            LoRA.
        relabels (bool): Whether the forget stream gets the labels that
            :meth:`relabel` draws.
        needs_features (bool): Whether :meth:`losses` looks at the
            ``features`` of the streams, which are left out otherwise.
        needs_outputs (bool): The same of ``student``.
        needs_teacher (tuple[str]): Streams of which :meth:`losses` looks at
            ``teacher``, what a frozen model says.
        teacher_from (str): Weights of the teacher: ``'base'``, those that the
            run started from, or ``'request'``, those that the request finds.
        needs_losses (tuple[str]): Streams of which :meth:`losses` looks at
            the loss terms, and of a detector at ``labels``: of the others it
            matches nothing.
        needs_layers (bool): The same of ``layers`` of both, embeddings behind
            every layer of a detector's decoder; with ``needs_outputs``.
        needs_painting (bool): Whether the teacher sees training images
            without the objects of all classes forgotten so far, and
            :meth:`losses` looks at ``painted``; detectors only.
        unlabelled (float): Score from which the teacher's finds of forgotten
            classes are painted out as well, and it looks again; with
            ``needs_painting``. None: labels are trusted.
        needs_middle (bool): The same of ``middle`` of both, what the lower
            half of the model makes of the images; with ``needs_outputs``.
        needs_blocks (int): The same of ``blocks`` of both, of so many blocks
            of a classifier, counted from the last; with ``needs_outputs``.
        needs_images (bool): The same of ``images``.
        needs_prepare (bool): Whether :meth:`prepare` does anything.
        needs_prototypes (bool): Whether the engine shall compute the
            prototypes of the original model and hand their file to every
            request as the argument ``prototypes``.
        keeps_modules (bool): Whether :meth:`extra_modules` are kept in the
            folder of the request when it is trained.
        starts_anew (bool): Whether all weights are drawn anew: training
            checkpoints then hold all of them.
        starts_apart (bool): Whether the model leaves what it loaded before
            its first step: what it says then is not compared with its
            teacher.
        teacher_cache (float): Megabytes for what the teacher said of images
            that come again; 0 asks it each time.
        half_cache (bool): Whether that is kept in half precision.
        lower (str): What to lower where the loss explodes, for messages.
        averages_ranks (bool): Whether :meth:`losses` of several processes
            are those of one with all images: terms come with the value of
            the whole batch, and zeros where a process has no image of a
            stream. If not, each process looks at its own images.
    """

    trains = True
    trains_norms = False
    uses_lr = True
    relabels = False
    needs_features = False
    needs_outputs = False
    needs_teacher = ()
    teacher_from = 'base'
    needs_losses = _STREAMS
    needs_layers = False
    needs_painting = False
    unlabelled = None
    needs_middle = False
    needs_blocks = 0
    needs_images = False
    needs_prepare = False
    needs_prototypes = False
    keeps_modules = False
    starts_anew = False
    starts_apart = False
    teacher_cache = 0
    half_cache = False
    lower = 'the learning rate'
    averages_ranks = False

    def default_bound(self, bound):
        """Called once, with a bound for the forget loss of this model.

        Args:
            bound (float): BND that suits the head of the model.
        """

    def check_groups(self, groups):
        """Called once, with the LoRA groups of this model.

        Args:
            groups (LoRAGroups): None of them where there is no LoRA.

        Raises:
            ForgetError: If the method cannot work with them.
        """

    def extra_modules(self, model):
        """Called once: modules that belong to the method, not to the model.

        They lie in ``model.of_method``, train beside it as far as they want
        gradients, and are in its training checkpoints; what is merged,
        measured and handed to the next request has none of them. Weights are
        loaded later, before :meth:`begin`.

        Args:
            model (ForgettingMixin): The model, just built.

        Returns:
            dict[str, nn.Module]: By name; empty without any.
        """
        return {}

    def prepare(self, context):
        """Look at the images of a request before its first step.

        Args:
            context (RequestContext): The model as the request finds it, its
                images, and what was prepared for the request before.

        Returns:
            dict[str, Tensor]: What :meth:`begin` needs; kept in the folder of
            the request.
        """
        raise NotImplementedError

    def begin(self, model, stored, fresh=True):
        """Called before training starts or goes on.

        Args:
            model (ForgettingMixin): The model, on its device; on resume with
                the weights of the last epoch.
            stored (dict[str, Tensor]): What :meth:`prepare` returned, on the
                same device.
            fresh (bool): Whether training starts now, and does not go on.
        """

    def phase(self, epoch):
        """Which streams an epoch trains, all images of a batch from them.

        Args:
            epoch (int): Which epoch, from 0.

        Returns:
            tuple[str]: ``'forget'``, ``'retain'`` or both.
        """
        return _STREAMS

    def relabel(self, labels, num_classes, generator):
        """Wrong labels for what is forgotten, if ``relabels``.

        Args:
            labels (Tensor): True labels, int64 of shape (n, ), on the CPU.
            num_classes (int): C.
            generator (torch.Generator): To draw from.

        Returns:
            Tensor: Any class but its own for each, all as likely.
        """
        return other_labels(labels, num_classes, generator)

    def losses(self, forget, retain, groups):
        """Turn the loss terms of both streams into the objective.

        Args:
            forget (StreamLoss | None): Terms of the forget images; None if
                the batch holds none with boxes.
            retain (StreamLoss | None): Terms of the retain images.
            groups (LoRAGroups): The LoRA groups of the model; none of them
                where there is no LoRA.

        Returns:
            dict[str, Tensor]: Scalars. mmengine minimises the sum of those
            whose key contains ``loss`` and logs all of them.
        """
        raise NotImplementedError

    def start_epoch(self, epoch, groups):
        """Called before an epoch starts, resumed ones included.

        Args:
            epoch (int): Which epoch, from 0.
            groups (LoRAGroups): The LoRA groups of the model.
        """

    def after_step(self, groups, lr):
        """Called after every optimizer step with its learning rate.

        Args:
            groups (LoRAGroups): The LoRA groups of the model.
            lr (float | None): Learning rate of the LoRA parameters; None
                unless ``uses_lr``, and where there is no LoRA.
        """

    def edit(self, state, context):
        """Change the weights of a plain model, if the method does not train.

        Args:
            state (dict[str, Tensor]): Its weights, on the CPU; not to be
                changed in place.
            context (RequestContext): The model with these weights, and the
                images of the request.

        Returns:
            dict[str, Tensor]: All weights; the same keys, shapes and types.
        """
        raise NotImplementedError


def other_labels(labels, num_classes, generator):
    """Draw for each label one of the other classes, all as likely.

    Args:
        labels (Tensor): int64 of shape (n, ), on the CPU.
        num_classes (int): C, at least 2.
        generator (torch.Generator): To draw from.

    Returns:
        Tensor: int64 of shape (n, ).
    """
    drawn = torch.randint(num_classes - 1, labels.shape, generator=generator)
    return drawn + (drawn >= labels).long()


def check_numbers(owner, numbers, optional=()):
    """Check the numbers among the arguments of a method.

    Args:
        owner (str): Name of the method.
        numbers (dict): Values by name.
        optional (Container[str]): Those that may be None.

    Raises:
        ForgetError: At the first that is no finite number >= 0.
    """
    for name, value in numbers.items():
        if value is None and name in optional:
            continue
        if isinstance(value, bool) or not isinstance(
                value, (int, float)) or not 0 <= value < math.inf:
            raise ForgetError(
                f'{name} of {owner} must be a number >= 0, not {value!r}')
