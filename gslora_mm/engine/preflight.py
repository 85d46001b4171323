"""Checks that need no training: everything that can be wrong, at once."""
import contextlib
import io
import os
import os.path as osp
from pathlib import Path

import torch
from mmdet.registry import DATASETS, MODELS
from mmengine.dist import is_main_process
from mmengine.logging import MMLogger
from mmengine.optim import build_optim_wrapper

from ..datasets.data_checks import check_content, read_annotations
from ..lora import fingerprint
from ..registry import METHODS
from ..utils import ForgetError
from .checkpoints import check_state, load_plain_state
from .request_config import annotation_file, offline_model, training_config
from .runner import quiet_console
from .settings import dataset_class, plain_dataset

_DEMO = 'python tools/train.py configs/gslora/ddetr_shapes_forget.py'


def check_data(cfg, classes):
    """Check annotation files and images of both splits.

    Args:
        cfg (Config): The whole config.
        classes (tuple[str]): Class names of the model.

    Raises:
        ForgetError: Naming the file at fault and the cure.
    """
    for split in ('train', 'val'):
        key = f'{split}_dataloader.dataset'
        data = plain_dataset(cfg[f'{split}_dataloader'].dataset)
        # A generated data set writes its own files on first use.
        prepare = getattr(dataset_class(data), 'prepare', None)
        if prepare:
            prepare(data)
        path = annotation_file(data)
        if not osp.isfile(path):
            raise ForgetError(
                f'{split} annotations are missing: {osp.abspath(path)} does '
                f'not exist; put the data there or set --cfg-options '
                f'{key}.data_root=FOLDER {key}.ann_file=FILE; the generated '
                f'data runs without any download: {_DEMO}')
        folder = osp.join(
            data.get('data_root') or '',
            (data.get('data_prefix') or {}).get('img', ''))
        check_coco(path, folder, classes)


def check_coco(path, folder, classes):
    """Check one COCO annotation file against its images and classes.

    Raises:
        ForgetError: If it is damaged, refers to unknown categories or
            images, lacks classes of the model, or images are not on disk.
    """
    content = read_annotations(path)
    try:
        check_content(content, classes, path)
        wanted = {i['file_name'] for i in content['images']}
    except (KeyError, TypeError) as err:
        raise ForgetError(f'{path} has an entry without or with a bad '
                          f'{err}; every image needs id, file_name, width '
                          'and height, every annotation image_id, '
                          'category_id and bbox') from err
    missing = _not_on_disk(folder, wanted)
    if missing:
        raise ForgetError(
            f'{len(missing)} of {len(wanted)} images of {path} are not on '
            f'disk, e.g. {osp.join(folder, sorted(missing)[0])}; restore '
            'them or correct data_root and data_prefix.img')


def _not_on_disk(folder, names):
    # One listing is far quicker than a look at each of 118,000 files.
    if osp.isdir(folder) and all('/' not in name for name in names):
        with os.scandir(folder) as entries:
            return names - {e.name for e in entries}
    return {n for n in names if not osp.isfile(osp.join(folder, n))}


def check_base(cfg):
    """Load the base checkpoint and check it against the plain model.

    Returns:
        tuple[dict[str, Tensor], dict, str]: State, meta and fingerprint.

    Raises:
        ForgetError: If there is none, or it does not fit.
    """
    if not cfg.get('load_from'):
        raise ForgetError('no base checkpoint: name the trained model with '
                          'load_from in the config or --cfg-options '
                          'load_from=FILE')
    state, meta = load_plain_state(cfg.load_from)
    model = _built('model', MODELS.build, offline_model(cfg))
    check_state(model, state, cfg.load_from)
    return state, meta, fingerprint(state)


def check_requests(cfg, settings, requests, work_dir):
    """Build what some requests need: a late one fails now, not in hours.

    Args:
        cfg (Config): The whole config.
        settings (ForgetSettings): Its forget section.
        requests (list[Request]): Those that are not trained yet.
        work_dir (Path): Folder of the run; nothing is written there.

    Raises:
        ForgetError: If the method, LoRA or the optimizer cannot be built, or
            a data stream lacks a class.
    """
    if not requests:
        return
    quiet_console(MMLogger.get_instance('preflight'))
    runs = [
        training_config(cfg, settings, r, Path(work_dir) / r.name, '', '')
        for r in requests
    ]
    for run in runs:
        _built('forget.method', METHODS.build,
               dict(run.model.method, _scope_='gslora_mm'))
    model = _built('model', MODELS.build, runs[0].model)
    _built('optim_wrapper', build_optim_wrapper, model,
           runs[0].optim_wrapper.copy())
    inner = None
    with contextlib.redirect_stdout(io.StringIO()):
        for run in runs:
            data = dict(run.train_dataloader.dataset, subset_file=None)
            if inner is not None:
                data['dataset'] = inner
            # All requests share one data set: it is loaded once.
            inner = _built('train_dataloader.dataset', DATASETS.build,
                           data).inner


def _built(key, build, *args):
    try:
        return build(*args)
    except (TypeError, KeyError, ValueError, AttributeError, AssertionError,
            ImportError, IndexError) as err:
        reason = str(err.args[0] if err.args else err).strip().splitlines()
        raise ForgetError(f'{key} of the config cannot be built: '
                          f'{" ".join(reason) or type(err).__name__}; correct '
                          'the config or --cfg-options') from err


def check_work_dir(work_dir):
    """Check that a folder can be written.

    Raises:
        ForgetError: If it cannot.
    """
    if not is_main_process():
        return
    probe = Path(work_dir) / '.write-probe'
    try:
        probe.parent.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b'0' * 4096)
        probe.unlink()
    except OSError as err:
        raise ForgetError(
            f'work dir {work_dir} cannot be written ({err.strerror}); choose '
            'another with --work-dir, or free some space') from err


def check_amp(cfg):
    """Mixed precision needs a GPU.

    Raises:
        ForgetError: If it is asked for without one.
    """
    wrapper = cfg.optim_wrapper.get('type', 'OptimWrapper')
    if wrapper == 'AmpOptimWrapper' and not torch.cuda.is_available():
        raise ForgetError('--amp needs a GPU, and none is visible; run '
                          'without --amp')
