"""SIGTERM and Ctrl-C: an end at a moment that suits the work."""
import os
import signal
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """The user or the system asked this process to end.

    Args:
        number (int): The signal.
    """

    def __init__(self, number=signal.SIGINT):
        super().__init__(signal.Signals(number).name)
        self.number = number

    @property
    def status(self):
        """int: Exit status by the custom of shells, 128 + signal."""
        return 128 + self.number


class _Stop:
    """The signal that came, and whether the work looks for it itself."""
    came, waits, owner = None, False, None


def _receive(number, frame):
    if os.getpid() != _Stop.owner:
        # A loader worker. Ctrl-C reaches all processes of a terminal, but
        # the iteration that is under way may still need it.
        if number == signal.SIGTERM:
            os._exit(128 + number)
        return
    _Stop.came = number
    for each in SIGNALS:
        # Whoever asks twice means at once.
        signal.signal(each, signal.SIG_DFL)
    if not _Stop.waits:
        raise Stopped(number)


@contextmanager
def catch_signals():
    """Let the first SIGTERM or Ctrl-C raise :class:`Stopped`.

    A second one ends the process at once. Where signals cannot be caught
    (threads other than the main one) nothing changes.
    """
    _Stop.came, _Stop.waits, _Stop.owner = None, False, os.getpid()
    try:
        before = {n: signal.signal(n, _receive) for n in SIGNALS}
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        _Stop.came, _Stop.waits = None, False
        for number, handler in before.items():
            signal.signal(number, handler)


def defer(wanted=True):
    """Keep signals for :func:`stop_requested` instead of raising.

    Args:
        wanted (bool): False lets them raise again. Defaults to True.
    """
    _Stop.waits = wanted


def stop_requested():
    """The signal that asked this process to end.

    Returns:
        int | None: Its number; None if there was none.
    """
    return _Stop.came


def stop_if_asked():
    """Raise what :func:`defer` kept, or some library swallowed.

    Raises:
        Stopped: If a signal came.
    """
    if _Stop.came:
        raise Stopped(_Stop.came)
