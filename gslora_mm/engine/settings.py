"""The ``forget`` section of a config, read and checked."""
from dataclasses import dataclass, field

from mmengine.config import ConfigDict

from ..datasets.class_orders import published_unseen
from ..datasets.requests import parse_requests
from ..lora.groups import GROUPINGS
from ..utils import ForgetError
from .config_checks import check_number, check_types, refuse_unknown
from .config_file import config_content, config_digest, plain
from .ema_settings import EMA_KEYS, read_ema
from .painting_settings import PAINTING_KEYS, read_painting
from .prototype_settings import PROTOTYPE_KEYS, read_prototypes
from .tasks import TASKS, task_of
from .train_settings import read_train

_KEYS = ('requests', 'unseen', 'lora', 'group', 'method', 'model', 'data',
         'gallery', 'max_loss', 'ema', 'prototypes', 'painting', 'train')
_GALLERY_KEYS = ('dataset', 'far')
_FAR = 1e-3
_DATA_KEYS = ('ratio', 'shots', 'shots_per_class', 'stratified', 'count_crowd',
              'show_unseen', 'forget_per_batch', 'epoch_batches', 'variants')
_LORA_KEYS = ('rank', 'alpha', 'position', 'include', 'exclude')


@dataclass
class ForgetSettings:
    """The checked ``forget`` section.

    Args:
        requests (list[Request]): The erasure requests, in order.
        classes (tuple[str]): All class names.
        unseen (tuple[str]): Retained classes whose images training does not
            use; measured apart.
        model (dict): Arguments of the wrapper: ``train``, with LoRA
            ``lora`` and ``group``, and the task's own.
        method (dict): Config of the forgetting method.
        data (dict): Arguments of the data streams.
        gallery (dict): ``far`` and perhaps ``dataset`` of the gallery test;
            empty without one.
        max_loss (float): Limit of the loss guard.
        ema (list[dict]): Average of the LoRA weights of each request; see
            :func:`~.ema_settings.read_ema`.
        prototypes (dict): How prototypes are made; empty if the method uses
            none. See :func:`~.prototype_settings.read_prototypes`.
        painting (dict): How the teacher's images are painted; empty if the
            method has none. See :func:`~.painting_settings.read_painting`.
        base_fingerprint (str): Of the original model, once it is loaded.
        config_digest (str): Of the whole config.
    """

    requests: list
    classes: tuple
    unseen: tuple
    model: dict
    method: dict
    data: dict
    gallery: dict
    max_loss: float = 1e4
    ema: list = field(default_factory=list)
    prototypes: dict = field(default_factory=dict)
    painting: dict = field(default_factory=dict)
    base_fingerprint: str = ''
    config_digest: str = field(default='', compare=False)

    @classmethod
    def from_config(cls, cfg):
        """Read and check ``cfg.forget``.

        Raises:
            ForgetError: On a missing or unknown key, or a bad request.
        """
        for key in ('forget', 'model', 'train_dataloader', 'val_dataloader',
                    'optim_wrapper'):
            if not cfg.get(key):
                examples = ' or '.join(task.example for task in TASKS)
                raise ForgetError(f'the config has no {key!r} section; see '
                                  f'{examples} for an example')
        check_types(cfg)
        task = task_of(cfg)
        section = _checked_section(cfg.forget, task)
        classes = task.class_names(cfg)
        unseen = tuple(_unseen(section.get('unseen', ()), classes))
        requests = parse_requests(section['requests'], classes, unseen)
        _check_schedules(requests)
        _check_method(section['method'], len(requests))
        epochs = (cfg.get('train_cfg') or {}).get('max_epochs')
        ema = read_ema(section.get('ema'), requests, epochs)
        settings = cls(requests, classes, unseen, {}, section['method'],
                       section.get('data', {}), _gallery(section),
                       section.get('max_loss', 1e4), ema)
        methods = list(map(settings.method_of, requests))
        settings.model = dict(
            section.get('model', {}), **read_train(section, methods))
        settings.prototypes = read_prototypes(
            section.get('prototypes'), methods, task)
        settings.painting = read_painting(
            section.get('painting'), methods, task)
        settings.config_digest = config_digest(config_content(cfg))
        return settings

    def seen(self, names):
        """list[str]: Those of some class names that training may show."""
        return [name for name in names if name not in self.unseen]

    def ema_of(self, request):
        """Arguments of one request's LoRAEMAHook; empty without one."""
        return self.ema[request.index - 1] if self.ema else {}

    def method_of(self, request):
        """Method config of one request: its own value, or the one for all."""
        chosen = {
            k: v[request.index - 1] if isinstance(v, list) else v
            for k, v in self.method.items()
        }
        chosen.update({
            k: v
            for k, v in request.options.items() if k not in _SCHEDULE_KEYS
        })
        return chosen


_SCHEDULE_KEYS = ('max_epochs', 'lr')


def _checked_section(section, task):
    section = plain(ConfigDict(section))
    refuse_unknown('forget', section, _KEYS)
    for key, known in (('data', _DATA_KEYS), ('lora', _LORA_KEYS),
                       ('model', task.model_keys), ('gallery', _GALLERY_KEYS),
                       ('ema', EMA_KEYS), ('prototypes', PROTOTYPE_KEYS),
                       ('painting', PAINTING_KEYS)):
        refuse_unknown(f'forget.{key}', section.get(key) or {}, known)
    if section.get('gallery') is not None and not task.has_embeddings:
        raise ForgetError('forget.gallery identifies by the embedding of a '
                          'classifier; remove it from this config')
    if section.get('group') not in (None, *GROUPINGS):
        raise ForgetError(f'forget.group is {section["group"]!r}; it must '
                          f'be one of {", ".join(GROUPINGS)}')
    for key in ('requests', 'method'):
        if key not in section:
            raise ForgetError(f'forget.{key} is missing in the config')
    if not isinstance(section.get('unseen', []), (list, str)):
        raise ForgetError(f'forget.unseen is {section["unseen"]!r}; it must '
                          'be a list of class names or the name of a '
                          'published choice')
    return section


def _unseen(given, classes):
    """Names of the unseen classes, of a published choice as well."""
    return published_unseen(given, classes) if isinstance(given,
                                                          str) else given


def _gallery(section):
    """Settings of the gallery test, whole; empty without one."""
    given = section.get('gallery')
    if given is None:
        return {}
    far = _FAR if given.get('far') is None else given['far']
    if not 0 < far < 1:
        raise ForgetError(f'forget.gallery.far is {far!r}; it must be a false '
                          'accept rate above 0 and below 1, e.g. 1e-3')
    return dict(given, far=far)


def _check_schedules(requests):
    for request in requests:
        check_number(f'max_epochs of {request.name}',
                     request.options.get('max_epochs'), int, 1)
        check_number(f'lr of {request.name}', request.options.get('lr'), float,
                     0)


def _check_method(method, num_requests):
    if not isinstance(method, dict) or 'type' not in method:
        raise ForgetError("forget.method must be a dict with 'type', e.g."
                          " dict(type='GSLoRA', beta=0.2)")
    for key, value in method.items():
        if isinstance(value, list) and len(value) != num_requests:
            raise ForgetError(
                f'forget.method.{key} lists {len(value)} values for '
                f'{num_requests} requests; give one per request or one for '
                'all')
