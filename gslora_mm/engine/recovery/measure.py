"""One model, one way to bring classes back, one curve."""
import copy

from mmengine.config import Config

from ...evaluation import class_sets_for_requests, measure_of
from ...evaluation.request_table import set_values, sets_of
from ...utils import read_json, write_json
from ..artefacts import MERGED
from ..checkpoints import load_plain_state
from ..edit_run import edit_request
from ..evaluate import evaluate_state
from ..request_config import training_config
from ..runner import RequestRunner
from ..settings import ForgetSettings
from ..tasks import task_of
from .kept import read_kept, weights_of
from .variants import is_prototype, kind_of

CURVE, _POINTS = 'curve.json', 'points.json'
_LEAST_LR = 1e-5
_IMAGES, _MIX = 5, .5


def recovery_config(cfg, request, target, variant, recovery):
    """A config with one request: to bring back all that is forgotten.

    Args:
        cfg (Config): Config of the setting.
        request (Request): Its last request.
        target (Target): The model.
        variant (dict): How.
        recovery (RecoverySettings): The recovery.

    Returns:
        Config: What the engine takes. Losses are the plain ones of the head;
        AdamW, without weight decay, falls to zero along a cosine. Where more
        than the head trains, gradients are clipped as in the setting.
    """
    # Not dumped, so that nothing has to be pretty.
    run = Config(copy.deepcopy(cfg.to_dict()), format_python_code=False)
    names = [*request.forgotten, *request.classes]
    labels = list(map(task_of(cfg).class_names(cfg).index, names))
    forget = dict(requests=[names], unseen=cfg.forget.get('unseen', []))
    part = _edit_part if is_prototype(variant) else _training_part
    run.forget = dict(forget, **part(labels, variant, recovery))
    run.load_from = str(target.checkpoint)
    run.randomness = dict(run.get('randomness') or {}, seed=target.seed)
    run.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1)
    _, steps, lr = _schedule(variant, recovery)
    clip = (cfg.optim_wrapper or {}).get('clip_grad')
    run.optim_wrapper = dict(
        type='OptimWrapper',
        optimizer=dict(type='AdamW', lr=lr, weight_decay=0.),
        clip_grad=clip if kind_of(variant) == 'tune' else None)
    run.param_scheduler = [
        dict(
            type='CosineAnnealingLR',
            T_max=steps[-1],
            eta_min=min(_LEAST_LR, lr),
            by_epoch=False)
    ]
    if recovery.batch_size:
        run.train_dataloader.batch_size = recovery.batch_size
    return run


def _edit_part(labels, variant, recovery):
    """Method and data of ``forget``, without training."""
    images = variant.get('images', _IMAGES)
    return dict(
        method=dict(type='PrototypeRows', mix=variant.get('mix', _MIX)),
        data=dict(shots=images))


def _training_part(labels, variant, recovery):
    """Method, data and what trains of ``forget``."""
    train, steps, _ = _schedule(variant, recovery)
    data = dict(epoch_batches=steps[-1])
    if 'shots' in variant:
        data['shots'] = variant['shots']
    # A list has one value for each request.
    method = dict(
        type='HeadRecovery',
        classes=[labels],
        fresh=variant.get('fresh', True))
    return dict(method=method, train=train, data=data)


def _schedule(variant, recovery):
    """What trains, steps and learning rate of a variant."""
    return (variant.get('train', 'head'), variant.get('steps', recovery.steps),
            variant.get('lr', recovery.lr))


def measure_curve(cfg, request, target, variant, recovery, folder):
    """Bring classes back, and measure on the way; once.

    Args:
        cfg (Config): Config of the setting.
        request (Request): Its last request.
        target (Target): The model.
        variant (dict): How.
        recovery (RecoverySettings): The recovery.
        folder (Path): Where the curve is kept.

    Returns:
        list[dict]: ``step``, ``protocol``, ``score``, and ``f``, ``r``, ``m``
        in [0, 1], None where not measured.

    Raises:
        ForgetError: If the model cannot be read, training diverges, or the
            folder has the curve of something else.
    """
    run = recovery_config(cfg, request, target, variant, recovery)
    state, weights = weights_of(target)
    _, steps, lr = _schedule(variant, recovery)
    about = dict(
        variant=variant,
        steps=steps,
        lr=lr,
        batch_size=run.train_dataloader.batch_size,
        weights=weights)
    path = folder / CURVE
    known = read_kept(path, about, target)
    if known:
        return known['points']
    settings = ForgetSettings.from_config(run)
    settings.base_fingerprint = about['weights']
    if is_prototype(variant):
        reports = _edited(run, settings, target, state, about['weights'],
                          folder)
    else:
        reports = _learned(run, settings, target, variant, steps,
                           about['weights'], folder)
    points = [p for step, report in reports for p in _points(step, report)]
    write_json(path, dict(about=about, points=points))
    return points


def _learned(run, settings, target, variant, steps, base_print, folder):
    """Reports while the model learns."""
    (request, ) = settings.requests
    train = training_config(run, settings, request, folder,
                            str(target.checkpoint), base_print)
    task, sets = task_of(run), class_sets_for_requests([request],
                                                       settings.unseen)
    relearn(train.train_dataloader, variant.get('share', 0))
    train.val_dataloader = task.evaluation_data(run, settings.classes)
    train.val_evaluator = task.evaluator(run, sets)
    # The hook alone says when.
    train.val_cfg, train.train_cfg.val_begin = dict(type='ValLoop'), 2
    train.default_hooks.checkpoint = None
    train.experiment_name = f'recover_{target.method}_{target.seed}'
    points = folder / _POINTS
    train.custom_hooks.append(
        dict(type='gslora_mm.CurveHook', steps=steps, file=str(points)))
    RequestRunner.from_cfg(train).train()
    return [(p['step'], p['report']) for p in read_json(points)]


def relearn(loader, share):
    """Let a loader show everything, few images in a share of each batch.

    Args:
        loader (dict): Config of the loader of a request, changed in place.
        share (float): Share of a batch; 0: as often as all others.
    """
    loader.dataset.type = 'gslora_mm.RelearnDataset'
    loader.dataset.pop('subset_file')
    loader.dataset.apart = share > 0
    few = max(1, round(share * loader.batch_size)) if share else 0
    loader.sampler.forget_per_batch = min(few, loader.batch_size - 1)


def _edited(run, settings, target, state, base_print, folder):
    """Reports before and after rows are put in place."""
    (request, ) = settings.requests
    edit_request(run, settings, request, folder, str(target.checkpoint),
                 base_print)
    after, _ = load_plain_state(folder / MERGED)
    (folder / MERGED).unlink()
    return [(step,
             evaluate_state(run, settings, weights, str(target.checkpoint),
                            [request], folder, f'{target.title}, {title}'))
            for step, weights, title in ((0, state, 'before'), (1, after,
                                                                'prototypes'))]


def _points(step, report):
    measure = measure_of(report)
    found = []
    for protocol in measure.protocols_of(report):
        values = {
            short:
            set_values(report, 1, what, protocol,
                       'recovery').get(measure.score)
            for short, what in sets_of(report, 1).items() if short != 'o'
        }
        found.append(
            dict(step=step, protocol=protocol, score=measure.score, **values))
    return found
