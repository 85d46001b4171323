"""The ``forget.prototypes`` section: where prototypes come from."""
from ..utils import ForgetError
from .config_checks import check_number
from .method_class import method_flag

PROTOTYPE_KEYS = ('source', 'copies', 'augment')
# Their file in the folder of a run.
PROTOTYPES = 'prototypes.safetensors'
SOURCES = ('mean', 'weight')


def needs_prototypes(method):
    """Whether a method asks for prototypes.

    Args:
        method (dict): Its config.

    Returns:
        bool: False for a type that is not registered, which is reported when
        it is built.
    """
    return bool(method_flag(method, 'needs_prototypes'))


def read_prototypes(section, methods, task):
    """Read and check how the prototypes of a run are made.

    Args:
        section (dict | None): ``forget.prototypes``.
        methods (list[dict]): Method config of every request.
        task (Task): The kind of model; knows the defaults.

    Returns:
        dict: ``source``, ``copies`` and ``augment``; empty if no method asks
        for prototypes.

    Raises:
        ForgetError: If a value is out of range, or has no effect.
    """
    if any('prototypes' in method for method in methods):
        raise ForgetError('forget.method.prototypes is a file that every run '
                          'writes for itself; remove it, and set '
                          'forget.prototypes for how it is made')
    if not any(needs_prototypes(method) for method in methods):
        if section is not None:
            raise ForgetError(
                'forget.prototypes has no effect: the method '
                f'{methods[0]["type"]} uses none; remove it or set '
                'forget.method.type=GSLoRAPlusPlus')
        return {}
    options = dict(source=task.prototype_source, copies=0, augment=None)
    options.update(section or {})
    if options['source'] not in SOURCES:
        raise ForgetError(
            f'forget.prototypes.source is {options["source"]!r}; it must be '
            f'one of {", ".join(SOURCES)}')
    if options['source'] == 'weight' and any(
            method.get('prototype_slack') for method in methods):
        raise ForgetError(
            'forget.method.prototype_slack is for the means of images: rows '
            'of the last layer have no spread; set forget.prototypes.source='
            "'mean' or remove it")
    check_number('forget.prototypes.copies', options['copies'], int, 0)
    options['copies'] = options['copies'] or 0
    _check_augment(options)
    if options['copies'] and options['augment'] is None:
        options['augment'] = task.prototype_augment
        if options['augment'] is None:
            raise ForgetError(
                'forget.prototypes.copies asks for augmented copies and '
                'forget.prototypes.augment is missing; list the transforms, '
                "e.g. [dict(type='RandomFlip', prob=0.5)]")
    return options


def _check_augment(options):
    augment = options['augment']
    if augment is not None and (not isinstance(augment, list) or not augment
                                or not all(
                                    isinstance(step, dict) and 'type' in step
                                    for step in augment)):
        raise ForgetError(f'forget.prototypes.augment is {augment!r}; it must '
                          "be a list of transforms, e.g. [dict(type='...')]")
    if options['source'] == 'weight' and (options['copies'] or augment):
        raise ForgetError(
            'forget.prototypes.copies and augment are for the means of '
            "images; remove them or set forget.prototypes.source='mean'")
    if augment and not options['copies']:
        raise ForgetError('forget.prototypes.augment has no effect without '
                          'copies; set forget.prototypes.copies to 1 or more')
