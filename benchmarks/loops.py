"""U-Net outside Keras: the study's as a plain PyTorch loop, and segmentation_models_pytorch's as a user would take it.

Same slices, batch, loss and optimiser as the study's. Nothing here is used by the study, and nothing here loads Keras:
two libraries in one process take each other's threads.
"""

from __future__ import annotations

import os

import segmentation_models_pytorch
import torch
from torch import nn

from benchmarks.timing import MATRIX, PREDICTED, matrix_rate, slices_a_second, synthetic_batches
from brainseg.chapters import study_recipe

SMOOTH = 1.0
"""As in `brainseg.networks.losses`; a test holds the two losses together."""


def _double(before: int, after: int) -> nn.Sequential:
    parts = []
    for channels in (before, after):
        parts += [nn.Conv2d(channels, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
    return nn.Sequential(*parts)


class UNet(nn.Module):
    """The layers of `brainseg.networks.models.unet`; maps (n, 3, size, size) to logits (n, 1, size, size)."""

    def __init__(self, filters: int = 16, depth: int = 4):
        super().__init__()
        widths = [filters * 2**level for level in range(depth + 1)]
        self.down = nn.ModuleList(_double(a, b) for a, b in zip([3, *widths[:-1]], widths, strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * width, width, 2, stride=2) for width in widths[:-1])
        self.join = nn.ModuleList(_double(2 * width, width) for width in widths[:-1])
        self.last = nn.Conv2d(filters, 1, 1)

    def forward(self, x):
        bridges = []
        for level, block in enumerate(self.down):
            x = block(nn.functional.max_pool2d(x, 2) if level else x)
            bridges.append(x)
        for level in reversed(range(len(self.up))):
            x = self.join[level](torch.cat([bridges[level], self.up[level](x)], 1))
        return self.last(x)


def bce_dice(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """As `brainseg.networks.losses.bce_dice`, a scalar."""
    logits = logits.float()
    probabilities = torch.sigmoid(logits)
    overlap, total = torch.minimum(masks, probabilities).sum(), (masks + probabilities).sum()
    dice = (2 * overlap + SMOOTH) / (total + SMOOTH)
    return nn.functional.binary_cross_entropy_with_logits(logits, masks) + 1 - dice


def measure(loop: str, size: int, steps: int) -> list[dict]:
    """One of `LOOPS`: slices a second, and the processor's matrix product.

    The product is measured here and not in TensorFlow, which turns one in float32 into bfloat16 as the study has it.
    """
    torch.set_num_threads(os.cpu_count() or 1)
    torch.manual_seed(0)
    build, memory, autocast = LOOPS[loop]
    network, recipe = build().to(memory_format=memory), study_recipe("unet")
    optimiser = torch.optim.Adam(network.parameters(), recipe.learning_rate)
    images, masks = synthetic_batches(size, PREDICTED)
    batch = recipe.batch_size

    def given(array):  # (n, size, size, channels) as PyTorch counts the axes, in the order of the loop
        return torch.from_numpy(array).permute(0, 3, 1, 2).contiguous(memory_format=memory)

    def train():
        network.train()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            logits = network(given(images[:batch]))
        loss = bce_dice(logits, given(masks[:batch]))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return loss.item()

    def predict():
        network.eval()
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            return torch.sigmoid(network(given(images)).float()).numpy()

    return [
        {
            "training": slices_a_second(train, batch, steps),
            "prediction": slices_a_second(predict, PREDICTED, steps),
            **{f"matrix_{precision}": _matrix_rate(precision) for precision in ("float32", "bfloat16")},
        }
    ]


def _matrix_rate(precision: str) -> float:
    matrix = torch.randn(MATRIX, MATRIX).to(getattr(torch, precision))
    return matrix_rate(lambda: matrix @ matrix)


LOOPS = {
    "plain PyTorch loop": (UNet, torch.channels_last, True),
    "plain PyTorch loop, channels first": (UNet, torch.contiguous_format, True),
    "plain PyTorch loop, float32": (UNet, torch.channels_last, False),
    "segmentation_models_pytorch": (
        lambda: segmentation_models_pytorch.Unet("resnet34", encoder_weights=None, in_channels=3, classes=1),
        torch.contiguous_format,
        False,
    ),
}
"""Name -> network, memory layout, and whether it multiplies in bfloat16."""
