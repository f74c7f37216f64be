"""What may stand in a config beside the settings of the nodes themselves."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag

from engine.wake import LOOPBACK

NODE_NAME = "[a-z0-9][a-z0-9_-]{0,30}"
OWN_KEYS = ("type", "input", "inputs")  # of an entry; the rest are the node's settings


def _host(text: str) -> str:
    try:
        return str(IPv4Address(text))
    except AddressValueError:
        raise ValueError(f"{text!r} is not an IPv4 address such as 127.0.0.1") from None


def _target(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not colon or not re.fullmatch("[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is not an address and a port, such as 127.0.0.1:9001")
    return f"{_host(host)}:{int(port)}"


class OscConfig(BaseModel):
    """Control by OSC, for TouchDesigner and everything else that speaks it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: Annotated[str, AfterValidator(_host)] = Field(
        default=LOOPBACK,
        description="address of this machine to listen on; another one than 127.0.0.1 lets that whole network steer",
    )
    port: int = Field(
        default=9000, ge=0, le=65535, description="UDP port to listen on; any free one is taken where it is in use"
    )
    targets: list[Annotated[str, AfterValidator(_target)]] = Field(
        default=[], max_length=16, description="who is told state, figures and errors without asking: host:port each"
    )


Osc = Annotated[
    Annotated[OscConfig, Tag("on")] | Annotated[Literal[False], Tag("off")],
    Discriminator(lambda value: "off" if value is False else "on"),
]


class EngineConfig(BaseModel):
    """Settings of the engine as a whole."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        default="utsushi",
        pattern="^[a-z0-9-]{1,16}$",
        description="what TouchDesigner asks for: 1 to 16 small letters, digits or hyphens; one engine runs per name",
    )
    mode: Literal["live", "offline"] = Field(
        default="live", description="live: never wait, skip what is late; offline: work through every frame, then stop"
    )
    port: int = Field(default=0, ge=0, le=65535, description="control port on this machine; 0 takes any that is free")
    osc: Osc = Field(default=OscConfig(), description="control by OSC; false turns it off")


class EdgeConfig(BaseModel):
    """The long form of an input."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stream: str = Field(description="the node to read from, or node.port where that node has several outputs")
    policy: Literal["latest", "every", "lossless"] | None = Field(
        default=None, description="what this input may skip; lossless waits, and is for offline only"
    )
