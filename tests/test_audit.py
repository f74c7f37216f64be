"""tools/audit.py: a database that cannot be reached is no all-clear."""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest

from engine.process import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import audit

FAULT = {"id": "PYSEC-1", "aliases": ["CVE-1", "GHSA-1"], "fix_versions": ["1.1"]}
SAME = {"id": "GHSA-1", "aliases": ["CVE-1"], "fix_versions": ["1.1"]}
SKIPPED = {"name": "b", "skip_reason": "Dependency not found on PyPI and could not be audited: b (2.0)"}


def package(*faults: dict[str, Any]) -> dict[str, Any]:
    return {"name": "A", "version": "1.0", "vulns": list(faults)}


def test_whoever_knows_no_package_has_audited_nothing() -> None:
    for answers in ({}, {"pypi": [SKIPPED]}, {"pypi": [], "osv": [SKIPPED]}):
        code, (line,) = audit.verdict(answers, 2)
        assert code == 2 and "nothing was audited" in line


def test_a_known_fault_is_told_once_with_what_mends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"pypi": [package(FAULT), SKIPPED], "osv": [package(SAME)]}
    assert audit.verdict(answers, 2) == (
        1, ["a 1.0: PYSEC-1, mended by 1.1", "1 of 2 packages audited, 1 known faults"]
    )  # fmt: skip
    monkeypatch.setattr(audit, "ACCEPTED", {"CVE-1": "looked at"})
    assert audit.verdict(answers, 2) == (0, ["1 of 2 packages audited, 0 known faults"])


def test_every_line_of_the_constraints_is_a_pin_that_can_be_asked_about() -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert len(audit.PIN.findall(text)) == len(lines)
    assert all(re.match("^[A-Za-z0-9]", line) for line in lines)
