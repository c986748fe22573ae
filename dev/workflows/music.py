"""The example workflow that is set to music."""

from __future__ import annotations

from .building_blocks import (
    CHART_ROOM,
    GEOMETRY,
    PROMPTS,
    RENDER,
    RESULT,
    keyframes,
    render,
    save_video,
    start,
)
from .graph import Graph
from .settings import Settings


def music_morph(s: Settings) -> Graph:
    """Three prompts, each on a beat of the music, and a video with the music in it."""
    graph = Graph()
    common = start(graph, s, [s.prompt_a, s.prompt_b, s.prompt_c])
    graph.begin_group("2. Choose your music", PROMPTS)
    whole = graph.add("LoadAudio", "Music", 60, audio=s.music)
    cut = graph.add(
        "TrimAudioDuration",
        "Cut, in seconds",
        audio=whole[0],
        start_index=0.0,
        duration=s.music_seconds,
    )
    fps = graph.add("PrimitiveFloat", "Frames per second", value=s.fps)
    graph.begin_group("3. Keyframes on beats", GEOMETRY)
    path = keyframes(graph, common.prompts)
    beats = graph.add(
        "GeodesicBeats",
        "Times from Audio",
        CHART_ROOM,
        audio=cut[0],
        fps=fps[0],
        response="beats",
        smoothing=0.1,
        keyframes=3,
        ending="stop",
        easing="ease in-out",
        bpm=0.0,
    )
    graph.begin_group("4. Render", RENDER)
    images = render(graph, s, common, path, beats[0])
    graph.begin_group("5. Video with the music", RESULT)
    save_video(graph, s, images[0], "music_morph", fps=fps[0], audio=cut[0])
    return graph
