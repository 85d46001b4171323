"""Adapters in the layout of PEFT, and back."""
import json
import re
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from ..engine.adapter_info import SIDECAR
from ..engine.artefacts import ADAPTER
from ..lora import load_adapter, save_adapter
from ..utils import ForgetError, atomic_path, read_json, write_json

WEIGHTS, CONFIG = 'adapter_model.safetensors', 'adapter_config.json'
# A and B without their partner: PEFT loads pairs only.
LONE = 'gslora_lone_matrices.safetensors'
_OURS = 'gslora_mm'
_PREFIX = 'base_model.model.'
_MATRICES = ('lora_A', 'lora_B')
# Of LoraConfig; other values mean weights that are no plain LoRA.
_PLAIN = dict(
    bias='none',
    fan_in_fan_out=False,
    use_dora=False,
    lora_bias=False,
    modules_to_save=None,
    target_parameters=None,
    trainable_token_indices=None,
    layer_replication=None)


def to_peft(folder, out):
    """Write an adapter in the layout of PEFT.

    ``adapter_config.json`` keeps our metadata under a key of its own, so
    that the way back is exact. Zero groups are in neither layout. A matrix
    without its partner, which changes nothing, goes to a third file that
    PEFT does not read.

    Args:
        folder (str | Path): Folder of a request, or its adapter.
        out (str | Path): Folder to write to.

    Returns:
        list[Path]: The files.

    Raises:
        ForgetError: If there is no adapter, or ``out`` holds one already.
    """
    path = Path(folder)
    path = path / ADAPTER if path.is_dir() else path
    try:
        adapter, about = load_adapter(path)
    except ValueError as err:
        raise ForgetError(f'{err}; name the folder of a request that was '
                          'trained by LoRA') from err
    pairs, lone = _split_pairs(adapter, path)
    files = {
        WEIGHTS:
        save(
            {
                f'{_PREFIX}{layer}.{which}.weight': tensor.contiguous()
                for layer, pair in pairs.items()
                for which, tensor in zip(_MATRICES, pair)
            },
            metadata=dict(format='pt')),
        CONFIG: (json.dumps(_peft_config(pairs, about, path), indent=2) +
                 '\n').encode()
    }
    if lone:
        files[LONE] = save(lone)
    _refuse_existing(Path(out), (*files, LONE))
    return [_write(Path(out) / name, data) for name, data in files.items()]


def from_peft(folder, out):
    """Read an adapter in the layout of PEFT and write it in ours.

    Args:
        folder (str | Path): Folder of ``adapter_model.safetensors`` and
            ``adapter_config.json``: what :func:`to_peft` wrote, or PEFT.
        out (str | Path): Folder to write to.

    Returns:
        list[Path]: The files.

    Raises:
        ForgetError: If it is not plain LoRA, or ``out`` holds an adapter
            already.
    """
    folder, out = Path(folder), Path(out)
    config = read_json(folder / CONFIG)
    _check_plain(config, folder / CONFIG)
    adapter = {}
    for key, tensor in _tensors(folder / WEIGHTS).items():
        name = key.removeprefix(_PREFIX).removesuffix('.weight')
        if not key.endswith('.weight') or not key.startswith(
                _PREFIX) or name.rpartition('.')[2] not in _MATRICES:
            raise ForgetError(f'{folder / WEIGHTS} holds {key}, which is no '
                              'matrix of a plain LoRA; convert the adapter '
                              'of LoraConfig(bias=\'none\') only')
        adapter[name] = tensor
    pairs, odd = _split_pairs(adapter, folder / WEIGHTS)
    if odd:
        raise ForgetError(f'{folder / WEIGHTS} lacks the other matrix of '
                          f'{sorted(odd)[0]}')
    about = config.get(_OURS)
    if isinstance(about, dict):
        if (folder / LONE).is_file():
            adapter.update(_tensors(folder / LONE))
    else:
        about = _foreign_info(pairs, config, folder / CONFIG)
    _refuse_existing(out, (ADAPTER, SIDECAR))
    with atomic_path(out / ADAPTER) as partial:
        save_adapter(partial, adapter, about)
    write_json(out / SIDECAR, about)
    return [out / ADAPTER, out / SIDECAR]


def _split_pairs(adapter, path):
    """Layers with both matrices, and what is left, by name."""
    for name, tensor in adapter.items():
        if tensor.ndim != 2:
            raise ForgetError(f'{path}: {name} is no matrix')
    layers = dict.fromkeys(name.rpartition('.')[0] for name in adapter)
    pairs = {}
    for layer in layers:
        pair = tuple(adapter.get(f'{layer}.{w}') for w in _MATRICES)
        if all(m is not None for m in pair):
            if pair[0].shape[0] != pair[1].shape[1]:
                raise ForgetError(f'{path}: the matrices of {layer} have '
                                  'different ranks')
            pairs[layer] = pair
    lone = {
        name: tensor
        for name, tensor in adapter.items()
        if name.rpartition('.')[0] not in pairs
    }
    return pairs, lone


def _peft_config(pairs, about, path):
    ranks = {layer: pair[0].shape[0] for layer, pair in pairs.items()}
    scaling = about.get('scaling', 1.)
    try:
        alphas = {
            layer:
            _whole((scaling[layer] if isinstance(scaling, dict) else scaling) *
                   rank)
            for layer, rank in ranks.items()
        }
    except (KeyError, TypeError) as err:
        raise ForgetError(f'{path} has no scaling of {err.args[0]}') from err
    rank = _most_common(ranks)
    alpha = _most_common(alphas)
    return dict(
        peft_type='LORA',
        task_type=None,
        base_model_name_or_path=None,
        inference_mode=True,
        r=rank,
        lora_alpha=alpha,
        lora_dropout=0.0,
        target_modules=list(pairs),
        rank_pattern=_pattern(ranks, rank),
        alpha_pattern=_pattern(alphas, alpha),
        use_rslora=False,
        init_lora_weights=True,
        layers_to_transform=None,
        layers_pattern=None,
        **_PLAIN,
        **{_OURS: about})


def _whole(alpha):
    """PEFT's alpha is a whole number wherever it can be."""
    return int(alpha) if float(alpha).is_integer() else float(alpha)


def _most_common(values):
    listed = list(values.values())
    return max(listed, key=listed.count, default=1)


def _pattern(values, usual):
    # PEFT reads the keys as regular expressions.
    return {
        f'^{re.escape(layer)}': value
        for layer, value in values.items() if value != usual
    }


def _check_plain(config, path):
    if not isinstance(config, dict) or config.get('peft_type') != 'LORA':
        raise ForgetError(f'{path} is no config of a LoRA adapter '
                          "(peft_type='LORA')")
    for key, value in _PLAIN.items():
        if config.get(key, value) not in (value, None):
            raise ForgetError(f'{path} has {key}={config[key]!r}; only plain '
                              f'LoRA can be converted, {key}={value!r}')


def _foreign_info(pairs, config, path):
    """Metadata of an adapter that PEFT trained: of a base unknown to us."""
    scaling, ranks = {}, {}
    for layer, (lora_A, _) in pairs.items():
        rank = ranks[layer] = lora_A.shape[0]
        alpha = _value_for(layer, config.get('alpha_pattern'),
                           config.get('lora_alpha'), path)
        rank = rank**.5 if config.get('use_rslora') else rank
        scaling[layer] = alpha / rank
    return dict(reversible=True, source='PEFT', scaling=scaling, rank=ranks)


def _value_for(layer, patterns, usual, path):
    """As PEFT chooses it: the first pattern that matches the end."""
    for pattern, value in (patterns or {}).items():
        try:
            if re.match(rf'(.*\.)?({pattern})$', layer):
                usual = value
                break
        except re.error as err:
            raise ForgetError(f'{path}: {pattern!r} is no pattern '
                              f'({err})') from err
    if isinstance(usual, bool) or not isinstance(usual, (int, float)):
        raise ForgetError(f'{path} gives no number lora_alpha for {layer}')
    return usual


def _tensors(path):
    try:
        with safe_open(str(path), framework='pt', device='cpu') as file:
            return {k: file.get_tensor(k).clone() for k in file.keys()}
    except (SafetensorError, OSError) as err:
        raise ForgetError(f'{path} cannot be read as safetensors '
                          f'({str(err).splitlines()[0]})') from err


def _refuse_existing(folder, names):
    if folder.exists() and not folder.is_dir():
        raise ForgetError(f'{folder} is a file; name a folder')
    for name in names:
        if (folder / name).exists():
            raise ForgetError(f'{folder / name} is there already; name '
                              'another folder')


def _write(path, content):
    with atomic_path(path) as partial:
        partial.write_bytes(content)
    return path
