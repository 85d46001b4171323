"""``forget.train``: LoRA, or parameters of the model itself."""
from ..models.trainable import check_train
from ..utils import ForgetError
from .method_class import method_flag

_LORA_ONLY = ('lora', 'group', 'ema')


def read_train(section, methods):
    """Read and check what is trained.

    Args:
        section (dict): ``forget``.
        methods (list[dict]): Method config of every request.

    Returns:
        dict: ``train``, and with LoRA ``lora`` and ``group``: arguments of
        the wrapper.

    Raises:
        ForgetError: If it is unknown, or something has no effect.
    """
    given = section.get('train')
    train = 'lora' if given is None else given
    check_train(train)
    idle = [m['type'] for m in methods if not method_flag(m, 'trains')]
    if idle and given is not None:
        raise ForgetError(f'forget.train has no effect: {idle[0]} changes '
                          'weights without training; remove it')
    if train == 'lora' and len(idle) < len(methods):
        return dict(
            train=train,
            lora=section.get('lora') or {},
            group=section.get('group') or 'block')
    why = f'{idle[0]} does not train' if idle else f'forget.train={train!r}'
    for key in _LORA_ONLY:
        if section.get(key) is not None:
            raise ForgetError(
                f'forget.{key} is about LoRA, and there is none: {why}; '
                f'remove it, or set it to None where a base config has it')
    return dict(train=train)
