"""Tiny models that look like those of mm*, in plain torch."""
import torch
from torch import nn


class ToyAttention(nn.Module):

    def __init__(self, dim=8):
        super().__init__()
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        return self.proj((q @ k.transpose(-1, -2)).softmax(-1) @ v)


class ToyFFN(nn.Module):
    """Laid out as mmcv's: ``layers.0.0`` and ``layers.1``."""

    def __init__(self, dim=8, hidden=16):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Sequential(nn.Linear(dim, hidden), nn.ReLU()),
            nn.Linear(hidden, dim))

    def forward(self, x):
        return x + self.layers(x)


class ToySwiGLU(nn.Module):

    def __init__(self, dim=8, hidden=16):
        super().__init__()
        self.w12 = nn.Linear(dim, 2 * hidden)
        self.w3 = nn.Linear(hidden, dim)


class ToyBlock(nn.Module):

    def __init__(self, dim=8, hidden=16, ffn=None):
        super().__init__()
        self.attn = ToyAttention(dim)
        self.ffn = ffn or ToyFFN(dim, hidden)

    def forward(self, x):
        return self.ffn(x + self.attn(x))


class ToyStack(nn.Module):
    """A decoder with an MLP beside its layers, as in DAB-DETR."""

    def __init__(self, depth=2, dim=8):
        super().__init__()
        self.layers = nn.ModuleList([ToyBlock(dim) for _ in range(depth)])
        self.query_scale = nn.Sequential(
            nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, dim))

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x * self.query_scale(x)


class ToyDETR(nn.Module):

    def __init__(self, depth=2, dim=8):
        super().__init__()
        self.encoder = ToyStack(depth, dim)
        self.decoder = ToyStack(depth, dim)
        self.box_head = nn.Sequential(
            nn.Linear(dim, dim), nn.Linear(dim, dim), nn.Linear(dim, 4))

    def forward(self, x):
        return self.box_head(self.decoder(self.encoder(x)))


def fill_lora(model, seed=0, scale=0.3):
    """Give every LoRA matrix random values, B included."""
    generator = torch.Generator().manual_seed(seed)
    for name, param in model.named_parameters():
        if name.endswith(('lora_A', 'lora_B')):
            param.data = scale * torch.randn(
                param.shape, generator=generator, dtype=param.dtype)
