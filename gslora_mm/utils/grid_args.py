"""Arguments of the tools that run many models and draw one table."""


def add_grid_arguments(parser, default, what, parts='runs'):
    """Add what ``study.py``, ``compare.py`` and ``recover.py`` share.

    Args:
        parser (argparse.ArgumentParser): Of the tool.
        default (str): The folder without ``--work-dir``, for people.
        what (str): Whose folder it is.
        parts (str): What ``--jobs`` counts. Defaults to ``'runs'``.
    """
    parser.add_argument(
        '--work-dir', help=f'folder of the {what}; default {default}')
    parser.add_argument(
        '--seeds', nargs='+', type=int, help='default from the config')
    parser.add_argument(
        '--jobs', type=int, default=1, help=f'{parts} at a time; default 1')
    parser.add_argument(
        '--table-only',
        action='store_true',
        help='table and figure of what is finished; nothing is run')


def add_run_options(parser):
    """Add ``--cfg-options`` of all runs.

    Args:
        parser (argparse.ArgumentParser): Of the tool.
    """
    # It imports mmengine.
    from .cfg_options import CfgOptions
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=CfgOptions,
        help='override config keys of all runs, key=value')
