"""Make a release of a run: the checkpoint that leaves the house.

    python tools/export.py WORK_DIR [--request N] [--out FILE] [--base FILE]
"""
import argparse

from gslora_mm.utils.tool import quiet_libraries, run_tool

quiet_libraries()


def parse_args():
    """Arguments of the tool."""
    parser = argparse.ArgumentParser(
        description='Merge base and adapters into a plain checkpoint, check '
        'it, write it with a report beside it, and list every file that '
        'still holds the forgotten classes.')
    parser.add_argument('work_dir', help='folder that tools/train.py wrote')
    parser.add_argument(
        '--request',
        type=int,
        help='the last request of the release (from 1); default: the last '
        'finished one')
    parser.add_argument(
        '--out',
        help='the checkpoint; default '
        'WORK_DIR/releases/request_NN/release.pth')
    parser.add_argument(
        '--base', help='the original checkpoint; default load_from of the run')
    parser.add_argument(
        '--config',
        help='config file of the run; default: what its record holds')
    parser.add_argument(
        '--images',
        type=int,
        default=8,
        help='compare predictions on so many evaluation images (default 8); '
        '0 leaves this check out')
    parser.add_argument(
        '--list-holders',
        action='store_true',
        help='only list the files that still hold the forgotten classes')
    return parser.parse_args()


def main():
    """Export and print, or list."""
    args = parse_args()
    from gslora_mm.release import export_release, holder_table, list_holders
    from gslora_mm.release.export_text import render_release
    from gslora_mm.utils import ForgetError
    if args.images < 0:
        raise ForgetError(f'--images {args.images} is below 0; name how many '
                          'images predictions are compared on')
    if args.list_holders:
        print(holder_table(list_holders(args.work_dir, args.request)))
        return
    path, report = export_release(args.work_dir, args.request, args.out,
                                  args.base, args.config, args.images)
    print(render_release(path, report))


if __name__ == '__main__':
    run_tool(main)
