"""What each request of a run cost, how merging drifts, and what came back.

    python tools/analyze_sequence.py WORK_DIR [--base FILE] [--out FOLDER]
"""
import argparse

from gslora_mm.utils.tool import quiet_libraries, run_tool

quiet_libraries()


def parse_args():
    """Arguments of the tool."""
    parser = argparse.ArgumentParser(
        description='Time, memory, disk, drift of merging, and accuracy or '
        'AP of all forgotten classes, request by request.')
    parser.add_argument('work_dir', help='folder that tools/train.py wrote')
    parser.add_argument(
        '--base', help='the original checkpoint; default load_from of the run')
    parser.add_argument(
        '--out',
        help='folder for CSV, Markdown and PNG; default '
        'WORK_DIR/analysis')
    return parser.parse_args()


def main():
    """Measure, write, print."""
    args = parse_args()
    from gslora_mm.analysis.long_run import analyze_long_run
    print(analyze_long_run(args.work_dir, args.base, args.out))
    print('sequence.csv, sequence.md, sequence.png: '
          f'{args.out or args.work_dir + "/analysis"}')


if __name__ == '__main__':
    run_tool(main)
