"""Studies whose training is a matter of milliseconds."""
import os
import subprocess
import sys
from pathlib import Path

from tool_calls import REPO

BASE = REPO / 'configs/gslora/vit_shapes_forget.py'
RANKS, SEEDS = (1, 4), (0, 1)

# Stands in for tools/train.py: same arguments, same files, no training.
_TRAIN = '''
import json, os, runpy, sys, time
from pathlib import Path
config, folder = sys.argv[1], Path(sys.argv[3])
assert sys.argv[2] == '--work-dir' and sys.argv[4:] == ['--resume']
cfg = runpy.run_path(config)
forget, seed = cfg['forget'], cfg['randomness']['seed']
rank = forget['lora']['rank']
with open(os.environ['STARTED'], 'a') as file:
    file.write(f'{rank} {seed} {os.getpid()}\\n')
if f'{rank}-{seed}' == os.environ.get('FAIL'):
    print('something')
    print('error: no room on the moon')
    sys.exit(1)
if f'{rank}-{seed}' == os.environ.get('HANG'):
    time.sleep(600)
if not Path(cfg['load_from']).name.startswith('base'):
    assert 'shapes' in cfg['load_from']
rows = []
for index in range(1, len(forget['requests']) + 1):
    values = {f'Acc_{s}{w}': None if s == 'o' and index == 1 else
              round(1 / (rank + seed + index + ord(s)), 6)
              for s in 'fro' for w in ('', '_base', '_before')}
    row = dict(request=index, classes=['star'], top1=dict(
        values, H=.5 + .01 * seed + .001 * rank, retention=.9 + .01 * seed))
    out = folder / f'request_{index:02d}'
    out.mkdir(exist_ok=True)
    groups = [dict(name=name, norm=1., zero=False, layers=[], parameters=p)
              for name, p in (('a', 10 * rank), ('b', rank))]
    for name, content in dict(
            metrics=row, groups=dict(groups=groups, zero_groups=1,
                zero_ratio=.5, adapter_bytes=1000 * rank),
            training=dict(seconds=float(rank), peak_memory_mb=1.)).items():
        (out / f'{name}.json').write_text(json.dumps(content))
    rows.append(row)
(folder / 'run.json').write_text(json.dumps(dict(base_fingerprint=(
    os.environ.get('BASE_PRINT', 'one')))))
(folder / 'summary.json').write_text(json.dumps(dict(requests=rows)))
'''
_PRETRAIN = '''
import os, runpy, sys
from pathlib import Path
cfg, folder = runpy.run_path(sys.argv[1]), Path(sys.argv[3])
with open(os.environ['STARTED'], 'a') as file:
    file.write(f"pretrain {cfg['model']['backbone']['arch']['num_layers']}"
               f" {cfg['train_cfg']['max_epochs']}\\n")
if os.environ.get('FAIL') == 'pretrain':
    sys.exit('error: no base')
(folder / 'base.pth').write_text('weights')
'''
_RUN = '''
import sys
from gslora_mm.utils.tool import quiet_libraries
quiet_libraries()
from gslora_mm.engine.study import Study
Study(sys.argv[1], sys.argv[2]).run(sys.argv[3])
'''


def write_tools(folder):
    """A folder with stand-ins for ``train.py`` and ``pretrain.py``."""
    folder.mkdir()
    (folder / 'train.py').write_text(_TRAIN)
    (folder / 'pretrain.py').write_text(_PRETRAIN)
    return folder


def write_study(path, axes=None, seeds=SEEDS, base=BASE, **study):
    """Write the config of a study; returns its path."""
    if axes is None:
        axes = dict(rank=dict(option='forget.lora.rank', values=list(RANKS)))
    study.setdefault('options',
                     {'forget.requests': [['star', 'ring'], ['heart']]})
    content = dict(axes=axes, seeds=list(seeds), **study)
    Path(path).write_text(f'base = {str(base)!r}\nstudy = {content!r}\n')
    return path


def start_study(config, work_dir, tools, **variables):
    """Start a study in a process of its own."""
    env = dict(os.environ, PYTHONPATH=str(REPO), **variables)
    return subprocess.Popen(
        [sys.executable, '-c', _RUN,
         str(config),
         str(work_dir),
         str(tools)],
        cwd=REPO,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True)
