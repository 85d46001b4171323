# GS-LoRA++ in a single step, 100-10.
_base_ = './facevit_casia100_forget_5_pp.py'
forget = dict(requests='class100-10')
