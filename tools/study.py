"""Run a study: a grid of runs that ends in one table and one figure.

    python tools/study.py configs/studies/groups.py --jobs 2
"""
import argparse
from pathlib import Path

from gslora_mm.utils.tool import REPEAT, quiet_libraries, run_tool

quiet_libraries()


def parse_args():
    """Arguments of the tool."""
    from gslora_mm.utils.cfg_options import CfgOptions
    parser = argparse.ArgumentParser(
        description='Run every cell of a study; started again, it goes on '
        'where it was. Exits with status 1 if a run failed.')
    parser.add_argument('config', help='config file with a study section')
    parser.add_argument(
        '--work-dir',
        help='folder of the study; default work_dirs/studies/<config>')
    parser.add_argument(
        '--seeds', nargs='+', type=int, help='default from the config')
    parser.add_argument(
        '--jobs', type=int, default=1, help='runs at a time; default 1')
    parser.add_argument(
        '--table-only',
        action='store_true',
        help='table and figure of what is finished; nothing is run')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=CfgOptions,
        help='override config keys of all runs, key=value')
    return parser.parse_args()


def main():
    """Run what is not done, tabulate, print."""
    args = parse_args()
    from gslora_mm.engine.study import Study
    study = Study(args.config, args.work_dir, args.seeds, args.cfg_options)
    if args.table_only:
        print(study.tabulate())
    else:
        print(study.run(Path(__file__).parent, args.jobs))
    print(f'study.csv, study.md, study.png, study.pdf: {study.work_dir}')


if __name__ == '__main__':
    run_tool(main, REPEAT)
