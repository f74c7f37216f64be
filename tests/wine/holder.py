"""Keeps an engine's directory segment open, with its name, until it is killed.

holder.py ENGINE
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from engine.directory import Directory

directory = Directory.attach(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
