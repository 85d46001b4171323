"""Processes that need not import anything: forks of the one that tests."""
import os
import runpy
import socket
import sys
import traceback
from pathlib import Path

import torch


def fork(work, log, leads=False):
    """Run a function in a process of its own.

    Args:
        work (Callable): Without arguments.
        log (str | Path): Its output is added to this file.
        leads (bool): Whether it leads a process group, which can be killed
            with what it started.

    Returns:
        int: Its process id; its exit status is 0 if ``work`` returned.
    """
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        if leads:
            os.setpgid(0, 0)
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(out, 1)
        os.dup2(out, 2)
        sys.stdout = os.fdopen(1, 'w')
        sys.stderr = os.fdopen(2, 'w')
        # Threads of the parent do not exist here.
        torch.set_num_threads(1)
        work()
        status = 0
    except SystemExit as end:
        print(end.code)
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def wait(child):
    """int: Exit status of a fork; minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def launch(work, log, processes):
    """Run a function in some processes as torchrun does.

    Args:
        work (Callable): Without arguments.
        log (str | Path): Output of all of them.
        processes (int): How many.

    Raises:
        AssertionError: If one of them fails.
    """
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]

    def ranked(rank):
        os.environ.update(
            RANK=str(rank),
            LOCAL_RANK=str(rank),
            WORLD_SIZE=str(processes),
            MASTER_ADDR='127.0.0.1',
            MASTER_PORT=str(port))
        work()

    children = [
        fork(lambda rank=rank: ranked(rank), log) for rank in range(processes)
    ]
    statuses = [wait(child) for child in children]
    assert not any(statuses), Path(log).read_text()[-3000:]


def tool(name, *args):
    """A command line tool as a function to fork.

    Args:
        name (str): E.g. ``'train'``.
        *args: Its arguments.

    Returns:
        Callable: Runs it, and exits as it does.
    """
    path = Path(__file__).resolve().parents[1] / f'tools/{name}.py'

    def work():
        sys.argv = [str(path), *map(str, args)]
        runpy.run_path(str(path), run_name='__main__')

    return work
