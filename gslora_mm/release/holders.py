"""Files that still hold what a release has forgotten."""
import os
from pathlib import Path

from ..engine.artefacts import ADAPTER, MERGED
from ..engine.checkpoints import load_plain_state
from ..engine.gallery_run import TEMPLATES
from ..engine.prepared_file import KEPT, PREPARED
from ..engine.prototype_settings import PROTOTYPES
from ..lora import fingerprint, load_adapter
from ..utils import ForgetError

SUBSET = 'subset.json'
PEFT_WEIGHTS = 'adapter_model.safetensors'
_WEIGHTS = ('.pth', '.pt', '.ckpt', '.bin', '.safetensors', '.onnx', '.pkl')
_ARRAYS = ('.npz', '.npy')
_IMAGES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')
# Plots of norms, without an image of the data.
_PLOTS = 'analysis'
_SPLITS = ('train_dataloader', 'val_dataloader')
_REASONS = {
    SUBSET: 'names the images that were trained with',
    PROTOTYPES: 'the mean embedding of every class, of the original model',
    PREPARED: 'what the method computed from images of the classes',
    KEPT: 'what the method keeps beside the model: its own modules',
    TEMPLATES: 'embeddings of the enrolled images, of the original model',
}


def find_holders(work_dir, forgotten, release_print, record=None):
    """List what holds forgotten classes, in a work dir and named by it.

    Args:
        work_dir (str | Path): Folder of the run.
        forgotten (Sequence[str]): Classes that the release has forgotten.
        release_print (str): Fingerprint of the release; files with these
            weights are no holders.
        record (dict, optional): Content of ``run.json``: base checkpoint and
            data are taken from it.

    Returns:
        list[dict]: ``path`` (inside the work dir relative to it), ``inside``
        the work dir or not, and ``reason``, by path, what is outside first.
    """
    found = _outside((record or {}).get('config') or {}, work_dir)
    for path in _files(Path(work_dir)):
        reason = _reason(path, set(forgotten), release_print, Path(work_dir))
        if reason:
            found.append(
                dict(
                    path=str(path.relative_to(work_dir)),
                    inside=True,
                    reason=reason))
    return found


def _outside(config, work_dir):
    """The base checkpoint and the data that a config names."""
    rows = []

    def add(path, reason):
        rows.append(dict(path=str(path), inside=False, reason=reason))

    if config.get('load_from'):
        add(config['load_from'], 'the original model, with every class')
    named = [(key, config.get(key)) for key in _SPLITS]
    gallery = (config.get('forget') or {}).get('gallery') or {}
    named.append(('forget.gallery', gallery))
    for key, section in named:
        data = _innermost((section or {}).get('dataset') or {})
        root = data.get('data_root') or ''
        parts = data.get('data_prefix') or data.get('img_prefix') or ''
        if isinstance(parts, dict):
            parts = parts.get('img') or parts.get('img_path') or ''
        if root or parts:
            add(os.path.join(root, parts), f'images of {key}')
        if data.get('ann_file'):
            add(os.path.join(root, data['ann_file']), f'labels of {key}')
    return rows


def _innermost(data):
    while isinstance(data, dict) and isinstance(data.get('dataset'), dict):
        data = data['dataset']
    return data if isinstance(data, dict) else {}


def _files(folder):
    for parent, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(parent, name) for name in sorted(names))


def _reason(path, forgotten, release_print, work_dir):
    """Why a file holds forgotten classes; None if it does not."""
    name, suffix = path.name, path.suffix.lower()
    if name in (ADAPTER, PEFT_WEIGHTS):
        return _of_adapter(path, forgotten)
    if name in _REASONS:
        return _REASONS[name]
    if suffix in _WEIGHTS:
        return _of_weights(path, forgotten, release_print)
    if suffix in _ARRAYS:
        return 'arrays that a run computed, of embeddings or images'
    if suffix in _IMAGES and work_dir / _PLOTS not in path.parents:
        return 'an image, which may show one of the classes'
    return None


def _of_adapter(path, forgotten):
    reason = ('taken off the release it gives the weights before it; base '
              'and adapter hold the classes')
    try:
        classes = load_adapter(path)[1].get('classes')
    except ValueError:  # damaged, or of another layout
        return reason
    if isinstance(classes, list) and not forgotten & {*map(str, classes)}:
        return None
    return reason


def _of_weights(path, forgotten, release_print):
    if path.name.startswith('epoch_'):
        return 'a training checkpoint: the weights before the request as well'
    try:
        state, meta = load_plain_state(path)
    except ForgetError:
        return 'weights that cannot be looked into'
    if fingerprint(state) == release_print:
        return None
    about = meta.get('gslora')
    about = about if isinstance(about, dict) else {}
    if path.name == MERGED or about.get('merged'):
        left = sorted(forgotten - {*map(str, about.get('forgotten') or ())})
        if not left:
            return None
        return ('weights after an earlier request, which still hold ' +
                _listed(left))
    return 'weights that are not those of the release'


def _listed(names, most=4):
    more = f' and {len(names) - most} more' if len(names) > most else ''
    return ', '.join(names[:most]) + more


def holder_table(holders):
    """The holders as text, one line each."""
    if not holders:
        return 'nothing holds the forgotten classes'
    width = max(len(row['path']) for row in holders)
    lines = []
    for inside, title in ((True, 'in the work dir'), (False, 'outside it')):
        rows = [row for row in holders if row['inside'] == inside]
        if rows:
            lines.append(f'{title}:')
            lines += [f'  {r["path"]:{width}}  {r["reason"]}' for r in rows]
    return '\n'.join(lines)
