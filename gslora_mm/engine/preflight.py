"""Checks that need no training: everything that can be wrong, at once."""
import contextlib
import io
from pathlib import Path

import torch
from mmengine.dataset import pseudo_collate
from mmengine.dist import is_main_process
from mmengine.logging import MMLogger
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, MODELS

from ..datasets.data_checks import check_packed
from ..lora import fingerprint
from ..registry import METHODS
from ..utils import ForgetError
from .checkpoints import check_state, load_plain_state
from .data_config import plain_dataset, type_name
from .gallery_run import check_embeddings
from .hooks import lora_lr
from .request_config import training_config
from .runner import quiet_console
from .tasks import task_of

# FSDP, DeepSpeed and ColossalAI of mmengine, and what runs them.
_SHARDED = ('FSDP', 'FullySharded', 'DeepSpeed', 'Colossal', 'FlexibleRunner')
_PACKERS = ('PackDetInputs', 'PackInputs')


def check_base(cfg):
    """Load the base checkpoint and check it against the plain model.

    Returns:
        tuple[dict[str, Tensor], dict, str]: State, meta and fingerprint.

    Raises:
        ForgetError: If there is none, it does not fit, or the model has no
            embedding for the gallery test.
    """
    if not cfg.get('load_from'):
        raise ForgetError('no base checkpoint: name the trained model with '
                          'load_from in the config or --cfg-options '
                          'load_from=FILE')
    state, meta = load_plain_state(cfg.load_from)
    model = _built('model', MODELS.build, task_of(cfg).plain_model(cfg))
    if (cfg.get('forget') or {}).get('gallery') is not None:
        check_embeddings(model)
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
        ForgetError: If the method, LoRA or the optimizer cannot be built, the
            head has no rows or embeddings for prototypes, a pipeline does
            not pack, or a data stream lacks a class.
    """
    if not requests:
        return
    quiet_console(MMLogger.get_instance('preflight'))
    check_pipelines(cfg, settings.classes)
    runs = [
        training_config(cfg, settings, r,
                        Path(work_dir) / r.name, '', '') for r in requests
    ]
    methods = [
        _built('forget.method', METHODS.build,
               dict(run.model.method, _scope_='gslora_mm')) for run in runs
    ]
    model = _built('model', MODELS.build, runs[0].model)
    for method in methods:
        method.check_groups(model.groups)
    optim = None
    if model.method.trains:
        optim = _built('optim_wrapper', build_optim_wrapper, model,
                       runs[0].optim_wrapper.copy())
    if settings.prototypes.get('source') == 'weight':
        model.class_rows()
    if optim and model.method.uses_lr and len(model.groups):
        lora_lr(optim, model.groups)
    inner = first = None
    with contextlib.redirect_stdout(io.StringIO()):
        for run in runs:
            data = dict(run.train_dataloader.dataset, subset_file=None)
            if inner is not None:
                data['dataset'] = inner
            # All requests share one data set: it is loaded once.
            streams = _built('train_dataloader.dataset', DATASETS.build, data)
            first, inner = first or streams, streams.inner
    # The queries of a detector always are embeddings.
    looks = any(m.needs_outputs or m.needs_teacher for m in methods)
    if (settings.prototypes or looks) and task_of(cfg).has_embeddings:
        check_features(model, first)


@torch.no_grad()
def check_features(model, dataset):
    """Check on one image that the head gives an embedding.

    Args:
        model (ForgettingMixin): A model that forgets.
        dataset (Dataset): Training images.

    Raises:
        ForgetError: If there is none, or more than one for each image.
    """
    batch = model.data_preprocessor(pseudo_collate([dataset[0]]), False)
    model.features(batch['inputs'], batch['data_samples'])


def check_pipelines(cfg, classes):
    """Check that the pipelines of both splits pack what a model takes.

    Args:
        cfg (Config): The whole config.
        classes (tuple[str]): Class names of the model.

    Raises:
        ForgetError: Naming the pipeline and the cure.
    """
    task = task_of(cfg)
    for key, data in (('train_dataloader.dataset',
                       task.training_data(cfg, classes)),
                      ('val_dataloader.dataset',
                       plain_dataset(
                           task.evaluation_data(cfg, classes)['dataset']))):
        steps = data.get('pipeline') or ()
        if not any(
                type_name(s) in _PACKERS
                for s in steps if isinstance(s, dict)):
            # A transform of the user's own may do it: only a try tells.
            dataset = _built(key, DATASETS.build, data)
            check_packed(dataset[0], key)


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


def check_strategy(cfg):
    """Refuse to spread one model over several processes.

    The proximal step needs the norm of a whole group, and the digests that
    prove which blocks did not move need whole tensors, in every process;
    what trains is a small share of the model, so that there is next to
    nothing to be gained.

    Raises:
        ForgetError: If the config asks for it.
    """
    wrapper = str((cfg.get('model_wrapper_cfg') or {}).get('type', ''))
    strategy = cfg.get('strategy') or {}
    asked = [
        text for text in (wrapper, str(strategy.get('type', '')),
                          str(cfg.get('runner_type') or ''))
        if any(word in text for word in _SHARDED)
    ]
    if asked:
        raise ForgetError(
            f'{asked[0]} spreads a model over processes, and group sparsity '
            'needs whole groups in each; remove it: --launcher alone trains '
            'with DistributedDataParallel')


def check_amp(cfg):
    """Mixed precision needs a GPU.

    Raises:
        ForgetError: If it is asked for without one.
    """
    wrapper = cfg.optim_wrapper.get('type', 'OptimWrapper')
    if wrapper == 'AmpOptimWrapper' and not torch.cuda.is_available():
        raise ForgetError('--amp needs a GPU, and none is visible; run '
                          'without --amp')
