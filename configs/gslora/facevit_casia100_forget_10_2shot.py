# A single step with two images of every person, 100-10; 4 forget and 4 retain
# images a step. Hyper-parameters are those of the authors' script for
# GS-LoRA++ in this setting, without its prototype term.
_base_ = './facevit_casia100_forget_10.py'
forget = dict(data=dict(shots=2, forget_per_batch=4))
train_dataloader = dict(batch_size=8)
