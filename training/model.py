"""The decoder that is trained: Llama's layers under the sink and window mask it will run with.

Names of parameters are those of `LlamaForCausalLM`, so that the exported file needs no renaming.
Source of the mask: arXiv:2309.17453. A query `i` sees the sink and the last `window` tokens, itself
included. The distance to a recent key is `i - j`, to the sink it is `min(i, window)`.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Config:
    """Sizes. `n_head_dims` is the width of one head, `n_salience` that of the salience head."""

    n_vocab: int = 12288
    n_embd: int = 256
    n_layers: int = 4
    n_heads: int = 4
    n_kv_heads: int = 2
    n_ff: int = 640
    window: int = 256
    rope_theta: float = 10000.0
    norm_eps: float = 1e-5
    has_sink: bool = True

    @property
    def n_head_dims(self):
        return self.n_embd // self.n_heads


class RmsNorm(nn.Module):
    def __init__(self, n, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n))
        self.eps = eps

    def forward(self, x):
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


def rotate(x, cos, sin):
    """`[B, H, T, D]`, each pair `(d, d + D/2)` turned by its angle."""
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        c, d = config.n_embd, config.n_head_dims
        self.config = config
        self.q_proj = nn.Linear(c, config.n_heads * d, bias=False)
        self.k_proj = nn.Linear(c, config.n_kv_heads * d, bias=False)
        self.v_proj = nn.Linear(c, config.n_kv_heads * d, bias=False)
        self.o_proj = nn.Linear(config.n_heads * d, c, bias=False)

    def forward(self, x, place):
        """`[B, T, C]` to `[B, T, C]`; `T` is a multiple of the window."""
        b, t, _ = x.shape
        config, d = self.config, self.config.n_head_dims
        n_heads, n_kv, w = config.n_heads, config.n_kv_heads, config.window
        q = self.q_proj(x).view(b, t, n_heads, d).transpose(1, 2)
        k = self.k_proj(x).view(b, t, n_kv, d).transpose(1, 2)
        v = self.v_proj(x).view(b, t, n_kv, d).transpose(1, 2)
        # One more dimension carries the score of the sink, which is rotated in its own way; it is
        # padded to a width that kernels like.
        pad = 8
        q_ring, k_ring = rotate(q, *place.ring), rotate(k, *place.ring)
        sink = k[:, :, :1].repeat_interleave(n_heads // n_kv, 1)
        to_sink = (rotate(q, *place.pinned) * sink).sum(-1, keepdim=True)
        q_all = torch.cat([q_ring, to_sink, to_sink.new_zeros(b, n_heads, t, pad - 1)], -1)
        k_all = F.pad(k_ring, (0, pad))
        v_all = F.pad(v, (0, pad))
        k_sink = F.pad(k_ring.new_ones(b, n_kv, 1, 1), (d, pad - 1))
        n_blocks = t // w

        def blocks(z, first):
            """`[B, H, T, D]` to `[B * blocks, H, 1 + 2 * window, D]`: the sink, the block before
            and the block itself."""
            z = F.pad(z, (0, 0, w, 0)).unfold(2, 2 * w, w).transpose(-1, -2)
            first = first.unsqueeze(2).expand(-1, -1, n_blocks, -1, -1)
            z = torch.cat([first, z], 3).transpose(1, 2)
            z = z.reshape(b * n_blocks, n_kv, 1 + 2 * w, d + pad)
            return z.repeat_interleave(n_heads // n_kv, 1)

        q_all = q_all.view(b, n_heads, n_blocks, w, d + pad).transpose(1, 2)
        q_all = q_all.reshape(b * n_blocks, n_heads, w, d + pad)
        mask = place.mask.repeat(b, 1, 1, 1)
        y = F.scaled_dot_product_attention(
            q_all, blocks(k_all, k_sink), blocks(v_all, v_all[:, :, :1]), mask, scale=1 / math.sqrt(d)
        )
        y = y[..., :d].view(b, n_blocks, n_heads, w, d).permute(0, 1, 3, 2, 4)
        return self.o_proj(y.reshape(b, t, n_heads * d))


class Mlp(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.gate_proj = nn.Linear(config.n_embd, config.n_ff, bias=False)
        self.up_proj = nn.Linear(config.n_embd, config.n_ff, bias=False)
        self.down_proj = nn.Linear(config.n_ff, config.n_embd, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.input_layernorm = RmsNorm(config.n_embd, config.norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RmsNorm(config.n_embd, config.norm_eps)
        self.mlp = Mlp(config)

    def forward(self, x, place):
        x = x + self.self_attn(self.input_layernorm(x), place)
        return x + self.mlp(self.post_attention_layernorm(x))


class Place:
    """Angles and mask of a stream of `t` tokens."""

    def __init__(self, config, t, device):
        d, w = config.n_head_dims, config.window
        pairs = torch.arange(0, d, 2, dtype=torch.float64) / d
        frequencies = config.rope_theta**-pairs
        index = torch.arange(t, dtype=torch.float64)

        def angles(positions):
            turned = positions[:, None] * frequencies
            return turned.cos().float().to(device), turned.sin().float().to(device)

        self.ring = angles(index)
        self.pinned = angles(index.clamp(max=w))
        i = torch.arange(t).view(-1, w, 1)  # the query's index
        j = torch.arange(2 * w).view(1, 1, -1) + i[:, :1] - w  # the key's index
        # The sink is a key of its own, so it is never seen as a recent one.
        recent = (j > 0) & (j <= i) & (j > i - w)
        if not config.has_sink:
            recent = (j >= 0) & (j <= i) & (j > i - w)
        sink = torch.full_like(recent[:, :, :1], config.has_sink)
        self.mask = torch.cat([sink, recent], 2).unsqueeze(1).to(device)  # [blocks, 1, W, 1 + 2W]


class Model(nn.Module):
    """Layers without the output head, which shares its weights with the embedding."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.n_vocab, config.n_embd)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.n_layers))
        self.norm = RmsNorm(config.n_embd, config.norm_eps)
        self.places = {}
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                std = 0.02
                if name.endswith(("o_proj.weight", "down_proj.weight")):
                    std /= math.sqrt(2 * config.n_layers)
                nn.init.normal_(weight, std=std)

    def forward(self, ids):
        """`[B, T]` to states `[B, T, C]`, `T` a multiple of the window."""
        t = ids.shape[1]
        if t not in self.places:
            self.places[t] = Place(self.config, t, ids.device)
        x = self.embed_tokens(ids)
        for layer in self.layers:
            x = layer(x, self.places[t])
        return self.norm(x)

    def n_parameters(self):
        """All of them, and those outside the embedding."""
        n = sum(p.numel() for p in self.parameters())
        return n, n - self.embed_tokens.weight.numel()
