"""What one of several processes does for all of them."""
from mmengine.dist import barrier, is_main_process

from ..utils import write_json


def lacks(path):
    """bool: Whether a file is not there; the same answer on every rank."""
    found = path.is_file()
    # Nobody may write it before everybody has looked.
    barrier()
    return not found


def write_once(path, content):
    """Write a JSON file on one rank; none goes on before it is there."""
    if is_main_process():
        write_json(path, content)
    barrier()


def say(message):
    """Print a line on one rank."""
    if is_main_process():
        print(message, flush=True)
