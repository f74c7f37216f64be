"""`run_engine.py stress`: the real engine under load and faults, and whether every frame and every count was right.

An engine runs in processes of its own. Small nodes (nodes/stress/) write and check numbered pictures, a process reads
as TouchDesigner does, and all of them keep counts that outlive a kill. Faults are dealt out meanwhile. In the end the
nodes are paused in the order in which frames pass them, so that nothing is under way, and the engine's books are held
against the others'. docs/STRESS.md is the page for people.
"""
