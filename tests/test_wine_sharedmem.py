"""TouchDesigner's native shared memory, byte for byte, between real Windows processes (under Wine).

The receiver is a C program (tests/wine/touch_receiver.c) that shares nothing with the sender.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
from wine_kit import PROGRAMS, Program, Windows, compiled, needs_wine, windows_path

pytestmark = needs_wine

HEADER = "1 {} {} 37 1 1 48 {}"  # version, width, height, RGBA8, aspect, offset, bytes


@pytest.fixture(scope="module")
def receiver_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(PROGRAMS / "touch_receiver.c", tmp_path_factory.mktemp("receiver"))


class Show:
    """A sender and the receivers of one name."""

    def __init__(self, windows: Windows, folder: Path, receiver: Path, name: str):
        self.windows, self.folder, self.name, self._receiver = windows, folder, name, receiver
        self.raw = folder / "picture.raw"

    def sender(self, info: str = "both") -> Program:
        return self.windows.python(PROGRAMS / "touch_sender.py", self.name, info)

    def receiver(self, prefixes: int = 2) -> Program:
        return self.windows.run(self._receiver, self.name, prefixes)

    def get(self, receiver: Program) -> str:
        self.raw.unlink(missing_ok=True)
        return receiver.ask(f"get {windows_path(self.raw)}")

    def shows(self, receiver: Program, width: int, height: int, seed: int) -> str:
        """The receiver has exactly this picture. Returns the postfix of its section."""
        says, _, postfix = self.get(receiver).partition(" postfix=")
        assert says == HEADER.format(width, height, width * height * 4)
        expected = (np.arange(width * height * 4, dtype=np.uint64) * seed % 251).astype(np.uint8)
        assert np.array_equal(np.fromfile(self.raw, np.uint8), expected)
        return postfix


@pytest.fixture
def show(windows: Windows, tmp_path: Path, receiver_program: Path, request: pytest.FixtureRequest) -> Show:
    return Show(windows, tmp_path, receiver_program, f"{request.node.name[:30]}{os.getpid()}".replace("[", "-"))


def told(sender: Program, *lines: str) -> None:
    for line in lines:
        assert sender.ask(line) == "ok"


def test_pictures_arrive_whole_and_equal_and_a_new_size_moves_to_a_new_name(show: Show) -> None:
    receiver, sender = show.receiver(), show.sender()
    assert show.get(receiver) == "none"
    told(sender, "open 64 48")
    assert show.get(receiver) == "none"  # a section without a picture yet
    told(sender, "write 7")
    assert show.shows(receiver, 64, 48, 7) == ""
    told(sender, "write 8")
    assert show.shows(receiver, 64, 48, 8) == ""
    assert sender.ask("answered") == "double"
    postfixes = set()
    for number, (width, height) in enumerate([(1920, 1080), (33, 17), (1280, 720)]):
        told(sender, f"resize {width} {height}")
        assert show.get(receiver) == "none"  # the new section, empty; the TOP keeps what it shows
        told(sender, f"write {number + 3}")
        postfix = show.shows(receiver, width, height, number + 3)
        assert len(postfix) in (0, 31)
        postfixes.add(postfix)
    assert len(postfixes) == 3


def test_no_picture_is_torn_while_both_run_flat_out(show: Show) -> None:
    receiver, sender = show.receiver(), show.sender()
    told(sender, "open 640 480", "flood 1")
    assert show.get(receiver) != "none"
    sender.tell("flood 3000")
    said = receiver.ask("watch 1000")
    assert sender.hear() == "ok"
    changes, torn = (int(number) for number in re.findall(r"\d+", said))
    assert changes > 20 and torn == 0


def test_a_restarted_sender_goes_on_in_the_section_that_the_receiver_holds(show: Show) -> None:
    receiver, sender = show.receiver(), show.sender()
    told(sender, "open 40 30", "write 5")
    show.shows(receiver, 40, 30, 5)
    told(sender, "resize 50 30", "write 6")
    postfix = show.shows(receiver, 50, 30, 6)
    sender.kill()
    assert show.shows(receiver, 50, 30, 6) == postfix  # the last picture stays
    sender = show.sender()
    told(sender, "open 50 30")
    assert show.shows(receiver, 50, 30, 6) == postfix  # and stays, until there is another
    told(sender, "write 9")
    assert show.shows(receiver, 50, 30, 9) == postfix
    sender.kill()
    sender = show.sender()
    told(sender, "open 20 10", "write 11")  # and in another size in another one
    assert show.shows(receiver, 20, 10, 11) not in ("", postfix)


def test_a_sender_that_is_killed_in_the_middle_of_a_picture_locks_nobody_out(show: Show) -> None:
    receiver, sender = show.receiver(), show.sender()
    told(sender, "open 40 30", "write 5")
    show.shows(receiver, 40, 30, 5)
    told(sender, "half")
    sender.kill()
    assert show.get(receiver) == "none"  # half overwritten, its header too
    sender = show.sender()
    told(sender, "open 40 30", "write 6")
    show.shows(receiver, 40, 30, 6)
    assert receiver.ask("hold") == "held"
    receiver.kill()
    told(sender, "write 7")
    receiver = show.receiver()
    show.shows(receiver, 40, 30, 7)


def test_a_receiver_that_hangs_costs_pictures_and_then_a_sentence_but_no_standstill(show: Show) -> None:
    receiver, sender = show.receiver(), show.sender()
    told(sender, "open 40 30", "write 5")
    show.shows(receiver, 40, 30, 5)
    assert receiver.ask("hold") == "held"
    told(sender, "write 6")
    said = "ok"
    while said == "ok":
        said = sender.ask("write 7")
    assert "has not let go of the picture for 2 s" in said
    assert receiver.ask("free") == "free"
    told(sender, "write 8")
    show.shows(receiver, 40, 30, 8)


def test_the_receiver_is_told_to_let_go_and_finds_the_sender_again(show: Show) -> None:
    receiver, sender = show.receiver(), show.sender()
    told(sender, "open 40 30", "write 5")
    show.shows(receiver, 40, 30, 5)
    told(sender, "close", "close")
    assert show.get(receiver) == "none"
    told(sender, "open 44 30", "write 6")
    assert show.shows(receiver, 44, 30, 6) == ""  # nobody held the old one any more


@pytest.mark.parametrize(("info", "prefixes"), [("single", 1), ("double", 2), ("both", 1)])
def test_the_info_block_is_found_under_either_name(show: Show, info: str, prefixes: int) -> None:
    receiver, sender = show.receiver(prefixes), show.sender(info)
    told(sender, "open 40 30", "write 5")
    show.shows(receiver, 40, 30, 5)
    assert sender.ask("answered") == {1: "single", 2: "double"}[prefixes]
    told(sender, "resize 60 30", "write 6")
    assert len(show.shows(receiver, 60, 30, 6)) == 31


def test_a_receiver_without_the_info_block_sees_every_size_that_fits(show: Show) -> None:
    receiver, sender = show.receiver(prefixes=0), show.sender()
    told(sender, "open 40 30", "write 5")
    show.shows(receiver, 40, 30, 5)
    told(sender, "resize 20 30", "write 6")
    show.shows(receiver, 20, 30, 6)
    told(sender, "resize 400 300", "write 7")
    show.shows(receiver, 20, 30, 6)  # it holds the old section; looked for again, the new one is under another name
    receiver.kill()
    told(sender, "resize 400 301", "write 8")
    show.shows(show.receiver(prefixes=0), 400, 301, 8)


def test_two_senders_of_one_name_are_told_apart(show: Show) -> None:
    first, second = show.sender(), show.sender()
    told(first, "open 40 30", "write 5")
    said = second.ask("open 40 30")
    assert f"sends as '{show.name}' already. Choose another name" in said
    receiver = show.receiver()
    show.shows(receiver, 40, 30, 5)
    told(second, "close")
    first.kill()
    told(second, "open 40 30", "write 6")
    show.shows(receiver, 40, 30, 6)
