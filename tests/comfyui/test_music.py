"""Times from Audio inside a real ComfyUI: what it takes, what it says, what it refuses."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image

from dev.comfyui.environment import BASE
from dev.comfyui.in_process import pack_nodes
from dev.comfyui.server import Server, ServerError
from dev.pictures.music import band, beats_of, write_wave
from dev.workflows.graph import Graph
from dev.workflows.music import music_morph
from dev.workflows.settings import Settings
from tests.video import decode

from ..generations import BOTH
from .conftest import Comfy

pytestmark = BOTH

RATE, SECONDS = 44100, 8.0
TRUE = beats_of(120, SECONDS, 0.25)
SETTINGS: dict[str, Any] = {
    "fps": 24.0,
    "response": "beats",
    "smoothing": 0.1,
    "keyframes": 4,
    "ending": "stop",
}


def audio(samples: np.ndarray, channels: int = 1, rate: int = RATE) -> dict[str, Any]:
    """ComfyUI's AUDIO with the same samples in all channels."""
    waveform = torch.from_numpy(samples.astype(np.float32)).expand(1, channels, -1)
    return {"waveform": waveform, "sample_rate": rate}


@pytest.fixture(scope="module")
def music() -> np.ndarray:
    return band(TRUE, SECONDS, RATE)


def follow(comfy: Comfy, sound: Any, **settings: Any) -> Any:
    """Run the node, once `comfy` has loaded the pack."""
    assert comfy
    return pack_nodes().music.nodes.GeodesicBeats.execute(sound, **(SETTINGS | settings))


@pytest.fixture
def said(comfy: Comfy, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What nodes write under themselves; without a server ComfyUI has no place for it."""
    assert comfy
    notes: list[str] = []
    monkeypatch.setattr(pack_nodes().music.nodes, "show_note", lambda _, text: notes.append(text))
    return notes


@pytest.mark.parametrize("channels", [1, 2])
def test_keyframes_of_a_film_stand_on_beats(
    comfy: Comfy, music: np.ndarray, channels: int, said: list[str]
) -> None:
    """Within a frame; the film is as long as the music; the chart shows it; the note counts."""
    done = follow(comfy, audio(music, channels))
    t = np.array(done[0].values)
    assert done[1] == len(t) == 192
    for k in range(4):
        (frames,) = np.nonzero(np.isclose(t, k / 3, atol=1e-9))
        assert (np.abs(TRUE[:, None] - frames / 24).min(axis=0) <= 1 / 24).any()
    chart = done[2]
    assert chart.shape[0] == 1
    assert chart.shape[3] == 3
    assert min(chart.shape[1:3]) > 300
    assert float(chart.std()) > 0.05
    (file,) = done.ui.as_dict()["images"] if hasattr(done.ui, "as_dict") else done.ui["images"]
    assert file["type"] == "temp"
    assert said == ["16 beats, 120 a minute. From keyframe to keyframe: 5 beats."]


def test_a_path_shows_its_prompts_on_the_beats(comfy: Comfy, music: np.ndarray) -> None:
    """The schedule takes the times: at a keyframe's frame the conditioning is the prompt's own."""
    prompts = [comfy.encode(text) for text in ("a red ring", "a blue star", "a white heart")]
    path = None
    for prompt in prompts:
        path = comfy.prompt.GeodesicKeyframe.execute(
            prompt, weight=1.0, method="optimal transport", seed=0, previous=path
        )[0]
    when = follow(comfy, audio(music), keyframes=3)[0]
    positive = comfy.schedule.GeodesicSchedule.execute(path, when, comfy.latent(), 0)[0]
    ((rows, _),) = positive[0]
    middle = when.values.index(0.5)
    assert torch.equal(rows[0], prompts[0][0][0][0])
    assert torch.equal(rows[middle], prompts[1][0][0][0])
    assert torch.equal(rows[-1], prompts[2][0][0][0])
    assert np.abs(TRUE - middle / 24).min() <= 1 / 24


@pytest.mark.parametrize("ending", ["stop", "ping-pong", "loop"])
@pytest.mark.parametrize("response", ["beats", "energy"])
def test_silence_gives_equal_times_and_says_so(
    comfy: Comfy, response: str, ending: str, said: list[str]
) -> None:
    done = follow(comfy, audio(np.zeros(RATE * 2), 2), response=response, ending=ending)
    steps = np.delete(np.abs(np.diff(done[0].values)), 23)  # a ping-pong turns there
    assert steps == pytest.approx(steps[0])
    assert done[0].is_loop == (ending == "loop")
    assert said == ["The audio is silent, so the times are equal."]


def test_one_click_and_many_keyframes_are_explained(
    comfy: Comfy, music: np.ndarray, said: list[str]
) -> None:
    """Too few beats: equal times, and why. More keyframes than beats: parts of beats."""
    click = np.zeros(RATE * 2)
    click[RATE : RATE + 200] = 0.5
    follow(comfy, audio(click))
    follow(comfy, audio(music), keyframes=30)
    assert said[0].startswith("Beats found: 1. That is too few for the keyframes")
    assert said[1].endswith("From keyframe to keyframe: 1 or 2 half beats.")


def test_volume_and_sample_rate_do_not_matter(comfy: Comfy, music: np.ndarray) -> None:
    """At half the volume the same times; at half the rate the keyframes move by a frame at most."""
    plain = follow(comfy, audio(music))[0]
    assert follow(comfy, audio(music / 2))[0] == plain
    half = follow(comfy, audio(band(TRUE, SECONDS, RATE // 2), rate=RATE // 2))[0]
    for k in range(4):
        frames = [np.argmin(np.abs(np.array(t.values) - k / 3)) for t in (plain, half)]
        assert abs(int(frames[0]) - int(frames[1])) <= 1


def test_ten_minutes_fit_with_few_frames_a_second(comfy: Comfy) -> None:
    """A long recording in stereo, at 6 frames a second; at 24 it would be too many."""
    long = audio(np.tile(band(TRUE, SECONDS, 22050), 75), 2, 22050)
    done = follow(comfy, long, fps=6.0, response="energy")
    assert done[1] == len(done[0]) == 3600
    assert (np.diff(done[0].values) > 0).all()
    with pytest.raises(ValueError, match=r"at most 4096 frames, got 14400: 600.0 seconds with 24"):
        follow(comfy, long)


@pytest.mark.parametrize(
    ("sound", "settings", "message"),
    [
        (None, {}, "audio: expected sound, got none. Connect Load Audio"),
        ({"waveform": torch.zeros(1, 2, 0), "sample_rate": 44100}, {}, r"audio: .*got 1x2x0"),
        ({"waveform": torch.zeros(2, 44100), "sample_rate": 44100}, {}, r"audio: .*got 2x44100"),
        ({"waveform": torch.zeros(3, 1, 9), "sample_rate": 44100}, {}, "got a batch of 3. Use one"),
        (audio(np.zeros(9)), {"fps": 0.0}, "fps: expected more than 0 frames a second, got 0.0"),
        (audio(np.full(9, np.nan)), {}, "audio: expected finite samples"),
        (audio(np.zeros(9)), {"keyframes": 1}, "keyframes: expected at least 2, got 1"),
    ],
)
def test_what_cannot_be_followed_is_refused(
    comfy: Comfy, sound: Any, settings: dict[str, Any], message: str
) -> None:
    """The error names the input, and is plain ASCII."""
    with pytest.raises(ValueError, match=message) as caught:
        follow(comfy, sound, **settings)
    assert str(caught.value).isascii()


def test_the_advice_for_a_long_recording_is_right(comfy: Comfy) -> None:
    """With the seconds or the frames per second that the error names, it works."""
    sound = audio(np.zeros(1000 * 400), rate=1000)
    with pytest.raises(ValueError, match=r"audio and fps.*to 136 seconds .* lower fps to 10.2\."):
        follow(comfy, sound, fps=30.0)
    assert follow(comfy, sound, fps=10.2)[1] == 4080
    assert follow(comfy, audio(np.zeros(1000 * 136), rate=1000), fps=30.0)[1] == 4080


def test_a_short_sound_is_one_frame(comfy: Comfy) -> None:
    done = follow(comfy, audio(np.ones(100)))
    assert done[1] == 1
    assert done[0].values == (0.0,)


# Through the server


def film(server: Server, graph: Graph) -> tuple[list[np.ndarray], dict[str, Any]]:
    outputs = server.run(graph.to_api())
    file = outputs[graph.find("Save")]["images"][0]
    return decode(server.fetch(file))[0], outputs


def test_a_film_has_its_music(server: Server, settings: Settings) -> None:
    """The example workflow on a file in the input folder: as many frames as the music is long."""
    write_wave(BASE / "input" / "two seconds.wav", band(TRUE[:4], 2, RATE), RATE)
    chosen = dataclasses.replace(settings, music="two seconds.wav", music_seconds=1.5, steps=2)
    graph = music_morph(chosen)
    frames, outputs = film(server, graph)
    assert [frame.shape for frame in frames] == [(64, 64, 3)] * 18
    saved = server.fetch(outputs[graph.find("Save")]["images"][0])
    with av.open(io.BytesIO(saved)) as video:
        assert len(video.streams.audio) == 1
    (chart,) = outputs[graph.find("Times from Audio")]["images"]
    assert np.array(Image.open(io.BytesIO(server.fetch(chart)))).std() > 10


def test_silence_through_the_server(server: Server) -> None:
    """Empty Audio into the node alone: it runs, and hands over its chart and the frame count."""
    graph = Graph()
    silence = graph.add("EmptyAudio", duration=2.0, sample_rate=22050, channels=2)
    node = graph.add("GeodesicBeats", "Beats", audio=silence[0], **SETTINGS)
    graph.add("PreviewAny", "Frames", source=node[1])
    outputs = server.run(graph.to_api())
    assert outputs[graph.find("Frames")]["text"] == ["48"]
    assert len(outputs[graph.find("Beats")]["images"]) == 1


def test_a_long_recording_is_refused_by_the_server(server: Server) -> None:
    graph = Graph()
    silence = graph.add("EmptyAudio", duration=600.0, sample_rate=8000, channels=1)
    graph.add("GeodesicBeats", audio=silence[0], **SETTINGS)
    with pytest.raises(ServerError, match=r"GeodesicBeats: audio and fps: .*got 14400.*Trim Audio"):
        server.run(graph.to_api())
