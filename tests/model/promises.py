"""What must hold, and what has to be remembered to judge it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .programs import READY, Programs


class Broken(Exception):
    """A promise that was not kept."""


class Reader(NamedTuple):
    """delivered: the newest number that it returned. counts, next: of its line, as they are and as they are to be.

    ring: where it is.
    """

    delivered: int = 0
    counts: tuple[int, int, int] = (0, 0, 0)
    next: tuple[int, int, int] | None = None
    ring: int = 0


class Past(NamedTuple):
    """begun: (ring, seq, epoch). published: (seq, epoch) in their order."""

    begun: frozenset[tuple[int, int, int]]
    published: tuple[tuple[int, int], ...]
    readers: tuple[Reader, ...]


def index_of(past: Past, seq: int) -> int:
    """The ordinal of a published frame."""
    return next((n for n, (published, _) in enumerate(past.published, 1) if published == seq), 0)


def judge(past: Past, thread: int, what: str, about: tuple, look: Callable[[str], Any], programs: Programs) -> Past:
    """Take note of something. look: what a word holds now. Raises `Broken`."""
    reader = past.readers[thread]
    match what, *about:
        case "begun", ring, seq, epoch:
            if any((ring, seq) == (r, s) and epoch != e for r, s, e in past.begun):
                raise Broken(f"number {seq}, which a dead writer had touched, was used again")
            return past._replace(begun=past.begun | {(ring, seq, epoch)})
        case "published", seq, epoch:
            if past.published and past.published[-1][0] >= seq:
                raise Broken(f"number {seq} was published after {past.published[-1][0]}")
            return past._replace(published=(*past.published, (seq, epoch)))
        case "delivered", seq, meta, payload:
            if meta[:2] != payload or payload[1] != seq:
                raise Broken(f"frame {seq} is torn: metadata {meta}, payload {payload}")
            if payload[::-1] not in past.published:
                raise Broken(f"frame {seq} was read, but never published")
            ordinal = past.published.index(payload[::-1]) + 1
            if meta[2] != ordinal:
                raise Broken(f"frame {seq} is the {ordinal}. that was published, and says it is the {meta[2]}.")
            if seq <= reader.delivered:
                raise Broken(f"frame {seq} was read after {reader.delivered}")
            kept = reader._replace(delivered=seq)
        case "counting", counts:
            if counts[2] != reader.counts[2] + 1 or counts[1] < counts[2] or counts[0] < counts[1]:
                raise Broken(f"counts {counts} after {reader.counts} do not balance")
            kept = reader._replace(next=counts)
        case ("counted",):
            kept = reader._replace(counts=reader.next, next=None)
        case "moved", ring, counts:
            if counts[0] < look(f"{ring}.base_seq"):
                raise Broken(f"a reader left its ring at frame {counts[0]}, before the last one there")
            kept = reader._replace(ring=ring)
        case "starts", ring:
            if look(f"{ring}.state") != READY:
                raise Broken("a frame was begun in a ring that nobody reads any more")
            return past
        case "row", generation, segment:
            if generation != segment:
                raise Broken(f"a row was read that tells of generation {generation} and of segment {segment}")
            return past
        case "resumed", ring, counts if ring > reader.ring and counts[2] < reader.counts[2]:
            # It died between the growing of the ring and its own move: what it read meanwhile counts as missed.
            if counts[1] != index_of(past, counts[0]):
                raise Broken(f"a reader went on from {counts}, which never were: mixed")
            kept = reader._replace(counts=counts, next=None, ring=ring)
        case "resumed", ring, counts:
            if counts not in (reader.counts, reader.next):
                raise Broken(f"a reader went on from {counts}; it had come to {reader.counts}, or {reader.next}")
            kept = reader._replace(counts=counts, next=None, ring=ring)
        case ("forgotten",):
            kept = reader._replace(delivered=0)
        case "observed", counts:
            if counts[1] != index_of(past, counts[0]) or counts[2] > counts[1]:
                raise Broken(f"counts {counts} were seen, which never were: mixed")
            return past
        case "ended", head:
            if head != past.published[-1][0]:
                raise Broken(f"the end was seen after frame {head}, before the last one")
            return past
        case "lapped", _, seq:
            if programs.lossless:
                raise Broken(f"frame {seq} was overwritten before everyone had read it")
            return past
        case "passed over", ring, seq:
            there = look(f"{ring}.base_seq") < seq and look(f"{ring}.mark{seq % programs.slots}") <= 2 * seq
            if index_of(past, seq) and (programs.lossless or there):
                raise Broken(f"frame {seq} was passed over, though it was there")
            return past
        case _:
            raise ValueError(what)
    return past._replace(readers=(*past.readers[:thread], kept, *past.readers[thread + 1 :]))
