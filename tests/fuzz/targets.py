"""What is done with damaged files: everything that reads them."""
import contextlib
import io
import shutil
import sys
from pathlib import Path

_TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_TESTS / 'test_engine'), str(_TESTS / 'test_tools')]

import tiny_classifier  # noqa: E402


class Targets:
    """A finished run of a classifier, and an annotation file, to damage.

    Args:
        folder (Path): Where the copy goes.

    Attributes:
        formats (dict[str, list[tuple]]): For each format the files, the kind
            of damage and the readers.
    """

    def __init__(self, folder):
        from gslora_mm.engine import read_config
        self.run = folder / 'run'
        shutil.copytree(tiny_classifier.finished_run(), self.run)
        self.base = folder / 'base.pth'
        shutil.copy(tiny_classifier.base_checkpoint(), self.base)
        from gslora_mm.datasets.shapes_files import ensure_shapes
        self.data = ensure_shapes(folder / 'data', 40, 1, seed=3, size=64)
        self.cfg = read_config(str(tiny_classifier.tiny_config()))
        self.model = tiny_classifier.plain_model(tiny_classifier.tiny_config())
        request = self.run / 'request_02'
        self.formats = dict(
            annotations=[(self.data / 'annotations/train.json', 'json',
                          [self.train_data, self.metric])],
            adapter=[(request / 'adapter.safetensors', 'safetensors',
                      [self.adapter, self.analysis])],
            manifests=[(self.run / name, 'json',
                        [self.verification, self.links])
                       for name in ('chain.json', 'manifest.json',
                                    'request_02/manifest.json')],
            records=[
                (self.run / 'run.json', 'json', [self.record, self.analysis])
            ] + [(request / name, 'json', [self.summary])
                 for name in ('metrics.json', 'training.json')] +
            [(request / 'groups.json', 'json',
              [self.summary, self.analysis, self.verification]),
             (request / 'subset.json', 'json', [self.subset]),
             (self.run / 'base/report.json', 'json',
              [self.summary, self.report])],
            checkpoints=[(request / 'merged.pth', 'pth',
                          [self.analysis, self.verification]),
                         (self.base, 'pth', [self.checkpoint])])

    def checkpoint(self, path):
        """As a base, as a foreign file, and into the model."""
        from gslora_mm.converters import convert
        from gslora_mm.converters.reading import read_foreign_state
        from gslora_mm.engine.checkpoints import load_into, load_plain_state
        from gslora_mm.lora import fingerprint
        state, _ = load_plain_state(path)
        fingerprint(state)
        load_into(self.model, state, str(path))
        convert(read_foreign_state(path))

    def adapter(self, path):
        """Put on its base."""
        from gslora_mm.engine.test_checkpoint import load_any_state
        load_any_state(str(self.run / 'request_01/merged.pth'), str(path))

    def analysis(self, _):
        """What tools/analyze_groups.py does, without the figures."""
        from gslora_mm.analysis import (analyze_groups, conclusion,
                                        group_table, render_request)
        report = analyze_groups(self.run, str(tiny_classifier.base_checkpoint(
        )))  # yapf: disable
        for row in report['requests']:
            render_request(row)
            conclusion(row)
        group_table(report)

    def verification(self, _):
        """What tools/verify.py does."""
        import json

        from gslora_mm.provenance import render_verification, verify_run
        found = verify_run(self.run)
        print(render_verification(found, self.run))
        json.dumps(found.content())

    def links(self, _):
        """What a resume does first."""
        from gslora_mm.provenance import Chain
        Chain(self.run).holds('request_02/manifest.json')

    def record(self, _):
        """Resuming, and the report of the base in tools/test.py."""
        from gslora_mm.analysis.artefact_forms import read_record
        from gslora_mm.engine.run_record import open_run
        read_record(self.run / 'run.json')
        open_run(self.cfg, self.run, True, 'x')

    def summary(self, _):
        """What ends every run."""
        from gslora_mm.analysis import render_summary
        from gslora_mm.analysis.summary import read_requests
        rows = read_requests(self.run)
        base = self.report(None)['all']
        render_summary(dict(base=base, requests=rows))

    def report(self, _):
        """The report of the base, as a resume reads it."""
        from gslora_mm.analysis.artefact_forms import read_report
        return read_report(self.run / 'base/report.json')

    def subset(self, path):
        """The images of a request, as a resume finds them."""
        self._streams(str(path)).full_init()

    def _streams(self, subset_file):
        from gslora_mm.datasets import ForgetRetainDataset
        data = self.cfg.train_dataloader.dataset.to_dict()
        data['_scope_'] = 'mmpretrain'
        data['metainfo'] = dict(classes=list(tiny_classifier.CLASSES))
        return ForgetRetainDataset(
            data, ['jade'], ['beryl', 'ebony', 'ivory'],
            ratio=0.5,
            seed=2,
            hidden=['ivory'],
            subset_file=subset_file,
            lazy_init=True)

    def train_data(self, path):
        """The checks of a start, then the streams of a request."""
        from gslora_mm.datasets import ForgetRetainDataset
        from gslora_mm.datasets.coco_checks import check_coco
        from gslora_mm.datasets.shapes import SHAPES as CLASSES
        check_coco(str(path), str(self.data / 'train'), CLASSES)
        data = dict(
            type='mmdet.CocoDataset',
            data_root=str(self.data),
            ann_file='annotations/train.json',
            data_prefix=dict(img='train/'),
            metainfo=dict(classes=CLASSES),
            pipeline=[])
        with contextlib.redirect_stdout(io.StringIO()):
            ForgetRetainDataset(data, ['circle'], ['star'])

    def metric(self, path):
        """The truth of an evaluation."""
        from gslora_mm.evaluation import ForgetCocoMetric
        metric = ForgetCocoMetric(str(path), dict(one=['circle']))
        from gslora_mm.datasets.shapes import SHAPES as CLASSES
        metric.dataset_meta = dict(classes=CLASSES)
        with contextlib.redirect_stdout(io.StringIO()):
            metric._init_truth([])
