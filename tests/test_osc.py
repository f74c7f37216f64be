"""The OSC gateway on real sockets; the nodes and the clock of its supervisor are moved by hand."""

from __future__ import annotations

import json
import math
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from osc_kit import Client, bundle
from supervisor_kit import NODES, Show, make_fixture, show_fixture  # noqa: F401

from engine import bus
from engine.bus import Ack, Set
from engine.errors import BadInput
from engine.osc import MOST_A_ROUND, MOST_SUBSCRIBERS, SAME_ANSWERS
from engine.osc_codec import encode

AXIS, FADE = "/utsushi/node/mirror/axis", "/utsushi/node/output/fade"


@pytest.fixture(name="clients")
def clients_fixture(show: Show) -> Iterator[Callable[[], Client]]:
    made: list[Client] = []

    def make() -> Client:
        assert show.engine.osc
        made.append(Client(show.engine.osc.port))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(name="td")
def td_fixture(clients: Callable[[], Client]) -> Client:
    return clients()


def say(show: Show, td: Client, address: str, *values: Any) -> list[list[Any]]:
    """Send a message, let the engine go one round, and return the answers."""
    td.send(address, *values)
    show.tick()
    return td.answers()


def heard(show: Show, td: Client, seconds: float = 0.1) -> dict[str, list[Any]]:
    show.tick(seconds)
    return dict(td.received())


def told(show: Show, node: str) -> list[Set]:
    """What the node was told on the control port."""
    identity = show.life(node).identity
    return [message for to, message in show.sent if to == identity and isinstance(message, Set)]


# --- settings ---


def test_a_value_reaches_the_node_with_a_version_in_the_round_in_which_it_came(show: Show, td: Client) -> None:
    assert say(show, td, AXIS, "y") == [[1, AXIS, 1, ""]]
    assert told(show, "mirror") == [Set(node="mirror", values={"axis": "y"}, version=1)]
    assert say(show, td, AXIS, "x") == [[1, AXIS, 2, ""]]
    assert told(show, "mirror")[-1].version == 2


@pytest.mark.parametrize(
    "address, values, sentence",
    [
        (FADE, [-1.0], "'fade' must be greater than or equal to 0, found -1.0; the old value stays"),
        (FADE, [math.nan], "'fade' must be a number"),
        (FADE, [math.inf], "'fade' must be"),
        (FADE, ["a lot"], "'fade' takes a number, and 'a lot' came."),
        (FADE, [], "'fade' takes 1 value, and 0 came."),
        (FADE, [0.1, 0.2], "'fade' takes 1 value, and 2 came."),
        ("/utsushi/node/output/hold_after", [30.0], "placeholder_after (3.0 s) comes before hold_after (30.0 s)"),
        ("/utsushi/node/output/fit", ["bent"], "'fit' must be 'contain', 'cover' or 'stretch', found the text 'bent'"),
        ("/utsushi/node/output/fad", [1.0], "output has no live setting 'fad'; did you mean 'fade'?"),
        ("/utsushi/node/output/size", [8, 8], "output has no live setting 'size'"),
        ("/utsushi/node/outputs/fade", [1.0], "There is no node 'outputs'; did you mean 'output'?"),
        ("/utsushi/node/output", [1.0], "There is no address '/utsushi/node/output'"),
        ("/utsushi/engine/explode", [], "There is no address '/utsushi/engine/explode'"),
        ("/", [], "There is no address '/'"),
        ("/fade", [1.0], "There is no address '/fade'"),
    ],
)
def test_what_is_refused_is_answered_and_the_old_value_stays(
    show: Show, td: Client, address: str, values: list[Any], sentence: str
) -> None:
    before = show.life("output").settings
    ((ok, where, version, text),) = say(show, td, address, *values)
    assert (ok, where, version) == (0, address, 0) and sentence in text
    assert show.life("output").settings == before and told(show, "output") == []
    assert say(show, td, FADE, 2.0) == [[1, FADE, 1, ""]]
    assert show.engine.osc and (show.engine.osc.received, show.engine.osc.refused) == (2, 1)
    assert show.engine.figures()["osc"] == {"received": 2, "refused": 1}


def test_the_answer_to_a_refusal_tells_the_version_that_holds(show: Show, td: Client) -> None:
    say(show, td, FADE, 2.0)
    assert [answer[:3] for answer in say(show, td, FADE, -2.0)] == [[0, FADE, 1]]


def test_garbage_is_answered_and_the_next_message_works(show: Show, td: Client) -> None:
    for number, datagram in enumerate((b"", b"\0" * 2000, b"hello", b"/ab\0,x\0\0", b"#bundle\0", b"\xff" * 60000), 1):
        td.raw(datagram)
        show.tick()
        ((ok, where, _, text),) = td.answers() or [[0, "", 0, "no OSC"]]  # a bare head of a bundle holds no message
        assert (ok, where) == (0, "") and "OSC" in text
        assert [answer[0] for answer in say(show, td, FADE, number / 10)] == [1]


def test_a_bundle_does_what_is_good_in_it(show: Show, td: Client) -> None:
    good = [encode(FADE, 1.5), encode(AXIS, 7), encode(AXIS, "y")]
    td.raw(bundle(good[0], b"/ab\0,x\0\0", *good[1:], encode("/nowhere")) + b"\0\0")
    show.tick()
    assert [(ok, where) for ok, where, *_ in td.answers()] == [
        (1, FADE), (0, ""), (0, AXIS), (1, AXIS), (0, "/nowhere"), (0, ""),
    ]  # fmt: skip
    assert show.life("mirror").settings.model_dump()["axis"] == "y"


def test_a_chop_that_sends_the_same_all_the_time_makes_no_new_versions(show: Show, td: Client) -> None:
    say(show, td, FADE, 0.7)
    show.sent.clear()
    for _ in range(3):
        assert say(show, td, FADE, 0.7) == [[1, FADE, 1, ""]]
    assert say(show, td, AXIS, 0.0) == [[1, AXIS, 0, ""]]  # the first word of the menu, which it is already
    assert show.sent == [] and show.life("output").version == 1


def test_a_flood_is_done_in_bounded_rounds_beside_the_control_port(
    show: Show, td: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    td.raw(bundle(*[encode(FADE, 1 + number / 1000) for number in range(2 * MOST_A_ROUND)]))
    for _ in range(3000):
        td.raw(b"noise")
    assert show.ask(Set(node="mirror", values={"axis": "y"}, version=0)) == Ack(ok=True, version=1)
    osc, waits = show.engine.osc, []  # type: ignore[var-annotated]
    assert osc and osc.received == MOST_A_ROUND and osc.waiting
    monkeypatch.setattr(show.engine.server, "wait", waits.append)
    for _ in range(100):
        show.tick(0.01)
    assert waits[0] == 0 < waits[-1]  # what is left over is done at once
    assert not osc.waiting and show.life("output").version == 2 * MOST_A_ROUND
    td.received()
    assert say(show, td, FADE, 0.0)[0][0] == 1


# --- commands ---


def test_nodes_are_paused_and_started(show: Show, td: Client) -> None:
    assert say(show, td, "/utsushi/engine/pause", "camera") == [[1, "/utsushi/engine/pause", 0, ""]]
    assert [life.paused for life in show.engine.lives] == [True, False, False]
    say(show, td, "/utsushi/engine/pause")
    assert all(life.paused for life in show.engine.lives)
    assert say(show, td, "/utsushi/engine/start", 0.0)[0][0] == 1  # a button that is let go of
    assert all(life.paused for life in show.engine.lives)
    say(show, td, "/utsushi/engine/start", 1.0)
    assert not any(life.paused for life in show.engine.lives)
    for values, sentence in (
        (["nobody"], "no node 'nobody'"),
        ([2], "takes the name"),
        ([""], "takes"),
        ([1, 2], "takes"),
    ):
        ((ok, _, _, text),) = say(show, td, "/utsushi/engine/pause", *values)
        assert ok == 0 and sentence in text
    assert not any(life.paused for life in show.engine.lives)


def test_stop_is_answered_and_ends_the_engine(show: Show, td: Client) -> None:
    say(show, td, "/utsushi/engine/stop", 0)
    assert not show.engine.stopping
    td.send("/utsushi/engine/subscribe", td.port)
    assert [1, "/utsushi/engine/stop", 0, ""] in say(show, td, "/utsushi/engine/stop")
    assert show.engine.stopping
    assert heard(show, td, 1)["/utsushi/engine/state"] == ["STOPPING", ""]


# --- telling ---


def test_whoever_asks_is_told_everything_once(show: Show, td: Client) -> None:
    td.send("/utsushi/engine/ask")
    messages = heard(show, td)
    assert messages["/utsushi/engine/state"] == ["RUNNING", ""]
    assert messages["/utsushi/status/mirror/state"] == ["RUNNING", ""]
    assert messages[AXIS] == ["x", 0] and messages[FADE] == [pytest.approx(0.4), 0]
    assert messages["/utsushi/engine/answer"] == [1, "/utsushi/engine/ask", 0, ""]
    assert heard(show, td, 1) == {}


def test_a_subscriber_is_told_everything_then_each_second_until_it_runs_out(show: Show, td: Client) -> None:
    td.send("/utsushi/engine/subscribe", float(td.port))
    first = heard(show, td)
    assert first[AXIS] == ["x", 0] and "/utsushi/engine/state" in first
    assert heard(show, td) == {}
    camera = show.life("camera").row
    for _ in range(30):
        camera.step_ns.add(4_000_000)
    show.ask(bus.Metrics(values={"people": 2.0, "the lens": "wide"}), show.life("camera").identity)
    show.run()
    td.received()
    second = heard(show, td, 1)
    assert second["/utsushi/engine/state"] == ["RUNNING", ""] and AXIS not in second
    assert second["/utsushi/status/camera/fps"][0] > 20
    assert second["/utsushi/status/camera/step_ms"] == [pytest.approx(4, rel=0.1)]
    assert second["/utsushi/status/camera/skipped"] == [0] and second["/utsushi/status/camera/restarts"] == [0]
    assert second["/utsushi/status/camera/metric/people"] == [2.0]
    assert second["/utsushi/status/camera/metric/the_lens"] == ["wide"]
    show.run()
    td.send("/utsushi/engine/subscribe", td.port)
    renewed = heard(show, td, 8)
    assert "/utsushi/engine/answer" in renewed and AXIS not in renewed
    for _ in range(9):
        show.run()
        show.tick(1)
    assert td.received()
    show.run()
    show.tick(1.5)
    td.received()
    assert heard(show, td, 1) == {}


def test_changes_are_told_to_all_who_listen_at_once(show: Show, clients: Callable[[], Client]) -> None:
    one, other, stranger = clients(), clients(), clients()
    for client in (one, other):
        client.send("/utsushi/engine/subscribe", client.port)
    heard(show, one), other.received()
    stranger.send(AXIS, "y")
    show.tick(0.01)
    assert stranger.received() == [("/utsushi/engine/answer", [1, AXIS, 1, ""])]
    for client in (one, other):
        assert client.received() == [("/utsushi/engine/answer", [1, AXIS, 1, ""]), (AXIS, ["y", 1])]
    show.ask(Set(node="mirror", values={"axis": "x"}, version=0))  # through the control port
    assert [dict(client.received())[AXIS] for client in (one, other)] == [["x", 2]] * 2
    say(show, stranger, FADE, 1.0), one.received()
    stranger.send("/utsushi/node/output/fit", "cover")
    show.tick(0.01)
    assert one.received()[1:] == [("/utsushi/node/output/fit", ["cover", 2])]  # and of the fade nothing more
    show.life("camera").row.text = "no device"
    show.run("camera", phase="DEGRADED")
    found = heard(show, one, 0.01)
    assert found["/utsushi/status/camera/state"] == ["DEGRADED", "no device"]
    assert found["/utsushi/engine/state"] == ["DEGRADED", "camera: no device"]


def test_the_same_refusal_is_not_told_to_listeners_all_the_time(show: Show, clients: Callable[[], Client]) -> None:
    panel, chop = clients(), clients()
    panel.send("/utsushi/engine/subscribe", panel.port)
    show.tick()
    panel.received()
    show.tick(1)
    for _ in range(15):
        chop.send(FADE, -1.0)
    show.tick(0.1)
    assert len(chop.answers()) == 15 and len(panel.answers()) == SAME_ANSWERS
    show.tick(1)
    say(show, chop, FADE, -1.0)
    assert len(panel.answers()) == 1


def test_an_event_of_a_node_is_told_once(show: Show, td: Client) -> None:
    td.send("/utsushi/engine/subscribe", td.port)
    heard(show, td)
    show.ask(bus.Event(name="entered", values=[3, 0.5, "left"]), show.life("camera").identity)
    assert td.received() == [("/utsushi/event/camera/entered", [3, 0.5, "left"])]
    assert not any(where.startswith("/utsushi/event") for where in heard(show, td, 1))
    td.send("/utsushi/event/camera/entered", 3)
    assert "/utsushi/engine/answer" not in heard(show, td), "an echo is never answered"


def test_deaths_and_restarts_are_told_as_they_stand_on_the_screen(show: Show, td: Client) -> None:
    td.send("/utsushi/engine/subscribe", td.port)
    heard(show, td)
    show.newest("mirror").code = -9
    show.tick()
    messages = td.received()
    logs = [values for address, values in messages if address == "/utsushi/engine/log"]
    assert logs[0][:2] == ["WARNING", "mirror"] and "Starting it again" in logs[0][2] and logs[0][2] in show.said
    assert dict(messages)["/utsushi/engine/state"] == ["DEGRADED", "mirror: restarting"]
    show.ask(bus.Log(level="ERROR", text="x" * 5000), show.life("camera").identity)
    ((level, node, text),) = [values for address, values in td.received() if address == "/utsushi/engine/log"]
    assert (level, node, text[:9], len(text)) == ("ERROR", "camera", "camera: x", 1000)
    show.tick(0.5)
    show.run("mirror")
    assert heard(show, td, 1)["/utsushi/status/mirror/restarts"] == [1]


def test_offline_progress_is_told(make: Callable[..., Show]) -> None:
    show = make(nodes=NODES.split("  output")[0], mode="offline")
    assert show.engine.osc
    td = Client(show.engine.osc.port)
    show.tick()
    show.run()
    td.send("/utsushi/engine/subscribe", td.port)
    assert "/utsushi/engine/progress" not in heard(show, td, 1)  # nobody knows how much there is
    show.life("camera").row["total"] = 10
    show.run()
    assert heard(show, td, 1)["/utsushi/engine/progress"] == [0.0, -1.0]
    last = show.life("mirror").row
    last["steps"], last["first_step_ns"], last["last_step_ns"] = 6, 10 * 10**9, 20 * 10**9
    show.run()
    assert heard(show, td, 1)["/utsushi/engine/progress"] == [pytest.approx(0.6), 8.0]
    td.close()


def test_targets_are_told_without_asking(make: Callable[..., Show]) -> None:
    td = Client()
    show = make(osc=f"{{port: 0, targets: ['127.0.0.1:{td.port}']}}")
    assert heard(show, td)["/utsushi/engine/state"] == ["STARTING", "waiting for camera, mirror, output"]
    show.run()
    assert heard(show, td)["/utsushi/engine/state"] == ["RUNNING", ""]
    td.close()


def test_who_may_subscribe(show: Show, td: Client) -> None:
    for values in ([], ["9001"], [0], [65536], [math.nan], [9001, 9002]):
        ((ok, _, _, text),) = say(show, td, "/utsushi/engine/subscribe", *values)
        assert ok == 0 and "takes the UDP port" in text
    for port in range(MOST_SUBSCRIBERS):
        say(show, td, "/utsushi/engine/subscribe", 50000 + port)
    ((ok, _, _, text),) = say(show, td, "/utsushi/engine/subscribe", td.port)
    assert ok == 0 and "32 programs listen already" in text
    assert say(show, td, "/utsushi/engine/subscribe", 50000)[0][0] == 1  # one of them renews


def test_an_engine_that_hears_itself_or_another_one_does_not_go_on_for_ever(show: Show, td: Client) -> None:
    assert show.engine.osc
    td.send("/utsushi/engine/subscribe", show.engine.osc.port)
    for _ in range(20):
        show.run()
        show.tick(0.3)
    assert show.engine.osc.received < 300 and not show.engine.osc.waiting
    td.received()
    for address in ("/utsushi/engine/answer", "/utsushi/engine/state", "/utsushi/status/camera/fps"):
        assert say(show, td, address, 0) == []


# --- the port ---


def test_a_taken_port_is_no_reason_not_to_start(make: Callable[..., Show]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        taken = other.getsockname()[1]
        show = make(osc=f"{{port: {taken}}}")
        osc = show.engine.osc
        assert osc and osc.port not in (0, taken)
        assert show.said == [f"OSC port {taken} cannot be had on 127.0.0.1; OSC listens on {osc.port}."]
        show.tick()
        assert json.loads(show.engine.panel.path.read_text())["osc"] == {"host": "127.0.0.1", "port": osc.port}
        td = Client(osc.port)
        assert say(show, td, AXIS, "y")[0][0] == 1
        td.close()


def test_another_machines_address_cannot_be_listened_on(make: Callable[..., Show]) -> None:
    with pytest.raises(BadInput, match="OSC cannot listen on 192.0.2.1"):
        make(osc="{host: 192.0.2.1}")


def test_without_osc_there_is_no_port(make: Callable[..., Show]) -> None:
    show = make(osc="false")
    assert show.engine.osc is None and show.engine.figures()["osc"] is None
    show.tick()
    assert json.loads(show.engine.panel.path.read_text())["osc"] is None


def test_the_panel_file_tells_what_holds(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    path = show.engine.panel.path
    found = json.loads(path.read_text())
    assert (found["session"], found["engine"]) == (show.engine.session.id, show.engine.config.engine.name)
    show.ask(Set(node="mirror", values={"axis": "y"}, version=0))
    assert json.loads(path.read_text()) == found  # not at every turn of a slider
    monkeypatch.setattr("engine.panel.RENEW_NS", 0)
    show.tick()
    (axis,) = json.loads(path.read_text())["nodes"][1]["parameters"]
    assert (axis["value"], axis["version"]) == ("y", 1)
    monkeypatch.setattr("engine.panel.replace_file", lambda *_: (_ for _ in ()).throw(OSError(28, "the disk is full")))
    show.ask(Set(node="mirror", values={"axis": "x"}, version=0))
    show.tick(), show.tick()
    assert len([line for line in show.said if "the disk is full" in line]) == 1
