"""Cameras that are plugged in, against stand-ins: which one is which, what is asked of them, what they refuse."""

from __future__ import annotations

import logging

import cv2
import numpy as np
import pytest
from camera_kit import camera_fixture, nothing_hangs_fixture, step_for_frames, step_until  # noqa: F401
from devices_kit import FakeCapture, Webcam, device_fixture, machine_fixture  # noqa: F401
from harness import make

from engine.errors import BadInput
from nodes.camera import plugged
from nodes.camera.controls import Locks, apply
from nodes.camera.devices.identity import Camera, cameras, find, identity
from nodes.camera.devices.sysfs import UsbFacts
from nodes.camera.opencv import OpenCV
from nodes.camera.plugged import DeviceSettings, Plugged

pytestmark = pytest.mark.usefixtures("nothing_hangs")
DSHOW = cv2.CAP_DSHOW
EXPOSURE, AUTO_EXPOSURE = cv2.CAP_PROP_EXPOSURE, cv2.CAP_PROP_AUTO_EXPOSURE
OTHER = Webcam("Trust Webcam", 0x145F, 0x02AE, r"\\?\usb#vid_145f&pid_02ae#SN0042#{65e8773d}\global", shade=200)


def twin(socket: str) -> Webcam:
    return Webcam(path=rf"\\?\usb#vid_046d&pid_082d&mi_00#{socket}&0000#{{65e8773d}}\global", shade=30)


def shade(node):
    return int(node.frames[-1].array[-1, 0, 0])


def set_live(node, **settings):
    node.config = node.config.model_copy(update=settings)
    node.configured()


# --- which one is which ---


@pytest.mark.parametrize("words", ["046d:082d", "046D:082D", "C920", "hd pro webcam c920", "C920 7&1f0e9c3f&0&0000"])
def test_a_camera_keeps_its_name_when_the_order_changes(machine, camera, words):
    machine.append(OTHER)
    node = camera(f"camera:{words}")
    step_for_frames(node, 2)
    assert shade(node) == 60
    node.close()
    machine.reverse()  # the machine was started again
    node = camera(f"camera:{words}")
    step_for_frames(node, 2)
    assert shade(node) == 60 and FakeCapture.made[-1].opened_with == (1, DSHOW)


def test_one_that_is_pulled_out_is_found_again_under_another_number(machine, camera):
    mine = machine[0]
    node = camera("camera:046d:082d")
    step_for_frames(node, 2)
    machine[:] = [OTHER]  # what is now at its number is another one
    step_until(node, lambda: node.complaints and "There is no camera 046d:082d" in node.complaints[-1])
    assert "There are: Trust Webcam (camera:145f:02ae)." in node.complaints[-1]
    seen = len(node.frames)
    machine.append(mine)
    step_until(node, lambda: not node.complaints and len(node.frames) > seen + 2)
    assert shade(node) == 60 and 200 not in {int(frame.array[-1, 0, 0]) for frame in node.frames[seen + 1 :]}


def test_one_that_is_not_there_at_start_may_come_later(machine, camera):
    mine = machine.pop()
    node = camera("camera:C920", required=False)
    assert "This machine has none that can be seen" in node.complaints[0] and node.frames == []
    machine.append(mine)
    step_until(node, lambda: node.frames and not node.complaints)


def test_one_that_is_required_and_not_there_is_bad_input_that_names_the_others(machine):
    machine[:] = [OTHER]
    with pytest.raises(BadInput, match=r"no camera C920\. There are: Trust Webcam \(camera:145f:02ae\)\. Plug it in"):
        make(OpenCV, source="camera:C920")


def test_two_of_a_kind_are_told_apart_by_their_sockets(machine, camera):
    machine.append(twin("8&2a1b&0"))
    with pytest.raises(BadInput, match="2 cameras answer to '046d:082d'") as error:
        make(OpenCV, source="camera:046d:082d")
    first, second = "camera:046d:082d 7&1f0e9c3f&0&0000", "camera:046d:082d 8&2a1b&0&0000"
    assert first in str(error.value) and second in str(error.value)
    machine.reverse()
    node = camera(second)
    step_for_frames(node, 1)
    assert shade(node) == 30


def test_a_part_of_a_word_is_not_the_word(machine):
    machine[:] = [Webcam("HD Pro Webcam C920e")]  # another model: never to be taken for the one that is away
    with pytest.raises(BadInput, match="There is no camera C920"):
        make(OpenCV, source="camera:C920")


@pytest.mark.parametrize("nothing", ["camera:", "camera:  "])
def test_no_words_are_no_camera(machine, nothing):
    with pytest.raises(BadInput, match="There is no camera"):
        make(OpenCV, source=nothing)


def test_whatever_is_printed_finds_the_camera_again():
    def one(number, name="Cam", path="", vid_pid="", **usb):
        return Camera(number, name, path, vid_pid, UsbFacts(**usb))

    everyone = [
        one(0, "A Cam", vid_pid="1:1", serial="X1"),
        one(1, "A Cam", vid_pid="1:1", serial="X2"),
        one(2, "B Cam", vid_pid="2:2", place="usb-1", path="/dev/video2"),
        one(3, "B Cam", vid_pid="2:2", place="usb-2"),
        one(4, "C Cam", vid_pid="3:3"),
        one(5, "OBS Virtual Camera"),
        one(6, "Loop", path="/dev/video6"),
        one(7, "Loop", path="/dev/video7"),
        one(8, "Nothing to tell"),
        one(9, "Nothing to tell"),
    ]
    printed = [identity(camera, everyone) for camera in everyone]
    assert printed == [
        "camera:1:1 X1", "camera:1:1 X2", "camera:2:2 usb-1", "camera:2:2 usb-2", "camera:3:3",
        "camera:OBS Virtual Camera", "camera:/dev/video6", "camera:/dev/video7", "8", "9",
    ]  # fmt: skip
    assert [find(text, everyone) for text in printed[:8]] == everyone[:8]


def test_a_list_that_cannot_be_had_is_a_sentence(machine, monkeypatch):
    def fails(backend):
        raise NotImplementedError("Unsupported backend: 700!")

    monkeypatch.setattr("cv2_enumerate_cameras.enumerate_cameras", fails)
    with pytest.raises(BadInput, match="cannot be listed .*Name one by its number"):
        make(OpenCV, source="camera:C920")


def test_windows_and_macos_paths_tell_serial_or_socket(machine):
    machine[:] = [Webcam(), OTHER, Webcam("FaceTime HD Camera", None, None, "0x8020000005ac8514")]
    assert [camera.usb[:2] for camera in cameras(DSHOW)] == [
        ("", "7&1f0e9c3f&0&0000"), ("SN0042", ""), ("", "0x8020000005ac8514"),
    ]  # fmt: skip
    assert [camera.vid_pid for camera in cameras(DSHOW)] == ["046d:082d", "145f:02ae", ""]


# --- what is asked of it, and what it gives ---


def asked(capture):
    names = {value: name for name, value in vars(cv2).items() if name.startswith("CAP_PROP_")}
    return [names[what].removeprefix("CAP_PROP_").removeprefix("FRAME_") for what in capture.asked]


def opened(backend, **settings):
    one = Plugged(0, DeviceSettings(backend, **settings))
    one.open()
    return one


def test_each_backend_is_asked_in_the_order_that_it_heeds(machine, device):
    opened("v4l2", size=(640, 480), fps=60)
    assert asked(device()) == ["FOURCC", "WIDTH", "HEIGHT", "FPS"]
    opened("auto", size=(640, 480), fps=60)
    assert asked(device()) == ["FPS", "WIDTH", "HEIGHT", "FOURCC"] and device().opened_with == (0, DSHOW)
    opened("msmf", size=(640, 480), fps=60)
    assert asked(device()) == ["WIDTH", "HEIGHT", "FPS"]


def test_what_it_has_already_is_not_set_again(machine, device):
    opened("msmf", size=(320, 240), fps=30)
    assert asked(device()) == []
    opened("dshow", size=(320, 240))
    assert asked(device()) == ["FOURCC"]


def test_another_size_or_rate_than_asked_is_a_remark_and_no_failure(machine, camera, caplog):
    machine[0].fastest = 15
    with caplog.at_level(logging.WARNING):
        node = camera(0, size=(1280, 720), fps=30)
        step_for_frames(node, 2)
        first = device_said(caplog)
        node.source.reopen()
        step_until(node, lambda: len(FakeCapture.made) == 2)
        step_for_frames(node, len(node.frames) + 2)
    assert first == [
        "camera 0 gives 640 x 480, not 1280 x 720; its pictures are scaled.",
        "camera 0 says that it gives 15 pictures per second, not 30.",
    ]
    assert device_said(caplog) == first  # said once, although it was opened twice
    assert node.frames[-1].array.shape == (720, 1280, 3) and node.complaints == []


def device_said(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "node"]


@pytest.mark.parametrize(
    ("settings", "side"),
    [({"rotate": 90}, "left"), ({"rotate": 270}, "right"), ({"rotate": 270, "mirror": True}, "left")],
)
def test_a_camera_that_hangs_upright(machine, camera, device, settings, side):
    node = camera(0, size=(480, 640), **settings)
    step_for_frames(node, 2)
    assert device().size == [640, 480]  # asked for what it can give
    picture = node.frames[-1].array
    below = picture[:, :16] if side == "left" else picture[:, -16:]  # what the camera sees at the bottom
    assert picture.shape == (640, 480, 3) and (below == 60).all()


def test_it_may_be_mirrored_while_it_runs(machine, camera):
    node = camera(0)
    step_for_frames(node, 2)
    before = node.frames[-1].array
    set_live(node, mirror=True)
    step_for_frames(node, 4)
    after = node.frames[-1].array
    assert (before[:16, 256:] == 90).all() and (after[:16, :64] == 90).all() and not (after[:16, 64:] == 90).all()


def test_directshow_waits_for_each_picture_in_grab(machine):
    one = Plugged(0, DeviceSettings())
    capture = one.open()
    assert capture.grab()
    assert FakeCapture.made[-1].number == 1
    done, picture = capture.retrieve(memory := np.zeros((240, 320, 3), np.uint8))
    assert done and picture is memory and (memory[-1] == 60).all()
    done, picture = capture.retrieve(np.zeros((24, 32, 3), np.uint8))
    assert done and picture.shape == (240, 320, 3) and FakeCapture.made[-1].number == 1


# --- locks ---


def test_locks_are_set_and_put_back_after_every_opening(machine, camera):
    mine = machine[0]
    node = camera("camera:C920", exposure=15.625, focus=30, white_balance=4500, gain=12)
    step_for_frames(node, 2)
    locked = {
        EXPOSURE: -6, AUTO_EXPOSURE: 0, cv2.CAP_PROP_FOCUS: 30, cv2.CAP_PROP_AUTOFOCUS: 0,
        cv2.CAP_PROP_WHITE_BALANCE_BLUE_U: 4500, cv2.CAP_PROP_AUTO_WB: 0, cv2.CAP_PROP_GAIN: 12,
    }  # fmt: skip
    assert mine.held == locked
    machine.clear()
    step_until(node, lambda: node.complaints)
    mine.held.clear()  # it has lost its power
    machine[:] = [OTHER, mine]
    step_until(node, lambda: not node.complaints)
    assert mine.held == locked


def test_locks_may_change_while_it_runs(machine, camera):
    node = camera(0)
    step_for_frames(node, 2)
    assert machine[0].held == {AUTO_EXPOSURE: 1, cv2.CAP_PROP_AUTOFOCUS: 1, cv2.CAP_PROP_AUTO_WB: 1}
    set_live(node, exposure=250.0)
    step_until(node, lambda: machine[0].held.get(EXPOSURE) == -2)
    assert machine[0].held[AUTO_EXPOSURE] == 0
    set_live(node, exposure=0.0)
    step_until(node, lambda: machine[0].held[AUTO_EXPOSURE] == 1)
    assert len(FakeCapture.made) == 1


def test_a_refusal_is_a_sentence_and_what_nobody_asked_for_is_none(machine, camera, caplog):
    machine[0].refused = {EXPOSURE, cv2.CAP_PROP_AUTOFOCUS}
    machine[0].limits = {cv2.CAP_PROP_GAIN: (0, 10)}
    with caplog.at_level(logging.WARNING):
        node = camera(0, exposure=15.625, gain=40)
        step_for_frames(node, 2)
        node.step()
    assert device_said(caplog) == [
        "camera 0 does not let its exposure be set. Leave out `exposure`, or set it in the camera's own program.",
        "camera 0 has its gain at 10, 40 was asked for; it has steps and limits.",
    ]
    assert node.complaints == []


def capture_of(backend, **webcam):
    FakeCapture.machine = [Webcam(**webcam)]
    return FakeCapture(0, backend)


def test_v4l2_counts_in_tenths_of_a_millisecond_and_calls_automatic_3_or_0(machine):
    capture = capture_of(cv2.CAP_V4L2)
    assert apply(capture, Locks(exposure=12.5, white_balance=3200), None, "camera 0") == []
    held = capture.webcam.held
    assert held[AUTO_EXPOSURE] == 1 and held[EXPOSURE] == 125 and held[cv2.CAP_PROP_WB_TEMPERATURE] == 3200
    assert apply(capture, Locks(), Locks(exposure=12.5), "camera 0") == [] and held[AUTO_EXPOSURE] == 3
    capture.asked.clear()
    assert apply(capture, Locks(), None, "camera 0") == [] and AUTO_EXPOSURE not in capture.asked  # it is so already


def test_media_foundation_has_no_automatic_white_balance(machine):
    capture = capture_of(cv2.CAP_MSMF)
    assert apply(capture, Locks(), None, "camera 0") == []
    assert apply(capture, Locks(white_balance=4000), Locks(), "camera 0") == []
    assert capture.webcam.held[cv2.CAP_PROP_TEMPERATURE] == 4000
    (said,) = apply(capture, Locks(), Locks(white_balance=4000), "camera 0")
    assert "cannot be put back to automatic white balance" in said


def test_a_driver_that_lets_nothing_be_set_says_so_once_for_each(machine):
    said = apply(capture_of(cv2.CAP_AVFOUNDATION), Locks(10, 5, 4000, 3), None, "camera 0")
    assert [sentence.split(" be set")[0].split("its ")[1] for sentence in said] == [
        "exposure", "focus", "white balance", "gain",
    ]  # fmt: skip
    assert apply(capture_of(cv2.CAP_AVFOUNDATION), Locks(), None, "camera 0") == []


def test_steps_of_windows_are_told(machine):
    (said,) = apply(capture_of(DSHOW), Locks(exposure=10), None, "camera 0")
    assert "at 7.812 ms, 10 ms was asked for" in said


# --- Linux ---


def test_linux_opens_what_it_found_by_number(machine, monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(plugged, "_check_device_file", lambda path, name: None)
    machine.insert(0, OTHER)
    for backend in ("auto", "any"):
        Plugged("camera:046d:082d", DeviceSettings(backend)).open()
        assert FakeCapture.made[-1].opened_with == (1, cv2.CAP_V4L2)


def test_linux_names_the_program_that_has_the_camera(machine, monkeypatch):
    machine[0].busy = True
    with pytest.raises(BadInput, match="another program is using it, or this program has not been allowed"):
        make(OpenCV, source=0)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(plugged, "_check_device_file", lambda path, name: None)
    monkeypatch.setattr(plugged, "users", lambda path: ["obs (pid 12)"] if path == "/dev/video0" else [])
    with pytest.raises(
        BadInput, match=r"Cannot open camera 0: obs \(pid 12\) is using it\. Close that program, or choose"
    ):
        make(OpenCV, source=0)
