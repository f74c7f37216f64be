"""A model of the ring's protocol, small enough to try every interleaving. docs/PROOF.md says what it shows.

programs.py   the protocol as steppable programs: what a writer, a reader and the supervisor load, store and fence
machine.py    a program's states as the nodes of a graph
generations.py  what a ring that grows adds
memory.py     three memories: in order, as x86-64 keeps it, and as weak as ARM64
promises.py   what must hold, and what is remembered to judge it
explore.py    all interleavings of a few programs, with deaths and restarts at every step
scenes.py     which programs meet
guards.py     what each guard is there for: where something breaks without it
recorder.py   the real ring on a memory that writes down every access, and the comparison with the programs
"""
