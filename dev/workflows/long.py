"""The example workflow of a long film: in words, rendered in many runs."""

from __future__ import annotations

from .building_blocks import GEOMETRY, PROMPTS, RENDER, RESULT, ksampler, start
from .graph import Graph
from .settings import Settings

FOLDER = "geodesic/long_morph"
HOW = """\
**Twenty runs.** The film has {frames} frames, and each run renders {limit} of them. Set the \
number beside **Run** to {runs} and press Run once. *after_run* is "go on": with every queued \
run *first_frame* moves on by *frame_limit*.

**Nothing is lost.** Each run saves its frames when it is done, as `frame_00001_.png` and so on \
in `output/{folder}`. They are the same as in a single run.

**After a crash**, or if you stop a run: clear the queue, or the runs that still wait leave a \
gap. The number of the last file is the number of frames that are done. Set *first_frame* to it \
and queue the rest.

**Another film.** Set *first_frame* to 0 and empty the folder.

**As a video.** Open a terminal in that folder:

`ffmpeg -framerate {fps:g} -i frame_%05d_.png -pix_fmt yuv420p film.mp4`

Or load the folder with *Load Images (Path)* of VideoHelperSuite, and connect *Create Video* and \
*Save Video*.
"""


def long_morph(s: Settings) -> Graph:
    """A film in words → one run of it after another → pictures in a folder."""
    graph = Graph()
    common = start(graph, s, [])
    graph.begin_group("2. The film in words", GEOMETRY)
    film = graph.add(
        "GeodesicPromptText",
        "Film in words",
        560,
        clip=graph.titled("SD1.5 checkpoint")[1],
        text=s.film,
        frames=s.film_frames,
        fps=s.film_fps,
        before="",
        after=s.film_style,
        method="optimal transport",
        seed=0,
        ending="stop",
    )
    graph.begin_group("3. Render one run of the film", RENDER)
    schedule = graph.add(
        "GeodesicSchedule",
        "One run of the film",
        path=film[0],
        times=film[1],
        latent=common.latent,
        frames_per_batch=s.frames_per_batch,
        first_frame=0,
        frame_limit=s.frame_limit,
        after_run="go on",
    )
    sampled = ksampler(graph, s, common, "Render", schedule[0], schedule[1])
    images = graph.add("VAEDecode", "Decode", samples=sampled, vae=common.vae)
    graph.begin_group("4. Frames, saved with each run", RESULT)
    graph.add("SaveImage", "Save", 360, images=images[0], filename_prefix=f"{FOLDER}/frame")
    graph.begin_group("5. Many runs, and the video", PROMPTS)
    runs = -(-s.film_frames // s.frame_limit)
    text = HOW.format(
        frames=s.film_frames, limit=s.frame_limit, runs=runs, folder=FOLDER, fps=s.film_fps
    )
    graph.add_note("How it is used", text, 640)
    return graph
