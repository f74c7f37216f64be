"""The engine's books against what the readers and writers counted for themselves.

    published = received + skipped + overrun            frames, by their ordinals
    numbers   = published + lost with a writer          by their seq

A reader killed between taking a frame and looking at it leaves one that was received and not looked at: at most one
for each time that it was started again.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from engine.ring import WORD
from engine.ring_reader import Policy
from engine.stress.show import Show

COUNTED = ("seen", "torn", "repeated", "back", "missed", "lost", "seq", "ordinal")


@dataclass
class Reader:
    """One reader's books. own: what it counted itself, or None of a node that keeps no count of its own.

    wrong: a sentence for each thing that does not add up.
    """

    stream: str
    name: str
    policy: str
    published: int
    received: int
    skipped: int
    overrun: int
    lost: int
    torn_retries: int
    before: int = 0  # frames that were published before it opened the stream
    own: dict[str, int] | None = None
    wrong: list[str] = field(default_factory=list)


@dataclass
class Writer:
    """begun, done: what the writer counted itself, or None."""

    stream: str
    node: str
    published: int
    numbers: int
    begun: int | None = None
    done: int | None = None
    wrong: list[str] = field(default_factory=list)


def audit(show: Show, tallies: dict[str, dict[str, int]], quiet: set[str]) -> tuple[list[Writer], list[Reader]]:
    """Read the books of all streams once nothing is under way in those that are `quiet`.

    tallies: own counts by node. A stream that could not be made quiet is itself something wrong.
    """
    writers, readers = [], []
    policies = {(spec.name, port): edge.policy for spec in show.config.nodes for port, edge in spec.inputs.items()}
    for row, stream in enumerate(show.config.streams):
        numbers, published = show.ring(row)[0].words[WORD["head"]], show.published(row)
        own = tallies.get(stream.node, {})
        writer = Writer(stream.name, stream.node, published, numbers, own.get("begun"), own.get("done"))
        if stream.name not in quiet:
            writer.wrong.append("frames were still under way at the end, so nothing can be said")
        writer.wrong += check_writer(writer, show.node(stream.node)["restarts"])
        writers.append(writer)
        for node, port, books in show.books(row):
            late = policies[node, port] in (Policy.LATEST, Policy.PAIRED)
            reader = Reader(
                stream.name, node, policies[node, port].value, published, books.received,
                books.missed if late else 0, 0 if late else books.missed, books.lost, books.torn_retries,
                own={key: tallies[node][key] for key in COUNTED} if node in tallies else None,
            )  # fmt: skip
            reader.wrong += check_reader(reader, numbers, show.node(node)["restarts"])
            readers.append(reader)
    return writers, readers


def check_writer(writer: Writer, restarts: int) -> list[str]:
    """What does not add up; `restarts` bounds what may have died with it."""
    wrong = []
    if writer.numbers < writer.published:
        wrong.append(f"{writer.published} frames were published under {writer.numbers} numbers")
    if writer.begun is not None and writer.done is not None:
        if not writer.done <= writer.published <= writer.begun:
            wrong.append(f"it wrote {writer.done} to {writer.begun} frames, and {writer.published} count as published")
        if writer.begun - writer.done > restarts:
            wrong.append(f"{writer.begun - writer.done} frames were begun and not published, in {restarts} restarts")
    return wrong


def check_reader(reader: Reader, numbers: int, restarts: int) -> list[str]:
    """What does not add up. numbers: the stream's newest. restarts: of the reader."""
    wrong = []
    accounted = reader.before + reader.received + reader.skipped + reader.overrun
    if accounted != reader.published:
        wrong.append(f"{reader.published} frames were published and {accounted} are accounted for")
    if accounted + reader.lost != numbers:
        wrong.append(f"{numbers} numbers were given and {accounted + reader.lost} are accounted for")
    if reader.own is not None:
        own, missed = reader.own, reader.skipped + reader.overrun
        unseen = reader.received - own["seen"]
        if not 0 <= unseen <= restarts:
            wrong.append(f"{reader.received} count as received, {own['seen']} were looked at, in {restarts} restarts")
        last = reader.published - own["ordinal"]  # where it died with the very last frame
        if last > unseen or own["missed"] + last - missed != unseen:
            wrong.append(f"{missed} count as missed, and its own count of the gaps is {own['missed']}")
        if own["lost"] + numbers - own["seq"] - last != reader.lost:
            wrong.append(f"{reader.lost} count as lost, and its own count is {own['lost']}")
    return wrong + [
        f"{reader.own[key]} {words}" for key, words in
        (("torn", "torn"), ("repeated", "repeated"), ("back", "came out of order"))
        if reader.own and reader.own[key]
    ]  # fmt: skip


def viewer(stream: str, name: str, counts: dict[str, int], published: int, numbers: int, numbered: bool) -> Reader:
    """The books of a reader of TouchDesigner's kind, which keeps its own: its `skipped` against what it saw.

    Of streams whose pictures carry no numbers it knows no ordinals: whatever is missing from the numbers and was not
    skipped then counts as lost. published, numbers: of the stream at the end, or of its last frame, for one that left.
    """
    first = counts["first_ordinal"] if numbered else counts["first_seq"]
    before, span = max(first - 1, 0), max(counts["seq"] - max(counts["first_seq"] - 1, 0), 0)
    own = {key: counts[key] for key in COUNTED}
    if numbered:
        own["missed"] -= before  # what came before it opened is no gap
        lost = own["lost"] = span - (counts["ordinal"] - before)
    else:
        lost = own["lost"] = span - counts["seen"] - counts["skipped"]
        own["missed"] = counts["skipped"]
        published = own["ordinal"] = before + counts["seen"] + counts["skipped"]
        numbers = published + lost
    seen, skipped = counts["seen"], counts["skipped"]
    reader = Reader(stream, name, "TouchDesigner", published, seen, skipped, 0, lost, 0, before, own)
    if seen:
        first_lost = counts["first_seq"] - counts["first_ordinal"] if numbered else 0
        own["seq"] -= first_lost
        reader.wrong = check_reader(reader, numbers - first_lost, 0)
        if lost < 0:
            reader.wrong.append("it counted more frames than there were numbers")
    else:
        reader.wrong = ["it never got a picture"] if counts["polls"] > 20 else []
    return reader


def totals(readers: list[Reader]) -> dict[str, int]:
    """torn, repeated and back of all readers together, and how many frames were looked at."""
    owns: list[dict[str, Any]] = [reader.own for reader in readers if reader.own]
    return {key: sum(own[key] for own in owns) for key in ("seen", "torn", "repeated", "back")}


def as_dicts(items: list[Any]) -> list[dict[str, Any]]:
    return [asdict(item) for item in items]
