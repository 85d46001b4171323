"""A recovery of a toy comparison, and a tool that measures nothing."""
from tool_calls import REPO

STEPS = [0, 10, 20]

# Stands in for tools/recover.py --only: a curve of zeros.
ONLY = '''
import json, os, sys
from pathlib import Path
config, where, out, seeds, seed, methods, *names, only, place = sys.argv[1:]
assert (where, seeds, methods, only) == ('--work-dir', '--seeds', '--methods',
                                         '--only')
assert names == ['filter', 'tune'] and place.endswith('/seed_' + seed)
with open(os.environ['STARTED'], 'a') as file:
    file.write(f'measure {place}\\n')
if place == os.environ.get('FAIL'):
    sys.exit('error: no room on the moon')
for variant in ('full', 'few'):
    folder = Path(out) / 'recover/curves' / place / variant
    folder.mkdir(parents=True)
    (folder / 'curve.json').write_text(json.dumps([
        dict(step=step, protocol='top1', score='Acc', r=.9, f=step / 100)
        for step in (0, 10, 20)]))
'''


def write(path, **content):
    base = path.parent / 'base.pth'
    base.write_text('weights')
    content = dict(
        dict(
            methods=['filter', 'tune'],
            seeds=[0, 1],
            steps=STEPS,
            variants={
                'full': {},
                'few': dict(shots=2)
            },
            reference=dict(
                config=str(REPO / 'configs/pretrain/vit_shapes.py'),
                options={'train_cfg.max_epochs': 1})), **content)
    path.write_text(f"comparison = 'methods.py'\nrecovery = {content!r}\n")
    return path
