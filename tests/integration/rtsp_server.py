"""A real RTSP server (GStreamer's) on loopback, with a user and a password: a ball that moves, for ever.

    rtsp_server.py PORT      prints "ready port=N", then "play" and "gone" for each client's session"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

LAUNCH = ("( videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=320,height=240,framerate=15/1 "
          "! jpegenc ! rtpjpegpay name=pay0 )")


def say(*words):
    print(*words, flush=True)


def on_client(_, client):
    client.connect("play-request", lambda *_: say("play"))
    client.connect("closed", lambda *_: say("gone"))


def main():
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(sys.argv[1])
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic("viewer", "open-sesame"), token)
    server.set_auth(auth)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(LAUNCH)
    factory.set_shared(True)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("viewer", "media.factory.access", True)
    permissions.add_permission_for_role("viewer", "media.factory.construct", True)
    factory.set_permissions(permissions)
    server.get_mount_points().add_factory("/live", factory)
    server.connect("client-connected", on_client)
    server.attach(None)
    say(f"ready port={server.get_bound_port()}")
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
