"""What is trained: LoRA, or parameters of the model itself."""
from ..lora import find_targets, select
from ..lora.patterns import summarise
from ..lora.table import count_lines
from ..utils import ForgetError

CHOICES = ('lora', 'ffn', 'head', 'all')
_PATTERNS = ('include', 'exclude')


def check_train(train):
    """Check a value of ``forget.train``.

    Args:
        train (str | dict): ``'lora'``; ``'ffn'``, the linears of the FFNs
            that LoRA would go on; ``'head'``, the layers that classify;
            ``'all'``, whatever the plain model trains; or ``dict(include=[
            ...], exclude=[...])`` of dot-bounded patterns over the names of
            parameters (:func:`gslora_mm.lora.patterns.matches`).

    Raises:
        ForgetError: If it is anything else.
    """
    if isinstance(train, dict):
        if train and all(
                key in _PATTERNS and _are_names(value)
                for key, value in train.items()):
            return
    elif isinstance(train, str) and train in CHOICES:
        return
    raise ForgetError(f'forget.train is {train!r}; it must be one of '
                      f'{", ".join(CHOICES)}, or patterns over the names of '
                      "parameters, e.g. dict(include=['backbone.layers.*'], "
                      "exclude=['bias'])")


def _are_names(value):
    return isinstance(value, str) or isinstance(value, list) and all(
        isinstance(item, str) for item in value)


def train_only(model, train, head):
    """Let some parameters of a model train and no other.

    Args:
        model (nn.Module): A model without LoRA, in train mode, of which the
            parameters train that the plain model trains.
        train (str | dict): See :func:`check_train`; None trains nothing.
        head (tuple[str]): Names of the modules that classify.

    Returns:
        list[str]: Names of what trains, all names of shared ones.

    Raises:
        ForgetError: If a pattern matches nothing, or nothing is left.
    """
    trains = [name for name, p in _named(model) if p.requires_grad]
    try:
        chosen = _choose(model, trains, train, head)
    except ValueError as err:
        raise ForgetError(f'forget.train: {err}') from err
    model.requires_grad_(False)
    for name, param in _named(model):
        if name in chosen:
            param.requires_grad_(True)
    found = [name for name, p in _named(model) if p.requires_grad]
    if train is not None and not found:
        raise ForgetError(f'forget.train={train!r} leaves no parameter that '
                          f'the plain model trains; these are '
                          f'{summarise(trains)}')
    return found


def _named(model):
    # State dicts hold a shared parameter under each of its names.
    return list(model.named_parameters(remove_duplicate=False))


def _choose(model, names, train, head):
    if train is None:
        return set()
    if isinstance(train, dict):
        return select(names, train.get('include'), train.get('exclude'),
                      'trained parameter')
    if train == 'ffn':
        linears = {target.name for target in find_targets(model)}
        return {n for n in names if n.rpartition('.')[0] in linears}
    if train == 'head':
        return {n for n in names if n.startswith(tuple(f'{h}.' for h in head))}
    return set(names)


def training_table(model, train, names):
    """Describe what trains where there is no LoRA.

    Args:
        model (nn.Module): The model.
        train (str | dict | None): Value of ``forget.train``.
        names (list[str]): What :func:`train_only` returned.

    Returns:
        str: The names, those that differ in numbers only counted; then the
        counts.
    """
    what = 'nothing' if train is None else train
    return '\n'.join(
        [f'no LoRA; {what} trains: {summarise(names)}', *count_lines(model)])
