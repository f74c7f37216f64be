"""docs/img/td-*.png show the component as install.py builds it."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import cv2
import numpy as np
import pytest

from engine.process import ROOT

COMMAND = ROOT / "docs" / "img" / "make_td_network.py"
PINNED = re.search(r"^opencv-python==(\S+)", (ROOT / "constraints.txt").read_text("utf-8"), re.MULTILINE)


def test_the_pictures_are_those_of_this_component(tmp_path: Path) -> None:
    if PINNED is not None and not PINNED[1].startswith(cv2.__version__):
        pytest.skip(f"OpenCV {cv2.__version__} draws letters in another way than {PINNED[1]}")
    runpy.run_path(str(COMMAND))["main"](tmp_path)
    drawn = sorted(tmp_path.glob("td-*.png"))
    assert [path.name for path in drawn] == sorted(path.name for path in COMMAND.parent.glob("td-*.png"))
    for path in drawn:
        kept = cv2.imread(str(COMMAND.parent / path.name))
        np.testing.assert_array_equal(
            cv2.imread(str(path)), kept, f"draw {path.name} anew: python docs/img/make_td_network.py"
        )


def test_the_page_names_every_parameter_channel_and_node() -> None:
    import network
    from channels import STATES, of_info

    page = (ROOT / "docs" / "TOUCHDESIGNER.md").read_text("utf-8")
    nodes = [node.name for node in network.NODES if node.comment and node.name not in network.MODULES]
    for word in (*(one.label for one in network.PARAMETERS), *of_info(None, 0, 0), *STATES, *nodes):
        assert word in page, word
