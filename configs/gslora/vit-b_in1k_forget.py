# ImageNet with its full label space: ViT-B/16 of torchvision with all 1,000
# rows of its head. No published setting trains on it, so the hyper-parameters
# are those of the proximal ImageNet-100 config; nothing has been run on
# ImageNet. Requests: the published rule for 100 classes applied to 1,000
# (places of the sorted folders, shuffled by Python's generator with seed
# 1337, from the tail), four times twenty; put your own instead.
#
#   python tools/convert_checkpoint.py vit_b_16-c867db91.pth \
#       data/vit-b_in1k.pth --config configs/gslora/vit-b_in1k_forget.py
#   python tools/train.py configs/gslora/vit-b_in1k_forget.py
#
# Images: data/imagenet as mmpretrain has it, folders or meta/{train,val}.txt.
#
# ImageNet-100 inside the 1,000: a child config with
#
#   _base_ = './vit-b_in1k_forget.py'
#   forget = dict(requests='class100-4x20', unseen=[the 900 others])
#
# Training uses no image of unseen classes and needs none; they stay, and are
# measured apart, as Acc_m. Their names, with rows.txt of
# ./vit-b_in100_forget.py:
#
#   from mmpretrain.datasets.categories import IMAGENET_CATEGORIES as names
#   mine = {int(row) for row in open('rows.txt')}
#   print([name for row, name in enumerate(names) if row not in mine])
#
# (Two classes are called crane; here they are 'crane (134)', the bird, and
# 'crane (517)'.)
_base_ = './vit-b_in100_forget_proximal.py'
load_from = 'data/vit-b_in1k.pth'
model = dict(head=dict(num_classes=1000))
data_root = 'data/imagenet/'
train_dataloader = dict(
    dataset=dict(type='ImageNet', data_root=data_root, split='train'))
val_dataloader = dict(
    dataset=dict(type='ImageNet', data_root=data_root, split='val'))
test_dataloader = val_dataloader
forget = dict(
    requests=[
        [
            'photocopier',
            "academic gown, academic robe, judge's robe",
            'mantis, mantid',
            'cucumber, cuke',
            'gibbon, Hylobates lar',
            'sombrero',
            'microphone, mike',
            'rock beauty, Holocanthus tricolor',
            'zebra',
            'switch, electric switch, electrical switch',
            'shower cap',
            'borzoi, Russian wolfhound',
            'quill, quill pen',
            'honeycomb',
            'hair slide',
            'langur',
            "plane, carpenter's plane, woodworking plane",
            'electric guitar',
            'mushroom',
            'loudspeaker, speaker, '
            'speaker unit, loudspeaker system, speaker system',
        ],
        [
            'dough',
            'assault rifle, assault gun',
            'wok',
            'weasel',
            'ocarina, sweet potato',
            'pickelhaube',
            'crane (517)',
            'horned viper, cerastes, '
            'sand viper, horned asp, Cerastes cornutus',
            'book jacket, dust cover, dust jacket, dust wrapper',
            'amphibian, amphibious vehicle',
            "yellow lady's slipper, yellow lady-slipper, "
            'Cypripedium calceolus, Cypripedium parviflorum',
            'swab, swob, mop',
            'bathtub, bathing tub, bath, tub',
            'nematode, nematode worm, roundworm',
            'macaque',
            'hotdog, hot dog, red hot',
            'vault',
            'mountain tent',
            'school bus',
            'Chesapeake Bay retriever',
        ],
        [
            'lampshade, lamp shade',
            'broccoli',
            'pay-phone, pay-station',
            'padlock',
            'admiral',
            'tripod',
            'speedboat',
            'otterhound, otter hound',
            'affenpinscher, monkey pinscher, monkey dog',
            'cannon',
            'king crab, Alaska crab, '
            'Alaskan king crab, Alaska king crab, Paralithodes camtschatica',
            'jean, blue jean, denim',
            'skunk, polecat, wood pussy',
            'tennis ball',
            'magpie',
            'necklace',
            'lacewing, lacewing fly',
            'stage',
            'radio telescope, radio reflector',
            'steam locomotive',
        ],
        [
            'oxygen mask',
            'green snake, grass snake',
            'lumbermill, sawmill',
            'plate',
            'mosque',
            'balloon',
            'barn spider, Araneus cavaticus',
            'alligator lizard',
            'shovel',
            'handkerchief, hankie, hanky, hankey',
            "loupe, jeweler's loupe",
            'dome',
            'milk can',
            'sidewinder, horned rattlesnake, Crotalus cerastes',
            'football helmet',
            'flat-coated retriever',
            'stethoscope',
            'red wolf, maned wolf, Canis rufus, Canis niger',
            'lab coat, laboratory coat',
            'cab, hack, taxi, taxicab',
        ],
    ],
    method=dict(beta=0.2))
