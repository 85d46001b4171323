"""The chain of manifests: each holds the digest of the one before it.

``chain.json`` lists the manifests in their order with their digests, and the
digest of the last one, the *head*. Whoever has the head can tell whether
anything that the chain covers is as it was.
"""
import json
import re
from pathlib import Path

from ..utils import (COUNT, ForgetError, check_form, read_form, read_json,
                     write_json)
from .digests import file_digest

CHAIN, MANIFEST = 'chain.json', 'manifest.json'
RELEASES, REVERTS = 'releases', 'reverts'
FORMAT = 'gslora_mm chain 1'
_NAMES = re.compile(
    r'(request_\d+/)?manifest\.json|'
    rf'({RELEASES}|{REVERTS})/\d+\.json', re.ASCII)
_LINKS = {'format': str, 'head': str, 'links': [{'file': str, 'sha256': str}]}
_FILES = {'*': {'bytes': COUNT, 'sha256': str, 'tensors?': {'*': str}}}
_MANIFEST_FORM = {
    'format': str,
    'kind': str,
    'place': COUNT,
    'replaces?': [COUNT],
    'drops?': [COUNT],
    'to?': COUNT,
    'files': _FILES,
    'occasion': {
        'previous?': str,
        'files?': _FILES
    }
}


class Chain:
    """The chain of one run.

    Args:
        work_dir (str | Path): Folder of the run.

    Attributes:
        links (list[dict]): ``file``, below the folder, and ``sha256`` of
            every manifest, in their order.

    Raises:
        ForgetError: If ``chain.json`` is damaged.
    """

    def __init__(self, work_dir):
        self.work_dir = Path(work_dir)
        path = self.work_dir / CHAIN
        if path.is_file():
            self.links = read_form(path, _LINKS)['links']
        else:
            # It can be had from the manifests again.
            self.links = _followed(self.work_dir)

    @property
    def head(self):
        """str | None: Digest of the last manifest; None if there is none."""
        return self.links[-1]['sha256'] if self.links else None

    def holds(self, file):
        """Whether the manifest of a name is linked and there.

        Args:
            file (str): Its name below the folder of the run.

        Returns:
            bool: False if it has to be written.
        """
        return bool(self._places(file)) and (self.work_dir / file).is_file()

    def next_file(self, folder):
        """Name of the next manifest that is told by a number.

        Args:
            folder (str): ``'releases'`` or ``'reverts'``.

        Returns:
            str: ``folder/NN.json``.
        """
        known = sum(link['file'].startswith(f'{folder}/')
                    for link in self.links)
        return f'{folder}/{1 + known:02d}.json'

    def _places(self, file):
        return [i for i, link in enumerate(self.links) if link['file'] == file]

    def append(self, file, manifest):
        """Write a manifest and link it.

        Args:
            file (str): Where, below the folder of the run.
            manifest (dict): Its content; ``place``, ``replaces`` (manifests
                of the same name, which are gone) and ``occasion.previous``
                are added.

        Returns:
            str: Its digest, the new head.
        """
        manifest['place'] = len(self.links)
        if self._places(file):
            manifest['replaces'] = self._places(file)
        manifest['occasion']['previous'] = self.head
        write_json(self.work_dir / file, manifest)
        digest = file_digest(self.work_dir / file)
        self.links.append(dict(file=file, sha256=digest))
        self.save()
        return digest

    def save(self):
        """Write ``chain.json``."""
        write_json(self.work_dir / CHAIN, self.content())

    def content(self):
        """dict: What ``chain.json`` holds."""
        return dict(format=FORMAT, head=self.head, links=self.links)

    def text(self):
        """bytes: ``chain.json`` to the byte."""
        return (json.dumps(self.content(), indent=2) + '\n').encode()


def read_manifest(path):
    """Read a manifest as untrusted input.

    Args:
        path (str | Path): The file.

    Returns:
        dict: Its content.

    Raises:
        ForgetError: If it is missing or damaged.
    """
    content = read_json(path)
    check_form(content, _MANIFEST_FORM, str(path))
    return content


def is_manifest(file):
    """Whether a link has the name of a manifest.

    Args:
        file (str): The link.

    Returns:
        bool: False if no run has a manifest of such a name.
    """
    return bool(_NAMES.fullmatch(file))


def manifest_files(work_dir):
    """Every file of a run that is called as manifests are.

    Args:
        work_dir (Path): Folder of the run.

    Returns:
        list[str]: Names below the folder, sorted.
    """
    found = [
        *work_dir.glob(MANIFEST), *work_dir.glob(f'request_*/{MANIFEST}'),
        *work_dir.glob(f'{RELEASES}/*.json'),
        *work_dir.glob(f'{REVERTS}/*.json')
    ]
    return sorted(p.relative_to(work_dir).as_posix() for p in found)


def _followed(work_dir):
    """Links from the first manifest on, found by what each says it follows."""
    after = {}
    for file in manifest_files(work_dir):
        try:
            previous = read_manifest(work_dir /
                                     file)['occasion'].get('previous')
        except ForgetError:
            continue
        after.setdefault(previous, file)
    links, head = [], None
    while head in after:
        file = after.pop(head)
        head = file_digest(work_dir / file)
        links.append(dict(file=file, sha256=head))
    return links
