"""What a method sees of the blocks, beside the plain network by hand."""
import pytest
import torch
from vit_toys import (batch, blocks_of, build_forgetting, of_stream,
                      plain_classifier)

from gslora_mm.methods import ForgettingMethod
from gslora_mm.models.block_features import watch_blocks
from gslora_mm.registry import METHODS
from gslora_mm.utils import ForgetError

EVERY = pytest.mark.parametrize('variant', ['vit', 'vit_avg', 'swin'])
LAST = 2


@METHODS.register_module(force=True)
class Inside(ForgettingMethod):
    """Sees the last blocks of student and teacher."""

    needs_outputs = True
    needs_teacher = ('forget', 'retain')
    needs_blocks = LAST

    def losses(self, forget, retain, groups):
        self.seen = dict(forget=forget, retain=retain)
        return dict(loss=forget.total() + retain.total())


def by_hand(model, variant, inputs):
    """Class tokens and the mean of the rest, of the last blocks."""
    kept, modules = [], dict(model.named_modules())
    names = blocks_of(variant)[-LAST:]
    handles = [
        modules[name].register_forward_hook(
            lambda module, args, output: kept.append(output)) for name in names
    ]
    model.extract_feat(inputs)
    for handle in handles:
        handle.remove()
    extra = dict(vit=1, vit_avg=0, swin=0)[variant]
    found = {}
    for name, tokens in zip(names, kept):
        tokens = tokens[0] if isinstance(tokens, tuple) else tokens
        parts = [tokens[:, i] for i in range(extra)]
        rest = sum(tokens[:, i] for i in range(extra, tokens.shape[1]))
        parts.append(rest / (tokens.shape[1] - extra))
        found[name] = torch.cat(parts, 1)
    return found


@EVERY
@pytest.mark.parametrize('megabytes', [0, 10])
@torch.no_grad()
def test_streams_have_their_own_images(variant, megabytes):
    plain = plain_classifier(variant)
    model = build_forgetting(
        variant, method=dict(type='Inside'), train='all').eval()
    # The teacher is another model, so that they are not taken for each other.
    model.load_state_dict(plain.state_dict())
    state = {
        k: v * 1.1 if v.is_floating_point() else v
        for k, v in plain.state_dict().items()
    }
    model.teacher.load_state_dict(state)
    other = plain_classifier(variant)
    other.load_state_dict(state)
    model.method.teacher_cache = megabytes
    model.clear_teacher_cache()
    for model.streams in ('fused', 'separate'):
        terms = model.loss(*batch())
        # The second time from the cache.
        hits = float(terms.get('teacher/hits', 0))
        assert hits == (.5 if megabytes and model.streams == 'separate' else 0)
        for stream, terms in model.method.seen.items():
            inputs, _ = of_stream(*batch(), stream)
            for said, network in ((terms.student, plain), (terms.teacher,
                                                           other)):
                torch.testing.assert_close(
                    said.blocks,
                    by_hand(network, variant, inputs),
                    rtol=1e-4,
                    atol=1e-5)


def test_nothing_is_left_behind():
    model = build_forgetting('vit', method=dict(type='Inside'))
    model.loss(*batch())
    assert not any(m._forward_hooks for m in model.backbone.layers)


def test_models_without_blocks_are_refused():
    with pytest.raises(ForgetError, match='remove recovery.probes'):
        with watch_blocks(torch.nn.Linear(1, 1)):
            pass
