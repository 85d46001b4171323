"""Calling the command line tools, in this process or in one of their own."""
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

REPO = Path(__file__).resolve().parents[2]


def call(tool, *args):
    """Run a tool in this process.

    Returns:
        str | None: What it would print on stderr as it exits with status 1;
        None if it ends well.
    """
    from gslora_mm.utils.tool import run_tool
    spec = importlib.util.spec_from_file_location(f'tool_{tool}',
                                                  REPO / f'tools/{tool}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    argv = [f'{tool}.py', *map(str, args)]
    with mock.patch.object(sys, 'argv', argv):
        try:
            run_tool(module.main)
        except SystemExit as end:
            # Python prints a text and exits with status 1.
            assert isinstance(end.code, str), f'exit with {end.code!r}'
            return end.code
    return None


def error_of(tool, *args):
    """The one-line error of a tool that has to fail."""
    message = call(tool, *args)
    assert message is not None, 'it succeeded'
    return checked(message)


def checked(message):
    """The message after ``error: ``, if it is as it should be."""
    assert message.startswith('error: '), message
    assert '\n' not in message.strip(), message
    assert 'Traceback' not in message
    return message.removeprefix('error: ')


def process(tool, *args, cwd=REPO):
    """Run a tool in a process of its own.

    Returns:
        CompletedProcess: With text output.
    """
    env = dict(os.environ)
    env['PYTHONPATH'] = os.pathsep.join(
        filter(None, [str(REPO), env.get('PYTHONPATH')]))
    return subprocess.run(
        [sys.executable, REPO / f'tools/{tool}.py', *map(str, args)],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=900)
