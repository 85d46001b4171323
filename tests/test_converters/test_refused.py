"""What is not exactly a known checkpoint is refused, and why."""
import pytest
import torch
from face_reference import ReferenceFace, randomise
from torchvision.models import VisionTransformer

from gslora_mm.converters import FORMATS, convert, detect_format
from gslora_mm.utils import ForgetError


def face():
    return randomise(
        ReferenceFace(
            image=16, width=64, depth=2, heads=1, hidden=32,
            classes=5)).state_dict()


def torchvision():
    return VisionTransformer(
        image_size=16,
        patch_size=8,
        num_layers=2,
        num_heads=2,
        hidden_dim=32,
        mlp_dim=48,
        num_classes=5).state_dict()


MAKERS = {'face-transformer': face, 'torchvision-vit': torchvision}
PAIRS = [(name, key) for name, make in MAKERS.items() for key in make()]


def refused(state, **kwargs):
    with pytest.raises(ForgetError) as err:
        convert(state, **kwargs)
    message = str(err.value)
    assert '\n' not in message
    return message


@pytest.mark.parametrize('name', MAKERS)
def test_format_is_detected(name):
    state = MAKERS[name]()
    assert detect_format(state) == name
    new, notes = convert(state)
    explicit = convert(state, format=name)
    assert notes == explicit[1]
    assert all(torch.equal(v, explicit[0][k]) for k, v in new.items())


def test_every_format_is_tested():
    assert MAKERS.keys() == FORMATS.keys()


@pytest.mark.parametrize('name, key', PAIRS)
def test_each_missing_key(name, key):
    state = MAKERS[name]()
    state.pop(key)
    message = refused(state, format=name)
    assert f'1 missing keys ({key})' in message
    assert 'nothing was converted' in message


@pytest.mark.parametrize('name, key', PAIRS)
def test_each_wrong_shape(name, key):
    state = MAKERS[name]()
    right = state[key].shape
    state[key] = torch.zeros(*right, 1)
    message = refused(state)
    assert f'1 wrong shapes ({key} {(*right, 1)} instead of' in message
    # One letter in a table stands alone; others outvote a wrong size.
    alone = ('pos_embedding', 'loss.weight', 'conv_proj.weight',
             'heads.head.weight')
    state[key] = torch.zeros(right[0] + 1, *right[1:])
    if not key.endswith(alone):
        assert f'instead of {tuple(right)}' in refused(state)


@pytest.mark.parametrize('name', MAKERS)
@pytest.mark.parametrize('key', ['extra.weight', 'lora_A', 'x.lora_B'])
def test_unknown_key(name, key):
    state = MAKERS[name]()
    state[key] = torch.zeros(2)
    assert f'1 unknown keys ({key})' in refused(state)


def test_layer_indices_are_not_trusted():
    state = face()
    for key in [k for k in state if k.startswith('transformer.layers.1.')]:
        state[key.replace('.1.', '.999999999.', 1)] = state.pop(key)
    message = refused(state)
    assert '11 missing keys (transformer.layers.1.0.fn.norm.weight' in message
    assert '11 unknown keys (transformer.layers.999999999.0.fn' in message


def test_no_layers():
    state = {k: v for k, v in face().items() if '.layers.' not in k}
    assert '11 missing keys (transformer.layers.0.0.fn' in refused(state)


def test_softmax_head_of_the_authors():
    """Their other heads have a bias."""
    state = dict(face(), **{'loss.bias': torch.zeros(5)})
    assert '1 unknown keys (loss.bias)' in refused(state)


def test_overlapping_patches_of_the_authors():
    """Same keys, but patches of 12 x 12 every 8 pixels."""
    state = face()
    state['patch_to_embedding.weight'] = torch.zeros(64, 12 * 12 * 3)
    assert ('patch_to_embedding.weight (64, 432) instead of (64, 192)'
            in refused(state))


def test_width_without_whole_heads():
    state = ReferenceFace(
        image=16, width=96, depth=1, heads=1, hidden=32,
        classes=5).state_dict()
    assert 'the width 96 is no multiple of 64' in refused(state)


def test_both_spellings_of_an_ffn():
    state = torchvision()
    key = 'encoder.layers.encoder_layer_0.mlp.{}.weight'
    state[key.format('linear_1')] = state[key.format('0')]
    assert f'1 unknown keys ({key.format("linear_1")})' in refused(state)


def test_integers():
    state = {k: v.int() for k, v in face().items()}
    assert 'tensors that are not floating point (pos_embedding' in refused(
        state)


@pytest.mark.parametrize('name', MAKERS)
def test_converted_already(name):
    new, _ = convert(MAKERS[name]())
    for kwargs in ({}, dict(format=name)):
        assert 'in mmpretrain format already (backbone.' in refused(
            new, **kwargs)


def test_unknown_model_and_names():
    state = torch.nn.Linear(2, 3).state_dict()
    message = refused(state)
    assert 'of no known format (weight, bias, ...)' in message
    assert all(name in message for name in FORMATS)
    assert "unknown checkpoint format 'vit'" in refused(face(), format='vit')
    assert 'at once' in refused({**face(), **torchvision()})


def test_no_state_dict():
    assert 'it is empty' in refused({})
    assert "'epoch' is no tensor" in refused(dict(face(), epoch=3))
    assert '7 is no tensor' in refused({**face(), 7: torch.ones(1)})


@pytest.mark.parametrize('rows, words', [
    ([], 'no head rows are selected'),
    ([0, 5], 'head row 5 does not exist; the head has rows 0 to 4'),
    ([-1], 'head row -1 does not exist'),
    ([1, 2, 1], 'head row 1 is selected twice'),
    (['a'], "head row 'a' does not exist"),
])
@pytest.mark.parametrize('name', MAKERS)
def test_rows(name, rows, words):
    assert words in refused(MAKERS[name](), rows=rows)
