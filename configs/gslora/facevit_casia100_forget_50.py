# Single-step forgetting of people, 100-50.
_base_ = './facevit_casia100_forget_5.py'
forget = dict(requests='class100-50')
