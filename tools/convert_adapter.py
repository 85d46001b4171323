"""Convert adapters to the layout of PEFT and back.

    python tools/convert_adapter.py to-peft REQUEST_FOLDER OUT
    python tools/convert_adapter.py from-peft FOLDER OUT
"""
import argparse

from gslora_mm.utils.tool import quiet_libraries, run_tool

quiet_libraries()


def parse_args():
    """Arguments of the tool."""
    parser = argparse.ArgumentParser(
        description='adapter.safetensors to adapter_model.safetensors and '
        'adapter_config.json, as PEFT reads them, or back; exact both ways.')
    parser.add_argument('direction', choices=['to-peft', 'from-peft'])
    parser.add_argument(
        'folder',
        help='folder of a request (or its adapter); folder of a PEFT adapter')
    parser.add_argument('out', help='folder to write to')
    return parser.parse_args()


def main():
    """Convert and name the files."""
    args = parse_args()
    from gslora_mm.release import from_peft, to_peft
    convert = to_peft if args.direction == 'to-peft' else from_peft
    for path in convert(args.folder, args.out):
        print(path)


if __name__ == '__main__':
    run_tool(main)
