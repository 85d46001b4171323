# The continual setting with four images of every person on both streams.
# Hyper-parameters are those of the authors' script for GS-LoRA++ in this
# setting, without its prototype term; 4 forget and 4 retain images a step.
_base_ = './facevit_casia100_forget.py'
forget = dict(
    method=dict(beta=[.3, .4, .28, .2]),
    data=dict(shots=4, forget_per_batch=4))
train_dataloader = dict(batch_size=8)
