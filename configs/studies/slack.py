# How far retained images may lie from the prototypes of their classes before
# they are brought back, in mean distances of the class; 0 is published. Two of
# the classes that stay have no training image.
base = '../gslora/vit_shapes_forget_missing_pp.py'
study = dict(
    name='Slack of the prototypes, missing classes (ViT, shapes)',
    seeds=[0, 1, 2],
    options={
        'forget.requests': [['star', 'ring', 'heart'],
                            ['square', 'arrow', 'ellipse']]
    },
    axes=dict(
        slack=dict(
            option='forget.method.prototype_slack', values=[0., 1., 2., 4.])))
