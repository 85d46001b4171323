"""torchvision's VisionTransformer."""
import re

from .base import CheckpointFormat


class TorchvisionViT(CheckpointFormat):
    """``torchvision.models.vit_b_16`` and all others of its class.

    Any depth, width, patch and image size; a linear head. The number of
    attention heads is in no tensor: the config must have that of the original
    (12 for ViT-B, 16 for ViT-L and ViT-H).
    """
    name = 'torchvision-vit'
    title = 'torchvision ViT'
    marks = ('encoder.layers.encoder_layer_', 'conv_proj.')
    eps = 1e-6
    head = ('heads.head.weight', 'heads.head.bias')
    stem = {
        'class_token': ('backbone.cls_token', (1, 1, 'D')),
        'encoder.pos_embedding': ('backbone.pos_embed', (1, 'N', 'D')),
        'conv_proj.weight':
        ('backbone.patch_embed.projection.weight', ('D', 3, 'P', 'P')),
        'conv_proj.bias': ('backbone.patch_embed.projection.bias', ('D', )),
        'encoder.ln.weight': ('backbone.ln1.weight', ('D', )),
        'encoder.ln.bias': ('backbone.ln1.bias', ('D', )),
        'heads.head.weight': ('head.layers.head.weight', ('K', 'D')),
        'heads.head.bias': ('head.layers.head.bias', ('K', )),
    }
    layer_prefix = 'encoder.layers.encoder_layer_{}.'
    layer = {
        'ln_1.weight': ('ln1.weight', ('D', )),
        'ln_1.bias': ('ln1.bias', ('D', )),
        'self_attention.in_proj_weight': ('attn.qkv.weight', ('3D', 'D')),
        'self_attention.in_proj_bias': ('attn.qkv.bias', ('3D', )),
        'self_attention.out_proj.weight': ('attn.proj.weight', ('D', 'D')),
        'self_attention.out_proj.bias': ('attn.proj.bias', ('D', )),
        'ln_2.weight': ('ln2.weight', ('D', )),
        'ln_2.bias': ('ln2.bias', ('D', )),
        'mlp.0.weight': ('ffn.layers.0.0.weight', ('F', 'D')),
        'mlp.0.bias': ('ffn.layers.0.0.bias', ('F', )),
        'mlp.3.weight': ('ffn.layers.1.weight', ('D', 'F')),
        'mlp.3.bias': ('ffn.layers.1.bias', ('D', )),
    }

    def clean(self, state):
        """Accept the FFN keys of the released files.

        torchvision renames ``mlp.linear_1`` and ``mlp.linear_2`` as it loads
        them, so ``vit_b_16-c867db91.pth`` itself has the old ones.
        """
        clean = {_new_mlp_key(key): value for key, value in state.items()}
        if len(clean) < len(state) or clean.keys() == state.keys():
            # Both spellings of one tensor: the key check refuses it.
            return dict(state), []
        return clean, ['FFN keys of torchvision before 0.13 renamed']


def _new_mlp_key(key):
    key = re.sub(r'\.mlp\.linear_1\.', '.mlp.0.', key)
    return re.sub(r'\.mlp\.linear_2\.', '.mlp.3.', key)
