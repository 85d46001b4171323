"""Run a study: a grid of runs that ends in one table and one figure.

    python tools/study.py configs/studies/groups.py --jobs 2
"""
import argparse
from pathlib import Path

from gslora_mm.utils.grid_args import add_grid_arguments, add_run_options
from gslora_mm.utils.tool import REPEAT, quiet_libraries, run_tool

quiet_libraries()


def parse_args():
    """Arguments of the tool."""
    parser = argparse.ArgumentParser(
        description='Run every cell of a study; started again, it goes on '
        'where it was. Exits with status 1 if a run failed.')
    parser.add_argument('config', help='config file with a study section')
    add_grid_arguments(parser, 'work_dirs/studies/<config>', 'study')
    add_run_options(parser)
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
