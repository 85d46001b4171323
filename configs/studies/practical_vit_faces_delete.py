# The same for your own people, of whom five are missing; see
# practical_vit_faces.py.
#
#   DATA_ROOT=FOLDER python tools/study.py \
#       configs/studies/practical_vit_faces_delete.py
_base_ = './practical_vit_shapes_delete.py'
base = '../gslora/vit_faces_forget{setting}.py'
study = dict(name='Practical settings, DELETE on LoRA (ViT, faces)')
