"""The demo page under load and abuse: clear answers, bounded memory, nothing kept."""

import json
import socket
import struct
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

import pytest

import agegender
from agegender.answer import answer
from agegender.data.synthetic import portrait

from .pictures import harmful, png, saved, zeros
from .recorder import recorded
from .visitor import API, FORM, HALVES, JSON, TRICKS, Page, form, picture, shown

pytestmark = pytest.mark.skipif(find_spec("gradio") is None, reason="needs the extra app")

CLIENTS = 20
MOST = 400  # MB of memory over what was in use before
FACES = [saved(portrait(3, number)[1], "PNG") for number in range(8)]
SCRIPT = "<script>alert(1)</script>"


def slow(*given: object) -> object:
    return pytest.param(*given, marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The page; in the end, no file of it is left and no traceback was printed."""
    with shown(tmp_path_factory.mktemp("page")) as (page, errors):
        yield page
        assert page.settled() == []
    assert "Traceback" not in errors.read_text()


@pytest.fixture(scope="module")
def said() -> list[str]:
    """What is to be said of each of `FACES`; no two are the same."""
    model = agegender.load("shipped", detector="none")
    looked = list(model.look([("", face) for face in FACES]))
    ages = {round(one.rows[0]["age_pred"]) for one in looked}
    assert len(ages) > 3, "the pictures are too alike to notice a mix-up"
    return [_words(answer(one, 0.9)) for one in looked]


def _words(html: str) -> str:
    """All but the drawn curves: the table, and the copy of the picture."""
    return html.partition('class="curves"')[0]


def answers(page: Page, said: list[str], number: int = 0) -> bool:
    return _words(page.ask(FACES[number])) == said[number]


@pytest.mark.parametrize("seconds", [1, slow(60)])
def test_twenty_clients_at_once(seconds: float, page: Page, said: list[str]):
    assert answers(page, said)
    page.forget_peak()
    base, end = page.megabytes("VmRSS"), time.monotonic() + seconds

    def visit(client: int) -> Counter[str]:
        outcomes: Counter[str] = Counter()
        while not outcomes or time.monotonic() < end:
            number = (client + sum(outcomes.values())) % len(FACES)
            heard = page.ask(FACES[number])
            outcomes["busy" if heard == "busy" else str(_words(heard) == said[number])] += 1
        return outcomes

    # of no use to anybody, and in nobody's way
    idle = [socket.create_connection(("127.0.0.1", page.port)) for _ in range(200)]
    for number, connection in enumerate(idle[:100]):
        connection.sendall(HALVES[number % len(HALVES)])
    with ThreadPoolExecutor(CLIENTS) as pool:
        total = sum(pool.map(visit, range(CLIENTS)), Counter[str]())
    for connection in idle:
        connection.close()
    more = page.megabytes("VmHWM") - base
    assert total["False"] == 0
    assert total["True"] >= CLIENTS - 3
    assert more < MOST
    assert page.settled() == []
    assert answers(page, said)
    what = f"page: {CLIENTS} clients at once for {seconds} s, 200 idle and half requests beside"
    outcome = f"{total['True']} right answers, none wrong, {total['busy']} busy"
    recorded(what, 0, f"{outcome}, {more:.0f} MB more at the peak")


@pytest.mark.slow
@pytest.mark.parametrize("drip", [False, True])
def test_slow_clients_are_cut_off(drip: bool, page: Page, said: list[str]):
    begin = time.monotonic()
    waiting = [socket.create_connection(("127.0.0.1", page.port)) for _ in range(5)]
    for connection, start in zip(waiting, (b"", *HALVES), strict=True):
        connection.sendall(start)
        connection.settimeout(0.2)
    closed: dict[socket.socket, bytes] = {}
    while len(closed) < len(waiting) and time.monotonic() < begin + 40:
        for connection in set(waiting) - set(closed):
            try:
                if drip:
                    connection.sendall(b"a")
                closed[connection] = connection.recv(1000)
            except TimeoutError:
                pass
            except ConnectionError:
                closed[connection] = b""
    took = time.monotonic() - begin
    for connection in waiting:
        connection.close()
    assert len(closed) == len(waiting)
    assert 15 < took < 30
    told = sum(b" 408 " in said_of for said_of in closed.values())
    assert told >= 4 - drip  # at a byte each time, h11 may find the request wrong before
    assert page.settled() == []
    assert answers(page, said)
    for start in ("nothing", "half a line", "half a header", "half a form", "half a question"):
        how = "then a byte now and then" if drip else "then nothing"
        recorded(f"page: a slow client, {how}: {start}", 0, "cut off within 30 s, others answered")


def large() -> Iterator[bytes]:
    yield form(b"", "a.png")[:-13]
    for _ in range(40):
        yield bytes(1 << 20)


def test_uploads_above_the_limit_are_refused(page: Page, said: list[str]):
    page.forget_peak()
    base = page.megabytes("VmRSS")
    start = b"POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
    start += FORM["Content-Type"].encode() + b"\r\n"
    length = b"Content-Length: %d\r\n\r\n"
    trials = {
        "21 MB, told before": lambda: page.upload(bytes(21 << 20)),
        "40 MB in chunks, without a length": lambda: page.request(
            "POST", f"{API}/upload", large(), **FORM
        ),
        "a length of 100 GB and no more": lambda: _status(page.raw(start + length % 10**11)),
        "two files": lambda: page.request(
            "POST", f"{API}/upload", form(b"a")[:-11] + form(b"b"), **FORM
        ),
        "a length too short": lambda: _status(
            page.raw(start + length % 30 + form(b"a" * 1000))
        ),
        "a length that is none": lambda: _status(page.raw(start + b"Content-Length: -1\r\n\r\n")),
        "two lengths": lambda: _status(
            page.raw(start + b"Content-Length: 5\r\n" + length % 6 + b"aaaaaa")
        ),
        "no form": lambda: page.request("POST", f"{API}/upload", b"a" * 1000),
        "a form without an end": lambda: page.request(
            "POST", f"{API}/upload", form(b"a")[:-13], **FORM
        ),
        "a form without a file": lambda: page.request(
            "POST", f"{API}/upload", form(b"a", field="other"), **FORM
        ),
        "a question of 21 MB": lambda: page.join("a", ["a" * (21 << 20)]),
    }  # fmt: skip
    for what, trial in trials.items():
        try:
            status, text = trial()
        except (ConnectionError, BrokenPipeError):
            status, text = 0, "connection ended"
        assert status in (0, 400, 413), (what, status, text)
        assert page.settled() == [], what
        recorded(
            f"page: an upload too large, false or none: {what}", 0, f"refused: {status or text}"
        )
    assert page.megabytes("VmHWM") - base < MOST
    assert answers(page, said)


def _status(answered: bytes) -> tuple[int, str]:
    if not answered:
        return 0, "connection ended"
    return int(answered.split()[1]), answered.decode(errors="replace")


READ = ("64 x 64", "in a circle")  # pictures, though odd ones


def bombs(everything: bool) -> dict[str, bytes]:
    if everything:
        return {f"{one.kind}, {one.what}": one.data for one in harmful() if len(one.data) < 20e6}
    return {
        "text": b"age,gender\n1,2\n", "nothing": b"", "SVG": b"<svg onload='x()'/>",
        "HTML": SCRIPT.encode(), "PNG, 30,000 x 30,000": png(30_000, 30_000, zeros(9000)),
        "PNG, half": FACES[0][:2000], "zeros": bytes(5000),
    }  # fmt: skip


@pytest.mark.parametrize("everything", [False, slow(True)])
def test_what_is_no_picture_or_a_bomb_is_told(everything: bool, page: Page, said: list[str]):
    page.forget_peak()
    base = page.megabytes("VmRSS")
    for what, data in bombs(everything).items():
        heard = page.ask(data)
        told = "No answer: " in heard
        assert told or what.endswith(READ), what
        assert SCRIPT not in heard
        recorded(f"page: no picture or a bomb: {what}", 0, "told" if told else "answered")
    assert page.megabytes("VmHWM") - base < 2 * MOST
    assert page.settled() == []
    assert answers(page, said)


def test_no_path_leads_out(page: Page):
    for path in TRICKS:
        path = path.replace("TMP", str(page.temporary))
        line = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        status, text = _status(page.raw(line.encode()))
        assert status in (400, 403, 404), (path[:80], status)
        assert "root:" not in text
        assert "PATH=" not in text
        shown_path = path.replace(str(page.temporary), "TMP")[:60]
        what = f"page: a path that leads out or is not needed: {shown_path}"
        recorded(what, 0, f"refused: {status}")
    assert page.request("GET", "/")[0] == 200


def test_odd_requests_are_refused(page: Page):
    head, end = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n", b"Connection: close\r\n\r\n"
    whole = form(b"a")
    post = b"POST /gradio_api/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n"
    post = post % len(whole) + b"Content-Type: multipart/form-data; boundary=limit\r\n"
    methods = (b"PUT", b"DELETE", b"PATCH", b"TRACE", b"OPTIONS", b"BREW", b"CONNECT", b"POST")
    trials = {f"method {one.decode()}": one + head[3:] + end for one in methods} | {
        "a header of 200 kB": head + b"X: " + b"a" * 200_000 + b"\r\n" + end,
        "no HTTP": b"\x16\x03\x01" + bytes(300) + b"\r\n\r\n",
        "no host": b"GET / HTTP/1.1\r\n" + end,
        "another host": b"GET / HTTP/1.1\r\nHost: evil.example\r\n" + end,
        "another host that begins like this": b"GET / HTTP/1.1\r\nHost: 127.0.0.1.evil.io\r\n"
        + end,
        "a form of another page": post + b"Origin: http://evil.example\r\n" + end + whole,
        "a form of a local file": post + b"Origin: null\r\n" + end + whole,
        "a form of another port": post + b"Origin: http://127.0.0.1:1\r\n" + end + whole,
    }  # fmt: skip
    for what, data in trials.items():
        status, text = _status(page.raw(data))
        assert status in (0, 400, 403, 404, 405, 501), (what, status)
        assert status or what == "a header of 200 kB"
        assert page.settled() == []
        recorded(
            f"page: another method, host, origin or protocol: {what}",
            0,
            f"refused: {status or text}",
        )
    assert page.request("GET", "/")[0] == 200


def test_questions_by_hand_are_refused(page: Page):
    (page.temporary / "mine.png").write_bytes(FACES[0])
    trials = {
        "an address of elsewhere": [picture("http://127.0.0.1:1/a.png")],
        "a file of the machine": [picture("/etc/passwd")],
        "a file beside the uploads": [picture(str(page.temporary / "mine.png"))],
        "an upload that is none": [picture(str(page.temporary / f"upload_{'0' * 32}/picture"))],
        "an address inside": [{"a": picture("http://127.0.0.1:1/a.png")}],
        "a list": [["a"]], "a word": ["a"], "a number": [1], "no list": 5, "nothing": None,
        "a nest of 900 lists": [json.loads("[" * 900 + "]" * 900)],
    }  # fmt: skip
    for what, given in trials.items():
        status, text = page.join(uuid4().hex, given)
        assert status == 400, (what, status, text)
        recorded(f"page: a question by hand: {what}", 0, f"refused: {status}")
    for body in (b"{", b"", b"\xff\xfe", b"[" * 60_000, b'{"data": []}', b"5"):
        status, _ = page.request("POST", f"{API}/queue/join", body, **JSON)
        assert status in (400, 422), body[:20]
        recorded(f"page: a question by hand: {body[:12]!r}", 0, f"refused: {status}")
    assert (page.temporary / "mine.png").read_bytes() == FACES[0]
    (page.temporary / "mine.png").unlink()
    assert page.request("GET", "/")[0] == 200


@pytest.mark.parametrize(
    "name",
    [
        SCRIPT, "../../../../tmp/out.png", "a\0b.png", "", slow("/etc/passwd"), slow("a" * 5000),
        slow(".."), slow("\u00e9\u202e"),
    ],
)  # fmt: skip
def test_names_of_files_are_not_used(name: str, page: Page, said: list[str]):
    status, path = page.upload(FACES[1], name)
    if len(name) > 4000:  # longer than a part's header may be
        assert status == 400
        return
    assert status == 200
    assert Path(json.loads(path)[0]).name == "picture"
    session = uuid4().hex
    page.join(session, [picture(json.loads(path)[0])])
    assert _words(page.hear(session)) == said[1]
    assert page.settled() == []
    recorded(f"page: a file's name: {name[:30]!r}", 0, "not used")


def test_nobody_hears_the_answers_of_others(page: Page, said: list[str]):
    mine = uuid4().hex
    path = json.loads(page.upload(FACES[2])[1])[0]
    assert page.join(mine, [picture(path)])[0] == 200
    folder = path.rpartition("/upload_")[0]
    guesses = ("", "0", "%", "*", mine[:-1], mine.upper(), "null", "undefined", "../" + mine)
    for guess in guesses:
        heard = page.hear(guess)
        assert "session_not_found" in heard, (guess, heard)
        assert "<div" not in heard
        recorded(f"page: a guessed session: {guess.replace(mine, 'MINE')[:12]}", 0, "not found")
    for place in (folder, f"{folder}/upload_*/picture", f"{path}/../picture", f"{path}/"):
        assert page.request("GET", f"{API}/file={place}")[0] == 404
        recorded(f"page: a guessed file: {place.replace(folder, 'TMP')[:20]}", 0, "not found")
    assert _words(page.hear(mine)) == said[2]
    assert page.request("GET", f"{API}/file={path}")[0] in (403, 404)


def test_one_picture_of_two_clients_is_answered_twice(page: Page, said: list[str]):
    paths = [json.loads(page.upload(FACES[4])[1])[0] for _ in range(2)]
    assert len(set(paths)) == 2
    for path in paths:
        session = uuid4().hex
        assert page.join(session, [picture(path)])[0] == 200
        assert _words(page.hear(session)) == said[4]
        recorded("page: one picture of two clients", 0, "answered each")


def test_clients_that_go_away_leave_nothing(page: Page, said: list[str]):
    whole = form(FACES[3] + bytes(3_000_000))
    head = f"POST {API}/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(whole)}\r\n"
    head += f"Content-Type: {FORM['Content-Type']}\r\n\r\n"
    for sent in (0, 10, 5000, 2_000_000, len(whole) - 1):
        with socket.create_connection(("127.0.0.1", page.port)) as connection:
            connection.sendall(head.encode() + whole[:sent])
            time.sleep(0.2)
            if sent % 2 == 0:  # an end without a goodbye
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert page.settled() == []
        recorded(f"page: a client gone in an upload: after {sent:,} bytes", 0, "nothing left")
    for number in range(3):
        session, path = uuid4().hex, json.loads(page.upload(FACES[number])[1])[0]
        assert page.join(session, [picture(path)])[0] == 200
        assert page.settled(30) == []
        recorded("page: a client gone before its answer", number, "answered, nothing left")
    assert answers(page, said)


@pytest.mark.slow
def test_uploads_that_nobody_asks_about_are_bounded_and_go(page: Page, said: list[str]):
    statuses = Counter(page.upload(FACES[0])[0] for _ in range(70))
    assert statuses == {200: 64, 503: 6}
    assert page.ask(FACES[0]) == "busy"
    assert len(page.files()) == 64
    assert page.settled(150) == []
    assert answers(page, said)
    recorded("page: 70 uploads that nobody asks about", 0, "64 kept, 6 busy, all gone in 150 s")


@pytest.mark.slow
def test_answers_that_nobody_hears_are_bounded(page: Page, said: list[str]):
    """Gradio keeps those of 2,000 sessions."""
    page.forget_peak()
    base, asked = page.megabytes("VmRSS"), 0
    while asked < 50:
        path = json.loads(page.upload(FACES[asked % 8])[1])[0]
        status, _ = page.join(uuid4().hex, [picture(path)])
        assert status in (200, 503)
        asked += status == 200
        assert page.settled() == []
    more = page.megabytes("VmHWM") - base
    assert more < MOST
    assert answers(page, said)
    recorded("page: 50 answers that nobody hears", 0, f"{more:.0f} MB more at the peak")


@pytest.mark.slow
def test_more_connections_than_allowed_are_told(page: Page, said: list[str]):
    many = [socket.create_connection(("127.0.0.1", page.port)) for _ in range(600)]
    status, text = page.request("GET", "/")
    assert (status, text) == (503, "Service Unavailable")
    for connection in many:
        connection.close()
    time.sleep(1)
    assert answers(page, said)
    recorded("page: 600 connections", 0, "busy: 503, then answers again")


def test_it_listens_on_this_machine_alone(page: Page):
    assert page.listens_at() == {"0100007F"}
    recorded("page: where it listens", 0, "127.0.0.1 alone")


@pytest.mark.slow
def test_it_warns_where_others_are_let_in(tmp_path: Path):
    with shown(tmp_path / "all", "host=0.0.0.0") as (page, errors):
        assert page.listens_at() == {"00000000"}
        assert "warning: host=0.0.0.0 lets everybody who can reach this machine" in (
            errors.read_text()
        )
        assert page.request("GET", "/", Host="elsewhere.example")[0] == 200
    recorded("page: where it listens, host=0.0.0.0", 0, "everywhere, and warns")
