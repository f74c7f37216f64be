"""What td_bridge promises to TouchDesigner and to the engine: the byte map, no foreign imports, no traces."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from fake_engine import BRIDGE, FakeEngine, RingReader, ring_mapping, rows

from engine import layout
from engine.shm import Segment

STARTERS = ("processes", "stopping", "launcher", "jobs")  # the only ones that start processes

# --- the byte map ---


def test_the_byte_map_is_the_engines() -> None:
    for name in (
        "ABI", "DIGEST", "MAGIC", "BYTE_ORDER", "PAGE", "COMMON", "RING", "RING_HEADER_BYTES", "SLOT_META_BYTES",
        "MARK", "META_OFFSET", "META_FIELDS", "DIRECTORY", "MAX_STREAMS", "STREAM_ROWS", "STREAM_ROW_BYTES",
        "NAME_BYTES", "STREAM", "STATES", "FLAGS", "ROW_ORDERS", "PIXEL_FORMATS", "DTYPES", "MAX_DIMS",
        "MAX_PEOPLE", "MAX_SOURCES",
    ):  # fmt: skip
        assert getattr(ring_mapping, name) == getattr(layout, name), name
    assert layout.META_OFFSET + layout.META.size == ring_mapping.META_END


def test_the_bridge_imports_only_the_standard_library_numpy_and_itself() -> None:
    for path in BRIDGE.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 11))
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
        named = {n.module if isinstance(n, ast.ImportFrom) else a.name for n in imports for a in n.names}
        foreign = {str(module).split(".")[0] for module in named} - set(sys.stdlib_module_names)
        assert foreign <= {"numpy", "td", *(module.stem for module in BRIDGE.glob("*.py"))}, path
        assert not named & {"multiprocessing", "multiprocessing.shared_memory", "pickle"}, path
        assert "subprocess" not in named or path.stem in STARTERS, path


def test_the_bridge_cannot_write_or_leave_views_behind() -> None:
    for path in BRIDGE.glob("*.py"):
        called = {
            ast.unparse(n.func).split(".")[-1]
            for n in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(n, ast.Call)
        }
        assert not called & {"pack_into", "ndarray", "system", "SharedMemory"}, path
        assert "Popen" not in called or path.stem in STARTERS, path


# --- opening and closing ---


def test_close_is_idempotent_and_a_poll_opens_again(engine: FakeEngine, reader: RingReader) -> None:
    engine.publish(1)
    reader.poll()
    reader.close()
    reader.close()
    for _ in range(3):
        engine.publish(2)
    assert rows(reader.poll()) == [3, 2]
    assert (reader.skipped, reader.restarts) == (0, 0)  # what was missed while closed was not skipped


def test_a_view_that_outlives_the_reader_keeps_its_memory(engine: FakeEngine, reader: RingReader) -> None:
    engine.publish(1)
    reader.poll()
    assert reader._ring is not None
    view = np.frombuffer(reader._ring.bytes, np.uint8)
    reader.close()
    assert int(view[0]) == ord("U")


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux shows a process its mappings")
def test_closing_unmaps(engine: FakeEngine, reader: RingReader) -> None:
    def mapped_read_only() -> int:
        return sum(engine.name in line and " r--s " in line for line in Path("/proc/self/maps").open(encoding="utf-8"))

    engine.publish(1)
    reader.poll()
    assert mapped_read_only() == 2
    engine.grow(8192)
    engine.publish(1)
    reader.poll()
    assert mapped_read_only() == 2, "the old ring is let go"
    reader.close()
    assert mapped_read_only() == 0


def test_the_mapping_is_read_only(engine: FakeEngine, reader: RingReader) -> None:
    engine.publish(1)
    reader.poll()
    assert reader._ring is not None
    with pytest.raises(TypeError):
        reader._ring.bytes[0] = 0


HUNDRED_TIMES = """
import os, sys
sys.path.insert(0, sys.argv[1])
started = []
forbidden = ("subprocess.Popen", "os.fork", "os.posix_spawn", "os.system")
sys.addaudithook(lambda event, args: started.append(event) if event in forbidden else None)
from ring_reader import RingReader
reader = RingReader(sys.argv[2])
for _ in range(100):
    assert reader.poll() is not None, reader.message
    reader.close()
assert not started, started
assert not [name for name in sys.modules if name.startswith(("multiprocessing", "engine"))]
print(len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0)
os._exit(0) if sys.argv[3] == "hard" else None
"""


@pytest.mark.parametrize("exit_kind", ["soft", "hard"])
def test_a_hundred_visits_leave_the_engine_untouched(engine: FakeEngine, exit_kind: str) -> None:
    engine.publish(1)
    before = bytes(engine.directory.segment.buffer), bytes(engine.ring.buffer)
    done = subprocess.run(
        [sys.executable, "-I", "-c", HUNDRED_TIMES, str(BRIDGE), engine.name, exit_kind],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert exit_kind == "hard" or int(done.stdout) < 20  # no descriptors pile up
    assert (bytes(engine.directory.segment.buffer), bytes(engine.ring.buffer)) == before
    Segment.attach(engine.ring.name).close()  # the name is still there
    Segment.attach(engine.directory.segment.name).close()


@pytest.mark.parametrize("machine", ["arm64", "aarch64"])
def test_a_processor_without_ordered_loads_gets_a_fence(monkeypatch: pytest.MonkeyPatch, machine: str) -> None:
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(machine=machine), raising=False)
    fence = ring_mapping._choose_fence()
    assert fence.__name__ != "<lambda>"
    fence()
    fence()
