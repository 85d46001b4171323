# GS-LoRA++ in a single step, 100-90.
_base_ = './facevit_casia100_forget_5_pp.py'
forget = dict(requests='class100-90')
