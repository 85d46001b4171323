"""Answers of a recovery that are kept, with what they are about."""
from ...utils import ForgetError, read_json


def read_kept(path, about):
    """Read what an earlier call found, if there was one.

    Args:
        path (Path): The file, with ``about`` in it.
        about (dict): Settings and weights that are asked about now.

    Returns:
        dict: Its content, None if there is no file.

    Raises:
        ForgetError: If it is about something else.
    """
    if not path.is_file():
        return None
    known = read_json(path)
    if known.get('about') != about:
        raise ForgetError(
            f'{path} was measured with other settings or weights; remove '
            f'{path.parent} to measure again, or choose another --work-dir')
    return known
