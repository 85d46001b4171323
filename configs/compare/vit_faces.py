# Every method on people in folders; data and base model are those of
# ../gslora/vit_faces_forget.py:
#
#   DATA_ROOT=FOLDER python tools/compare.py configs/compare/vit_faces.py
#
# There is no third set of images. The search trains without a fifth of the
# training images of each person and is measured on it; the base model has
# seen them, as it has all training images.
_base_ = '../_base_/comparison.py'
base = '../gslora/vit_faces_forget.py'
_people = [[
    'yaleB13', 'yaleB21', 'yaleB38', 'yaleB26', 'yaleB23', 'yaleB11',
    'yaleB25', 'yaleB36'
]]
comparison = dict(
    name='Methods (ViT, faces)',
    settings=dict(single={'forget.requests': _people}, continual={}),
    # Who is identified by embedding is another question.
    options={'forget.gallery': None},
    search=dict(
        options={
            'forget.requests': _people,
            'train_dataloader.dataset.type': 'gslora_mm.HeldOutFolder',
            'train_dataloader.dataset.part': 'train',
            'val_dataloader.dataset.type': 'gslora_mm.HeldOutFolder',
            'val_dataloader.dataset.part': 'held_out',
            'val_dataloader.dataset.data_prefix': 'train',
        }))
