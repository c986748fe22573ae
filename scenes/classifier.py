"""The scene classifier: an AlexNet trunk and one linear head for each thing a caption can say.

It judges what the model draws, and its trunk is the LPIPS backbone of this world: torchvision's
AlexNet, so that the file loads wherever torchvision's own does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import weights
from .language import COLORS, PLACES, RELATIONS, SHAPES, SIZES, Scene, Thing

LAYOUTS = ("one", "across", "down")
# What each head tells apart. The first thing is the left or upper one; a lone thing is the first.
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
NO_LABEL = -100  # cross-entropy's own mark
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
    """Fresh weights: He's for the trunk, nothing for the heads."""
    network, g = SceneClassifier(), torch.Generator().manual_seed(seed)
    for name, p in network.named_parameters():
        if p.ndim == 4:
            p.data.normal_(0, (2 / p[0].numel()) ** 0.5, generator=g)
        elif name.endswith("bias") or name.startswith("heads"):
            p.data.zero_()
    return network


def labels(scene: Scene) -> dict[str, int]:
    """The right answer of every head, NO_LABEL where the scene has none."""
    first, other = in_order(scene)
    answer = dict.fromkeys(HEADS, NO_LABEL)
    answer["background"] = _index("background", scene.background)
    answer["layout"] = LAYOUTS.index(layout(scene))
    answer["shape"], answer["color"] = _index("shape", first.shape), _index("color", first.color)
    if other is None:
        answer["size"], answer["place"] = _index("size", first.size), _index("place", scene.place)
    else:
        answer["other shape"] = _index("shape", other.shape)
        answer["other color"] = _index("color", other.color)
    return answer


def layout(scene: Scene) -> str:
    return LAYOUTS[1 + RELATIONS[scene.relation][1]] if scene.relation else "one"


def in_order(scene: Scene) -> tuple[Thing, Thing | None]:
    """The left or upper thing, and the other one if there is one."""
    if not scene.relation:
        return scene.things[0], None
    one, other = scene.things
    return (one, other) if RELATIONS[scene.relation][2] < 0 else (other, one)


def _index(head: str, value: str) -> int:
    return HEADS[head].index(value)


def loss(
    network: SceneClassifier,
    batch: Callable[[torch.Generator], tuple[Tensor, Sequence[Mapping[str, int]]]],
) -> Callable[[torch.Generator], Tensor]:
    """Cross-entropy of all heads, on images with a little noise."""

    def of_step(g: torch.Generator) -> Tensor:
        images, answers = batch(g)
        level = NOISE * torch.rand(len(images), 1, 1, 1, generator=g)
        noise = level * torch.randn(images.shape, generator=g)
        logits = network(images + noise.to(images.device))
        losses = []
        for name, values in logits.items():
            wanted = torch.tensor([answer[name] for answer in answers], device=values.device)
            # A batch may hold no label at all for a head: then its loss is nothing, not 0/0.
            labelled = (wanted != NO_LABEL).sum().clamp(min=1)
            losses.append(F.cross_entropy(values, wanted, reduction="sum") / labelled)
        return torch.stack(losses).sum()

    return of_step


def export(network: nn.Module) -> None:
    """Store a trained classifier."""
    weights.save(network.state_dict(), FILE)


def load() -> SceneClassifier:
    """The classifier of this repository."""
    network = SceneClassifier()
    network.load_state_dict({name: t.float() for name, t in weights.load(FILE).items()})
    return network.requires_grad_(False)
