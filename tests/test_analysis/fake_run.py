"""Work dirs as tools/train.py leaves them, with tiny weights."""
import json

import torch

from gslora_mm.lora import fingerprint, save_adapter

BLOCKS = ('encoder.layers.0', 'encoder.layers.1', 'decoder.layers.0')
FFN = ('ffn.layers.0.0', 'ffn.layers.1')
SCALING = 2.
RANK = 2
CLASSES = (('star', 'ring'), ('heart', ))


def base_state():
    generator = torch.Generator().manual_seed(3)
    state = {'head.bias': torch.zeros(4)}
    for block in BLOCKS:
        for name, shape in (('attn.proj.weight', (4, 4)), (f'{FFN[0]}.weight',
                                                           (6, 4)),
                            (f'{FFN[0]}.bias', (6, )), (f'{FFN[1]}.weight',
                                                        (4, 6))):
            state[f'{block}.{name}'] = torch.randn(shape, generator=generator)
    return state


def make_run(folder, zero=((1, 2), (2, )), unfinished=0):
    """Write a run; ``zero`` lists the zero blocks of every request."""
    state = base_state()
    torch.save(dict(state_dict=state), folder / 'base.pth')
    work_dir = folder / 'run'
    for index, dead in enumerate(zero, 1):
        request = work_dir / f'request_{index:02d}'
        request.mkdir(parents=True)
        state = write_request(request, index, state, dead)
    for index in range(len(zero) + 1, len(zero) + 1 + unfinished):
        (work_dir / f'request_{index:02d}').mkdir()
    (work_dir / 'run.json').write_text(
        json.dumps(
            dict(
                base_fingerprint=fingerprint(base_state()),
                config=dict(
                    load_from=str(folder / 'base.pth'),
                    forget=dict(
                        requests=[[f'class{i}']
                                  for i in range(len(zero) + unfinished)])))))
    return work_dir


def write_request(folder, index, base, dead):
    generator = torch.Generator().manual_seed(index)
    merged, adapter, rows = dict(base), {}, []
    for number, block in enumerate(BLOCKS):
        square = 0.
        for layer in (f'{block}.{name}' for name in FFN):
            if number in dead:
                continue
            out, inside = base[f'{layer}.weight'].shape
            lora_a = torch.randn(RANK, inside, generator=generator)
            lora_b = torch.randn(out, RANK, generator=generator)
            adapter.update({
                f'{layer}.lora_A': lora_a,
                f'{layer}.lora_B': lora_b
            })
            merged[f'{layer}.weight'] = (
                base[f'{layer}.weight'] + SCALING * lora_b @ lora_a)
            square += float(lora_a.square().sum() + lora_b.square().sum())
        rows.append(
            dict(
                name=block,
                norm=square**.5,
                update_norm=0.,
                zero=number in dead,
                parameters=2 * RANK * (4 + 6),
                layers=[f'{block}.{name}' for name in FFN],
                bit_identical=number in dead))
    history = [[3. - .1 * n for n in range(3)],
               [0. if r['zero'] else 2. for r in rows],
               [r['norm'] for r in rows]]
    meta = dict(
        request=index,
        classes=list(CLASSES[(index - 1) % 2]),
        forgotten=[],
        base_fingerprint=fingerprint(base),
        merged_fingerprint=fingerprint(merged))
    save_adapter(folder / 'adapter.safetensors', adapter,
                 dict(meta, scaling=SCALING, group='block'))
    save_merged(folder, merged, meta)
    (folder / 'groups.json').write_text(
        json.dumps(dict(groups=rows, history=history)))
    (folder / 'metrics.json').write_text('{}')
    (folder / 'training.json').write_text('{}')
    return merged


def save_merged(folder, state, meta):
    torch.save(
        dict(meta=dict(gslora=meta), state_dict=state), folder / 'merged.pth')


def load_merged(folder):
    content = torch.load(folder / 'merged.pth', weights_only=True)
    return content['state_dict'], content['meta']['gslora']
