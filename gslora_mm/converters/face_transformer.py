"""The Face Transformer of the GS-LoRA authors."""
import math

from ..lora import is_lora_key
from ..utils import ForgetError
from .base import CheckpointFormat


class FaceTransformer(CheckpointFormat):
    """ViT-P8S8 with a CosFace head, for ``configs/_base_/facevit_p8s8.py``.

    Three things differ from mmpretrain's ViT: a patch is flattened as (row,
    column, channel); attention scores are scaled by ``width**-0.5`` instead of
    ``head width**-0.5``; forgotten checkpoints hold LoRA weights whose update
    is merged into the weights already. Any depth and width; heads are 64 wide.
    """
    name = 'face-transformer'
    title = 'Face Transformer'
    marks = ('transformer.layers.', 'patch_to_embedding.')
    eps, patch, head_dims = 1e-5, 8, 64
    head = ('loss.weight', )
    stem = {
        'cls_token': ('backbone.cls_token', (1, 1, 'D')),
        'pos_embedding': ('backbone.pos_embed', (1, 'N', 'D')),
        'patch_to_embedding.weight':
        ('backbone.patch_embed.projection.weight', ('D', 3 * patch**2)),
        'patch_to_embedding.bias':
        ('backbone.patch_embed.projection.bias', ('D', )),
        'mlp_head.0.weight': ('backbone.ln1.weight', ('D', )),
        'mlp_head.0.bias': ('backbone.ln1.bias', ('D', )),
        'loss.weight': ('head.weight', ('K', 'D')),
    }
    layer_prefix = 'transformer.layers.{}.'
    layer = {
        '0.fn.norm.weight': ('ln1.weight', ('D', )),
        '0.fn.norm.bias': ('ln1.bias', ('D', )),
        '0.fn.fn.to_qkv.weight': ('attn.qkv.weight', ('3D', 'D')),
        '0.fn.fn.to_out.0.weight': ('attn.proj.weight', ('D', 'D')),
        '0.fn.fn.to_out.0.bias': ('attn.proj.bias', ('D', )),
        '1.fn.norm.weight': ('ln2.weight', ('D', )),
        '1.fn.norm.bias': ('ln2.bias', ('D', )),
        '1.fn.fn.net.0.weight': ('ffn.layers.0.0.weight', ('F', 'D')),
        '1.fn.fn.net.0.bias': ('ffn.layers.0.0.bias', ('F', )),
        '1.fn.fn.net.3.weight': ('ffn.layers.1.weight', ('D', 'F')),
        '1.fn.fn.net.3.bias': ('ffn.layers.1.bias', ('D', )),
    }

    def clean(self, state):
        """Drop the LoRA weights of layers whose merged weight is there."""
        stray = [
            key for key in state
            if is_lora_key(key) and f'{key.rpartition(".")[0]}.weight' in state
        ]
        clean = {k: v for k, v in state.items() if k not in set(stray)}
        if not stray:
            return clean, []
        return clean, [
            f'{len(stray)} LoRA tensors dropped ({stray[0]}, ...): the '
            'published code saves weights with the update merged in, and '
            'keeping them would add it twice'
        ]

    def tensor(self, key, value, sizes):
        """Reorder the patch pixels, fold the attention scale into q."""
        width = sizes['D']
        if key == 'patch_to_embedding.weight':
            pixels = value.reshape(width, self.patch, self.patch, 3)
            return pixels.permute(0, 3, 1, 2)
        if key.endswith('.to_qkv.weight'):
            if width % self.head_dims:
                raise ForgetError(
                    f'the width {width} is no multiple of {self.head_dims}, '
                    'the width of an attention head in the format '
                    f'{self.title}; nothing was converted: write a '
                    'CheckpointFormat for this model')
            value = value.clone()
            # In double precision, so that the rounding is float's own.
            value[:width] = (value[:width].double() *
                             math.sqrt(self.head_dims / width)).to(value.dtype)
        return value

    def describe(self, sizes, depth):
        """Add the number of heads, which is known here."""
        heads = sizes['D'] // self.head_dims
        return (f'{super().describe(sizes, depth)}, num_heads={heads}, '
                'qkv_bias=False')
