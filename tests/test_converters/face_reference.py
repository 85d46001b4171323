"""The published Face Transformer in plain torch, from its description.

Nothing here knows mmpretrain or the converter.
"""
import torch
from torch import nn
from torch.nn import functional as F


class Residual(nn.Module):

    def __init__(self, fn):
        super().__init__()
        self.fn = fn

    def forward(self, x):
        return x + self.fn(x)


class PreNorm(nn.Module):

    def __init__(self, width, fn):
        super().__init__()
        self.norm, self.fn = nn.LayerNorm(width), fn

    def forward(self, x):
        return self.fn(self.norm(x))


class Attention(nn.Module):

    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.scale = heads, width**-0.5
        self.to_qkv = nn.Linear(width, 3 * width, bias=False)
        self.to_out = nn.Sequential(nn.Linear(width, width), nn.Dropout(0.1))

    def forward(self, x):
        parts = []
        for q, k, v in zip(*(t.chunk(self.heads, -1)
                             for t in self.to_qkv(x).chunk(3, -1))):
            scores = torch.einsum('bid,bjd->bij', q, k) * self.scale
            parts.append(scores.softmax(-1) @ v)
        return self.to_out(torch.cat(parts, -1))


class FeedForward(nn.Module):

    def __init__(self, width, hidden):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(width, hidden), nn.GELU(), nn.Dropout(0.1),
            nn.Linear(hidden, width), nn.Dropout(0.1))

    def forward(self, x):
        return self.net(x)


class Transformer(nn.Module):

    def __init__(self, width, depth, heads, hidden):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.ModuleList([
                Residual(PreNorm(width, Attention(width, heads))),
                Residual(PreNorm(width, FeedForward(width, hidden)))
            ]) for _ in range(depth))

    def forward(self, x):
        for attention, feed_forward in self.layers:
            x = feed_forward(attention(x))
        return x


class CosFace(nn.Module):

    def __init__(self, width, classes):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, width))

    def forward(self, embedding, label=None):
        cosine = F.cosine_similarity(
            embedding[:, None], self.weight[None], dim=-1)
        if label is not None:
            cosine[torch.arange(len(label)), label] -= 0.35
        return 64 * cosine


class ReferenceFace(nn.Module):

    def __init__(self,
                 image=112,
                 width=512,
                 depth=6,
                 heads=8,
                 hidden=2048,
                 classes=100):
        super().__init__()
        self.pos_embedding = nn.Parameter(
            torch.empty(1, (image // 8)**2 + 1, width))
        self.patch_to_embedding = nn.Linear(8 * 8 * 3, width)
        self.cls_token = nn.Parameter(torch.empty(1, 1, width))
        self.dropout = nn.Dropout(0.1)
        self.transformer = Transformer(width, depth, heads, hidden)
        self.mlp_head = nn.Sequential(nn.LayerNorm(width))
        self.loss = CosFace(width, classes)

    def embed(self, images):
        """Images (B, 3, H, W) in [0, 1] to embeddings (B, width)."""
        patches = [
            images[:, :, top:top + 8,
                   left:left + 8].permute(0, 2, 3,
                                          1).flatten(1)  # row, column, channel
            for top in range(0, images.shape[2], 8)
            for left in range(0, images.shape[3], 8)
        ]
        x = self.patch_to_embedding(torch.stack(patches, 1))
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1)
        x = self.dropout(x + self.pos_embedding)
        return self.mlp_head(self.transformer(x)[:, 0])

    def forward(self, images, label=None):
        return self.loss(self.embed(images), label)


def random_images(count, size):
    """The same images each time, shape (count, 3, size, size), in [0, 1]."""
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, 3, size, size, generator=generator)


@torch.no_grad()
def randomise(model, seed=0, gain=1.0):
    """Draw every parameter, so that none is one or zero by default.

    Args:
        model (nn.Module): Any model, also one of another library.
        seed (int): Of the draw.
        gain (float): Standard deviation of what enters the first layer; small
            values make LayerNorm's eps matter.

    Returns:
        nn.Module: The model, in eval mode.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, p in model.named_parameters():
        noise = torch.randn(p.shape, generator=generator)
        norm = '.norm.' in name or 'ln' in name or 'mlp_head' in name
        if norm and name.endswith('weight'):
            p.copy_(1 + 0.3 * noise)
        elif p.ndim == 2:
            # Attention needs scores of some size, or no scale would show.
            p.copy_(noise * 2 / p.shape[1]**0.5)
        else:
            p.copy_(0.3 * noise)
        if 'patch' in name or 'conv_proj' in name or 'token' in name or (
                'pos_embedding' in name):
            p.mul_(gain)
    return model.eval()
