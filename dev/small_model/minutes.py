"""Train the reader and its denoiser on a bare machine with a graphics card, in a few minutes.

python -m dev.small_model.minutes pack FOLDER     on this machine: all that the other one needs
python -m dev.small_model.minutes run OUTPUT      there, in that folder: trains, stores, evaluates
python -m dev.small_model.minutes take OUTPUT     here again: its files become scenes/weights/

Whatever happens there, it ends in time: stages end by the clock, and the denoiser is stored again
and again while it learns. Files that come back are smaller than 16 MiB.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
import traceback
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from dev.comfyui.environment import BASE, FOLDER, ROOT
from scenes import checkpoint, classifier, reader, train_reader, weights

PARTS = ("reader_unet.1.safetensors", "reader_unet.2.safetensors")
# When the stages end, in seconds after the start; the rest is for the evaluation.
READER_ENDS, DENOISER_ENDS = 65, 225
CHUNK = 2000  # pictures that a process draws at a time


def seconds(name: str, default: float) -> float:
    """A setting from the environment, for a trial with less."""
    return float(os.environ.get(name, default))


BEGAN = seconds("BEGAN", time.time())


def elapsed() -> float:
    return time.time() - BEGAN


def left(name: str, end: float) -> float:
    """The seconds until a stage has to end."""
    return max(seconds(name, end) - elapsed(), 1.0)


def say(text: str) -> None:
    print(f"[{elapsed():6.1f} s] {text}", flush=True)


def pack(folder: Path) -> None:
    """Code, ComfyUI, CLIP's vocabulary, and the weights that are trained already."""
    from dev.comfyui.environment import locate
    from dev.gpu_check.packing import pack

    say(pack(folder))
    vocabulary = Path("comfy") / "sd1_tokenizer"
    for file in (locate().comfyui / vocabulary).iterdir():
        shutil.copy(file, folder / FOLDER.relative_to(ROOT) / "ComfyUI" / vocabulary / file.name)
    own = folder / weights.FOLDER.relative_to(ROOT)
    own.mkdir(parents=True)
    shutil.copy(classifier.FILE, own)
    # Of the large file only the autoencoder.
    kept = {
        name: tensor
        for name, tensor in load_file(checkpoint.TRAINED).items()
        if name.startswith(checkpoint.AUTOENCODER)
    }
    weights.write(kept, own / checkpoint.TRAINED.name)
    (folder / "run.sh").write_text(
        "export BEGAN=$(date +%s) PYTHONUNBUFFERED=1 TQDM_MININTERVAL=10\n"
        'timeout -s INT -k 10 285 python3 -m dev.small_model.minutes run "$OUT" 2>&1 '
        '| tee "$OUT/log.txt"\n'
    )


def run(output: Path) -> None:
    """Everything, until `seconds` are over; what fails is told, and what is done is kept."""
    output.mkdir(parents=True, exist_ok=True)
    cpu = not torch.cuda.is_available()
    plan = train_reader.Plan(
        families=int(seconds("FAMILIES", 24_000)),
        scenes=int(seconds("SCENES", 48_000)),
        reader_steps=int(seconds("READER_STEPS", 6000)),
        reader_batch=int(seconds("READER_BATCH", 256)),
        steps=int(seconds("STEPS", 8000)),
        batch=int(seconds("BATCH", 512)),
        rate=seconds("RATE", 5e-4),
        reader_seconds=lambda: max(left("READER_ENDS", READER_ENDS), seconds("READER_LEAST", 15)),
        seconds=lambda: left("DENOISER_ENDS", DENOISER_ENDS),
        save_every=int(seconds("SAVE_EVERY", 1000)),
        saved=partial(keep, output),
    )
    members, _, scenes = train_reader.scenes_of(plan)
    say(f"{len(members)} scenes of families, {len(scenes)} of the denoiser")
    with ProcessPoolExecutor(min(16, os.cpu_count() or 1), get_context("spawn")) as pool:
        work = [
            [pool.submit(train_reader.drawn, *part) for part in cut(of)] for of in (members, scenes)
        ]
        from dev.gpu_check.start import start

        say(f"ComfyUI is there; stand-ins: {start(cpu)}")
        pictures = train_reader.Pictures(*map(joined, work))
    say("drawn")
    _, unet = train_reader.main(FOLDER / "training", cpu, plan, pictures)
    keep(output, unet)
    say("trained")
    evaluate(output, unet, cpu)


def cut(scenes: list) -> list[tuple[list, int]]:
    return [(scenes[k : k + CHUNK], k) for k in range(0, len(scenes), CHUNK)]


def joined(parts: list[Future[np.ndarray]]) -> torch.Tensor:
    return torch.from_numpy(np.concatenate([part.result() for part in parts]))


def keep(output: Path, unet: nn.Module) -> None:
    """Store the reader and the denoiser, in files that come back."""
    shutil.copy(reader.FILE, output)
    whole = FOLDER / "unet.safetensors"
    weights.save({checkpoint.UNET + name: p for name, p in unet.state_dict().items()}, whole)
    stored = load_file(whole)
    names, total = sorted(stored), 0
    parts: tuple[dict, dict] = ({}, {})
    half = sum(t.numel() * t.element_size() for t in stored.values()) / 2
    for name in names:
        parts[total > half][name] = stored[name]
        total += stored[name].numel() * stored[name].element_size()
    for path, part in zip(PARTS, parts, strict=True):
        weights.write(part, output / path)
    say(f"stored, {total / 1e6:.1f} MB")


def evaluate(output: Path, unet: nn.Module, cpu: bool) -> None:
    """Judge held-out captions, with ComfyUI's nodes, as `make evaluate` does."""
    from dev.workflows.settings import SMALL_READER
    from scenes import evaluate as judged

    from .__main__ import contact_sheet
    from .painter import SAMPLING, Painter

    digest = checkpoint.export_unet(unet.state_dict())
    checkpoint.write(BASE / "models" / "checkpoints" / SMALL_READER, "reader")
    say("checkpoint written")
    painter = Painter(SMALL_READER, cpu)
    say("checkpoint loaded")
    count = int(seconds("COUNT", 400))
    result = judged.evaluate(painter, classifier.load(), count)
    page = judged.report(result, digest, "CPU" if cpu else "GPU", SAMPLING)
    say(page)
    (output / "quality.md").write_text(page)
    contact_sheet(result.pictures[:40], 10).save(output / "sheet.jpg", quality=90)


def take(output: Path) -> None:
    """Join the files that came back, store them here, and sign them."""
    shutil.copyfile(output / reader.FILE.name, reader.FILE)
    both = [load_file(output / part) for part in PARTS]
    weights.write({**both[0], **both[1]}, checkpoint.READER_UNET)
    say(f"{checkpoint.READER_UNET}, checkpoint {checkpoint.sign('reader')[:12]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=("pack", "run", "take"))
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    command = {"pack": pack, "run": run, "take": take}[arguments.command]
    try:
        command(arguments.folder)
    except (Exception, KeyboardInterrupt):
        traceback.print_exc()
        say("stopped")
        sys.exit(1)


if __name__ == "__main__":
    main()
