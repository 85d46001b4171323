# The same for your own people, of whom five are missing; its data and base
# model are those of ../gslora/vit_faces_forget.py:
#
#   DATA_ROOT=FOLDER python tools/study.py \
#       configs/studies/practical_vit_faces.py
_base_ = './practical_vit_shapes.py'
base = '../gslora/vit_faces_forget{setting}{method}.py'
study = dict(name='Practical settings (ViT, faces)')
