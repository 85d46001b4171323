"""Compare forgetting methods: tune each alike, run each alike.

    python tools/compare.py configs/compare/vit_shapes.py --jobs 2
"""
import argparse
from pathlib import Path

from gslora_mm.utils.grid_args import add_grid_arguments, add_run_options
from gslora_mm.utils.tool import REPEAT, quiet_libraries, run_tool

quiet_libraries()


def parse_args():
    """Arguments of the tool."""
    parser = argparse.ArgumentParser(
        description='Run every method of a comparison; started again, it '
        'goes on where it was. Exits with status 1 if a run failed or '
        'diverged.')
    parser.add_argument(
        'configs', nargs='+', help='config files with a comparison section')
    add_grid_arguments(parser, 'work_dirs/compare/<config>', 'comparison')
    add_run_options(parser)
    parser.add_argument(
        '--methods', nargs='+', help='run these only, by name of their file')
    parser.add_argument('--settings', nargs='+', help='run these only')
    return parser.parse_args()


def main():
    """Run what is not done, tabulate, print; config after config."""
    args = parse_args()
    from gslora_mm.engine.compare import Comparison
    from gslora_mm.utils import ForgetError
    if args.work_dir and len(args.configs) > 1:
        raise ForgetError('--work-dir is the folder of one comparison; give '
                          'one config, or leave it out')

    def planned(config):
        return Comparison(config, args.work_dir, args.seeds, args.methods,
                          args.settings, args.cfg_options)

    # Whatever is wrong with the last one shows before the first is run.
    for config in args.configs[1:]:
        planned(config)
    errors = []
    for config in args.configs:
        comparison = planned(config)
        try:
            print(comparison.tabulate() if args.table_only else comparison.
                  run(Path(__file__).parent, args.jobs))
            print(f'compare.csv, compare.md, compare.png, compare.pdf: '
                  f'{comparison.work_dir}')
        except ForgetError as err:
            errors.append(str(err))
    if errors:
        raise ForgetError('; '.join(errors))


if __name__ == '__main__':
    run_tool(main, REPEAT)
