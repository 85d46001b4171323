"""The results as a table on the console, as JSON and as Markdown."""
import os
import platform
import sys
from pathlib import Path

import torch
from rich.table import Table

from gslora_mm.utils import atomic_path, write_json

COLUMNS = ('what', 'ours', 'other', 'ratio', 'bound', 'ok')


def environment(setting):
    """dict: Where the numbers come from."""
    import mmcv
    import mmdet
    import mmengine
    return dict(
        python=platform.python_version(),
        torch=torch.__version__,
        mmengine=mmengine.__version__,
        mmcv=mmcv.__version__,
        mmdet=mmdet.__version__,
        device=torch.cuda.get_device_name()
        if torch.cuda.is_available() else _processor(),
        cpu_count=os.cpu_count(),
        threads=torch.get_num_threads(),
        load_at_start=os.getloadavg()[0],
        checkpoint=setting.checkpoint,
        repeats=setting.repeats,
        tiny=setting.tiny,
        command=' '.join(['python', *sys.argv]))


def _processor():
    try:
        for line in Path('/proc/cpuinfo').read_text().splitlines():
            if line.startswith('model name'):
                return line.split(':', 1)[1].strip()
    except OSError:
        pass
    return platform.machine()


def _cells(row):
    ours, other = (_value(row[k], row['unit']) for k in ('ours', 'other'))
    verdict = {None: '', True: 'yes', False: 'NO'}[row['ok']]
    return (row['name'], ours, other, f'{row["ratio"]:.3f}',
            _bound(row['bound']), verdict)


def _value(value, unit):
    if unit == 's' and value < 1:
        return f'{value * 1000:.1f} ms'
    return f'{value:.2f} {unit}'


def _bound(bound):
    if bound is None:
        return ''
    low, high = bound
    return f'<= {high:g}' if low is None else f'{low:g} - {high:g}'


def console_table(rows):
    """Table: The rows for a rich console."""
    table = Table(title='gslora_mm benchmarks')
    for i, column in enumerate(COLUMNS):
        table.add_column(column, justify='right' if 0 < i < 4 else 'left')
    for row in rows:
        table.add_row(*_cells(row), style='red' if row['ok'] is False else '')
    return table


def markdown(content):
    """str: The results as a Markdown document."""
    env, rows = content['environment'], content['rows']
    lines = ['# Benchmarks', '', f'`{env["command"]}`', '']
    lines += [
        f'{env["device"]}, {env["cpu_count"]} CPUs, {env["threads"]} threads, '
        f'torch {env["torch"]}, mmdet {env["mmdet"]}, Python '
        f'{env["python"]}; load before the start {env["load_at_start"]:.2f}; '
        f'{content["seconds"]:.0f} s in all.', '',
        'Times are medians, ratios are medians over rounds in which both '
        'sides ran in turns.', '',
        _line(COLUMNS),
        _line(['---', '---:', '---:', '---:', '---', '---'])
    ]
    lines += [_line(_cells(row)) for row in rows]
    lines += [
        '', '| what | n | ours min - max | other min - max |',
        '| --- | ---: | ---: | ---: |'
    ]
    for row in rows:
        detail = row['detail']
        ranges = [
            ' - '.join(_value(v, row['unit']) for v in detail[key])
            for key in ('ours_range', 'other_range')
        ]
        lines.append(_line([row['name'], detail['measurements'], *ranges]))
    return '\n'.join(lines) + '\n'


def _line(cells):
    return f'| {" | ".join(map(str, cells))} |'


def write(folder, content):
    """Write ``results.json`` and ``results.md``."""
    write_json(Path(folder) / 'results.json', content)
    with atomic_path(Path(folder) / 'results.md') as partial:
        partial.write_text(markdown(content))
