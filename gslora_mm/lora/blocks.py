"""Finding Transformer blocks, their FFNs and attention in a module tree."""
from dataclasses import dataclass, field

from torch import nn

_ATTENTION = ('attention', 'attn', 'msa')
# What mm* and torch put one after the other, without a forward of its own.
_ROW = (nn.Sequential, nn.ModuleList)


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
        linears (list): (name, nn.Linear) outside attention modules; not
            kept where there are blocks.
        attentions (list): (name, module), outermost attention modules
            outside blocks.
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
    FFN. Where several lie in one ``nn.Sequential`` or ``nn.ModuleList`` with
    nothing around each (LeViT), a block starts at every attention that
    follows an FFN, and is named by its first and last child
    (``stages.0.2-3``). Attention is known by the name of its class, or of
    the attribute that holds it (``attn``). An FFN is the outermost module
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


def find_strays(model):
    """Find what looks like part of a Transformer block, but is of none.

    Args:
        model (nn.Module): Any model.

    Returns:
        list[str]: Names of attention modules that hold linears, and of
        linears that follow each other as those of an FFN, plain or gated,
        that is wider inside than outside. MLPs of heads are hardly ever.
    """
    found = _scan(model, '')
    lone = [(name, module) for name, module in found.attentions if any(
        isinstance(m, nn.Linear) for m in module.modules())]
    taken = set()
    for _, attentions, ffns in [*found.blocks, ('', lone, [])]:
        for _, module in attentions:
            taken.update(module.modules())
        for ffn in ffns:
            taken.update(m for _, m in ffn.linears)
    rest = [(name, m) for name, m in model.named_modules()
            if isinstance(m, nn.Linear) and m not in taken]
    strays = [name for name, _ in lone]
    for (name, m), (following, n) in zip(rest, rest[1:]):
        if (m.in_features == n.out_features < n.in_features
                and m.out_features in (n.in_features, 2 * n.in_features)):
            strays += [name, following]
    return strays


def _scan(module, name):
    if isinstance(module, nn.Linear):
        return Scan(linears=[(name, module)])
    inside, parts = Scan(), []
    for key, child in module.named_children():
        part = _scan(child, f'{name}.{key}' if name else key)
        inside.linears += part.linears
        inside.attentions += part.attentions
        inside.ffns += part.ffns
        inside.blocks += part.blocks
        parts.append((key, part))
    return _classify(module, name, inside, parts)


def _classify(module, name, inside, parts):
    if inside.blocks:
        return Scan(blocks=inside.blocks, attentions=inside.attentions)
    # Before the class name is asked: `MSDeformAttnPixelDecoder` and the like
    # are called after attention and yet are made of blocks.
    if inside.attentions and inside.ffns:
        row = _blocks_in_a_row(name, parts) if isinstance(module, _ROW) else []
        return _of_blocks(row, inside) if len(row) > 1 else Scan(
            blocks=[(name, inside.attentions, inside.ffns)])
    if _is_attention(module, name, inside):
        return Scan(attentions=[(name, module)])
    kind = _ffn_kind(inside.linears)
    if kind:
        ffn = FFN(name, tuple(inside.linears), kind == 'gated')
        if inside.attentions:
            return Scan(blocks=[(name, inside.attentions, [ffn])])
        return Scan(linears=inside.linears, ffns=[ffn])
    return inside


def _is_attention(module, name, inside):
    if any(word in type(module).__name__.lower() for word in _ATTENTION):
        return True
    # XCiT's class is called XCA. The norm or dropout in place of an attention
    # that is left out has no linears.
    key = name.rpartition('.')[2].split('_')[-1]
    return bool(inside.linears) and key in _ATTENTION


def _blocks_in_a_row(name, parts):
    """Blocks among the children of a container, an attention first in each.

    Children before the first attention, and attention after the last FFN,
    are in no block.
    """
    rows = []
    for key, part in parts:
        if part.attentions and (not rows or rows[-1][2]):
            rows.append(([], [], []))
        if rows and (part.attentions or part.ffns):
            for members, new in zip(rows[-1],
                                    ([key], part.attentions, part.ffns)):
                members += new
    prefix = f'{name}.' if name else ''
    return [(f'{prefix}{keys[0]}-{keys[-1]}', attentions, ffns)
            for keys, attentions, ffns in rows if ffns]


def _of_blocks(blocks, inside):
    taken = {name for _, attentions, _ in blocks for name, _ in attentions}
    return Scan(
        blocks=blocks,
        attentions=[a for a in inside.attentions if a[0] not in taken])


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
