"""Tiny runs of methods without LoRA."""
import tiny_classifier
import tiny_run

OPTIONS = {'forget.lora': None, 'forget.train': 'all',
           'optim_wrapper.optimizer.lr': 0.002}  # yapf: disable
METHODS = dict(
    fine_tune=dict(type='FineTune'),
    lwf=dict(type='LwF'),
    ewc=dict(type='EWC', penalty=100.),
    full=dict(type='GSLoRA', alpha=0., beta=2.),
    retrain=dict(type='Retrain'),
    ascent=dict(type='GradientAscent', forget=.1),
    random_labels=dict(type='RandomLabels'),
    l2=dict(type='L2'),
    mas=dict(type='MAS', penalty=.1),
    fdr=dict(type='FDR', match=.1),
    # The average changes before the third epoch.
    scrub=dict(type='SCRUB', max_epochs=1, cycle=2, smooth=.1),
    lirf=dict(type='LIRF'),
    head_distillation=dict(type='HeadDistillation'),
    delete=dict(type='DELETE'),
    counterfactual=dict(type='CounterfactualFeatures', blocks=1),
    counterfactual_anew=dict(
        type='CounterfactualFeatures', blocks=1, anew=.1, anew_epochs=2),
    salun=dict(type='SalUn'),
    row_reset=dict(type='RowReset'),
    output_filter=dict(type='OutputFilter'))
EDITS = ('row_reset', 'output_filter')
PARTS = dict(head_distillation='head')


def options_of(name, **more):
    """Values of ``--cfg-options`` for one of the methods."""
    options = {**OPTIONS, **more}
    if name in EDITS:
        del options['forget.train']
    elif name in PARTS:
        options['forget.train'] = PARTS[name]
    method = dict(METHODS[name])
    return options, method


def config_of(name, path, module=tiny_classifier, **changes):
    """Write the config of a tiny run with one of the methods."""
    norm_eval = changes.pop('norm_eval', None)
    config = module.write_config(path.with_suffix('.base.py'), **changes)
    options, method = options_of(name)
    method['_delete_'] = True
    lines = [f'_base_ = {str(config)!r}', 'forget = dict(',
             f'    method={method!r}, lora=None, group=None,']  # yapf: disable
    if 'forget.train' in options:
        lines.append(f"    train={options['forget.train']!r},")
    lines += [')', 'optim_wrapper = dict(optimizer=dict(lr=0.002))']
    if norm_eval is not None:
        lines.append(f'model = dict(backbone=dict(norm_eval={norm_eval}))')
    path.write_text('\n'.join(lines) + '\n')
    return path


def run(name, folder, module=tiny_classifier, **changes):
    """Run a method; returns its config and the summary."""
    folder.mkdir(exist_ok=True)
    path = folder / f'{name}.py'
    if not path.is_file():
        config_of(name, path, module, **changes)
    return path, tiny_run.run_sequence(path, folder / name)
