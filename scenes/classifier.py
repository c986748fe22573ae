"""The scene classifier: an AlexNet trunk and one linear head for each attribute of a caption.

It judges the images of the model, and its trunk is the LPIPS backbone for scenes: torchvision's
AlexNet, so that the file can be loaded like torchvision's own. LPIPS's weights of channels were
calibrated for ImageNet's AlexNet, not for these channels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import weights
from .language import COLORS, PLACES, RELATIONS, SHAPES, SIZES, Scene, Thing

LAYOUTS = ("one", "across", "down")
# The classes of each head. The first thing is the left or upper one, or the only one.
HEADS: dict[str, tuple[str, ...]] = {
    "background": tuple(COLORS),
    "layout": LAYOUTS,
    "shape": SHAPES,
    "color": tuple(COLORS),
    "other shape": SHAPES,
    "other color": tuple(COLORS),
    "size": tuple(SIZES),
    "place": tuple(PLACES),
}
NO_LABEL = -100  # the index that PyTorch's cross-entropy ignores
NOISE = 0.06
FILE = weights.FOLDER / "classifier.safetensors"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class SceneClassifier(nn.Module):
    """Images [B, 3, 64, 64] in 0 to 1 → logits by head."""

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models import alexnet

        self.features = alexnet(weights=None).features[:12]  # up to the last ReLU, as LPIPS reads
        width = 256 * 3 * 3
        self.heads = nn.ModuleDict({name: nn.Linear(width, len(of)) for name, of in HEADS.items()})

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        mean, std = (images.new_tensor(values)[:, None, None] for values in (MEAN, STD))
        x = self.features((images - mean) / std).flatten(1)
        return {name: head(x) for name, head in self.heads.items()}


def build(seed: int = 0) -> SceneClassifier:
    """Initial weights: He's for the trunk, zeros for the heads."""
    network, g = SceneClassifier(), torch.Generator().manual_seed(seed)
    for name, p in network.named_parameters():
        if p.ndim == 4:
            p.data.normal_(0, (2 / p[0].numel()) ** 0.5, generator=g)
        elif name.endswith("bias") or name.startswith("heads"):
            p.data.zero_()
    return network


def labels(scene: Scene) -> dict[str, int]:
    """The right class of every head, or NO_LABEL if the scene has none."""
    first, second = in_order(scene)
    answer = dict.fromkeys(HEADS, NO_LABEL)
    answer["background"] = _index("background", scene.background)
    answer["layout"] = LAYOUTS.index(layout(scene))
    answer["shape"], answer["color"] = _index("shape", first.shape), _index("color", first.color)
    if second is None:
        answer["size"], answer["place"] = _index("size", first.size), _index("place", scene.place)
    else:
        answer["other shape"] = _index("shape", second.shape)
        answer["other color"] = _index("color", second.color)
    return answer


def layout(scene: Scene) -> str:
    return LAYOUTS[1 + RELATIONS[scene.relation][1]] if scene.relation else "one"


def in_order(scene: Scene) -> tuple[Thing, Thing | None]:
    """The left or upper thing, and the other thing, if there is one."""
    if not scene.relation:
        return scene.things[0], None
    a, b = scene.things
    return (a, b) if RELATIONS[scene.relation][2] < 0 else (b, a)


def _index(head: str, value: str) -> int:
    return HEADS[head].index(value)


def loss(
    network: SceneClassifier,
    batch: Callable[[torch.Generator], tuple[Tensor, Sequence[Mapping[str, int]]]],
) -> Callable[[torch.Generator], Tensor]:
    """The cross-entropy of all heads, on images with a little noise."""

    def of_step(g: torch.Generator) -> Tensor:
        images, answers = batch(g)
        level = NOISE * torch.rand(len(images), 1, 1, 1, generator=g)
        noise = level * torch.randn(images.shape, generator=g)
        logits = network(images + noise.to(images.device))
        losses = []
        for name, values in logits.items():
            wanted = torch.tensor([answer[name] for answer in answers], device=values.device)
            # A batch may have no label for a head: its loss is then 0, not 0/0.
            labelled = (wanted != NO_LABEL).sum().clamp(min=1)
            losses.append(F.cross_entropy(values, wanted, reduction="sum") / labelled)
        return torch.stack(losses).sum()

    return of_step


def export(network: nn.Module) -> None:
    """Store a trained classifier."""
    weights.save(network.state_dict(), FILE)


def load() -> SceneClassifier:
    """Load the classifier of this repository."""
    network = SceneClassifier()
    network.load_state_dict({name: t.float() for name, t in weights.load(FILE).items()})
    return network.requires_grad_(False)
