"""The frame of every command line tool."""
import logging
import os
import sys
import warnings

from .cpu_matmul import use_onednn_matmul
from .errors import ForgetError
from .files import UNWRITABLE
from .memory import keep_freed_memory
from .shown import shown
from .stopping import Stopped, catch_signals

RESUME = 'continue with --resume'
REPEAT = 'the same command goes on where it was'
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


def run_tool(main, again='start it again'):
    """Run a tool; print bad input as one line and exit with status 1.

    SIGTERM and Ctrl-C end it in good order, with status 143 and 130; a
    second one ends it at once.

    Args:
        main (Callable): The tool's main function, without arguments.
        again (str): How to go on after it was stopped.
    """
    keep_freed_memory()
    try:
        with catch_signals():
            use_onednn_matmul()
            main()
    except ForgetError as err:
        sys.exit(f'error: {shown(first_hand(err), _LONGEST)}')
    except OSError as err:
        if err.errno is None:
            raise
        name = shown(err.filename or 'a file')
        sys.exit(f'error: {name}: {err.strerror}; {_cure(err)}')
    except KeyboardInterrupt as err:
        stopped = err if isinstance(err, Stopped) else Stopped()
        sys.stdout.flush()
        if os.environ.get('RANK', os.environ.get('SLURM_PROCID', '0')) == '0':
            print(f'stopped; {again}', file=sys.stderr, flush=True)
        sys.exit(stopped.status)


def _cure(err):
    if err.errno in UNWRITABLE:
        return 'nothing finished is lost: free some space, then go on'
    return 'check the path, its permissions and the free space'


def first_hand(err):
    """The message of an error, also if a loader worker raised it.

    torch hands a worker's error on with the worker's traceback as its text.
    """
    lines = str(err).strip().splitlines()
    if len(lines) > 1 and 'Traceback' in str(err):
        return lines[-1].split('ForgetError: ')[-1]
    return ' '.join(lines)
