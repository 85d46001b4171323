"""The package is plain torch and exports its API."""
import subprocess
import sys
from pathlib import Path

import gslora_mm.lora as lora


def test_exports():
    assert lora.__all__ == sorted(lora.__all__)
    assert all(hasattr(lora, name) for name in lora.__all__)


def test_imports_nothing_of_mm():
    # Loaded by path: importing the parent package may need mmengine.
    folder = Path(lora.__file__).parent
    code = ('import importlib.util as u, sys; '
            f's = u.spec_from_file_location("lora", r"{folder}/__init__.py", '
            f'submodule_search_locations=[r"{folder}"]); '
            'm = u.module_from_spec(s); sys.modules["lora"] = m; '
            's.loader.exec_module(m); '
            'print([n for n in sys.modules if n.startswith("mm")])')
    out = subprocess.run([sys.executable, '-c', code],
                         capture_output=True,
                         text=True,
                         check=True)
    assert out.stdout.split('\n')[0] in ("[]", "['mmap']")
