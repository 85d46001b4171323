# Your own people, with four images of every person.
_base_ = './vit_faces_forget.py'
forget = dict(data=dict(shots=4))
