"""`run_engine.py notify`: tell another program on this machine something, as one datagram of JSON."""

from __future__ import annotations

import argparse
import json
import re
import socket
import sys
from collections.abc import Sequence

from engine.clock import wall_ns
from engine.errors import Exit
from engine.wake import LOOPBACK

FORMAT = "utsushi.notice/1"
LONGEST = 8000  # bytes; macOS sends no more than 9216


def main(argv: Sequence[str]) -> int:
    """argv: with the command's own name first. Returns the exit code."""
    options = command_parser().parse_args(argv[1:])
    notice = {"format": FORMAT, "text": options.text, "values": dict(options.value), "wall_ns": wall_ns()}
    datagram = json.dumps(notice, ensure_ascii=False).encode("utf-8", "replace")
    if len(datagram) > LONGEST:
        print(f"error: That is {len(datagram)} bytes, and {LONGEST} fit in one message. Say less.", file=sys.stderr)
        return Exit.USAGE
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((LOOPBACK, 0))
        for address in options.to:
            sender.sendto(datagram, address)
    print(f"Told {', '.join(f'{host}:{port}' for host, port in options.to)}.")
    return Exit.OK


def command_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run_engine.py notify", description="Send one message, as JSON over UDP, to programs on this machine."
    )
    parser.add_argument("--to", type=loopback_address, action="append", required=True, metavar="HOST:PORT",
                        help="whom to tell; may be repeated")  # fmt: skip
    parser.add_argument("--text", default="", help="what to tell")
    parser.add_argument("--value", type=_pair, action="append", default=[], metavar="KEY=VALUE",
                        help="something by name, such as video=figure.mp4; may be repeated")  # fmt: skip
    return parser


def loopback_address(text: str) -> tuple[str, int]:
    """`127.0.0.1:7000`; no other machine is ever written to."""
    host, _, port = text.rpartition(":")
    if re.fullmatch(r"127\.\d{1,3}\.\d{1,3}\.\d{1,3}|localhost", host) and port.isdecimal() and 0 < int(port) < 65536:
        return "127.0.0.1" if host == "localhost" else host, int(port)
    raise argparse.ArgumentTypeError(f"{text!r} is no address on this machine, such as 127.0.0.1:7000")


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value
