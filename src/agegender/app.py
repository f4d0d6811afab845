"""A page to try a network on portraits: `scripts/app.py`. No picture leaves this machine."""

import importlib.util
import os
import shutil
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from agegender.answer import answer
from agegender.data import synthetic
from agegender.errors import InputError
from agegender.reader import Model, open_model
from agegender.schemas import AppConfig

if TYPE_CHECKING:
    import gradio as gr

TITLE = "Age and gender from a portrait"
THIS_MACHINE = ("127.0.0.1", "localhost", "::1")
WAITING = 20  # pictures, before a further one is refused
# of the portraits that seed 0 draws; MTCNN takes two thirds of all for faces, and these
EXAMPLES = (1, 3, 4, 5, 6, 7, 8, 10, 12, 13, 14, 15, 16, 17, 18, 20, 21, 24, 27, 28)
ABOUT = f"""<div class="about"><h1>{TITLE}</h1>
<p>The network answers with an <b>apparent</b> age and one of <b>two</b> genders, both as the
annotators of UTKFace labelled faces by looks. That is neither how old a person is nor who
they are.</p>
<div class="limits"><h2>Not to be used</h2><ul>
<li>to decide anything about a person: entry, age checks, hiring, prices, policing, care;</li>
<li>to find out or claim somebody's gender, or who somebody is;</li>
<li>on people who have not agreed to it.</li></ul>
<p>It is often off by many years, and by more for some groups of people than for others.</p></div>
<p>A picture goes to the program behind this page, and is deleted from there as soon as it is
answered. Nothing is stored or sent elsewhere.</p></div>"""
FIRST = '<div class="said"><p>The answer appears here.</p></div>'
CSS = """
.about h1 { font-size: 1.6rem; margin: .4rem 0; } .about p { max-width: 46rem; margin: .4rem 0; }
.limits { border-left: .3rem solid #d55e00; padding: .2rem .8rem; max-width: 46rem; }
.limits h2, .said h2 { font-size: 1.05rem; margin: .2rem 0; }
.limits ul { margin: .2rem 0; padding-left: 1.2rem; list-style: disc; }
.said p { font-size: .9rem; margin: .4rem 0; overflow-wrap: anywhere; }
.said .copy img { max-height: 26rem; max-width: 100%; border-radius: .3rem; }
.said .curves img { width: 100%; max-width: 30rem; border-radius: .3rem; }
.said table { width: 100%; border-collapse: collapse; margin: .6rem 0; font-size: .9rem;
  font-variant-numeric: tabular-nums; }
.said th, .said td { text-align: left; padding: .25rem .35rem !important; border: 0 !important;
  vertical-align: middle; border-bottom: 1px solid var(--border-color-primary) !important; }
.said table, .said tr { border: 0 !important; }
@media (max-width: 30rem) { .said table { font-size: .75rem; }
  .said th, .said td { padding: .25rem .15rem !important; } }
.said td img { display: inline; width: 2.6rem; border-radius: .2rem; vertical-align: middle; }
"""


def serve(given: AppConfig) -> None:
    """Show the page until the process is told to end.

    Raises:
        InputError: if a word cannot be used, or the page cannot be shown at that place.
    """
    model = _model(given)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that the folder goes then too
    with TemporaryDirectory(prefix="agegender_") as folder:
        os.environ |= {"GRADIO_TEMP_DIR": folder, "GRADIO_ANALYTICS_ENABLED": "False"}
        page = build(model, Path(folder), several=given.detector == "mtcnn")
        try:
            _launch(page, given, Path(folder))
            if given.host not in THIS_MACHINE:
                print(
                    f"warning: host={given.host} lets everybody who can reach this machine use the"
                    f" page, without a password and without encryption",
                    file=sys.stderr,
                )
            print(f"open {page.local_url} (Ctrl-C ends it)", flush=True)
            page.block_thread()
        finally:
            page.close(verbose=False)


def _model(given: AppConfig) -> Model:
    if given.detector == "boxes":
        raise InputError("detector=boxes is for scripts/predict.py: the page takes mtcnn or none")
    if given.port is not None and not 0 < given.port < 65536:
        raise InputError(f"port={given.port}: must be from 1 to 65535")
    if importlib.util.find_spec("gradio") is None:
        raise InputError("the page needs the extra app: pip install 'agegender[app]'")
    return open_model(given.checkpoint, given.detector, None, given.runtime, given.level)


def _launch(page: "gr.Blocks", given: AppConfig, folder: Path) -> None:
    import gradio as gr
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from agegender import gate

    # a page of elsewhere whose name leads to this machine is told apart by that name
    hosts = [*THIS_MACHINE, "[::1]"] if given.host in THIS_MACHINE else ["*"]
    middleware = [
        Middleware(TrustedHostMiddleware, allowed_hosts=hosts),
        Middleware(gate.Gate, folder=folder),
    ]
    system = ["system-ui", "sans-serif"]  # fonts that are there already
    try:
        page.launch(
            server_name=given.host,
            server_port=given.port,
            prevent_thread_lock=True,
            quiet=True,
            share=False,
            max_file_size=gate.LARGEST,
            footer_links=[],
            run_history=False,
            enable_monitoring=False,
            ssr_mode=False,
            theme=gr.themes.Default(font=system, font_mono=["monospace"]),
            css=CSS,
            app_kwargs={"middleware": middleware, "openapi_url": None},
        )
    except OSError:
        place = f"host={given.host}" + (f" port={given.port}" if given.port else "")
        raise InputError(
            f"the page cannot be shown at {place}: take another port, if it is in use, or host, if"
            f" it is none of this machine's"
        ) from None
    gate.limit(page.server.config)  # gradio takes no options for its server


def build(model: Model, folder: Path, several: bool) -> "gr.Blocks":
    """The page.

    Args:
        model: what answers.
        folder: where uploads come to; they are deleted from there.
        several: whether pictures may have more than one face.
    """
    import gradio as gr

    def uploaded(given: dict[str, Any] | None) -> tuple[None, Any]:
        if given is None:  # cleared by a change from file to camera: the answer stays
            return None, gr.skip()
        return None, of_file(model, Path(given["path"]), folder)

    page: gr.Blocks = gr.Blocks(analytics_enabled=False, title=TITLE)
    with page:
        gr.HTML(ABOUT)
        with gr.Row():
            with gr.Column(scale=2, min_width=300):
                picture = gr.Image(label="A portrait: file, camera or clipboard", buttons=[])
                one = gr.Button("Draw a face")
                three = gr.Button("Draw three faces", visible=several)
            with gr.Column(scale=3, min_width=300):
                said = gr.HTML(FIRST)
        shared: dict[str, Any] = {
            "api_visibility": "private", "concurrency_id": "network", "show_progress_on": said,
            "scroll_to_output": True,
        }  # fmt: skip
        # while an answer is awaited, the next picture waits with it instead of being ignored
        picture.input(
            uploaded, picture, [picture, said],
            preprocess=False, trigger_mode="multiple", **shared,
        )  # fmt: skip
        one.click(lambda: of_drawn(model, 1), None, said, **shared)
        three.click(lambda: of_drawn(model, 3), None, said, **shared)
    page.queue(max_size=WAITING, default_concurrency_limit=1, api_open=False)
    return page


def of_file(model: Model, path: Path, folder: Path) -> str:
    """What is said of an uploaded file, which is deleted.

    Args:
        model: what answers.
        path: of the file, in a folder of its own below `folder`.
        folder: where uploads are.

    Raises:
        InputError: if the file is elsewhere.
    """
    path = path.resolve()
    if path.parent.parent != folder.resolve():
        raise InputError("this file was not uploaded")
    try:
        (looked,) = model.look([("", path)])
        return answer(looked, model.level)
    finally:
        shutil.rmtree(path.parent, ignore_errors=True)


def of_drawn(model: Model, faces: int) -> str:
    """What is said of faces drawn by `agegender.data.synthetic`, other ones each time."""
    (looked,) = model.look([("", drawn(np.random.default_rng(), faces))])
    return answer(looked, model.level)


def drawn(rng: np.random.Generator, faces: int) -> Image.Image:
    """Drawn faces side by side, each another one."""
    side = synthetic.SIZE
    scene = Image.new("RGB", (side * faces, side))
    for place, number in enumerate(rng.choice(EXAMPLES, faces, replace=False)):
        scene.paste(synthetic.portrait(0, int(number))[1], (side * place, 0))
    return scene
