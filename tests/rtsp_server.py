"""An RTSP camera on loopback: H.264 over Debian's GStreamer server, which nobody wrote for these tests.

/usr/bin/python3 tests/rtsp_server.py PORT

Port 0 is any free one. Prints the port when it is there. Runs in the system's Python (packages python3-gi and
gir1.2-gst-rtsp-server-1.0; ENCODERS names what can encode).
"""

from __future__ import annotations

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402
from stamped import clock_ms, stamped  # noqa: E402

WIDTH, HEIGHT, FPS = 320, 240, 25
ENCODERS = {
    "openh264enc": "openh264enc bitrate=2000000 gop-size=25",
    "x264enc": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25",
}
SOURCE = (
    "appsrc name=pictures is-live=true do-timestamp=true format=time "
    f"caps=video/x-raw,format=BGR,width={WIDTH},height={HEIGHT},framerate={FPS}/1"
)


def encoder() -> str:
    for name, line in ENCODERS.items():
        if Gst.ElementFactory.find(name):
            return line
    raise SystemExit(f"GStreamer has none of {', '.join(ENCODERS)}.")


def begin(_factory: object, media: GstRtspServer.RTSPMedia) -> None:
    """Somebody wants to see: give a picture 25 times a second until nobody does any more."""
    source = media.get_element().get_by_name_recurse_up("pictures")
    watched = [True]
    media.connect("unprepared", lambda _: watched.clear())

    def give() -> bool:
        source.emit("push-buffer", Gst.Buffer.new_wrapped(stamped(clock_ms(), WIDTH, HEIGHT)))
        return bool(watched)

    GLib.timeout_add(1000 // FPS, give)


def main() -> None:
    Gst.init(None)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(f"( {SOURCE} ! videoconvert ! {encoder()} ! rtph264pay config-interval=1 name=pay0 pt=96 )")
    factory.set_shared(True)
    factory.connect("media-configure", begin)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(sys.argv[1])
    server.get_mount_points().add_factory("/video", factory)
    if not server.attach(None):
        raise SystemExit(f"Port {sys.argv[1]} is taken.")
    print(server.get_bound_port(), flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
