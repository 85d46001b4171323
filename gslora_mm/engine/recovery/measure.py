"""One model, one way to bring classes back, one curve."""
import copy

from mmengine.config import Config

from ...evaluation import class_sets_for_requests, measure_of
from ...evaluation.request_table import set_values, sets_of
from ...lora import fingerprint
from ...utils import ForgetError, read_json, write_json
from ..artefacts import MERGED
from ..checkpoints import load_plain_state
from ..edit_run import edit_request
from ..evaluate import evaluate_state
from ..request_config import training_config
from ..runner import RequestRunner
from ..settings import ForgetSettings
from ..tasks import task_of

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
        AdamW, without weight decay, falls to zero along a cosine.
    """
    # Not dumped, so that nothing has to be pretty.
    run = Config(copy.deepcopy(cfg.to_dict()), format_python_code=False)
    names = [*request.forgotten, *request.classes]
    labels = list(map(task_of(cfg).class_names(cfg).index, names))
    forget = dict(requests=[names], unseen=cfg.forget.get('unseen', []))
    if _is_prototype(variant):
        forget.update(
            method=dict(type='PrototypeRows', mix=variant.get('mix', _MIX)),
            data=dict(shots=variant.get('images', _IMAGES)))
    else:
        # A list has one value for each request.
        forget.update(
            method=dict(
                type='HeadRecovery',
                classes=[labels],
                fresh=variant.get('fresh', True)),
            train='head',
            data=dict(epoch_batches=recovery.steps[-1]))
        if 'shots' in variant:
            forget['data']['shots'] = variant['shots']
    run.forget = forget
    run.load_from = str(target.checkpoint)
    run.randomness = dict(run.get('randomness') or {}, seed=target.seed)
    run.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1)
    run.optim_wrapper = dict(
        type='OptimWrapper',
        optimizer=dict(type='AdamW', lr=recovery.lr, weight_decay=0.))
    run.param_scheduler = [
        dict(
            type='CosineAnnealingLR',
            T_max=recovery.steps[-1],
            eta_min=min(_LEAST_LR, recovery.lr),
            by_epoch=False)
    ]
    if recovery.batch_size:
        run.train_dataloader.batch_size = recovery.batch_size
    return run


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
    state, _ = load_plain_state(target.checkpoint)
    about = dict(
        variant=variant,
        steps=recovery.steps,
        lr=recovery.lr,
        batch_size=run.train_dataloader.batch_size,
        weights=fingerprint(state))
    path = folder / CURVE
    if path.is_file():
        known = read_json(path)
        if known.get('about') != about:
            raise ForgetError(
                f'{path} was measured with other settings or weights; remove '
                f'{folder} to measure again, or choose another --work-dir')
        return known['points']
    settings = ForgetSettings.from_config(run)
    settings.base_fingerprint = about['weights']
    take = _edited if _is_prototype(variant) else _learned
    reports = take(run, settings, target, state, about['weights'], recovery,
                   folder)
    points = [p for step, report in reports for p in _points(step, report)]
    write_json(path, dict(about=about, points=points))
    return points


def _is_prototype(variant):
    return 'images' in variant or 'mix' in variant


def _learned(run, settings, target, state, base_print, recovery, folder):
    """Reports while the head learns."""
    (request, ) = settings.requests
    train = training_config(run, settings, request, folder,
                            str(target.checkpoint), base_print)
    task, sets = task_of(run), class_sets_for_requests([request],
                                                       settings.unseen)
    data = train.train_dataloader.dataset
    data.type = 'gslora_mm.RelearnDataset'
    data.pop('subset_file')
    train.train_dataloader.sampler.forget_per_batch = 0
    train.val_dataloader = task.evaluation_data(run, settings.classes)
    train.val_evaluator = task.evaluator(run, sets)
    # The hook alone says when.
    train.val_cfg, train.train_cfg.val_begin = dict(type='ValLoop'), 2
    train.default_hooks.checkpoint = None
    train.experiment_name = f'recover_{target.method}_{target.seed}'
    points = folder / _POINTS
    train.custom_hooks.append(
        dict(
            type='gslora_mm.CurveHook', steps=recovery.steps,
            file=str(points)))
    RequestRunner.from_cfg(train).train()
    return [(p['step'], p['report']) for p in read_json(points)]


def _edited(run, settings, target, state, base_print, recovery, folder):
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
