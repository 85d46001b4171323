# Missing people, with prototypes; see ./vit_faces_forget_missing.py.
_base_ = './vit_faces_forget_pp.py'
forget = dict(unseen=['yaleB34', 'yaleB16', 'yaleB33', 'yaleB09', 'yaleB05'])
