"""The stream that TouchDesigner reads: RGBA at one size and a steady rate, whatever happens before it."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from engine.clock import now_ns
from engine.frame import Flags, Frame, Source
from engine.node import Image, Latest, Node, NodeConfig, live
from nodes.output.screen_state import Screen, Timing, advance

FLAGS = {"LIVE": Flags(0), "HOLD": Flags.HELD, "PLACEHOLDER": Flags.PLACEHOLDER}
CARD_NEWS_NS = 250_000_000  # how often the card asks how the nodes are doing

Side = Annotated[int, Field(ge=16, le=16384)]


class TouchDesigner(Node):
    """Publish a picture at every tick: the live one, then the last one held, then a card that says what is missing."""

    class Config(NodeConfig):
        size: tuple[Side, Side] = Field(
            (512, 512), description="[width, height] in pixels; TouchDesigner Non-Commercial takes up to 1280 x 1280"
        )
        fps: float = Field(60.0, gt=0, le=240, description="pictures per second, also when nothing new comes in")
        row_order: Literal["bottom_up", "top_down"] = Field(
            "bottom_up", description="which row comes first; TouchDesigner's first row is the bottom one"
        )
        fit: Literal["contain", "cover", "stretch"] = live(
            "contain",
            "a picture of other proportions is shown whole (contain), fills it (cover) or is distorted (stretch)",
        )
        hold_after: float = live(
            0.5, "how long without a new picture until the last one counts as held", unit="s", gt=0, le=3600
        )
        placeholder_after: float = live(
            3.0, "how long without a new picture until the card is shown", unit="s", gt=0, le=3600
        )
        fade: float = live(0.4, "how long picture and card take to cross-fade", unit="s", ge=0, le=60)

        @model_validator(mode="after")
        def _in_order(self) -> TouchDesigner.Config:
            if self.placeholder_after < self.hold_after:
                raise ValueError(
                    f"placeholder_after ({self.placeholder_after} s) comes before hold_after ({self.hold_after} s); "
                    "a picture is first held, then replaced: make placeholder_after the longer one"
                )
            return self

    inputs = {"image": Latest}
    outputs = {"image": Image(channels=4)}
    paced = True

    def setup(self) -> None:
        import cv2

        from nodes.output import card, fit

        self.fit_rgba, self.report, self.blend = fit.fit_rgba, card.report, cv2.addWeighted
        width, height = self.config.size
        # All rows lie top down in here; the one copy into the slot turns them round.
        self.picture = np.zeros((height, width, 4), np.uint8)  # our own copy: the reader's changes at its next read
        self.mixed = np.empty_like(self.picture)
        self.card = card.Card((width, height), f"{self.name} · {width} × {height} · {self.config.fps:g} fps")
        self.card_news_ns = -CARD_NEWS_NS
        self.screen: Screen | None = None
        self.seen: Source | None = None
        self.newest: Frame | None = None
        self.newest_ns: int | None = None
        self.configured()

    def configured(self) -> None:
        config = self.config
        self.timing = Timing(*(round(s * 1e9) for s in (config.hold_after, config.placeholder_after, config.fade)))

    def step(self, image: Frame | None) -> None:
        now = now_ns()
        if image is not None and image.source != self.seen:
            self.seen = image.source
            self.take(image, now)
        self.screen = advance(self.screen, now, self.newest_ns, self.timing)
        shown, card = self.compose(self.screen.card, now), self.screen.card
        with self.out.begin(
            shown.shape,
            np.uint8,
            source=() if self.newest is None or card == 1 else self.newest,
            pixel_format="RGBA",
            row_order=self.config.row_order.upper(),
            flags=FLAGS[self.screen.state],
        ) as slot:
            np.copyto(slot.array[::-1] if self.config.row_order == "bottom_up" else slot.array, shown)

    def take(self, image: Frame, now: int) -> None:
        """Make a new input the picture to show. What is no picture counts as none, so that the screen stays up."""
        try:
            self.fit_rgba(image, self.config.fit, self.picture)
        except ValueError as error:
            self.troubled(str(error))
            return
        self.newest, self.newest_ns = image, now
        self.troubled(None)

    def compose(self, card_weight: float, now: int) -> np.ndarray:
        """Picture and card, mixed: (H, W, 4) uint8, valid until the next call."""
        if card_weight == 0:
            return self.picture
        if now - self.card_news_ns >= CARD_NEWS_NS:
            self.card.write(self.report(self.health(), self.name, "image"))
            self.card_news_ns = now
        card = self.card.lit(now)
        if card_weight == 1:
            return card
        return self.blend(card, card_weight, self.picture, 1 - card_weight, 0, dst=self.mixed)
