"""Convert a foreign ViT checkpoint to the keys of mmpretrain.

    python tools/convert_checkpoint.py IN OUT [--config CONFIG]
"""
import argparse

from gslora_mm.utils.tool import quiet_libraries, run_tool

quiet_libraries()


def parse_args():
    """Arguments of the tool."""
    from gslora_mm.converters import FORMATS
    parser = argparse.ArgumentParser(
        description='Convert the checkpoint of a torchvision ViT or of the '
        'published Face Transformer to the keys of mmpretrain. Refuses '
        'anything it does not recognise.')
    parser.add_argument('source', metavar='IN', help='checkpoint to convert')
    parser.add_argument('out', metavar='OUT', help='file to write')
    parser.add_argument(
        '--format', help=f'one of {", ".join(FORMATS)}; default: detected')
    parser.add_argument(
        '--rows',
        metavar='FILE_OR_LIST',
        help='keep these rows of the head, in this order, counted from 0: '
        '0,7,12 or a file with one number per line')
    parser.add_argument(
        '--config', help='check that the result fits the model of this config')
    parser.add_argument(
        '--force', action='store_true', help='replace OUT if it exists')
    return parser.parse_args()


def main():
    """Convert, print what was found."""
    args = parse_args()
    from gslora_mm.converters.convert_file import convert_file
    from gslora_mm.converters.reading import read_rows
    rows = None if args.rows is None else read_rows(args.rows)
    name, tensors, notes = convert_file(args.source, args.out, args.format,
                                        rows, args.config, args.force)
    print(f'format: {name}')
    for note in notes:
        print(f'note: {note}')
    if args.config:
        print(f'fits: {args.config}')
    print(f'{tensors} tensors: {args.out}')


if __name__ == '__main__':
    run_tool(main)
