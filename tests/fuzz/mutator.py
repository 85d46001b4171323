"""Damages files at random, from a seed."""
import io
import json
import struct
import zipfile

_ODD = (None, True, False, 0, -1, 1, 3.5, 10**12, 10**400, -1e308,
        float('nan'), float('inf'), '', 'x', '../../../../tmp/out',
        '/etc/passwd', '[red]|<script>', 'line\nbreak', '\x1b[2J', '\u202e',
        '\ud800', 'null\0', 'n' * 70000, [], {}, [[]], [None], {'': None},
        'NaN', '1e999')  # yapf: disable


class Mutator:
    """Damages bytes, JSON, safetensors and checkpoints.

    Args:
        rng (random.Random): Where chance comes from.
    """

    def __init__(self, rng):
        self.rng = rng

    def __call__(self, content, kind, other=b''):
        """Damage the content of a file.

        Args:
            content (bytes): What it held.
            kind (str): ``'json'``, ``'safetensors'``, ``'pth'`` or else.
            other (bytes): Of another file, to splice in.

        Returns:
            bytes: What it holds now.
        """
        inside = dict(
            json=self.in_json,
            safetensors=self.in_safetensors,
            pth=self.in_checkpoint).get(kind)
        # As often the structure is kept and its values go wrong.
        if inside and self.rng.random() < .6:
            return inside(content)
        return self.in_bytes(content, other)

    def in_bytes(self, content, other=b''):
        """Flip, cut, remove, repeat, splice or insert bytes."""
        change = self.rng.choice(
            (self._flip, self._flip, self._cut, self._remove, self._repeat,
             self._splice, self._insert, self._nest))
        return change(bytearray(content), other)

    def _place(self, content):
        return self.rng.randrange(len(content) + 1)

    def _flip(self, content, _):
        for _ in range(self.rng.choice((1, 1, 2, 8))):
            if content:
                place = self.rng.randrange(len(content))
                content[place] ^= 1 << self.rng.randrange(8)
        return bytes(content)

    def _cut(self, content, _):
        return bytes(content[:self._place(content)])

    def _remove(self, content, _):
        start = self._place(content)
        length = self.rng.choice((1, 2, 16, 256))
        return bytes(content[:start] + content[start + length:])

    def _repeat(self, content, _):
        start = self._place(content)
        part = content[start:start + self.rng.choice((1, 8, 64, 1024))]
        return bytes(content[:start] + part * self.rng.choice((2, 3, 50)) +
                     content[start + len(part):])

    def _splice(self, content, other):
        return bytes(content[:self._place(content)] +
                     other[self._place(other):])

    def _insert(self, content, _):
        place = self._place(content)
        extra = self.rng.randbytes(self.rng.choice((1, 4, 64)))
        return bytes(content[:place] + extra + content[place:])

    def _nest(self, content, _):
        """Brackets far deeper than any parser descends."""
        depth = self.rng.choice((50, 2000, 200000))
        return self.rng.choice((b'[', b'{"a":')) * depth

    def in_json(self, content):
        """Change values, keys or entries; wrong types, huge numbers."""
        try:
            tree = json.loads(content)
        except ValueError:
            return self.in_bytes(content)
        for _ in range(self.rng.choice((1, 1, 1, 2, 5))):
            tree = self.change(tree)
        return json.dumps(tree).encode()

    def change(self, tree):
        """Change one place of a nested structure."""
        found = []
        _collect(tree, found)
        if not found:
            return self.rng.choice(_ODD)
        holder, key = self.rng.choice(found)
        how = self.rng.randrange(6)
        if how == 0:
            del holder[key]
        elif how == 1:
            _double(holder, key)
        elif how == 2:
            deep = self.rng.choice(_ODD)
            for _ in range(self.rng.choice((2, 30, 200))):
                deep = [deep]
            holder[key] = deep
        elif how == 3 and len(found) > 1:
            other, place = self.rng.choice(found)
            holder[key] = json.loads(json.dumps(other[place]))
        else:
            holder[key] = self.rng.choice(_ODD)
        return tree

    def in_safetensors(self, content):
        """Change the header, and keep its length right."""
        size = struct.unpack('<Q', content[:8])[0]
        header, data = content[8:8 + size], content[8 + size:]
        try:
            tree = json.loads(header)
            about = tree.get('__metadata__', {})
            if about and self.rng.random() < .6:
                # What this package reads is JSON inside JSON.
                name = self.rng.choice(list(about))
                about[name] = self.in_json(about[name].encode()).decode()
                header = json.dumps(tree).encode()
            else:
                header = self.in_json(header)
        except (ValueError, AttributeError):
            return self.in_bytes(content)
        return struct.pack('<Q', len(header)) + header + data

    def in_checkpoint(self, content):
        """Change one record and write a zip file that is whole."""
        out = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(
                out, 'w') as new:
            names = old.namelist()
            pickled = next(n for n in names if n.endswith('data.pkl'))
            hit = pickled if self.rng.random() < .8 else self.rng.choice(names)
            for name in names:
                record = old.read(name)
                if name == hit:
                    record = self.in_bytes(record, old.read(names[-1]))
                new.writestr(name, record)
        return out.getvalue()


def _collect(tree, found):
    items = tree.items() if isinstance(
        tree, dict) else (enumerate(tree) if isinstance(tree, list) else ())
    for key, value in list(items):
        found.append((tree, key))
        _collect(value, found)


def _double(holder, key):
    if isinstance(holder, list):
        holder.insert(key, holder[key])
    else:
        holder[f'{key} '] = holder.pop(key)
