"""Choosing the linears that get LoRA, and putting it there."""
import inspect
import re
import warnings
from dataclasses import dataclass

from torch import nn

from .blocks import find_blocks, find_strays
from .layer import LoRALinear, lora_layers
from .patterns import select, summarise

POSITIONS = ('ffn', 'attention', 'both')


@dataclass(frozen=True)
class LoRATarget:
    """A linear that gets LoRA.

    Attributes:
        name (str): Its name in the model.
        block (str): Name of its Transformer block.
        position (str): ``'ffn'`` or ``'attention'``.
        in_features (int): Input width.
        out_features (int): Output width.
    """
    name: str
    block: str
    position: str
    in_features: int
    out_features: int


def find_targets(model, position='ffn', include=None, exclude=None):
    """Find the linears that LoRA goes on, in the order of the module tree.

    Unless ``include`` says what is wanted, it warns of what looks like
    attention or an FFN outside any block.

    Args:
        model (nn.Module): Any model with Transformer blocks
            (:func:`~gslora_mm.lora.blocks.find_blocks` says what these are).
        position (str): ``'ffn'``, ``'attention'`` or ``'both'``.
        include (str | list[str], optional): Dot-bounded patterns over the
            names of the linears (:func:`~gslora_mm.lora.patterns.matches`);
            None takes all.
        exclude (str | list[str], optional): Patterns to leave out.

    Returns:
        list[LoRATarget]: At least one.

    Raises:
        ValueError: If the position is unknown, a pattern matches nothing,
            a chosen FFN is gated, or nothing is left.
    """
    if position not in POSITIONS:
        raise ValueError(f'position must be one of {POSITIONS}, '
                         f'got {position!r}')
    targets, gated = _candidates(model, position)
    if not targets and not gated:
        raise ValueError(f'no {position} linear of a Transformer block found '
                         f'in {type(model).__name__}; its linears are '
                         f'{summarise(_linear_names(model))}')
    strays = find_strays(model) if include is None else []
    if strays:
        warnings.warn('LoRA goes on Transformer blocks made of attention and '
                      'an FFN of linears; it skips what looks like a part of '
                      f'one but lies outside: {summarise(strays)}')
    kept = select([t.name for t in targets] + list(gated), include, exclude)
    refused = [name for name in gated if name in kept]
    if refused:
        raise ValueError(
            f'{gated[refused[0]]} is a gated FFN ({summarise(refused)}), '
            'which LoRA does not support; exclude it')
    return _drop_bypassed(model, [t for t in targets if t.name in kept])


def _candidates(model, position):
    found, gated = {}, {}
    for block, attentions, ffns in find_blocks(model):
        if position != 'ffn':
            for prefix, module in attentions:
                for name, child in module.named_modules(prefix=prefix):
                    if isinstance(child, nn.Linear):
                        found[name] = _target(name, child, block, 'attention')
        if position != 'attention':
            for ffn in ffns:
                for name, child in ffn.linears:
                    found[name] = _target(name, child, block, 'ffn')
                    if ffn.gated:
                        gated[name] = ffn.name
    # named_modules() lists a shared layer once, under its first name.
    order = [name for name, _ in model.named_modules() if name in found]
    return ([found[name] for name in order if name not in gated], gated)


def _target(name, linear, block, position):
    return LoRATarget(name, block, position, linear.in_features,
                      linear.out_features)


def _drop_bypassed(model, targets):
    bypassed = [t.name for t in targets if _is_bypassed(model, t.name)]
    kept = [t for t in targets if t.name not in bypassed]
    if bypassed and kept:
        warnings.warn('LoRA skips linears whose weight is read directly by '
                      f'the module around them: {summarise(bypassed)}')
    if kept:
        return kept
    why = ('their weights are read directly by the modules around them: '
           f'{summarise(bypassed)}' if bypassed else 'all are excluded')
    raise ValueError(f'no linear is left for LoRA, {why}; the linears of '
                     f'{type(model).__name__} are '
                     f'{summarise(_linear_names(model))}')


def _is_bypassed(model, name):
    """Whether the parent takes the weight and never calls the layer.

    ``nn.MultiheadAttention`` hands ``out_proj.weight`` to a functional;
    mmpretrain's BEiT attention does the same with ``qkv.weight``. LoRA there
    would have no effect and nobody would notice.
    """
    parent_name, _, key = name.rpartition('.')
    parent = model.get_submodule(parent_name)
    if isinstance(parent, nn.MultiheadAttention):
        return True
    try:
        source = inspect.getsource(type(parent).forward)
    except (OSError, TypeError):
        return False
    # Looking at the dtype or device of a weight is not reading it.
    return re.search(
        rf'\bself\.{re.escape(key)}\.weight\b(?!\.(dtype|device|shape))',
        source) is not None


def _linear_names(model):
    return [
        name for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
    ]


def inject_lora(model,
                rank=8,
                alpha=8.0,
                position='ffn',
                include=None,
                exclude=None):
    """Put LoRA on a model in place; its outputs do not change.

    Args:
        model (nn.Module): A model without LoRA.
        rank (int): Rank of every update.
        alpha (float): Numerator of the scaling alpha / rank.
        position (str): See :func:`find_targets`, as the next two.
        include (str | list[str], optional): Patterns to keep.
        exclude (str | list[str], optional): Patterns to leave out.

    Returns:
        list[LoRATarget]: The linears that have LoRA now.

    Raises:
        RuntimeError: If the model has LoRA already.
        ValueError: See :func:`find_targets`.
    """
    present = lora_layers(model)
    if present:
        raise RuntimeError('the model has LoRA already, on '
                           f'{summarise(present)}; use reset_lora() instead')
    targets = find_targets(model, position, include, exclude)
    new = {}
    for target in targets:
        linear = model.get_submodule(target.name)
        new[linear] = LoRALinear.from_linear(linear, rank, alpha)
        new[linear].block = target.block
    # By identity and not by name: a shared layer has several parents.
    for module in list(model.modules()):
        for key, child in module._modules.items():
            if child in new:
                module._modules[key] = new[child]
    return targets


def freeze_base(model):
    """Let LoRA train and nothing else.

    Args:
        model (nn.Module): A model with LoRA.
    """
    model.requires_grad_(False)
    for layer in lora_layers(model).values():
        layer.lora_A.requires_grad_(True)
        layer.lora_B.requires_grad_(True)
