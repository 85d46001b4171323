"""What of a model trains, and how it is put into train mode."""
import torch
from mmengine.logging import print_log
from torch import nn

from ..lora import (LoRAGroups, NoGroups, count_parameters, freeze_base,
                    inject_lora, is_lora_key, reset_lora, target_table)
from ..utils import ForgetError
from .building import draw_weights
from .extras import EXTRAS, is_extra_key
from .trainable import train_only, training_table


class TrainingMixin:
    """Chooses what trains, and keeps the rest as it is."""

    def setup_forgetting(self,
                         lora,
                         method,
                         group,
                         dropout,
                         streams,
                         train='lora'):
        """Choose what trains, freeze the rest and print what was matched.

        Args:
            lora (dict): Arguments of :func:`gslora_mm.lora.inject_lora`.
            method (ForgettingMethod): The forgetting method.
            group (str): ``'block'``, ``'lora'`` or ``'matrix'``.
            dropout (bool): Keep the dropout of frozen layers on.
            streams (str): ``'fused'`` or ``'separate'``.
            train (str | dict): What trains, see
                :func:`~gslora_mm.models.check_train`. A method that does not
                train leaves it out.
        """
        self.method, self.dropout, self.streams = method, dropout, streams
        if method.needs_teacher:
            self.keep_teacher()
        # For what the method draws; the engine seeds it.
        self.generator = torch.Generator()
        if train == 'lora' and method.trains:
            table = self._insert_lora(lora, group)
        else:
            table = self._train_own(train if method.trains else None)
        method.default_bound(self.natural_bound())
        method.check_groups(self.groups)
        self.parameter_counts = count_parameters(self)
        extras = method.extra_modules(self)
        if extras:
            self.add_module(EXTRAS, nn.ModuleDict(extras))
        print_log(table, 'current')
        # A new module is in train mode without train() having been called.
        self.train()

    def _insert_lora(self, lora, group):
        """Train LoRA; returns a table of where it is."""
        self.targets = inject_lora(self, **lora)
        freeze_base(self)
        self.groups = LoRAGroups(self, by=group)
        return ('LoRA inserted; everything else is frozen\n' +
                target_table(self, self.targets))

    def _train_own(self, train):
        """Train parameters of the model; returns a table of them."""
        # Backbones freeze their first stages here.
        super().train(True)
        self.groups, self._own = NoGroups(), ()
        self._own = train_only(self, train, self.classifying_modules())
        return training_table(self, train, self._own)

    def trained_keys(self):
        """list[str]: Keys of the state dict that training changes."""
        keys = list(self.state_dict())
        if self.method.starts_anew:
            return keys
        own = {key for key in keys if is_extra_key(key)}
        if len(self.groups):
            return [key for key in keys if is_lora_key(key) or key in own]
        own.update(self._own)
        if self.method.trains_norms:
            own.update(name for name, _ in self.named_buffers())
        return [key for key in keys if key in own]

    def init_weights(self):
        """Reset LoRA only: base weights come from a checkpoint.

        (The libraries' own ``init_weights`` would randomise them, and
        ``lora_B``, which must start at zero.)
        """
        reset_lora(self)
        self._is_init = True

    def start_anew(self, share=None, generator=None):
        r"""Draw weights as the plain model does, with a seed of its own.

        Args:
            share (float, optional): :math:`a` of :math:`(1 - a) \theta + a
                \theta_{drawn}` of what trains; the rest, and buffers
                (statistics of norms), stay. Defaults to None: all of the
                model is drawn anew.
            generator (torch.Generator, optional): Gives the seed. Defaults
                to the model's.

        Raises:
            ForgetError: If all are drawn, and one would stay as it is drawn.
        """
        state = draw_weights(self.plain_config, generator or self.generator)
        if share is None:
            self._check_all_train(state)
        else:
            state = {
                name: torch.lerp(p.detach().cpu(), state[name].to(p.dtype),
                                 share)
                for name, p in self.named_parameters() if p.requires_grad
            }
        self.load_state_dict(state, strict=False)

    def _check_all_train(self, drawn):
        # Biases and scales begin with a value that may stay.
        idle = [
            name for name, p in self.named_parameters() if not p.requires_grad
            and p.ndim > 1 and not torch.equal(p.cpu(), drawn[name])
        ]
        if idle:
            raise ForgetError(
                f'{type(self.method).__name__} draws every weight anew, and '
                f'{idle[0]} does not train; set forget.train=\'all\', and '
                'frozen_stages=-1 in a backbone that freezes its first ones')

    def train(self, mode=True):
        """Train mode for the loss, inference mode for the frozen layers.

        Norms keep their statistics unless the method trains them. Dropout
        is off unless ``dropout=True``, so that the function which is trained
        is exactly the one which is evaluated.
        """
        trained = [p for p in self.parameters() if p.requires_grad]
        super().train(mode)
        if mode:
            norms = [(m, m.training) for m in self.modules()
                     if isinstance(m, torch.nn.modules.batchnorm._NormBase)]
            for module in self.children():
                module.train(self.dropout)
            for norm, plain in norms:
                norm.train(plain and self.method.trains_norms)
        # Some backbones freeze stages here, LoRA in them included.
        for param in trained:
            param.requires_grad_(True)
        return self
