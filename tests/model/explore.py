"""Every interleaving of a scene's programs, with deaths and restarts wherever the scene allows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from .machine import Machine, Node
from .memory import Memory, Rules, View, fresh, leaving, loads, newest, take_effect
from .promises import Broken, Past, Reader, judge
from .scenes import Scene


class State(NamedTuple):
    """nodes: where each thread is; None: dead. deaths: how many each may still die. epoch: the writer's."""

    nodes: tuple[Node | None, ...]
    memory: Memory
    views: tuple[View, ...]
    past: Past
    deaths: tuple[int, ...]
    epoch: int = 1


class Report(NamedTuple):
    """states, steps: how many there are. broken: the first promise that was not kept, and the steps that led there."""

    states: int
    steps: int
    broken: str = ""
    path: tuple[str, ...] = ()


class Exploration:
    def __init__(self, scene: Scene, rules: Rules):
        self.scene, self.rules = scene, rules
        self.machine = Machine(scene.programs)
        self.words = {word: index for index, word in enumerate(scene.memory)}
        self._watched = [
            {index for word, index in self.words.items() if scene.watches(thread, word)}
            for thread in range(len(scene.threads))
        ]
        self._alone: dict[tuple, int] = {}

    # --- the space ---

    def run(self, progress: Callable[[int], None] = lambda _: None, most: int = 0) -> Report:
        """Explore everything; stop at the first broken promise, or after `most` states."""
        came_from: dict[State, tuple[State | None, str]] = {}
        steps, told = 0, 0
        state, label = None, "start"
        try:
            state = self._start()
            came_from[state] = (None, "start")
            stack = [state]
            while stack:
                state = stack.pop()
                self._check_newest(state)
                for label, following in self._following(state):
                    steps += 1
                    if following not in came_from:
                        came_from[following] = (state, label)
                        stack.append(following)
                if steps > told + 10_000:
                    progress(len(came_from))
                    told = steps
                if most and len(came_from) > most:
                    break
        except Broken as broken:
            path = [label]
            while state is not None:
                state, label = came_from[state]
                path.append(label)
            return Report(len(came_from), steps, str(broken), tuple(reversed(path)))
        return Report(len(came_from), steps)

    def _start(self) -> State:
        memory = tuple((value,) for value in self.scene.memory.values())
        threads = self.scene.threads
        state = State(
            tuple(self.machine.root(*thread.start) if thread.start else None for thread in threads), memory,
            tuple(fresh(memory) for _ in threads), Past(frozenset(), (), tuple(Reader() for _ in threads)),
            tuple(thread.deaths for thread in threads),
        )  # fmt: skip
        for thread in range(len(threads)):
            state = self._settle(state, thread)
        return state

    def _following(self, state: State) -> Iterator[tuple[str, State]]:
        """What may happen next.

        When the next step of a thread can neither be seen by the others nor depends on them, then trying that step
        (and the thread's death) first loses nothing: whatever the others do before it, they can do after it.
        """
        for thread, node in enumerate(state.nodes):
            if node is not None and self._unseen(thread, node):
                yield from self._steps(state, thread)
                yield from self._deaths(state, thread)
                return
        for thread in range(len(state.nodes)):
            yield from self._steps(state, thread)
            yield from self._drains(state, thread)
            yield from self._deaths(state, thread)
            yield from self._restarts(state, thread)
        yield from self._stops(state)

    def _unseen(self, thread: int, node: Node) -> bool:
        kind = node.op[0]
        if kind == "store" and self.rules.queued:
            return True  # it goes into the thread's own queue
        return kind in ("load", "store") and self.scene.private(thread, kind, node.op[1])

    def _steps(self, state: State, thread: int) -> Iterator[tuple[str, State]]:
        node, view = state.nodes[thread], state.views[thread]
        if node is None:
            return
        kind, *about = node.op
        who = self.scene.threads[thread].name
        if kind == "load":
            for value, seen in loads(state.memory, view, self.words[about[0]]):
                moved = self._with(state, thread, node.after(value), seen)
                yield f"{who}: {about[0]} is {value}", self._settle(moved, thread)
        elif kind == "store":
            word, value = self.words[about[0]], about[1]
            if self.rules.queued:
                moved = self._with(state, thread, node.after(None), view._replace(queue=(*view.queue, (word, value))))
            else:
                moved = self._effect(self._with(state, thread, node.after(None), view), thread, word, value)
            yield f"{who}: {about[0]} := {value}", self._settle(moved, thread)
        elif kind == "choose":
            for chosen in range(about[0]):
                yield (
                    f"{who}: chooses {chosen}",
                    self._settle(self._with(state, thread, node.after(chosen), view), thread),
                )

    def _drains(self, state: State, thread: int) -> Iterator[tuple[str, State]]:
        view = state.views[thread]
        for index in leaving(self.rules, view.queue):
            word, value = view.queue[index]
            rest = view._replace(queue=(*view.queue[:index], *view.queue[index + 1 :]))
            moved = self._effect(self._with(state, thread, state.nodes[thread], rest), thread, word, value)
            label = f"    {list(self.words)[word]} = {value} is seen"
            yield label, self._settle(moved, thread)

    def _deaths(self, state: State, thread: int) -> Iterator[tuple[str, State]]:
        node = state.nodes[thread]
        if node is not None and state.deaths[thread] and node.op[0] != "end":
            deaths = (*state.deaths[:thread], state.deaths[thread] - 1, *state.deaths[thread + 1 :])
            blind = fresh(state.memory)._replace(queue=state.views[thread].queue)
            dead = self._with(state, thread, None, blind)._replace(deaths=deaths)
            yield f"{self.scene.threads[thread].name}: killed", self._settle(dead, thread)

    def _restarts(self, state: State, thread: int) -> Iterator[tuple[str, State]]:
        if state.nodes[thread] is not None or state.views[thread].queue:
            return  # of a process that has died nothing waits any more
        found = self.scene.restart(thread, state, self._look(state))
        if found is None:
            return
        start, words = found
        state = self._with(state, thread, self.machine.root(*start), fresh(state.memory))
        for word, value in words.items():
            state = self._effect(state, thread, self.words[word], value)
        if not thread:
            past = state.past
            restored = words.get("0.head", 0)
            if restored > (past.published[-1][0] if past.published else 0):
                past = past._replace(published=(*past.published, (restored, state.epoch)))
            state = state._replace(epoch=state.epoch + 1, past=past)
        yield f"{self.scene.threads[thread].name}: started", self._settle(state, thread)

    def _stops(self, state: State) -> Iterator[tuple[str, State]]:
        """The writer stops for a while, and is taken for dead."""
        node = state.nodes[0]
        if node is not None and state.epoch == 1 and self.scene.stops(node):
            stopped = self._with(state, len(state.nodes) - 1, node, state.views[0])
            dead = self._with(stopped, 0, None, fresh(state.memory))
            for label, following in self._restarts(dead, 0):
                yield f"writer: stopped, and {label}", following

    # --- one step ---

    def _with(self, state: State, thread: int, node: Node | None, view: View) -> State:
        nodes = (*state.nodes[:thread], node, *state.nodes[thread + 1 :])
        return state._replace(nodes=nodes, views=(*state.views[:thread], view, *state.views[thread + 1 :]))

    def _effect(self, state: State, thread: int, word: int, value: object) -> State:
        watching = [
            other for other, node in enumerate(state.nodes) if node is not None and word in self._watched[other]
        ]
        memory, views = take_effect(self.rules, state.memory, state.views, thread, word, value, watching)
        return state._replace(memory=memory, views=views)

    def _settle(self, state: State, thread: int) -> State:
        """Notes are no steps, nor are fences that have nothing to wait for."""
        node = state.nodes[thread]
        while node is not None and node.op[0] in ("note", "fence"):
            kind, *about = node.op
            view = state.views[thread]
            if kind == "note":
                programs = self.scene.programs
                past = judge(state.past, thread, about[0], tuple(about[1:]), self._look(state), programs)
                state = state._replace(past=past)
            elif self.rules.early:
                if view.queue:
                    break
                view = fresh(state.memory)
            node = node.after(None)
            state = self._with(state, thread, node, view)
        return self._trimmed(state) if self.rules.early else state

    def _look(self, state: State) -> Callable[[str], Any]:
        return lambda word: newest(state.memory, self.words[word])

    def _trimmed(self, state: State) -> State:
        """Forget what nobody can see any more."""
        memory = state.memory
        for word, history in enumerate(memory):
            if len(history) > 1:
                oldest = max(view.ages[word] for view in state.views)
                if oldest + 1 < len(history):
                    memory = (*memory[:word], history[-1 - oldest :], *memory[word + 1 :])
        return state if memory is state.memory else state._replace(memory=memory)

    # --- progress ---

    def _check_newest(self, state: State) -> None:
        """A reader that is left alone gets the newest frame, at whatever instant the others have stopped."""
        for thread, node in enumerate(state.nodes):
            if node is not None and self.scene.threads[thread].reads and not node.steps:
                now = self._at_rest(state)
                expected = self.scene.newest(lambda word, now=now: now[self.words[word]])  # type: ignore[misc]
                known = self._alone.get((node, now))
                if known is None:
                    known = self._alone[node, now] = self._left_alone(node, list(now))
                reader = state.past.readers[thread]
                if max(known, reader.delivered, reader.counts[0]) < expected:
                    name = self.scene.threads[thread].name
                    raise Broken(f"{name}, left alone, does not get frame {expected}, the newest")

    def _at_rest(self, state: State) -> tuple:
        """The memory when all stores that were made have taken effect."""
        now = [history[-1] for history in state.memory]
        for view in state.views:
            for word, value in view.queue:
                now[word] = value
        return tuple(now)

    def _left_alone(self, node: Node, memory: list) -> int:
        """The newest number that a reader gets which runs alone from here, until it finds nothing new."""
        newest_seq, came = 0, set()
        while node not in came:
            if not node.steps:
                came.add(node)
            kind, *about = node.op
            result = None
            if kind == "load":
                result = memory[self.words[about[0]]]
            elif kind == "store":
                memory[self.words[about[0]]] = about[1]
            elif kind == "note" and about[0] == "delivered":
                newest_seq = max(newest_seq, about[1])
            node = node.after(result)
        return newest_seq
