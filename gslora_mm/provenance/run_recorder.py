"""Manifests of a run and of its requests, written as it goes."""
from pathlib import Path

from mmengine.dist import is_main_process

from ..utils import ForgetError
from .chain import CHAIN, MANIFEST, Chain, read_manifest
from .code_version import manifest_head
from .digests import TENSOR_FILES, describe_file, file_digest, fingerprint_of
from .times import RunTimes, now

#: Files with times in them: no two runs have the same.
TIMED = ('training.json', )
_SUFFIXES = ('.json', '.csv', '.npz', *TENSOR_FILES)
RECORD = 'run.json'
_AT_ROOT = (RECORD, 'prototypes.safetensors')


class RunRecorder:
    """Writes the manifests of a run, on the main process.

    The manifest of the start covers the base checkpoint, the config, the data
    and the report of the base model; that of a request all that it left
    behind. A manifest that is linked already is not written again, save that
    of the start where the record of the run is another: it has moved, or
    requests were added.

    Args:
        cfg (Config): The whole config.
        settings (ForgetSettings): Its forget section.
        work_dir (Path): Folder of the run.
        task (Task): What kind of model it is.
    """

    def __init__(self, cfg, settings, work_dir, task):
        self.cfg, self.settings, self.task = cfg, settings, task
        self.work_dir, self.lists = Path(work_dir), None
        self.active = is_main_process()
        if self.active:
            self.times = RunTimes(work_dir)
            self.times.start()

    def begin(self, request):
        """Note that the training of a request begins."""
        if self.active:
            self.times.begin(request.name)

    def record_start(self, base_print):
        """Write the manifest of the start, unless it is there.

        Args:
            base_print (str): Fingerprint of the base checkpoint.
        """
        if not self.active:
            return
        chain = Chain(self.work_dir)
        if chain.links and not (self.work_dir / CHAIN).is_file():
            chain.save()
        if chain.holds(MANIFEST) and not self._record_changed():
            return
        data = self._data_lists()
        images = self.work_dir / 'base' / 'images.csv'
        listed = images.is_file() or data.write_evaluation(images)
        manifest = dict(
            manifest_head('start'),
            config_digest=_config_digest(self.cfg),
            base=self._base(base_print),
            requests=[list(r.classes) for r in self.settings.requests],
            seeds=_seeds(self.cfg),
            data=dict(
                annotations=data.annotations(),
                images='base/images.csv' if listed else None),
            trained_before=[
                r.name for r in self.settings.requests
                if self._is_trained(r) and r.name not in self.times.begun
            ])
        self._append(chain, MANIFEST, manifest, self._start_files(),
                     self.times.starts[0])

    def record_request(self, request):
        """Write the manifest of a request that is trained and measured.

        Args:
            request (Request): The request.
        """
        if not self.active:
            return
        chain, folder = Chain(self.work_dir), self.work_dir / request.name
        file = f'{request.name}/{MANIFEST}'
        if chain.holds(file):
            return
        images, subset = folder / 'images.csv', folder / 'subset.json'
        if subset.is_file() and not images.is_file():
            self._data_lists().write_subset(images, subset)
        from ..engine.request_config import request_seed
        manifest = dict(
            manifest_head('request'),
            request=request.index,
            classes=list(request.classes),
            method=self.settings.method_of(request),
            config_digest=_config_digest(self.cfg),
            seeds=dict(
                _seeds(self.cfg), request=request_seed(self.cfg, request)),
            trained_before=request.name not in self.times.begun)
        names = sorted(p.name for p in folder.iterdir() if _is_artefact(p))
        self._append(chain, file, manifest, {n: folder / n
                                             for n in names},
                     self.times.begun.get(request.name))

    def _append(self, chain, file, manifest, paths, start):
        """Describe the files of a manifest, and link it."""
        about = {name: describe_file(path) for name, path in paths.items()}
        manifest['files'] = {k: v for k, v in about.items() if k not in TIMED}
        manifest['occasion'] = dict(
            start=start,
            end=now(),
            resumed=len(self.times.starts) - 1,
            files={
                k: v
                for k, v in about.items() if k in TIMED
            })
        self.times.save()
        chain.append(file, manifest)

    def _record_changed(self):
        """Whether the record of the run is another than the manifest knows."""
        try:
            known = read_manifest(self.work_dir / MANIFEST)['files']
        except ForgetError:
            # Verifying says what is wrong with it.
            return False
        return known.get(RECORD, {}).get('sha256') != file_digest(
            self.work_dir / RECORD)

    def _base(self, base_print):
        from ..engine.checkpoints import local_copy
        source = str(self.cfg.load_from)
        copy = local_copy(source)
        about = dict(path=source, fingerprint=base_print)
        if copy is not None:
            about.update(describe_file(copy, _tensors(source)))
            # Read twice: it must have been the same.
            about['fingerprint'] = fingerprint_of(about['tensors'])
        return about

    def _start_files(self):
        base = self.work_dir / 'base'
        paths = [self.work_dir / name for name in _AT_ROOT]
        paths += sorted(p for p in base.iterdir() if _is_artefact(p))
        return {
            p.relative_to(self.work_dir).as_posix(): p
            for p in paths if p.is_file()
        }

    def _data_lists(self):
        # Here, as reading annotations imports mmdet.
        from .data_lists import DataLists
        self.lists = self.lists or DataLists(self.cfg, self.settings,
                                             self.task)
        return self.lists

    def _is_trained(self, request):
        return (self.work_dir / request.name / 'training.json').is_file()


def _tensors(source):
    from ..engine.checkpoints import load_plain_state
    from ..lora import tensor_digests
    return tensor_digests(load_plain_state(source)[0])


def _is_artefact(path):
    return (path.is_file() and path.suffix in _SUFFIXES
            and path.name != MANIFEST and path.name[0] != '.'
            and not path.name.startswith('epoch_'))


def _config_digest(cfg):
    from ..engine.config_file import config_content, config_digest
    return config_digest(config_content(cfg))


def _seeds(cfg):
    given = cfg.get('randomness') or {}
    return dict(run=given.get('seed'), data=given.get('data_seed'))
