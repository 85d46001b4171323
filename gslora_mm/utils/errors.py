"""The error that users see."""


class ForgetError(RuntimeError):
    """Bad input or a run that must stop, explained in one line.

    The message names the file, key or class at fault and the cure. The
    command line tools print it and exit with status 1, without a traceback.
    """


class DivergedError(ForgetError):
    """Training whose numbers left the finite, or its limit.

    It would do so again: an outcome of the settings, not an accident.
    """
