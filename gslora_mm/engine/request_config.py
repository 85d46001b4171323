"""The mmengine configs of one request: its training, its evaluation."""
import copy
from pathlib import Path

from mmengine.config import Config

from ..evaluation import class_sets_for_requests
from ..utils import ForgetError
from .method_class import method_flag
from .prototype_settings import PROTOTYPES, needs_prototypes
from .tasks import task_of

_SEED_STRIDE = 101


def _copied(cfg):
    # mmengine puts the config as text in every checkpoint and log; yapf took
    # more time than a tiny training.
    return Config(copy.deepcopy(cfg.to_dict()), format_python_code=False)


def request_seed(cfg, request):
    """Seed of a request, from the seed of the run and its index."""
    seed = (cfg.get('randomness') or {}).get('seed') or 0
    return seed * _SEED_STRIDE + request.index


def training_config(cfg, settings, request, work_dir, base, fingerprint):
    """Config of the mmengine run that trains one request.

    Args:
        cfg (Config): The whole config.
        settings (ForgetSettings): Its forget section.
        request (Request): The request.
        work_dir (Path): Folder of the request.
        base (str): Plain checkpoint the request starts from.
        fingerprint (str): Fingerprint of the base weights.

    Returns:
        Config: A standard mmengine config.
    """
    run = _copied(cfg)
    seed = request_seed(cfg, request)
    for key in ('forget', 'val_dataloader', 'val_cfg', 'val_evaluator',
                'test_dataloader', 'test_cfg', 'test_evaluator', 'tta_model',
                'tta_pipeline', 'data_preprocessor'):
        run.pop(key, None)
    run.model = task_of(cfg).wrapped_model(cfg, settings, request)
    if needs_prototypes(run.model.method):
        run.model.method.prototypes = str(work_dir.parent / PROTOTYPES)
    run.train_dataloader = _train_dataloader(cfg, settings, request, work_dir,
                                             seed)
    run.train_cfg.pop('val_interval', None)
    if 'type' in run.train_cfg:
        # Schedules of mmpretrain bring it, and mmengine refuses both.
        run.train_cfg.pop('by_epoch', None)
    if 'max_epochs' in request.options:
        run.train_cfg.max_epochs = request.options['max_epochs']
    if 'lr' in request.options:
        run.optim_wrapper.optimizer.lr = request.options['lr']
    run.work_dir, run.load_from, run.resume = str(work_dir), None, False
    run.experiment_name = f'{work_dir.parent.name}_{request.name}'
    run.randomness = dict(cfg.get('randomness') or {}, seed=seed)
    run.default_hooks = _hooks(cfg, save=True)
    run.custom_hooks = [
        *cfg.get('custom_hooks', []),
        dict(type='gslora_mm.EpochSeedHook', seed=seed),
        dict(type='gslora_mm.CPUAttentionHook'),
        dict(type='gslora_mm.MethodHook'),
        dict(
            type='gslora_mm.LossGuardHook',
            request=request.name,
            limit=settings.max_loss),
        dict(
            type='gslora_mm.BaseWeightsHook',
            base=str(base),
            base_fingerprint=fingerprint),
        *_method_hooks(cfg, settings, request, run, base, fingerprint),
        dict(
            type='gslora_mm.ProgressHook',
            title=f'request {request.index}/{len(settings.requests)}')
    ]
    if settings.model['train'] != 'lora' or method_flag(
            run.model.method, 'keeps_modules'):
        # E.g. the classifiers of decoder layers that have no loss.
        run.setdefault('find_unused_parameters', True)
    ema = settings.ema_of(request)
    if ema:
        run.custom_hooks.append(dict(type='gslora_mm.LoRAEMAHook', **ema))
    return run


def _method_hooks(cfg, settings, request, run, base, fingerprint):
    """Hooks for what the method of a request needs."""
    method, folder = run.model.method, Path(run.work_dir)
    earlier = settings.requests[:request.index - 1]
    previous = folder.parent / earlier[-1].name if earlier else None
    # The next request must find what it continues from.
    if previous and not method_flag(
            settings.method_of(earlier[-1]), 'needs_prepare'):
        previous = None
    hooks = []
    if method_flag(method, 'needs_teacher'):
        found = method_flag(method, 'teacher_from') == 'request'
        hooks.append(
            dict(
                type='gslora_mm.TeacherHook',
                base=str(base if found else cfg.load_from),
                base_fingerprint=fingerprint
                if found else settings.base_fingerprint,
                first=found or not earlier))
    prepares = method_flag(method, 'needs_prepare')
    hooks.append(
        dict(
            type='gslora_mm.PrepareHook',
            folder=str(folder),
            base_fingerprint=fingerprint,
            about=context_config(cfg, settings, request, run)
            if prepares else {},
            previous=str(previous) if prepares and previous else None,
            seed=run.randomness.seed))
    return hooks


def context_config(cfg, settings, request, run):
    """What a config can hold of a request's RequestContext.

    Args:
        cfg (Config): The whole config.
        settings (ForgetSettings): Its forget section.
        request (Request): The request.
        run (Config): Its training.

    Returns:
        dict: Arguments of
        :class:`~gslora_mm.engine.request_context.RequestContext`.
    """
    task, labels = task_of(cfg), settings.classes.index
    data = copy.deepcopy(run.train_dataloader.dataset.to_dict())
    data['dataset']['pipeline'] = task.prototype_pipeline(
        cfg, settings.classes)
    gone = (*request.forgotten, *request.classes)
    return dict(
        num_classes=len(settings.classes),
        forget=sorted(map(labels, request.classes)),
        retain=sorted(map(labels, request.retain)),
        forgotten=sorted(map(labels, gone)),
        images=dict(
            dataset=data,
            batch_size=cfg.val_dataloader.get('batch_size', 1),
            num_workers=cfg.val_dataloader.get('num_workers', 0)))


def _train_dataloader(cfg, settings, request, work_dir, seed):
    loader = copy.deepcopy(cfg.train_dataloader.to_dict())
    data = dict(settings.data)
    batch = loader['batch_size']
    forget = data.pop('forget_per_batch', batch // 2)
    epoch_batches = data.pop('epoch_batches', None)
    show_unseen = data.pop('show_unseen', False)
    if settings.unseen and not show_unseen:
        data['hidden'] = list(settings.unseen)
    if not 0 < forget < batch:
        raise ForgetError(
            f'a batch of {batch} with {forget} forget samples leaves a '
            'stream without any; set train_dataloader.batch_size to 2 or '
            'more and forget.data.forget_per_batch below it')
    data_seed = (cfg.get('randomness') or {}).get('data_seed', 0)
    loader['dataset'] = dict(
        type='gslora_mm.ForgetRetainDataset',
        dataset=task_of(cfg).training_data(cfg, settings.classes),
        forget=list(request.classes),
        retain=settings.seen(request.retain),
        seed=data_seed + seed,
        subset_file=str(work_dir / 'subset.json'),
        **data)
    if method_flag(settings.method_of(request), 'needs_painting'):
        loader['dataset'].update(
            type='gslora_mm.PaintedDataset',
            painting=dict(settings.painting),
            forgotten=[*request.forgotten, *request.classes])
    loader['sampler'] = dict(
        type='gslora_mm.StreamSampler',
        batch_size=batch,
        forget_per_batch=forget,
        epoch_batches=epoch_batches,
        seed=seed)
    loader.pop('batch_sampler', None)
    loader.update(
        drop_last=False,
        persistent_workers=False,
        worker_init_fn=dict(type='gslora_keep_worker_seed'))
    return loader


def _hooks(cfg, save):
    hooks = copy.deepcopy(cfg.get('default_hooks', {}))
    checkpoint = dict(type='CheckpointHook', interval=1, max_keep_ckpts=2)
    hooks.pop('visualization', None)
    # None removes a default hook of the runner.
    hooks['checkpoint'] = checkpoint if save else None
    return hooks


def evaluation_config(cfg, settings, requests, work_dir, title):
    """Config of the mmengine run that evaluates one plain checkpoint.

    Args:
        cfg (Config): The whole config.
        settings (ForgetSettings): Its forget section.
        requests (list[Request]): Requests whose class sets are measured.
        work_dir (Path): Where the log goes.
        title (str): What is evaluated, for the progress bar.

    Returns:
        Config: A standard mmengine config; weights are loaded by the caller.
    """
    run = _copied(cfg)
    for key in ('forget', 'train_dataloader', 'train_cfg', 'val_dataloader',
                'val_cfg', 'val_evaluator', 'optim_wrapper', 'param_scheduler',
                'auto_scale_lr', 'data_preprocessor'):
        run.pop(key, None)
    task = task_of(cfg)
    run.model = task.plain_model(cfg)
    run.test_dataloader = task.evaluation_data(cfg, settings.classes)
    run.test_cfg = dict(type='TestLoop')
    run.test_evaluator = task.evaluator(
        cfg, class_sets_for_requests(requests, settings.unseen))
    run.work_dir, run.load_from, run.resume = str(work_dir), None, False
    run.experiment_name = f'{work_dir.parent.name}_{work_dir.name}_eval'
    run.config_name = 'evaluation_config.py'
    run.default_hooks = _hooks(cfg, save=False)
    run.custom_hooks = [dict(type='gslora_mm.ProgressHook', title=title)]
    return run
