"""No label loss is computed where a method does not look at it."""
import detr_toys
import pytest
import vit_toys

# How often the loss of the head is asked, of a batch with both streams.
ASKED = dict(DELETE=0, HeadDistillation=0, SCRUB=1, DER=1, FineTune=2)


@pytest.mark.parametrize('kind', ASKED)
@pytest.mark.parametrize('toys, variant, part, name', [
    (vit_toys, 'vit', 'head', 'loss'),
    (detr_toys, 'ddetr', 'bbox_head', 'loss_by_feat_single'),
])
def test_only_what_is_needed(toys, variant, part, name, kind, monkeypatch):
    plain = (
        toys.plain_classifier if toys is vit_toys else toys.plain_detector)
    model = toys.build_forgetting(
        variant, method=dict(type=kind), train='all', forgotten=[1])
    state = plain(variant).state_dict()
    model.load_state_dict(state)
    if model.teacher:
        model.teacher.load_state_dict(state)
    model.method.begin(model, {})
    head, calls = getattr(model, part), []
    whole = getattr(head, name)
    monkeypatch.setattr(head, name,
                        lambda *a, **k: calls.append(1) or whole(*a, **k))
    losses = model.loss(*toys.batch())
    assert len(calls) == ASKED[kind]
    assert any('loss' in key and v.requires_grad
               for key, v in losses.items())  # yapf: disable
