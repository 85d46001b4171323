"""Which groups each request moved, and proof that the others did not move.

    python tools/analyze_groups.py WORK_DIR [--base FILE] [--out FOLDER]
"""
import argparse

from gslora_mm.utils.tool import quiet_libraries, run_tool

quiet_libraries()


def parse_args():
    """Arguments of the tool."""
    parser = argparse.ArgumentParser(
        description='Norms and exact zeros of every LoRA group of a run; '
        'weights of zero groups are compared with the base by sha256. Exits '
        'with status 1 if a check fails.')
    parser.add_argument('work_dir', help='folder that tools/train.py wrote')
    parser.add_argument(
        '--base', help='the original checkpoint; default load_from of the run')
    parser.add_argument(
        '--out',
        help='folder for CSV, JSON and PNG; default '
        'WORK_DIR/analysis')
    return parser.parse_args()


def main():
    """Analyse, write, print."""
    args = parse_args()
    from gslora_mm.analysis import report_groups
    report_groups(args.work_dir, args.base, args.out)


if __name__ == '__main__':
    run_tool(main)
