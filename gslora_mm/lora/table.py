"""A plain text table of what LoRA was put on."""
from .layer import LoRALinear

_HEAD = ('block', 'layer', 'shape', 'rank', 'LoRA params')


def target_table(model, targets):
    """Describe the targets and how much of the model trains.

    The ratio divides by the parameters without LoRA, as the paper's tables
    do (face ViT, 245,760 of 19,157,504, 1.28 %).

    Args:
        model (nn.Module): The model, with or without LoRA on it yet.
        targets (list[LoRATarget]): What :func:`inject_lora` returned.

    Returns:
        str: One line per target, then the counts.
    """
    rows = [_HEAD] + [_row(model, target) for target in targets]
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = [
        '  '.join(cell.ljust(width) for cell, width in zip(row, widths))
        for row in rows
    ]
    lines.insert(1, '  '.join('-' * width for width in widths))
    lines += count_lines(model)
    return '\n'.join(line.rstrip() for line in lines)


def count_lines(model):
    """Lines on how many parameters train, and which share that is.

    Args:
        model (nn.Module): With or without LoRA.

    Returns:
        list[str]: Three lines.
    """
    trainable, total = count_parameters(model)
    ratio = 100 * trainable / total if total else 0.0
    return [
        f'trainable: {trainable:,} parameters',
        f'total: {total:,} parameters (LoRA not counted)',
        f'ratio: {ratio:.2f} %'
    ]


def _row(model, target):
    layer = model.get_submodule(target.name)
    rank, params = '-', 0
    if isinstance(layer, LoRALinear):
        rank = str(layer.rank)
        params = layer.lora_A.numel() + layer.lora_B.numel()
    # A block of several children of a container is no prefix of its layers.
    name = target.name.removeprefix(f'{target.block}.')
    shape = f'{target.in_features} -> {target.out_features}'
    return (target.block or '(model)', name, shape, rank, f'{params:,}')


def count_parameters(model):
    """Count what trains, and the model without LoRA.

    Args:
        model (nn.Module): With or without LoRA.

    Returns:
        tuple[int, int]: Parameters that train; all that are not LoRA's.
    """
    lora = {
        id(param)
        for module in model.modules() if isinstance(module, LoRALinear)
        for param in (module.lora_A, module.lora_B)
    }
    params = list(model.parameters())
    trainable = sum(p.numel() for p in params if p.requires_grad)
    return trainable, sum(p.numel() for p in params if id(p) not in lora)
