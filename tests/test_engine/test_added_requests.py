"""Requests that are added to a run end as if they had been there before."""
import json
import shutil
from pathlib import Path

import pytest
import tiny_classifier
import tiny_run
import torch
from random_kills import different
from tiny_run import run_sequence

from gslora_mm.engine import read_config
from gslora_mm.engine.compare import Comparison
from gslora_mm.engine.run_record import began_as
from gslora_mm.provenance import verify_run
from gslora_mm.release import drop_after, export_release
from gslora_mm.utils import ForgetError

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


def read(path):
    return json.loads(path.read_text())


def first_alone(tiny, folder, **options):
    """A run that knows its first request only."""
    run_sequence(tiny.tiny_config(), folder,
                 **{'forget.requests': tiny.REQUESTS[:1]}, **options)


@pytest.mark.parametrize('tiny', [tiny_classifier, tiny_run])
def test_added_request(tiny, tmp_path, capsys):
    run = tmp_path / 'run'
    whole = shutil.copytree(tiny.finished_run(), tmp_path / 'whole')
    first_alone(tiny, run)
    files = {p: p.read_bytes() for p in (run / 'request_01').glob('*.*')}
    run_sequence(tiny.tiny_config(), run, resume=True)
    assert 'requests added to the run: 1\n' in capsys.readouterr().out
    # Nothing of the first request is touched, and the second is as ever.
    assert all(p.read_bytes() == content for p, content in files.items())
    for name in ('merged.pth', 'metrics.json', 'report.json', 'groups.json'):
        path = f'request_02/{name}'
        assert (run / path).read_bytes() == (whole / path).read_bytes()
    assert read(run / 'run.json') == read(whole / 'run.json')
    assert read(run / 'base/report.json') == read(whole / 'base/report.json')
    found = verify_run(run)
    assert found.whole
    assert [x['what'] for x in found.links][0] == 'replaced by 2'
    assert (run / 'request_02/before.json').is_file()
    # Started again, it does nothing.
    before = (run / 'chain.json').read_bytes()
    run_sequence(tiny.tiny_config(), run, resume=True)
    assert (run / 'chain.json').read_bytes() == before
    for folder in (run, whole):
        export_release(folder, images=0)
    release = 'releases/request_02/release.pth'
    assert (run / release).read_bytes() == (whole / release).read_bytes()


def test_killed_while_it_is_added(tmp_path, monkeypatch):
    """Between the record and the base model's report."""
    from gslora_mm.engine import sequence_reports
    run = tmp_path / 'run'
    first_alone(tiny_classifier, run)
    with monkeypatch.context() as patch:
        patch.setattr(sequence_reports, 'evaluate_state', _fail)
        with pytest.raises(KeyboardInterrupt):
            run_sequence(tiny_classifier.tiny_config(), run, resume=True)
    run_sequence(tiny_classifier.tiny_config(), run, resume=True)
    name = 'request_02/metrics.json'
    assert read(run / name) == read(tiny_classifier.finished_run() / name)
    assert verify_run(run).whole


def _fail(*args, **kwargs):
    raise KeyboardInterrupt


def test_added_request_with_a_gallery(tmp_path):
    gallery = {'forget.gallery.far': .1}
    run, whole = tmp_path / 'run', tmp_path / 'whole'
    run_sequence(tiny_classifier.tiny_config(), whole, **gallery)
    first_alone(tiny_classifier, run, **gallery)
    run_sequence(tiny_classifier.tiny_config(), run, resume=True, **gallery)
    for path in ('base/gallery_report.json', 'base/gallery_templates.npz',
                 'request_02/gallery.json', 'request_02/gallery_report.json'):
        assert (run / path).read_bytes() == (whole / path).read_bytes()
    assert (run / 'request_02/gallery_before.json').is_file()
    assert verify_run(run).whole


def test_values_for_each_request_are_added_as_well(tmp_path):
    run, config = tmp_path / 'run', tiny_classifier.tiny_config()
    first_alone(tiny_classifier, run, **{'forget.method.alpha': [15.]})
    for alpha in ([10., 5.], [15., 5., 5.], 15.):
        with pytest.raises(ForgetError):
            run_sequence(config, run, True, **{'forget.method.alpha': alpha})
    run_sequence(config, run, True, **{'forget.method.alpha': [15., 5.]})
    assert (run / 'request_02/metrics.json').is_file()


def test_only_behind_the_others(tmp_path):
    run, config = tmp_path / 'run', tiny_classifier.tiny_config()
    shutil.copytree(tiny_classifier.finished_run(), run)
    first, second = tiny_classifier.REQUESTS
    for requests in ([second,
                      first], [first, ['ebony'],
                               second], [first], [second, first, ['ebony']]):
        with pytest.raises(ForgetError, match='different: forget.requests'):
            run_sequence(config, run, True, **{'forget.requests': requests})
    with pytest.raises(ForgetError, match='different: forget.lora.rank'):
        run_sequence(
            config, run, True, **{
                'forget.requests': [first, second, ['ebony']],
                'forget.lora.rank': 1
            })
    assert different(tiny_classifier.finished_run(), run) == []


@pytest.mark.parametrize('tiny', [tiny_classifier, tiny_run])
def test_another_request_in_place_of_a_dropped_one(tiny, tmp_path, capsys):
    """Ends as if it had been asked for from the start."""
    requests = [tiny.REQUESTS[0], _other(tiny)]
    run = shutil.copytree(tiny.finished_run(), tmp_path / 'run')
    whole, config = tmp_path / 'whole', tiny.tiny_config()
    run_sequence(config, whole, **{'forget.requests': requests})
    drop_after(run, 1)
    capsys.readouterr()
    run_sequence(config, run, True, **{'forget.requests': requests})
    assert 'requests changed in the run: request_02\n' in (
        capsys.readouterr().out)
    for name in ('merged.pth', 'metrics.json', 'report.json', 'groups.json'):
        path = f'request_02/{name}'
        assert (run / path).read_bytes() == (whole / path).read_bytes()
    for path in ('run.json', 'base/report.json'):
        assert (run / path).read_bytes() == (whole / path).read_bytes()
    found = verify_run(run)
    assert found.whole
    assert [x['what'].split(':')[0] for x in found.links] == [
        'replaced by 4', 'request 1', 'replaced by 5', 'back to request 1',
        'start', 'request 2'
    ]


def test_another_request_with_a_gallery(tmp_path):
    gallery = {'forget.gallery.far': .1}
    run, whole = tmp_path / 'run', tmp_path / 'whole'
    config = tiny_classifier.tiny_config()
    others = dict(
        gallery, **{
            'forget.requests':
            [tiny_classifier.REQUESTS[0],
             _other(tiny_classifier)]
        })
    run_sequence(config, whole, **others)
    run_sequence(config, run, **gallery)
    drop_after(run, 1)
    run_sequence(config, run, True, **others)
    for path in ('base/gallery_report.json', 'base/gallery_templates.npz',
                 'request_02/gallery.json', 'request_02/gallery_report.json'):
        assert (run / path).read_bytes() == (whole / path).read_bytes()


def test_a_withdrawn_request(tmp_path, capsys):
    """What is not begun may be taken out, what is begun may not."""
    run = shutil.copytree(tiny_classifier.finished_run(), tmp_path / 'run')
    config, first = tiny_classifier.tiny_config(), tiny_classifier.REQUESTS[:1]
    with pytest.raises(ForgetError, match=r'begun \(2\) back with tools/rev'):
        run_sequence(config, run, True, **{'forget.requests': first})
    drop_after(run, 1)
    merged = (run / 'request_01/merged.pth').read_bytes()
    run_sequence(config, run, True, **{'forget.requests': first})
    assert 'requests taken out of the run: 1\n' in capsys.readouterr().out
    assert (run / 'request_01/merged.pth').read_bytes() == merged
    assert not (run / 'request_02').exists()
    assert verify_run(run).whole
    summary = read(run / 'summary.json')
    assert [row['request'] for row in summary['requests']] == [1]


def test_values_of_requests_that_are_not_begun(tmp_path):
    run, config = tmp_path / 'run', tiny_classifier.tiny_config()
    run_sequence(config, run, **{'forget.method.alpha': [15., 10.]})
    drop_after(run, 1)
    with pytest.raises(ForgetError, match='different: forget.method.alpha'):
        run_sequence(config, run, True, **{'forget.method.alpha': [10., 5.]})
    run_sequence(config, run, True, **{'forget.method.alpha': [15., 5.]})
    assert read(
        run / 'run.json')['config']['forget']['method']['alpha'] == [15., 5.]
    assert (run / 'request_02/metrics.json').is_file()


def _other(tiny):
    """A request of classes that the tiny runs keep."""
    asked = {name for request in tiny.REQUESTS for name in request}
    classes = read(tiny.finished_run() / 'base/report.json')['all']
    first = next(iter(classes[p]['per_class'] for p in ('paper', 'top1')
                      if p in classes))  # yapf: disable
    return [next(name for name in first if name not in asked)]


def test_longer_setting_of_a_comparison(tmp_path):
    """It goes on from the shorter one, and ends as a run of its own."""
    config = tmp_path / 'compare.py'
    (tmp_path / 'configured.py').write_text("title = 'As configured'\n")
    settings = dict(
        single={'forget.requests': tiny_classifier.REQUESTS[:1]}, continual={})
    config.write_text(
        f'base = {str(tiny_classifier.tiny_config())!r}\n'
        f"comparison = dict(methods=['configured.py'], settings={settings!r})")
    for wanted in (['single'], None):
        Comparison(config, tmp_path / 'out', settings=wanted).run(TOOLS)
    run = tmp_path / 'out/cells/setting=continual,method=configured/seed_0'
    assert 'requests added to the run: 1' in (run / 'run.log').read_text()
    whole = tiny_classifier.finished_run()
    for name in ('merged.pth', 'metrics.json'):
        path = f'request_02/{name}'
        assert (run / path).read_bytes() == (whole / path).read_bytes()
    assert verify_run(run).whole


def test_other_weights_under_the_same_name(tmp_path):
    """A run that began with others is not gone on from."""
    run = tmp_path / 'run'
    first_alone(tiny_classifier, run)
    cfg = read_config(str(tiny_classifier.tiny_config()))
    assert began_as(cfg, run)
    state = torch.load(cfg.load_from, weights_only=True)
    weight = next(iter(state['state_dict'].values()))
    weight += 1
    cfg.load_from = str(tmp_path / 'other.pth')
    torch.save(state, cfg.load_from)
    assert not began_as(cfg, run)
