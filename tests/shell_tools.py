"""Running commands and standing in for interpreters."""
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run(*command, cwd=ROOT, **variables):
    """Run a command with ``variables`` set (None: unset)."""
    env = {**os.environ, **variables}
    env = {k: v for k, v in env.items() if v is not None}
    return subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=120)


def script(path, text):
    """Write an executable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def stub_python(path, packages=''):
    """An interpreter that sees the standard library and ``packages``."""
    return script(
        path, f'#!/bin/sh\nunset PYTHONPATH\n'
        f'{"export PYTHONPATH=" + str(packages) if packages else ""}\n'
        f'exec {sys.executable} -S "$@"\n')
