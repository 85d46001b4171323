"""Comparisons whose training is a matter of milliseconds."""
from pathlib import Path

from study_toys import BASE

from gslora_mm.engine.compare import shared_requests

REQUESTS = [['star', 'ring'], ['heart']]
# Another split than that of the base.
SPLIT = {'val_dataloader.dataset.data_root': 'elsewhere/'}
METHODS = dict(
    tune='''
title = 'Fine-tune'
method = dict(type='FineTune')
train = 'all'
search = dict(
    lr=dict(option='optim_wrapper.optimizer.lr', values=[.1, .2, .3]))
''',
    filter='''
title = 'Filter'
method = dict(type='OutputFilter')
''',
    wide='''
title = 'LoRA'
options = {'forget.lora.rank': 4}
search = dict(
    lr=dict(option='optim_wrapper.optimizer.lr', values=[.1, .2, .3, .4]),
    beta=dict(option='forget.method.beta', values=[.5, .7]))
''')

# Stands in for tools/train.py. H is 1 - |lr - 0.2| - seed / 100.
_TRAIN = '''
import json, os, runpy, sys, time
from pathlib import Path
config, folder = sys.argv[1], Path(sys.argv[3])
assert sys.argv[2] == '--work-dir' and sys.argv[4:] == ['--resume']
cfg = runpy.run_path(config)
forget, seed = cfg['forget'], cfg['randomness']['seed']
lr, kind = cfg['optim_wrapper']['optimizer']['lr'], forget['method']['type']
what = ' '.join([kind, 'trial' if 'search' in folder.parts else 'run',
                 str(len(forget['requests'])), f'{lr:g}', str(seed)])
with open(os.environ['STARTED'], 'a') as file:
    file.write(f'{what}\\n')
if what == os.environ.get('HANG'):
    Path(os.environ['STARTED'] + '.pid').write_text(str(os.getpid()))
    time.sleep(600)
if what == os.environ.get('FAIL'):
    sys.exit('error: no room on the moon')
if any(what.startswith(w) for w in os.environ.get('DIVERGE', '-').split(';')):
    (folder / 'diverged.json').write_text(json.dumps(dict(error='far away')))
    sys.exit('error: far away')
rows = []
for index in range(1, len(forget['requests']) + 1):
    row = dict(request=index, classes=['star'], top1=dict(
        {f'Acc_{s}{w}': None if s == 'o' and index == 1 else .5
         for s in 'fro' for w in ('', '_base', '_before')},
        H=1 - abs(lr - .2) - seed / 100, retention=.9))
    out = folder / f'request_{index:02d}'
    out.mkdir(exist_ok=True)
    (out / 'merged.pth').write_text('weights')
    for name, content in dict(
            metrics=row, groups=dict(groups=[], zero_groups=0,
                zero_ratio=None, adapter_bytes=None),
            training=dict(seconds=2. + seed, peak_memory_mb=7.,
                iterations=10, trained_parameters=3, total_parameters=12,
                stored_bytes=500)).items():
        (out / f'{name}.json').write_text(json.dumps(content))
    rows.append(row)
    if what == os.environ.get('DIVERGE_LATE'):
        (folder / 'diverged.json').write_text('{"error": "far away"}')
        sys.exit('error: far away')
(folder / 'run.json').write_text(json.dumps(dict(base_fingerprint='one')))
(folder / 'summary.json').write_text(json.dumps(dict(requests=rows)))
'''


def write_tools(folder):
    """A folder with a stand-in for ``train.py``."""
    folder.mkdir()
    (folder / 'train.py').write_text(_TRAIN)
    return folder


def write_comparison(path, methods=METHODS, search=None, **content):
    """Write the config of a comparison; returns its path."""
    folder = Path(path).parent / 'methods'
    folder.mkdir(exist_ok=True)
    for name, text in methods.items():
        (folder / f'{name}.py').write_text(text)
    content = dict(
        dict(
            name='Two and a half methods',
            methods=[f'methods/{name}.py' for name in methods],
            seeds=[0, 1],
            settings=dict(
                single={'forget.requests': REQUESTS[1:]},
                continual={'forget.requests': REQUESTS}),
            search=dict(
                options={
                    'forget.requests': REQUESTS,
                    **SPLIT
                },
                budget=4,
                seed=9)), **content)
    if search is not None:
        content['search'] = search
    Path(path).write_text(f'base = {str(BASE)!r}\ncomparison = {content!r}\n')
    return path


def stand_in_tools(tmp_path, monkeypatch):
    """Tools of which train.py is a stand-in; see :func:`started`."""
    # It has no base model that could change.
    monkeypatch.setattr(shared_requests, 'began_as', lambda cfg, folder: True)
    monkeypatch.setenv('STARTED', str(tmp_path / 'started'))
    return write_tools(tmp_path / 'tools')


def started(tmp_path):
    """What the stand-in was started for, a line each."""
    path = tmp_path / 'started'
    return path.read_text().splitlines() if path.exists() else []
