"""Answers of a recovery that are kept, with what they are about."""
from ...lora import fingerprint
from ...utils import ForgetError, read_json
from ..checkpoints import load_plain_state


def weights_of(target):
    """Weights of a model, if they are still there.

    Args:
        target (Target): The model.

    Returns:
        tuple[dict[str, Tensor], str]: The state dict and its fingerprint;
        None for both where the checkpoint was removed.

    Raises:
        ForgetError: If the checkpoint cannot be read.
    """
    if not target.checkpoint.is_file():
        return None, None
    state, _ = load_plain_state(target.checkpoint)
    return state, fingerprint(state)


def read_kept(path, about, target):
    """Read what an earlier call found, if there was one.

    Args:
        path (Path): The file, with ``about`` in it.
        about (dict): What is asked about now: settings, and ``weights``, a
            fingerprint; None if they were removed, and the rest decides.
        target (Target): The model.

    Returns:
        dict: Its content, None if there is no file.

    Raises:
        ForgetError: If it is about something else, or there is neither file
            nor weights.
    """
    if not path.is_file():
        if about['weights'] is None:
            raise ForgetError(f'{target.checkpoint} does not exist, so that '
                              f'{path.parent} cannot be measured; train the '
                              'model again')
        return None
    known = read_json(path)
    found = dict(known.get('about') or {})
    if about['weights'] is None:
        found['weights'] = None
    if found != about:
        raise ForgetError(
            f'{path} was measured with other settings or weights; remove '
            f'{path.parent} to measure again, or choose another --work-dir')
    return known
