"""Names, images and configs that somebody made to do harm."""
import json
import shutil
import struct
import subprocess
import sys
import zlib

import pytest
from tool_calls import REPO, call, error_of

from gslora_mm.datasets.data_checks import is_readable

HARM = ('from pathlib import Path\n'
        "Path('{}').touch()\n"
        'model = dict()\n')


def train(data, tmp_path, *options):
    return error_of('train', data.config, '--work-dir', tmp_path / 'out',
                    '--cfg-options', 'forget.data.epoch_batches=1',
                    'train_cfg.max_epochs=1', *options)


def edit(data, change, split='train'):
    path = data.root / f'annotations/{split}.json'
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_configs_in_a_work_dir_are_never_run(config, run, base, tmp_path):
    """They are there for people; tools read the config that is named."""
    copy, mark = tmp_path / 'run', tmp_path / 'harmed'
    shutil.copytree(run, copy)
    configs = [*copy.rglob('*.py')]
    assert len(configs) > 5
    for path in configs:
        path.write_text(HARM.format(mark))
    (copy / 'config.py').write_text(HARM.format(mark))
    assert call('train', config, '--work-dir', copy, '--resume') is None
    assert call('test', config, copy / 'request_01/merged.pth', '--work-dir',
                tmp_path / 'test') is None
    assert call('analyze_groups', copy) is None
    assert call('verify', copy) is None
    assert not mark.exists()


def test_started_study_writes_its_configs_anew(tmp_path):
    """Its runs are commands on a config in its folder."""
    from mmengine.config import Config

    from gslora_mm.engine.study.jobs import CONFIG, Job
    job = Job('one', tmp_path, Config(dict(model=dict(type='X'))))
    job.claim()
    mark = tmp_path / 'harmed'
    (tmp_path / CONFIG).write_text(HARM.format(mark))
    job.claim()
    assert Config.fromfile(tmp_path / CONFIG).model.type == 'X'
    assert not mark.exists()


@pytest.mark.parametrize('name', [
    '../../../../../../etc/passwd', '/etc/hostname', 'a\nb.jpg', 'nul\0.jpg',
    'x' * 5000, '\x1b[31mred', '\ud800.jpg'
])
def test_file_names_of_annotations(own_data, tmp_path, name):
    before = sorted(own_data.root.rglob('*'))
    edit(own_data, lambda c: c['images'][0].update(file_name=name))
    message = train(own_data, tmp_path)
    assert message.isprintable() and len(message) < 2100
    assert sorted(own_data.root.rglob('*')) == before


@pytest.mark.parametrize(
    'change,culprit',
    [(lambda c: c['annotations'][3].update(bbox=[1, 2, float('nan'), 3]),
      'bbox[2] is nan'),
     (lambda c: c['annotations'][3].update(bbox=[1, 2, '3', 3]),
      'bbox[2] is str'),
     (lambda c: c['annotations'][3].update(bbox=[1, 2, 1e15, 3]),
      'beyond any image'),
     (lambda c: c['annotations'][3].update(image_id=[1]), 'image_id is list'),
     (lambda c: c['images'][3].update(width=None), 'width is NoneType'),
     (lambda c: c['images'][3].update(id=c['images'][2]['id']), 'twice'),
     (lambda c: c['categories'].append(5), 'categories[15]')])
def test_entries_that_cannot_be_used(own_data, tmp_path, change, culprit):
    edit(own_data, change)
    assert culprit in train(own_data, tmp_path)


def test_annotations_that_are_nested_without_end(own_data, tmp_path):
    (own_data.root / 'annotations/train.json').write_text('[' * 10**6)
    assert 'no JSON' in train(own_data, tmp_path)


@pytest.mark.parametrize('name', [
    'line\nbreak', '\x1b[2J', 'a\u202eb', ' ', 'x' * 600, '\ud800', 'a\u2028b'
])
def test_class_names_that_break_a_report(name):
    from gslora_mm.engine.tasks.task import check_printable
    from gslora_mm.utils import ForgetError
    with pytest.raises(ForgetError, match='class 1 is called') as err:
        check_printable(['good', name])
    assert str(err.value).isprintable()


def test_class_names_that_only_look_odd():
    from gslora_mm.engine.tasks.task import check_printable
    check_printable(['[red]', '<script>', 'a|b', '$x$', 'крыша', '猫', "d'oh"])


def png(width, height):
    """A file of 100 bytes that claims any size."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack('>I', len(data)) + body + struct.pack(
            '>I', zlib.crc32(body))

    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) +
            chunk(b'IDAT', zlib.compress(bytes(64))) + chunk(b'IEND', b''))


def test_broken_images_and_bombs(tmp_path):
    path = tmp_path / 'image.png'
    for content in (b'', b'\x89PNG\r\n\x1a\n', b'\xff\xd8\xff\xe0junk',
                    png(30000, 30000), png(2**31 - 1, 2**31 - 1), png(0, 0)):
        path.write_bytes(content)
        assert not is_readable(str(path))


def test_images_that_are_bombs(own_data, tmp_path):
    for path in (own_data.root / 'train').iterdir():
        path.write_bytes(png(30000, 30000))
    assert 'cannot read the image' in train(own_data, tmp_path)


def test_limit_of_pixels_is_set_before_opencv_loads():
    code = """
import sys
import gslora_mm.utils.image_limit
import os, cv2, numpy
data = numpy.frombuffer(bytes.fromhex(sys.argv[1]), numpy.uint8)
assert os.environ['OPENCV_IO_MAX_IMAGE_PIXELS'] == str(2**27)
try:
    image = cv2.imdecode(data, 1)
except cv2.error as err:
    assert 'MAX_IMAGE_PIXELS' in str(err)
    image = None
assert image is None
"""
    subprocess.run([sys.executable, '-c', code,
                    png(30000, 30000).hex()],
                   check=True,
                   cwd=REPO)
