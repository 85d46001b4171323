"""Configs of recoveries that cannot be."""
import pytest
from compare_toys import write_comparison
from recover_toys import write

from gslora_mm.engine.recovery import Recovery
from gslora_mm.utils import ForgetError


@pytest.mark.parametrize('content, message', [
    (dict(steps=[5]), 'recovery.steps'),
    (dict(variants={'x': dict(shots=1, images=2)}), 'keep one'),
    (dict(variants={'x': dict(fresh=1)}), 'True or False'),
    (dict(variants={'x': dict(shot=1)}), "did you mean 'shots'"),
    (dict(variants={'x': dict(share=.5)}), 'no shots'),
    (dict(variants={'x': dict(shots=1, share=2)}), 'between 0 and 1'),
    (dict(variants={'x': dict(train='half')}), 'forget.train'),
    (dict(variants={'x': dict(steps=[0])}), "steps of variant 'x'"),
    (dict(variants={'probes': {}}), 'choose another'),
    (dict(probes=dict(image=3)), "did you mean 'images'"),
    (dict(probes=dict(images=1)), 'images is 1'),
    (dict(folder='../x'), 'recovery.folder'),
    (dict(options={'forget.lora.rnk': 4}), 'rnk'),
    (dict(methods=['filtr']), "did you mean 'filter'"),
    (dict(reference=dict(config='none.py')), 'no such file'),
    (dict(reference=dict(config=__file__, as_long=2)), 'as_long of the'),
    (dict(lr=-1.), 'recovery.lr'),
    (dict(step=[0, 1]), "did you mean 'steps'"),
])  # yapf: disable
def test_bad_config_is_one_line(tmp_path, content, message):
    write_comparison(tmp_path / 'methods.py')
    config = write(tmp_path / 'recover.py', **content)
    with pytest.raises(ForgetError, match=message) as error:
        Recovery(config, tmp_path / 'out')
    assert '\n' not in str(error.value)
