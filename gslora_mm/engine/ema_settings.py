"""The ``forget.ema`` section: the average of the LoRA weights."""
from ..utils import ForgetError
from .config_checks import check_number
from .hooks.lora_ema_hook import UNITS, check_start

EMA_KEYS = ('start', 'decay', 'by')
_DEFAULTS = dict(decay=0.9, by='epoch')


def read_ema(section, requests, max_epochs):
    """Read and check the average of every request.

    Args:
        section (dict | None): ``forget.ema``; every value may be a list with
            one for each request.
        requests (list[Request]): The requests.
        max_epochs (int | None): Epochs of those that do not say.

    Returns:
        list[dict]: For each request, the arguments of
        :class:`~gslora_mm.engine.hooks.LoRAEMAHook`; empty dicts without an
        average.

    Raises:
        ForgetError: If a value is missing, of another kind or out of range,
            or a request ends before its average begins.
    """
    if section is None:
        return [{} for _ in requests]
    for key, value in section.items():
        if isinstance(value, list) and len(value) != len(requests):
            raise ForgetError(
                f'forget.ema.{key} lists {len(value)} values for '
                f'{len(requests)} requests; give one per request or one for '
                'all')
    if section.get('start') is None:
        raise ForgetError('forget.ema.start is missing; give the first epoch '
                          'that is averaged, counted from 0')
    return [_checked(section, request, max_epochs) for request in requests]


def _checked(section, request, max_epochs):
    """The average of one request."""
    ema = dict(_DEFAULTS)
    for key, value in section.items():
        of_each = isinstance(value, list)
        ema[key] = value[request.index - 1] if of_each else value
    check_number('forget.ema.start', ema['start'], int, 0)
    check_number('forget.ema.decay', ema['decay'], float, 0)
    if ema['decay'] is None or not 0 < 1 - ema['decay'] < 1:
        raise ForgetError(f'forget.ema.decay is {ema["decay"]!r}; it must be '
                          'the share of the old average, above 0 and below 1')
    if ema['by'] not in UNITS:
        raise ForgetError(f'forget.ema.by is {ema["by"]!r}; it must be one '
                          f'of {", ".join(UNITS)}')
    epochs = request.options.get('max_epochs', max_epochs)
    if epochs is not None:
        check_start(f'forget.ema.start of {request.name}', ema['start'],
                    epochs)
    return ema
