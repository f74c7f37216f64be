"""`run_engine.py devices`: what it finds, prints and photographs, and that no driver holds it up."""

from __future__ import annotations

import errno
import json
import os
import signal
import struct
import subprocess
from pathlib import Path

import cv2
import pytest
import yaml
from camera_kit import nothing_hangs_fixture  # noqa: F401
from devices_kit import FakeCapture, Webcam, machine_fixture  # noqa: F401

from nodes.camera.devices import cameras, child, identity, main, sysfs, v4l2
from nodes.camera.devices.device import Device, Format
from nodes.camera.opencv import OpenCV

pytestmark = pytest.mark.usefixtures("nothing_hangs")


@pytest.fixture(name="run")
def run_fixture(machine, monkeypatch, tmp_path, capsys):
    """The command, with the stand-in's cameras and no other process. Returns the exit code and what it printed."""

    def ask(kind, most_s, identity=None, picture=None):
        if kind != "camera":
            return {"devices": []}
        told = child.answer(kind, tmp_path, identity)
        if picture and "size" in told:
            (tmp_path / "picture.png").rename(picture)
        return json.loads(json.dumps(told))

    monkeypatch.setattr(main, "ask", ask)
    monkeypatch.setattr(cameras, "SETTLING_S", 0.01)

    def run(*arguments):
        code = main.main(["devices", *map(str, arguments)])
        return code, capsys.readouterr().out

    return run


def test_each_camera_is_listed_with_the_line_for_the_config(run, machine):
    machine[:] = [Webcam(), Webcam("Kamera [bold]Ä[/bold]", None, None, ""), Webcam("", None, None, "")]
    code, printed = run()
    assert code == 0 and FakeCapture.made == []  # none was opened
    assert [line for line in printed.splitlines() if line and line[0] != " "] == [
        "HD Pro Webcam C920", "Kamera [bold]Ä[/bold]", "a camera without a name",
    ]  # fmt: skip
    pasted = [line for line in printed.splitlines() if line.strip().startswith("camera: {")]
    configs = [yaml.safe_load(line)["camera"] for line in pasted]
    assert [config["source"] for config in configs] == ["camera:046d:082d", "camera:Kamera [bold]Ä[/bold]", 2]
    for config in configs:
        assert config.pop("type") == "camera.opencv"
        OpenCV.Config(**config)
    assert "its number may change" in printed.split("a camera without a name")[1]
    assert "this system does not tell them" in printed


def test_json_is_for_programs(run, machine):
    code, printed = run("--json")
    assert code == 0 and json.loads(printed) == [{
        "kind": "camera", "name": "HD Pro Webcam C920", "identity": "camera:046d:082d", "formats": [], "serial": "",
        "usb": "", "speed": 0, "path": machine[0].path, "remark": "", "picture": None,
        "config": 'camera: {type: camera.opencv, source: "camera:046d:082d"}',
    }]  # fmt: skip


def test_pictures_are_taken_and_one_at_work_elsewhere_is_a_remark(run, machine, tmp_path):
    machine.append(Webcam("Trust Webcam", 0x145F, 0x02AE, "", busy=True))
    folder = tmp_path / "new" / "shots"
    _, printed = run("--json", "--snapshot", folder)
    first, second = json.loads(printed)
    path = folder / "camera-046d-082d.png"
    assert first["picture"] == {"path": str(path), "width": 320, "height": 240} and first["remark"] == ""
    assert (cv2.imread(str(path))[-1] == 60).all() and [one.name for one in folder.iterdir()] == [path.name]
    assert second["picture"] is None and "another program is using it" in second["remark"]
    assert all(capture.released for capture in FakeCapture.made if capture.isOpened())
    assert machine[0].held == {}  # and no camera was changed
    _, printed = run("--snapshot", folder)
    assert f"picture: {path}, 320 x 240" in printed and "another program is using it" in printed


@pytest.mark.parametrize(("system", "hint"), [("win32", "Privacy"), ("linux", "usermod"), ("darwin", "Privacy")])
def test_nothing_found_says_what_to_look_at(run, machine, monkeypatch, system, hint):
    machine.clear()
    monkeypatch.setattr("sys.platform", system)
    code, printed = run()
    assert code == 0 and printed.startswith("No camera was found. Is it plugged in") and hint in printed
    assert run("--json") == (0, "[]\n")


def test_a_folder_that_cannot_be_made_is_a_sentence(run, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main.main(["devices", "--snapshot", str(tmp_path / "file" / "shots")]) == 1
    assert "Cannot write into" in capsys.readouterr().err


def test_what_a_device_offers_is_printed_by_format():
    device = {
        "serial": "3F1A", "usb": "2.0", "speed": 480, "path": "/dev/video0", "remark": "In use by obs (pid 7).",
        "picture": None,
        "formats": [
            [640, 480, 30.0, "YUYV"], [1920, 1080, 30.0, "MJPG"], [1920, 1080, 7.5, "MJPG"], [64, 48, 0, "MJPG"],
        ],
    }  # fmt: skip
    assert main.lines(device) == [
        "serial 3F1A, USB 2.0 at 480 Mbit/s, /dev/video0", "YUYV: 640 x 480 at 30",
        "MJPG: 1920 x 1080 at 30, 7.5; 64 x 48", "In use by obs (pid 7).",
    ]  # fmt: skip


def test_a_realsense_is_listed_once_by_its_serial_number(run, machine, monkeypatch):
    machine.append(Webcam("Intel(R) RealSense(TM) Depth Camera 435i Depth", 0x8086, 0x0B3A))
    printed = run()[1]
    assert "RealSense" in printed and "Use camera.realsense for it" in printed  # its package is not installed
    device = Device("realsense", "Intel RealSense D435I", "0123456", lambda: None)
    found, ask = {name: getattr(device, name) for name in child.TOLD}, main.ask
    monkeypatch.setattr(
        main, "ask", lambda kind, *rest: {"devices": [found]} if kind == "realsense" else ask(kind, *rest)
    )
    camera, realsense = json.loads(run("--json")[1])
    assert camera["name"] == "HD Pro Webcam C920" and realsense["kind"] == "realsense"
    assert yaml.safe_load(realsense["config"]) == {"camera": {"type": "camera.realsense", "serial": "0123456"}}


# --- drivers that hang and crash: in a process of their own ---


@pytest.fixture(name="driver")
def driver_fixture(tmp_path, monkeypatch):
    """Replaces cv2_enumerate_cameras in the child."""

    def write(body):
        (tmp_path / "cv2_enumerate_cameras.py").write_text(f"def enumerate_cameras(backend):\n    {body}\n")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    return write


def test_a_driver_that_hangs_is_ended(driver, monkeypatch, capsys):
    driver("import time; time.sleep(600)")
    assert main.ask("camera", 0.2, "camera:x")["error"].startswith("It has not answered for 0.2 s")
    monkeypatch.setattr(main, "KINDS", ["camera"])
    monkeypatch.setattr(main, "LIST_S", 0.2)
    assert main.main(["devices"]) == 0
    printed = capsys.readouterr()
    assert printed.err.startswith("A driver that was asked for its cameras has not answered for 0.2 s.")
    assert "No camera" not in printed.out  # nobody knows


def test_a_driver_that_crashes_takes_nothing_with_it(driver):
    driver("import os; os.write(2, b'the last word\\n'); os._exit(77)")
    assert main.ask("camera", 60) == {"error": "Asking its driver has failed with exit code 77 (the last word)."}


def test_the_real_child_lists_and_says_why_there_is_no_picture(driver, tmp_path):
    driver("from types import SimpleNamespace as One; return [One(index=77, name='X', path='', vid=1, pid=2)]")
    (device,) = main.ask("camera", 60)["devices"]
    assert device["identity"] == "camera:0001:0002"
    assert "error" in main.ask("camera", 60, device["identity"], tmp_path / "x.png")
    assert "unplugged" in main.ask("camera", 60, "camera:gone", tmp_path / "x.png")["error"]


def test_a_picture_that_cannot_be_written_is_not_the_drivers_fault(driver, tmp_path):
    driver(
        "import __main__ as c; c._picture = lambda found, wanted, path: (path.write_bytes(b'x'), (4, 3))[1]; return []"
    )
    (tmp_path / "shot.png").mkdir()
    said = main.ask("camera", 60, "camera:x", tmp_path / "shot.png")["error"]
    assert said.startswith(f"Cannot write {tmp_path / 'shot.png'}") and not any((tmp_path / "shot.png").iterdir())
    assert main.ask("camera", 60, "camera:x", tmp_path / "new.png") == {"size": [4, 3]}


def test_whoever_ends_it_nothing_stays_behind(driver, monkeypatch):
    driver("import time; time.sleep(600)")
    children = []

    class Child(subprocess.Popen):
        def wait(self, timeout=None):
            if not children:
                children.append(self)
                signal.raise_signal(signal.SIGTERM)
            return super().wait(timeout)

    def missed(*_):
        raise AssertionError("SIGTERM was not caught")

    monkeypatch.setattr(main.subprocess, "Popen", Child)
    before = signal.signal(signal.SIGTERM, missed)
    try:
        assert main.main(["devices"]) == 130
    finally:
        signal.signal(signal.SIGTERM, before)
    assert children[0].poll() is not None


# --- what Linux tells ---


@pytest.fixture(name="sys_tree")
def sys_tree_fixture(tmp_path, monkeypatch):
    """/sys and /proc of a machine with a webcam on USB, a camera on its board and a looped-back one."""
    usb = tmp_path / "devices/pci0000:00/0000:00:14.0/usb1/1-2"
    folders = {0: usb / "1-2:1.0", 4: tmp_path / "devices/platform/fe801000.csi", 9: tmp_path / "devices/virtual/x"}
    monkeypatch.setattr(sysfs, "CLASS", tmp_path / "class")
    for number, folder in folders.items():
        folder.mkdir(parents=True)
        (tmp_path / f"class/video{number}").mkdir(parents=True)
        link(tmp_path / f"class/video{number}/device", folder)
    facts = {"idVendor": "046d", "serial": "3F1A", "devpath": "2", "version": " 2.00", "speed": "480"}
    for name, text in facts.items():
        (usb / name).write_text(text + "\n")
    return tmp_path


def link(path, target):
    try:
        path.symlink_to(target)
    except OSError:
        pytest.skip("this user may make no symbolic links here")


def test_sysfs_tells_serial_socket_and_speed(sys_tree):
    assert sysfs.usb_facts(0) == ("3F1A", "usb-0000:00:14.0-2:1.0", "2.0", 480)
    assert sysfs.usb_facts(4) == ("", "fe801000.csi", "", 0)
    assert sysfs.usb_facts(9) == sysfs.usb_facts(5) == ("", "", "", 0)


def test_proc_tells_who_uses_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sysfs, "PROC", tmp_path)
    for process, target in (("12", "/dev/video0"), ("13", "/dev/null"), (str(os.getpid()), "/dev/video0")):
        (tmp_path / process / "fd").mkdir(parents=True)
        (tmp_path / process / "comm").write_text("obs\n")
        link(tmp_path / process / "fd" / "7", target)
    assert sysfs.users("/dev/video0") == ["obs (pid 12)"]


def test_on_linux_a_device_shows_all_of_it(machine, sys_tree, monkeypatch):
    machine[0].path = str(sys_tree / "video0")
    Path(machine[0].path).touch()
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(cameras, "formats", lambda path: (Format(640, 480, 30.0, "MJPG"),))
    monkeypatch.setattr(cameras, "users", lambda path: ["obs (pid 12)"])
    (device,) = cameras.found()
    assert device.formats == ((640, 480, 30.0, "MJPG"),) and device.serial == "3F1A" and device.usb == "2.0"
    assert device.speed == 480 and device.remark == "In use by obs (pid 12)."
    monkeypatch.setattr(cameras.os, "access", lambda *_: False)
    assert "usermod -aG video" in cameras.found()[0].remark
    assert {"3f1a", "usb-0000:00:14.0-2:1.0"} <= identity.cameras(cv2.CAP_V4L2)[0].words


class Driver:
    """Answers V4L2's three questions about a camera with two formats, one of them with a range of sizes."""

    CODES = tuple(int.from_bytes(code, "little") for code in (b"MJPG", b"Y16 "))

    def __call__(self, file, request, memory):
        index = struct.unpack_from("I", memory)[0]
        if request == 0xC0405602:
            (kind,) = struct.unpack_from("I", memory, 4)
            self._check(kind == 1 and index < 2)
            memory[44:48] = struct.pack("I", self.CODES[index])
        elif request == 0xC02C564A:
            (code,) = struct.unpack_from("I", memory, 4)
            self._check(index < (2 if code == self.CODES[0] else 1))
            sizes = (1, *((1280, 720), (640, 480))[index]) if code == self.CODES[0] else (3, 160, 320, 8, 120, 240, 8)
            memory[8 : 8 + 4 * len(sizes)] = struct.pack(f"{len(sizes)}I", *sizes)
        else:
            assert request == 0xC034564B
            code, width, _ = struct.unpack_from("3I", memory, 4)
            rates = {1280: [30], 640: [60, 30, 7.5], 160: [], 320: [90]}[width]
            self._check(index < len(rates))
            memory[16:28] = struct.pack("3I", 1 if code == self.CODES[0] else 3, 10, round(10 * rates[index]))

    def _check(self, there):
        if not there:
            raise OSError(errno.EINVAL, "no more")


def test_v4l2_is_asked_for_formats_sizes_and_rates(tmp_path):
    path = tmp_path / "video0"
    path.touch()
    assert v4l2.formats(str(path), Driver()) == (
        (1280, 720, 30, "MJPG"), (640, 480, 60, "MJPG"), (640, 480, 30, "MJPG"), (640, 480, 7.5, "MJPG"),
        (160, 120, 0, "Y16"), (320, 240, 90, "Y16"),
    )  # fmt: skip
    assert v4l2.formats(str(tmp_path / "nothing"), Driver()) == ()


def test_a_driver_that_never_ends_its_list_is_not_believed(tmp_path):
    path = tmp_path / "video0"
    path.touch()
    assert v4l2.formats(str(path), lambda *_: None)[0] == (0, 0, 0, "\0\0\0\0")
