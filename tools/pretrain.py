"""placeholder"""
import argparse
from mmengine.config import Config, DictAction
from mmengine.runner import Runner
p = argparse.ArgumentParser()
p.add_argument('config')
p.add_argument('--work-dir')
p.add_argument('--resume', action='store_true')
p.add_argument('--cfg-options', nargs='+', action=DictAction)
a = p.parse_args()
cfg = Config.fromfile(a.config)
if a.cfg_options: cfg.merge_from_dict(a.cfg_options)
cfg.work_dir = a.work_dir or 'work_dirs/pretrain'
cfg.resume = a.resume
Runner.from_cfg(cfg).train()
