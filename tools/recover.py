"""Bring forgotten classes back, and look for what was left of them.

    python tools/recover.py configs/compare/recover_vit_shapes.py
"""
import argparse
from pathlib import Path

from gslora_mm.utils.grid_args import add_grid_arguments
from gslora_mm.utils.tool import REPEAT, quiet_libraries, run_tool

quiet_libraries()


def parse_args():
    """Arguments of the tool."""
    parser = argparse.ArgumentParser(
        description='Retrain models that forgot, their head or all of them, '
        'and probe their features; started again, it goes on where it was. '
        'Run the comparison that it names first.')
    parser.add_argument('config', help='config file with a recovery section')
    add_grid_arguments(parser, 'work_dirs/compare/<config>', 'comparison',
                       'models')
    parser.add_argument(
        '--methods', nargs='+', help='these only, by name of their file')
    parser.add_argument(
        '--only',
        metavar='SETTING/METHOD/seed_N',
        help='measure this model alone, and write no table')
    return parser.parse_args()


def main():
    """Measure what is not measured, tabulate, print."""
    args = parse_args()
    from gslora_mm.engine.recovery import Recovery
    recovery = Recovery(args.config, args.work_dir, args.seeds, args.methods)
    if args.only:
        recovery.measure(args.only)
        return
    print(recovery.tabulate() if args.table_only else recovery.
          run(Path(__file__).parent, args.jobs))
    print(
        'proof.csv, proof.md, proof.png, probes.csv, probes.png, '
        'recover.csv, recover.json, recover.md, recover.png, and each figure '
        f'as pdf: {recovery.work_dir}')


if __name__ == '__main__':
    run_tool(main, REPEAT)
