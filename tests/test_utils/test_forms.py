"""Content of files is what it is read as, or the key at fault is named."""
import pytest

from gslora_mm.utils import (COUNT, EVERY, MEASURED, NUMBER, ForgetError,
                             check_form, read_form)

FORM = {
    'name': str,
    'size': COUNT,
    'rows': [{
        'norm': NUMBER,
        'layers?': [str]
    }],
    'table?': {
        EVERY: MEASURED
    }
}
GOOD = dict(
    name='x', size=3, rows=[dict(norm=1.5)], table={'who?': None, 'b': 2},
    more='ignored')  # yapf: disable


def test_good_content():
    check_form(GOOD, FORM, 'x.json')
    check_form(dict(GOOD, table=None), FORM, 'x.json')


@pytest.mark.parametrize(
    'change,culprit',
    [(dict(name=3), 'name is 3, not str'),
     (dict(size=-1), 'size is -1, not a whole number from 0'),
     (dict(size=True), 'size is True'), (dict(size=2.), 'size is 2.0'),
     (dict(rows={}), 'rows is dict, not a list'),
     (dict(rows=[dict(norm=1), dict()]), 'rows[1].norm is missing'),
     (dict(rows=[dict(norm=float('nan'))]), 'rows[0].norm is nan'),
     (dict(rows=[dict(norm=10**400)]), 'rows[0].norm is huge'),
     (dict(rows=[dict(norm=1, layers=['a', None])]), 'rows[0].layers[1] is'),
     (dict(table={'a\n': 'x'}), 'table.a\\n is str'),
     (dict(table=[1]), 'table is list, not an object')])
def test_faults(change, culprit):
    with pytest.raises(ForgetError) as err:
        check_form(dict(GOOD, **change), FORM, 'x.json')
    assert str(err.value).startswith(f'x.json is damaged: {culprit}')
    assert '\n' not in str(err.value)


@pytest.mark.parametrize(
    'text', ['', '{', '[' * 10**6, '{"a":' * 10**5, '1' * 5000, '\xff'])
def test_files_that_are_no_json(tmp_path, text):
    path = tmp_path / 'x.json'
    path.write_bytes(text.encode('latin-1'))
    with pytest.raises(ForgetError, match='damaged|is huge|not an object'):
        read_form(path, {'a': str})
