"""Configs and options that cannot work end with one line and a cure."""
import pytest
from tool_calls import checked, error_of, process

REAL_COCO = 'configs/gslora/ddetr_coco_forget.py'


def requests(value):
    return f'forget.requests={value}'


BAD_OPTIONS = [
    (requests('[[sqare],[ring]]'), "'sqare'", "'square'"),
    (requests('[[star],[ring,star]]'), "'star' is in request 1", 'request 2'),
    (requests('[[star],[]]'), 'request 2 is empty', 'name at least one'),
    (requests('[]'), 'requests is empty', 'list'),
    (requests('coco-80-80'), "'coco-80-80'", 'coco-7x10'),
    (requests('7'), 'requests must be a list', 'int'),
    ('forget.bta=3', 'forget.bta is unknown', 'requests'),
    ('forget.data.ration=0.1', 'forget.data.ration is unknown', 'ratio'),
    ('forget.lora.rnk=4', 'forget.lora.rnk is unknown', 'rank'),
    ('forget.method.betta=4', 'betta', 'correct'),
    ('forget.method.type=GSLora', 'GSLora', 'forget.method'),
    ('forget.method.beta=[.1,.2,.3]', 'lists 3 values for 2 requests',
     'one per request'),
    ('forget.method.beta=[.1,much]', 'beta', "'much'"),
    ('forget.method.mode=fast', 'mode', 'proximal'),
    ('forget.model.aux=1', 'forget.model.aux is unknown', 'aux_loss'),
    ('forget.group=layer', "forget.group is 'layer'", 'block'),
    ('forget.lora.include=nowhere', 'nowhere', 'LoRA'),
    ('forget=3', 'forget is 3', 'section'),
    ('forget.data=x', "forget.data is 'x'", 'section'),
    ('forget.data.ratio=high', 'forget.data.ratio', "'high'"),
    ('forget.data.ratio=1.5', 'ratio', '1.5'),
    ('forget.data.epoch_batches=many', 'forget.data.epoch_batches', 'many'),
    ('forget.data.forget_per_batch=4', 'leaves a stream without',
     'forget_per_batch below'),
    ('forget.lora.rank=eight', 'forget.lora.rank', 'whole number'),
    ('forget.lora.rank=0', 'forget.lora.rank is 0', '>= 1'),
    ('train_dataloader=3', 'train_dataloader is 3', 'section'),
    ('train_dataloader.batch_size=two', 'train_dataloader.batch_size', 'two'),
    ('train_dataloader.batch_size=1', 'train_dataloader.batch_size', '>= 2'),
    ('train_dataloader.dataset.type=Nothing', "'Nothing'", 'custom_imports'),
    ('train_cfg.max_epochs=ten', 'train_cfg.max_epochs', 'ten'),
    ('optim_wrapper.optimizer.lr=fast', 'optim_wrapper.optimizer.lr', 'fast'),
    ('optim_wrapper.optimizer.lrr=1', 'optim_wrapper', 'lrr'),
    ('model.num_queris=3', 'model', 'num_queris'),
    ('model.bbox_head=3', 'model.bbox_head', 'section'),
    ('model.bbox_head.num_classes=16', 'num_classes=16', '15 classes'),
    ('randomness.seed=x', 'randomness.seed', 'whole number'),
    ('load_from=nowhere.pth', 'nowhere.pth does not exist', 'load_from=FILE'),
    ('load_from=None', 'no base checkpoint', 'load_from'),
    ('load_from', "'load_from'", 'key=value'),
    ('forget.requests=[[star]', 'forget.requests', 'bracket'),
    ('forget.data=dict(ratio=1.,shots=2)', 'forget.data', 'a.b=1'),
]


@pytest.mark.parametrize(
    'option,culprit,cure', BAD_OPTIONS, ids=[o[0] for o in BAD_OPTIONS])
def test_bad_option(config, tmp_path, option, culprit, cure):
    message = error_of('train', config, '--work-dir', tmp_path / 'out',
                       '--cfg-options', option)
    assert culprit in message and cure in message, message
    assert not (tmp_path / 'out').exists()


def test_all_classes_forgotten(config, tmp_path):
    from gslora_mm.datasets.shapes import SHAPES
    message = error_of('train', config, '--work-dir', tmp_path / 'out',
                       '--cfg-options', requests(f'[[{",".join(SHAPES)}]]'))
    assert 'all 15 classes would be forgotten; leave out' in message


def test_ratio_that_leaves_a_class_without_images(config, tmp_path):
    """Found before anything is computed, in the second request as well."""
    message = error_of('train', config, '--work-dir', tmp_path / 'out',
                       '--cfg-options', 'forget.data.ratio=0.05')
    assert 'ratio=0.05 leaves no image of' in message
    assert 'raise ratio or use shots' in message
    assert not (tmp_path / 'out').exists()


def test_option_of_a_late_request_is_checked_first(config, tmp_path):
    message = error_of('train', config, '--work-dir', tmp_path / 'out',
                       '--cfg-options', 'forget.method.beta=[0.2,-1]')
    assert 'beta of GSLoRA must be a number >= 0, not -1' in message
    assert not (tmp_path / 'out').exists()


def test_training_that_ends_before_a_scheduler_begins(tmp_path):
    shipped = 'configs/gslora/vit_shapes_counterfactual.py'
    message = error_of('train', shipped, '--work-dir', tmp_path / 'out',
                       '--cfg-options', 'train_cfg.max_epochs=1')
    assert 'param_scheduler.1 (CosineAnnealingLR) begins after' in message
    assert 'set param_scheduler.1.begin, or train longer' in message
    assert not (tmp_path / 'out').exists()


def test_amp_without_gpu(config, tmp_path, monkeypatch):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    message = error_of('train', config, '--amp', '--work-dir', tmp_path / 'x')
    assert message == ('--amp needs a GPU, and none is visible; run without '
                       '--amp')


@pytest.mark.parametrize('content,culprit',
                         [(None, 'nowhere.py'),
                          ('model = dict(', 'SyntaxError'),
                          ("_base_ = './gone.py'", 'gone.py'),
                          ('x = 1', "no 'forget' section")])
def test_bad_config_file(tmp_path, content, culprit):
    path = tmp_path / ('nowhere.py' if content is None else 'bad.py')
    if content is not None:
        path.write_text(content)
    assert culprit in error_of('train', path, '--work-dir', tmp_path / 'x')


def test_request_number_of_the_test_tool(config, run):
    merged = run / 'request_01/merged.pth'
    for number in (0, 3):
        message = error_of('test', config, merged, '--request', number)
        assert f'no request {number}; the config has requests 1' in message


def test_real_process_names_the_nearest_class(config, tmp_path):
    done = process('train', config, '--work-dir', tmp_path / 'out',
                   '--cfg-options', requests('[[circl],[ring]]'))
    assert done.returncode == 1
    assert "did you mean 'circle'" in checked(done.stderr)


def test_coco_config_without_coco(tmp_path):
    """What is missing, where it is looked for, and what runs without."""
    from tool_calls import REPO
    done = process('train', REPO / REAL_COCO, cwd=tmp_path)
    assert done.returncode == 1
    message = checked(done.stderr)
    assert 'annotations of train_dataloader.dataset are missing' in message
    expected = tmp_path / 'data/coco/annotations/instances_train2017.json'
    assert str(expected) in message
    assert ('python tools/train.py configs/gslora/ddetr_shapes_forget.py'
            in message)
    assert not (tmp_path / 'work_dirs').exists()
