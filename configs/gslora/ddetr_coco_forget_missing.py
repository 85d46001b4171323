# The continual setting where training has no box of five classes that stay:
# the first of the published order, measured apart as AP_m. The setting is
# published for faces only.
_base_ = './ddetr_coco_forget.py'
forget = dict(unseen='coco-missing-5')
