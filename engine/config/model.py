"""What may stand in a config beside the settings of the nodes themselves."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

NODE_NAME = "[a-z0-9][a-z0-9_-]{0,30}"
OWN_KEYS = ("type", "input", "inputs")  # of an entry; the rest are the node's settings


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


class EdgeConfig(BaseModel):
    """The long form of an input."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stream: str = Field(description="the node to read from, or node.port where that node has several outputs")
    policy: Literal["latest", "every", "lossless"] | None = Field(
        default=None, description="what this input may skip; lossless waits, and is for offline only"
    )
