"""The shop with people in it: carries out plans at a body's pace, instant by instant. Pure and deterministic.

Bounded acceleration, bounded turning, around furniture and around each other, first come first served at the till. The
same plans give the same people at the same places. Nothing is drawn at random here, and nothing is kept but the deeds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise

from analytics.shopfloor import route
from analytics.shopfloor.script import (
    Browse,
    Checkout,
    Deed,
    Go,
    Instant,
    Person,
    PersonState,
    Point,
    Stand,
    StepOf,
)
from analytics.shopfloor.shop import QUEUE_SPOTS, SERVICE_HEADING, SERVICE_SPOT, SHELVES

ACCELERATION = 2.2  # m/s², starting and stopping
TURN = math.radians(260)  # rad/s
RAISE, HOLD = 0.7, 0.5  # seconds: arm to the shelf (and back), hand at the goods
INSPECT = 2.2  # seconds that goods are held before the eyes after a take


def _ease(v: float) -> float:
    v = min(1.0, max(0.0, v))
    return v * v * (3 - 2 * v)


@dataclass(slots=True)
class _Agent:
    person: Person
    x: float
    y: float
    heading: float = 0.0
    vx: float = 0.0
    vy: float = 0.0
    at: int = 0  # number of the step
    way: list[Point] = field(default_factory=list)
    goal: Point | None = None
    arrived_s: float | None = None
    nearest: float = math.inf  # to the goal, along the way, since progress was last made
    stuck_s: float = 0.0
    squeeze_until: float = -1.0
    waiting_since: float | None = None
    holds: str = ""
    noted: int = 0  # touches of this step already written down


class Floor:
    """The shop with people in it; `step` moves everybody on by one interval.

    Attributes:
        deeds: what was done so far.
    """

    def __init__(self, dt: float) -> None:
        self.dt = dt
        self.deeds: list[Deed] = []
        self._agents: list[_Agent] = []
        self._queue: list[_Agent] = []

    def admit(self, person: Person) -> None:
        """Let a person come into being at their start."""
        agent = _Agent(person, *person.start)
        first = person.plan[0]
        goal = first.to if isinstance(first, Go) else self._goal(agent, first)
        if math.dist(goal, person.start) < 0.05 and isinstance(first, Stand | Browse):
            agent.heading = first.heading if isinstance(first, Stand) else SHELVES[first.shelf].heading
        else:
            agent.heading = math.atan2(goal[1] - agent.y, goal[0] - agent.x)
        self._agents.append(agent)

    def _goal(self, agent: _Agent, step: StepOf) -> Point:
        if isinstance(step, Go):
            return step.to
        if isinstance(step, Stand):
            return step.at
        if isinstance(step, Browse):
            return SHELVES[step.shelf].spot(step.along, agent.person.height)
        place = self._queue.index(agent) if agent in self._queue else len(self._queue)
        if place == 0:
            return SERVICE_SPOT
        last = QUEUE_SPOTS[-1]
        over = place - len(QUEUE_SPOTS)
        return QUEUE_SPOTS[place - 1] if over <= 0 else (last[0], last[1] - 0.75 * over)

    def _next(self, agent: _Agent) -> None:
        agent.at += 1
        agent.goal, agent.arrived_s, agent.waiting_since, agent.noted = None, None, None, 0

    def step(self, t: float) -> tuple[PersonState, ...]:
        """Return everybody at `t` seconds, then move them on to the next instant."""
        for agent in self._agents:
            self._decide(agent, t)
        self._agents = [a for a in self._agents if a.at < len(a.person.plan)]
        states = tuple(self._state(a, t) for a in self._agents)
        for agent in self._agents:
            self._move(agent, t)
        return states

    def _decide(self, agent: _Agent, t: float) -> None:
        """Go on to the next step where this one is done; find the way where the goal changed."""
        while agent.at < len(agent.person.plan):
            step = agent.person.plan[agent.at]
            if isinstance(step, Checkout):
                self._line_up(agent, step, t)
                if agent.at < len(agent.person.plan) and agent.person.plan[agent.at] is not step:
                    continue
            goal = self._goal(agent, step)
            if goal != agent.goal:
                agent.goal, agent.arrived_s = goal, None
                agent.nearest, agent.stuck_s = math.inf, 0.0
                agent.way = list(route.path((round(agent.x, 2), round(agent.y, 2)), goal))
            far = math.dist((agent.x, agent.y), goal)
            if isinstance(step, Go):
                if far > 0.35:
                    return
                self._next(agent)
                continue
            if agent.arrived_s is None:
                if far > 0.05:
                    return
                agent.arrived_s = t
            if isinstance(step, Checkout):
                return
            if isinstance(step, Browse):
                self._note(agent, step, t)
            if t - agent.arrived_s < step.seconds - 1e-9:
                return
            self._next(agent)

    def _line_up(self, agent: _Agent, step: Checkout, t: float) -> None:
        if agent not in self._queue:
            tail = self._goal(agent, step)
            if math.dist((agent.x, agent.y), tail) < 1.2:
                self._queue.append(agent)
                agent.waiting_since = t
            return
        first = self._queue[0] is agent
        started = agent.waiting_since if agent.waiting_since is not None else t
        if first and agent.arrived_s is not None and agent.goal == SERVICE_SPOT:
            if t - agent.arrived_s >= step.seconds:
                self.deeds.append(Deed(agent.person.name, "paid", "till", agent.arrived_s, t))
                self._queue.remove(agent)
                agent.holds = ""
                self._next(agent)
        elif not first and t - started > step.patience:
            self.deeds.append(Deed(agent.person.name, "abandoned", "till", started, t))
            self._queue.remove(agent)
            self._next(agent)

    def _note(self, agent: _Agent, step: Browse, t: float) -> None:
        """Write down each touch when its arm begins to rise; put goods into the hand and out of it."""
        assert agent.arrived_s is not None  # noqa: S101 - callers come here only after arrival
        for k, touch in enumerate(step.touches):
            since = t - agent.arrived_s - touch.at
            if k >= agent.noted and since >= 0:
                agent.noted = k + 1
                end = agent.arrived_s + touch.at + 2 * RAISE + HOLD
                start = agent.arrived_s + touch.at
                self.deeds.append(Deed(agent.person.name, touch.kind, step.shelf, start, end, touch.hand))
            if RAISE + HOLD / 2 <= since < RAISE + HOLD / 2 + self.dt:
                agent.holds = {"take": touch.hand, "put_back": ""}.get(touch.kind, agent.holds)

    def _arm(self, agent: _Agent, t: float) -> tuple[str, tuple[float, float, float], float, bool]:
        """Return hand, wrist target, weight and whether goods are being looked at."""
        rest = ("", (0.0, 0.0, 0.0), 0.0, False)
        step = agent.person.plan[agent.at]
        if agent.arrived_s is None or not isinstance(step, Browse):
            return rest
        shelf, h = SHELVES[step.shelf], agent.person.height
        since = t - agent.arrived_s
        for touch in step.touches:
            s = since - touch.at
            if 0 <= s < 2 * RAISE + HOLD:
                gx, gy = shelf.goods(step.along)
                side = (0.13 if touch.hand == "left" else -0.13) + touch.aside  # 0.13: straight before the shoulder
                deep = 0.16 if shelf.open_top else 0.05
                z = touch.height or shelf.heights[len(shelf.heights) // 2]
                fx, fy = shelf.facing
                weight = _ease(s / RAISE) if s < RAISE + HOLD else _ease((2 * RAISE + HOLD - s) / RAISE)
                wrist = (gx - deep * fx + side * fy, gy - deep * fy - side * fx, min(z, touch.highest * h))
                return touch.hand, wrist, weight, False
        if agent.holds:
            last = max((u.at for u in step.touches if u.at + 2 * RAISE + HOLD <= since), default=None)
            if last is not None:
                s = since - last - (2 * RAISE + HOLD)
                if s < INSPECT:
                    c, n = math.cos(agent.heading), math.sin(agent.heading)
                    side = 0.06 if agent.holds == "left" else -0.06
                    place = (agent.x + 0.15 * h * c - side * n, agent.y + 0.15 * h * n + side * c, 0.72 * h)
                    return agent.holds, place, min(_ease(s / 0.5), _ease((INSPECT - s) / 0.5)), True
        return rest

    def _state(self, agent: _Agent, t: float) -> PersonState:
        step = agent.person.plan[agent.at]
        standing = agent.arrived_s is not None
        activity, shelf = "walk", ""
        if isinstance(step, Checkout):
            if agent in self._queue:
                activity = "pay" if standing and agent.goal == SERVICE_SPOT else "queue"
        elif standing and isinstance(step, Stand):
            activity = step.activity
        elif standing and isinstance(step, Browse):
            activity, shelf = "browse", step.shelf
        hand, target, weight, inspecting = self._arm(agent, t)
        p = agent.person
        speed = math.hypot(agent.vx, agent.vy)
        return PersonState(
            p.name, p.role, p.height, agent.x, agent.y, agent.heading, speed, activity, shelf,
            hand, target, weight, inspecting, agent.holds,
        )  # fmt: skip

    def _move(self, agent: _Agent, t: float) -> None:
        dt, pace = self.dt, agent.person.pace
        step = agent.person.plan[agent.at]
        wish, face = (0.0, 0.0), None
        if agent.arrived_s is None and agent.goal is not None:
            while len(agent.way) > 1 and math.dist((agent.x, agent.y), agent.way[0]) < 0.3:
                agent.way.pop(0)
            to = agent.way[0]
            dx, dy = to[0] - agent.x, to[1] - agent.y
            far = math.hypot(dx, dy)
            last = len(agent.way) == 1 and not isinstance(step, Go)
            v = min(pace, math.sqrt(2 * 0.6 * ACCELERATION * far), far / dt) if last else pace
            if far > 1e-6:
                wish = self._give_way(agent, (v * dx / far, v * dy / far), far if last else math.inf, t)
        elif isinstance(step, Stand):
            face = step.heading
        elif isinstance(step, Browse):
            face = SHELVES[step.shelf].heading
        elif isinstance(step, Checkout):
            face = SERVICE_HEADING
        ax, ay = wish[0] - agent.vx, wish[1] - agent.vy
        size, most = math.hypot(ax, ay), ACCELERATION * dt
        if agent.arrived_s is not None:
            agent.vx = agent.vy = 0.0
        elif size > most:
            agent.vx, agent.vy = agent.vx + ax / size * most, agent.vy + ay / size * most
        else:
            agent.vx, agent.vy = wish
        x, y = route.push_out(agent.x + agent.vx * dt, agent.y + agent.vy * dt)
        agent.x, agent.y = x, y
        speed = math.hypot(agent.vx, agent.vy)
        if agent.arrived_s is None and agent.goal is not None:
            left = math.dist((x, y), agent.way[0]) + sum(math.dist(a, b) for a, b in pairwise(agent.way))
            agent.stuck_s += dt
            if left < agent.nearest - 0.15:
                agent.nearest, agent.stuck_s = left, 0.0
            if agent.stuck_s > 1.2:  # two people in each other's way: one presses on
                agent.squeeze_until, agent.nearest, agent.stuck_s = t + 2.0, math.inf, 0.0
        if face is None and speed > 0.2:
            face = math.atan2(agent.vy, agent.vx)
        if face is not None:
            turn = (face - agent.heading + math.pi) % (2 * math.pi) - math.pi
            agent.heading += max(-TURN * dt, min(TURN * dt, turn * min(1.0, 6 * dt)))

    def _give_way(self, agent: _Agent, wish: Point, left_m: float, t: float) -> Point:
        """Bend a wished velocity around the people near by; keep bodies apart."""
        if t < agent.squeeze_until:
            return wish
        wx, wy = wish
        v = math.hypot(wx, wy)
        if v < 1e-9:
            return wish
        ux, uy = wx / v, wy / v
        for other in self._agents:
            if other is agent:
                continue
            rx, ry = other.x - agent.x, other.y - agent.y
            d = math.hypot(rx, ry)
            if d > 1.3 or d < 1e-6:
                continue
            ahead = rx * ux + ry * uy
            if ahead > 0 and ahead < left_m + 0.3:
                beside = ux * ry - uy * rx  # positive: the other is to the left
                closing = (agent.vx - other.vx) * rx + (agent.vy - other.vy) * ry > 0
                if abs(beside) < 0.6 and closing:
                    side = -1.0 if beside >= -0.02 else 1.0  # step to the free side, to the right when in doubt
                    push = 1.1 * agent.person.pace * (1 - abs(beside) / 0.6) * (1.3 - d) / 0.8
                    push = min(push, 0.9 * agent.person.pace)
                    wx, wy = wx - side * uy * push, wy + side * ux * push
            if d < 0.65:
                away = (0.65 - d) * 5.0
                wx, wy = wx - rx / d * away, wy - ry / d * away
        size = math.hypot(wx, wy)
        limit = max(v, 0.7 * agent.person.pace)
        return (wx, wy) if size <= limit else (wx / size * limit, wy / size * limit)


def play(people: tuple[Person, ...], duration_s: float, fps: int) -> tuple[tuple[Instant, ...], tuple[Deed, ...]]:
    """Run a cast for `duration_s` seconds and return every instant and every deed."""
    floor = Floor(1.0 / fps)
    waiting = sorted(people, key=lambda p: (p.start_s, p.name))
    instants = []
    for n in range(round(duration_s * fps)):
        t = n / fps
        while waiting and waiting[0].start_s <= t + 1e-9:
            floor.admit(waiting.pop(0))
        instants.append(Instant(t, floor.step(t)))
    return tuple(instants), tuple(floor.deeds)
