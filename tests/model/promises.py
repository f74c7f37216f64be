"""What must hold, and what has to be remembered to judge it."""

from __future__ import annotations

from typing import Any, NamedTuple


class Broken(Exception):
    """A promise that was not kept."""


class Reader(NamedTuple):
    """delivered: the newest number that it returned. counts, next: of its line, as they are and as they are to be."""

    delivered: int = 0
    counts: tuple[int, int, int] = (0, 0, 0)
    next: tuple[int, int, int] | None = None


class Past(NamedTuple):
    """begun: (ring, seq, epoch). published: (seq, epoch) in their order."""

    begun: frozenset[tuple[int, int, int]]
    published: tuple[tuple[int, int], ...]
    readers: tuple[Reader, ...]


def index_of(past: Past, seq: int) -> int:
    """The ordinal of a published frame."""
    return next((n for n, (published, _) in enumerate(past.published, 1) if published == seq), 0)


def judge(past: Past, thread: int, what: str, about: tuple, mark: Any, lossless: bool) -> Past:
    """Take note of something. mark: looks up what a slot's mark is in memory now. Raises `Broken`."""
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
        case "resumed", counts:
            if counts not in (reader.counts, reader.next):
                raise Broken(f"a reader went on from {counts}; it had come to {reader.counts}, or {reader.next}")
            kept = reader._replace(counts=counts, next=None)
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
            if lossless:
                raise Broken(f"frame {seq} was overwritten before everyone had read it")
            return past
        case "passed over", ring, seq:
            if any(seq == s for s, _ in past.published) and (lossless or mark(ring, seq) <= 2 * seq):
                raise Broken(f"frame {seq} was passed over, though it was there")
            return past
        case _:
            raise ValueError(what)
    return past._replace(readers=(*past.readers[:thread], kept, *past.readers[thread + 1 :]))
