"""The frame of every command line tool."""
import logging
import os
import sys
import warnings

from .cpu_matmul import use_onednn_matmul
from .errors import ForgetError
from .memory import keep_freed_memory
from .shown import shown

# Of an error; names from files may be of any length.
_LONGEST = 2000


def quiet_libraries():
    """Silence notices of the libraries that no user can act on."""
    warnings.filterwarnings('ignore', message='pkg_resources is deprecated')
    warnings.filterwarnings('ignore', message='torch.meshgrid')
    warnings.filterwarnings('ignore', message='.*cpu_amp_autocast.*')
    os.environ.setdefault('NO_ALBUMENTATIONS_UPDATE', '1')
    # A log on a full disk would print a traceback for every line.
    logging.raiseExceptions = False


def run_tool(main):
    """Run a tool; print bad input as one line and exit with status 1.

    Args:
        main (Callable): The tool's main function, without arguments.
    """
    keep_freed_memory()
    try:
        use_onednn_matmul()
        main()
    except ForgetError as err:
        sys.exit(f'error: {shown(first_hand(err), _LONGEST)}')
    except OSError as err:
        if err.errno is None:
            raise
        name = shown(err.filename or 'a file')
        sys.exit(f'error: {name}: {err.strerror}; '
                 'check the path, its permissions and the free space')
    except KeyboardInterrupt:
        sys.exit('stopped; continue with --resume')


def first_hand(err):
    """The message of an error, also if a loader worker raised it.

    torch hands a worker's error on with the worker's traceback as its text.
    """
    lines = str(err).strip().splitlines()
    if len(lines) > 1 and 'Traceback' in str(err):
        return lines[-1].split('ForgetError: ')[-1]
    return ' '.join(lines)
