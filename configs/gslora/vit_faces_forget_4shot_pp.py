# Four images of every person, with prototypes.
_base_ = './vit_faces_forget_pp.py'
forget = dict(data=dict(shots=4))
