"""Draw docs/img/td-*.png: the component in TouchDesigner, from the very tree that install.py builds.

python docs/img/make_td_network.py

tests/test_td_pictures.py draws them again and compares, so that they cannot tell of another component than there is.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "td_bridge")]
import install  # noqa: E402
from fake_td import COMP, OP, Par, TouchDesigner  # noqa: E402

from engine import config, panel  # noqa: E402

FINE = 2  # drawn so many times larger, for smooth edges
FONT = cv2.FontFace("sans")
PAPER, INK, PALE, LINE = (43, 43, 43), (225, 225, 225), (150, 150, 150), (90, 90, 90)  # BGR, as TouchDesigner looks
FAMILY = {"TOP": (150, 90, 110), "CHOP": (95, 140, 80), "DAT": (130, 95, 140), "COMP": (110, 110, 110)}
KIND = {
    "oscinDAT": "OSC In", "oscoutDAT": "OSC Out", "udpinDAT": "UDP In", "parameterexecuteDAT": "Parameter Execute"
}  # fmt: skip
WIRE, LINK = (190, 190, 190), (120, 110, 160)
NODE_W, NODE_H, MARGIN = 150, 62, 40
ROW_H, PAGE_W, LABEL_W = 24, 470, 200


class Sheet:
    """A drawing, in pixels of the finished picture."""

    def __init__(self, width: int, height: int):
        self.image = np.full((height * FINE, width * FINE, 3), PAPER, np.uint8)

    def box(self, x: float, y: float, width: float, height: float, color: tuple, edge: tuple | None = None) -> None:
        corners = self._at(x, y), self._at(x + width, y + height)
        cv2.rectangle(self.image, *corners, color, -1)
        if edge:
            cv2.rectangle(self.image, *corners, edge, FINE)

    def line(self, points: list[tuple[float, float]], color: tuple, width: float = 1.5) -> None:
        places = np.array([self._at(*point) for point in points], np.int32)
        cv2.polylines(self.image, [places], False, color, round(width * FINE), cv2.LINE_AA)

    def dot(self, x: float, y: float, color: tuple) -> None:
        cv2.circle(self.image, self._at(x, y), 4 * FINE, color, -1, cv2.LINE_AA)

    def text(
        self, x: float, y: float, words: str, size: int = 12, color: tuple = INK, weight: int = 400, to: float = 1e4
    ) -> None:
        """Words from x on, their foot at y, cut off at `to`."""
        part = self.image[:, : round(to * FINE)]
        drawn = np.ascontiguousarray(part)
        cv2.putText(drawn, words, self._at(x, y), color, FONT, size * FINE, weight)
        part[:] = drawn

    def save(self, path: Path) -> None:
        small = cv2.resize(self.image, None, fx=1 / FINE, fy=1 / FINE, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(path), small, [cv2.IMWRITE_PNG_COMPRESSION, 9])

    @staticmethod
    def _at(x: float, y: float) -> tuple[int, int]:
        return round(x * FINE), round(y * FINE)


def draw_node(sheet: Sheet, node: OP, x: float, y: float) -> None:
    sheet.box(x, y, NODE_W, NODE_H, (58, 58, 58), LINE)
    sheet.box(x, y, NODE_W, 20, FAMILY[node.family])
    sheet.text(x + 7, y + 15, node.name, 12, INK, 600)
    kind = f"{KIND.get(node.OPType) or node.OPType.removesuffix(node.family).capitalize()} {node.family}"
    sheet.text(x + 7, y + 36, kind, 10, PALE)
    sheet.text(x + 7, y + 53, node.comment, 10, INK)


def inside(comp: COMP) -> Sheet:
    """The network of a component: operators where they lie, wires, and what calls what."""
    left, top = min(node.nodeX for node in comp.children), max(node.nodeY for node in comp.children)
    right, bottom = max(node.nodeX for node in comp.children), min(node.nodeY for node in comp.children)
    sheet = Sheet(right - left + NODE_W + 2 * MARGIN, round((top - bottom) * 0.75) + NODE_H + 2 * MARGIN + 26)
    place = {node: (node.nodeX - left + MARGIN, (top - node.nodeY) * 0.75 + MARGIN + 26) for node in comp.children}
    sheet.text(MARGIN, 34, f"inside {comp.path}", 14, INK, 600)
    sheet.text(
        MARGIN + 230, 34, "grey wires: pictures and channels.  violet lines: whose callbacks these are", 11, PALE
    )
    for node in comp.children:
        callbacks = node.par["callbacks"]
        if callbacks is not None and callbacks.eval() is not None:
            (x, y), (to_x, to_y) = place[node], place[callbacks.eval()]
            sheet.line(
                [(x + NODE_W if to_x > x else x, y + 40), (to_x if to_x > x else to_x + NODE_W, to_y + 40)], LINK
            )
    for node in comp.children:
        for source in node.inputs:
            (from_x, from_y), (x, y) = place[source], place[node]
            sheet.line([(from_x + NODE_W, from_y + NODE_H / 2), (x, y + NODE_H / 2)], WIRE, 2.5)
    for node in comp.children:
        draw_node(sheet, node, *place[node])
        for port, x in ((node.inputs, 0), ([1 for one in comp.children if node in one.inputs], NODE_W)):
            if port:
                sheet.dot(place[node][0] + x, place[node][1] + NODE_H / 2, WIRE)
    return sheet


def outside(comp: COMP) -> Sheet:
    """The component in the artist's network, with what comes out of it."""
    sheet, x, y, height = Sheet(760, 240), 60, 60, 130
    sheet.text(x, 36, "/project1", 14, INK, 600)
    sheet.box(x, y, 230, height, (58, 58, 58), LINE)
    sheet.box(x, y, 230, 24, FAMILY["COMP"])
    sheet.text(x + 9, y + 18, comp.name, 14, INK, 600)
    sheet.text(x + 9, y + 48, "Base COMP", 11, PALE)
    outs = [node for node in comp.children if node.OPType in ("outTOP", "outCHOP")]
    for number, node in enumerate(outs):
        at = y + 42 + number * 34
        source = node.inputs[0]
        sheet.text(x + 130, at + 4, node.name, 11, INK)
        sheet.line([(x + 230, at), (x + 330, at)], WIRE, 2.5)
        sheet.dot(x + 230, at, WIRE)
        sheet.box(x + 330, at - 13, 100, 26, FAMILY[node.family])
        sheet.text(x + 339, at + 5, f"your {node.family}s", 11, INK)
        sheet.text(x + 445, at + 5, source.comment, 11, PALE)
    sheet.text(x, y + height + 24, "its pages: " + "  ·  ".join(page.name for page in comp.customPages), 11, PALE)
    return sheet


def pages(comp: COMP, names: list[str]) -> Sheet:
    """Parameter pages, beside one another."""
    chosen = [page for page in comp.customPages if page.name in names]
    groups = [[par for par in page.pars if par is par.parGroup[0]] for page in chosen]
    height = 2 * MARGIN + 30 + max(map(len, groups)) * ROW_H
    sheet = Sheet(len(chosen) * (PAGE_W + 20) + 60, height)
    for column, (page, lines) in enumerate(zip(chosen, groups, strict=True)):
        x = 40 + column * (PAGE_W + 20)
        sheet.box(x, 30, PAGE_W, height - 60, (52, 52, 52), LINE)
        sheet.box(x, 30, PAGE_W, 26, FAMILY["COMP"])
        sheet.text(x + 10, 49, page.name, 13, INK, 600)
        for row, par in enumerate(lines):
            _draw_par(sheet, par, x, 66 + row * ROW_H)
    return sheet


def _draw_par(sheet: Sheet, par: Par, x: int, y: int) -> None:
    sheet.text(x + 10, y + 15, par.label, 11, PALE if par.readOnly else INK)
    at, width, pars = x + LABEL_W, PAGE_W - LABEL_W - 10, par.parGroup
    if par.style == "Pulse":
        sheet.box(at, y + 2, 70, ROW_H - 6, (85, 85, 85), LINE)
        sheet.text(at + 20, y + 15, "Pulse", 10)
    elif par.style == "Toggle":
        sheet.box(at, y + 3, 15, 15, (35, 35, 35), LINE)
        if par.eval():
            sheet.box(at + 4, y + 7, 7, 7, INK)
    else:
        each = width / len(pars)
        for number, one in enumerate(pars):
            sheet.box(at + number * each, y + 2, each - 4, ROW_H - 5, (35, 35, 35), LINE)
            if par.style in ("Float", "Int") and not par.readOnly and one.normMax > one.normMin and len(pars) == 1:
                share = (one.eval() - one.normMin) / (one.normMax - one.normMin)
                sheet.box(at, y + 2, (each - 4) * min(max(share, 0), 1), ROW_H - 5, (75, 65, 60), LINE)
            words = f"{one.eval():g}" if par.style in ("Float", "Int") else str(one.eval())
            sheet.text(at + number * each + 7, y + 15, words, 11, to=at + (number + 1) * each - 6)
        if par.isMenu:
            sheet.text(at + width - 20, y + 14, "v", 10, PALE)


def component() -> COMP:
    """As it stands a moment after the line in the Textport, with the demo running beside it."""
    td = TouchDesigner()
    comp = install.build(td.root.op("project1"))
    told = panel.describe(config.load(ROOT / "configs" / "demo.yaml"))
    module: Any = comp.op("panel").module
    module.lay_out(comp, module.rows(told))
    comp.par.Status = "LIVE: 30 pictures per second, 60 ms from capture to here."
    comp.par.State, comp.par.Launcher = "LIVE", "RUNNING."
    return comp


def main(folder: Path) -> None:
    comp = component()
    outside(comp).save(folder / "td-project.png")
    inside(comp).save(folder / "td-network.png")
    pages(comp, ["Utsushi", "Engine"]).save(folder / "td-pages.png")
    pages(comp, ["pose", "output"]).save(folder / "td-engine-pages.png")


if __name__ == "__main__":
    main(Path(__file__).resolve().parent)
