"""output.window: a preview on this machine's desktop. H hides the text, F is full screen, Esc leaves it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from pydantic import Field

from engine.clock import now_ns
from engine.frame import Frame, Source
from engine.node import Node, live
from nodes.output.sink import SinkConfig, SinkNode

if TYPE_CHECKING:
    from nodes.output.desktop import DesktopWindow

REDRAW_NS = 500_000_000  # the text tells how old a picture is, also when no new one comes
OLD_NS = 1_000_000_000


class Window(SinkNode, Node):
    """Show the pictures in a window on the desktop. Closing it does not end the show."""

    class Config(SinkConfig):
        fps: float = Field(30.0, gt=0, le=240, description="how often a new picture is looked for")
        shown: bool = live(
            True, "whether there is a window; switch it off and on again to have one back that was closed"
        )

    paced = True

    def sink(self) -> DesktopWindow:
        from nodes.output.desktop import DesktopWindow

        return DesktopWindow(f"Utsushi: {self.name}")

    def setup(self) -> None:
        super().setup()
        self.window: DesktopWindow = self._sink  # type: ignore[assignment]
        self.seen: Source | None = None
        self.redraw_ns = 0
        self.times: deque[int] = deque(maxlen=30)  # when the newest pictures came

    def configured(self) -> None:
        self.window.closed, self.redraw_ns = False, 0
        if not self.config.shown:
            self.close()

    def step(self, image: Frame | None) -> None:
        now = now_ns()
        if not self.config.shown or self.window.closed:
            return
        new = image is not None and image.source != self.seen
        if image is not None and (new or now >= self.redraw_ns):
            if new:
                self.seen = image.source
                self.times.append(now)
            self.redraw_ns = now + REDRAW_NS
            self.window.lines = self.text(image, now)
            super().step(image)
        self.window.look()
        if self.window.closed:
            self.close()
            self.log.info("The preview was closed; the show goes on. Set `shown` to true to have it back.")

    def text(self, image: Frame, now: int) -> list[str]:
        """What stands over the picture: its size, rate and age, then what is wrong with other nodes."""
        height, width = image.shape[:2]
        rate = (len(self.times) - 1) * 1e9 / (self.times[-1] - self.times[0]) if len(self.times) > 1 else 0.0
        age_ns = now - image.capture_ns
        age = f"{age_ns / 1e6:.0f} ms old" if age_ns < OLD_NS else f"no new picture for {age_ns / 1e9:.0f} s"
        troubled = [node for node in self.health() if node.phase != "RUNNING" and node.name != self.name]
        return [
            f"{width} x {height} · {rate:.0f} fps · {age} · [H] text [F] full screen",
            *(f"{node.name}: {node.text or node.phase.lower()}" for node in troubled),
        ]
