# A detector that never saw a platelet, and as many images as ./ddetr_bccd.py:
# they are painted out. Of the 292 images 130 show none.
#
#   DATA_ROOT=FOLDER python tools/pretrain.py \
#       configs/pretrain/ddetr_bccd_painted.py \
#       --work-dir work_dirs/bccd_painted
_base_ = './ddetr_bccd.py'
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='gslora_mm.PaintedOut',
        dataset=_base_.train_dataloader.dataset,
        classes=['Platelets']))
