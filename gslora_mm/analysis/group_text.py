"""The analysis of the groups as text."""
import io

from ..utils import shown

_WIDTH = 110
_YES = {True: 'yes', False: 'no'}


def render_request(row):
    """Render one request as the table that the tool prints.

    Args:
        row (dict): One entry of ``requests`` of
            :func:`~gslora_mm.analysis.analyze_groups`.

    Returns:
        str: The table and the sizes of the adapter.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    table = Table(box=box.ASCII2, show_edge=False, pad_edge=False)
    table.add_column('group', overflow='fold')
    for header in ('penalised norm', 'weight change', 'zero', '= base',
                   '= original'):
        table.add_column(header, justify='right', no_wrap=True)
    for group in row['groups']:
        table.add_row(
            shown(group['name']), _number(group['norm'], group['zero']),
            _number(group['update_norm'],
                    group['bit_identical']), _YES[group['zero']],
            _YES[group['bit_identical']], _YES[group['same_as_original']])
    # Group and class names are data: no markup in them.
    console = Console(
        file=io.StringIO(),
        width=_WIDTH,
        color_system=None,
        markup=False,
        emoji=False,
        highlight=False,
        force_terminal=False,
        legacy_windows=False)
    console.print(table)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    classes = ', '.join(map(shown, row['classes'])) or 'classes not recorded'
    return '\n'.join([
        f'request {row["request"]}: {classes}', *lines,
        'no LoRA: zero-group ratio -, adapter -' if row['zero_ratio'] is None
        else f'zero-group ratio {row["zero_ratio"]:.3f}; adapter '
        f'{_size(row["adapter_file_bytes"])} on disk, weights '
        f'{_size(row["adapter_weight_bytes"])} with zero groups dropped, '
        f'{_size(row["adapter_weight_bytes_with_zero_groups"])} with them'
    ])


def conclusion(row):
    """What is proved for one request, or which checks fail.

    Args:
        row (dict): One entry of ``requests`` of
            :func:`~gslora_mm.analysis.analyze_groups`.

    Returns:
        list[str]: Lines.
    """
    number, groups = row['request'], row['groups']
    if row['failures']:
        return [
            f'request {number}: CHECK FAILED: {failure}'
            for failure in row['failures']
        ]
    if not groups:
        frozen = row['tensors_outside']
        return [
            f'request {number}: no LoRA; ' +
            (f'all {frozen} tensors that did not train bit-identical to the '
             'base (sha256 compared)' if frozen else 'every tensor trained')
        ]
    # By 'matrix' two groups can share a weight.
    weights = {w['name'] for g in groups if g['zero'] for w in g['weights']}
    head = (f'request {number}: {len(row["zero_groups"])} of {len(groups)} '
            'groups exactly zero')
    if weights:
        matrices = 'matrix' if len(weights) == 1 else 'matrices'
        head += (f', their {len(weights)} weight {matrices} bit-identical to '
                 'the base (sha256 compared)')
    same = row['same_as_original']
    return [
        head,
        f'request {number}: all {row["tensors_outside"]} tensors without '
        'LoRA bit-identical to the base (sha256 compared)',
        f'after request {number}, {len(same)} of {len(groups)} still as in '
        f'the original model: {", ".join(same) or "none"}'
    ]


def _number(value, exact_zero):
    if value is None:
        return '-'
    return '0' if exact_zero and value == 0 else f'{value:.4g}'


def _size(count):
    return f'{count / 1e6:.2f} MB' if count >= 1e6 else f'{count / 1e3:.1f} kB'
