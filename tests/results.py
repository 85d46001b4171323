"""What a run leaves, apart from times."""
import hashlib
import json
import re
from pathlib import Path

# Of manifests, 'occasion' holds them, and the digests of a chain follow.
_TIMES = ('seconds', 'peak_memory_mb', 'resumed', 'occasion', 'head', 'links')
_BYTES = ('.safetensors', '.pth', '.npz')
# Folders of mmengine's logs.
_LOGS = re.compile(r'\d{8}_\d{6}$')


def results(folder):
    """Digests of the results of a run.

    Args:
        folder (str | Path): Its work dir.

    Returns:
        dict[str, str]: SHA-256 by path in the folder: of the bytes of
        tensors, of the content of JSON files without times. Logs, configs
        (which name the folder) and tables with times are left out.
    """
    found = {}
    for path in sorted(Path(folder).rglob('*')):
        name = str(path.relative_to(folder))
        if any(map(_LOGS.match, path.parent.parts)):
            continue
        if path.suffix in _BYTES:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif path.name == 'times.json':
            continue
        elif path.suffix == '.json':
            text = json.dumps(_timeless(json.loads(path.read_text())))
            found[name] = hashlib.sha256(text.encode()).hexdigest()
    return found


def different(one, other):
    """list[str]: Files in which the results of two runs differ."""
    one, other = results(one), results(other)
    return sorted(name for name in {
        **one,
        **other
    } if one.get(name) != other.get(name))


def _timeless(value):
    if isinstance(value, dict):
        return {k: _timeless(v) for k, v in value.items() if k not in _TIMES}
    if isinstance(value, list):
        return [_timeless(v) for v in value]
    return value
