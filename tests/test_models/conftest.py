"""Every variant of the DETR family, built once for all tests."""
from functools import lru_cache
from types import SimpleNamespace

import pytest
from detr_toys import VARIANTS, build_forgetting, plain_detector

from gslora_mm.lora import reset_lora


@lru_cache(maxsize=None)
def _built(variant):
    # Frozen, as in use: with several threads torch multiplies by weights that
    # want no gradient in another kernel, whose last bit differs.
    plain = plain_detector(variant).requires_grad_(False)
    wrapped = build_forgetting(variant)
    state = {k: v.clone() for k, v in plain.state_dict().items()}
    return SimpleNamespace(
        name=variant, plain=plain, wrapped=wrapped, state=state)


def _fresh(variant):
    """Plain model and wrapped model in their initial state, with LoRA."""
    pair = _built(variant)
    pair.plain.load_state_dict(pair.state)
    pair.wrapped.load_state_dict(pair.state, strict=False)
    reset_lora(pair.wrapped)
    model = pair.wrapped
    model.streams, model.aux_loss, model.dropout = 'fused', False, False
    model.zero_grad()
    model.eval()
    return pair


@pytest.fixture(params=list(VARIANTS))
def pair(request):
    """Each variant in turn."""
    return _fresh(request.param)


@pytest.fixture
def make_pair():
    """A variant by name."""
    return _fresh
