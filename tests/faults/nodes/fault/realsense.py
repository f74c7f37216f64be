"""camera.realsense with librealsense's software device in its socket, which does what a file says:

"" (or no file): film. "unplugged": it is not there. "hanging": unplugged, and the SDK never returns from stopping it.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from pydantic import Field

from engine.node import Node
from engine.process import ROOT
from nodes.camera import realsense as real


class RealSense(real.RealSense, Node):
    class Config(real.RealSense.Config):
        orders: str = Field("", description="the path of that file")

    def setup(self) -> None:
        sys.path.append(str(ROOT / "tests"))
        import pytest
        import realsense_kit as kit

        from nodes.camera.librealsense import feed, sdk
        from nodes.camera.librealsense.connection import Connection

        orders, stop = Path(self.config.orders), Connection.stop

        def order() -> str:
            return orders.read_text(encoding="utf-8") if orders.exists() else ""

        def stops(connection: Connection) -> None:
            if order() == "hanging":
                threading.Event().wait()
            stop(connection)

        patch = pytest.MonkeyPatch()
        socket = kit.Socket(patch)
        patch.setattr(Connection, "stop", stops)
        patch.setattr(feed, "STOP_S", 0.5)
        patch.setattr(sdk, "devices", lambda context: [] if order() else list(context.query_devices()))
        patch.setattr(kit.SoftCamera, "show", _unless(order, kit.SoftCamera.show))
        socket.plug(kit.SoftCamera(kit.quick, kit.SMALL))
        super().setup()


def _unless(order, show):
    return lambda camera, k, **how: None if order() else show(camera, k, **how)
