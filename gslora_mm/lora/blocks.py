"""Finding Transformer blocks, their FFNs and attention in a module tree."""
from dataclasses import dataclass, field

from torch import nn

_ATTENTION = ('attention', 'attn', 'msa')


@dataclass(frozen=True)
class FFN:
    """A feed-forward module: its name, its linears by name, its kind."""
    name: str
    linears: tuple
    gated: bool


@dataclass
class Scan:
    """What a part of the module tree holds.

    Attributes:
        linears (list): (name, nn.Linear) outside attention modules.
        attentions (list): (name, module), outermost attention modules.
        ffns (list[FFN]): Outermost FFN candidates.
        blocks (list[tuple]): (name, attentions, ffns) of minimal blocks.
    """
    linears: list = field(default_factory=list)
    attentions: list = field(default_factory=list)
    ffns: list = field(default_factory=list)
    blocks: list = field(default_factory=list)


def find_blocks(model):
    """Find the Transformer blocks of a model.

    A block is a minimal module that holds both an attention module and an
    FFN. Attention is known by its class name. An FFN is the outermost module
    without attention whose linears are d -> h and h -> d; a gated one has
    d -> 2h and h -> d, or d -> h twice and h -> d. Where no module wraps
    these linears, they may also lie in the block itself, as the only ones
    outside its attention (``nn.TransformerDecoderLayer``). What lies beside
    the blocks (query scale MLPs of a decoder, box heads) is not part of any.

    Args:
        model (nn.Module): Any model.

    Returns:
        list[tuple]: (name, attentions, ffns) per block, where attentions are
        (name, module) pairs and ffns are :class:`FFN`.
    """
    return _scan(model, '').blocks


def _scan(module, name):
    if isinstance(module, nn.Linear):
        return Scan(linears=[(name, module)])
    inside = Scan()
    for key, child in module.named_children():
        part = _scan(child, f'{name}.{key}' if name else key)
        inside.linears += part.linears
        inside.attentions += part.attentions
        inside.ffns += part.ffns
        inside.blocks += part.blocks
    return _classify(module, name, inside)


def _classify(module, name, inside):
    if inside.blocks:
        return Scan(blocks=inside.blocks)
    # Before the class name is asked: `MSDeformAttnPixelDecoder` and the like
    # are called after attention and yet are made of blocks.
    if inside.attentions and inside.ffns:
        return Scan(blocks=[(name, inside.attentions, inside.ffns)])
    if any(word in type(module).__name__.lower() for word in _ATTENTION):
        return Scan(attentions=[(name, module)])
    kind = _ffn_kind(inside.linears)
    if kind:
        ffn = FFN(name, tuple(inside.linears), kind == 'gated')
        if inside.attentions:
            return Scan(blocks=[(name, inside.attentions, [ffn])])
        return Scan(linears=inside.linears, ffns=[ffn])
    return inside


def _ffn_kind(linears):
    shapes = [(m.in_features, m.out_features) for _, m in linears]
    if len(shapes) not in (2, 3) or shapes[0][0] != shapes[-1][1]:
        return None
    dim, hidden = shapes[-1][::-1]
    if shapes == [(dim, hidden), (hidden, dim)]:
        return 'plain'
    if shapes == [(dim, 2 * hidden), (hidden, dim)]:
        return 'gated'
    if shapes[:-1] == [(dim, hidden)] * 2 and dim != hidden:
        return 'gated'
    return None
