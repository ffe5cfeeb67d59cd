"""A drawing that is not saved yet: shapes of one camera, what they were before each change, and from which settings.

It knows no page. Every change makes a new `revision` but those that the drawing board itself told: the board has them
already, and a page that sent them back would undo what was drawn meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from analytics.setup.shapes import Shape, What, moved, renamed

STEPS = 200  # that can be undone


@dataclass(slots=True)
class Easel:
    """See the module.

    Attributes:
        shapes: as they are drawn now.
        active: id of the shape that is being worked on, empty where there is none.
        revision: of the shapes, as the board is told.
    """

    shapes: tuple[Shape, ...]
    active: str = ""
    revision: int = 0
    _past: list[tuple[Shape, ...]] = field(default_factory=list)
    _board: str = ""
    _undone: int = 0

    def __post_init__(self) -> None:
        self._choose()

    @property
    def undoable(self) -> bool:
        """Whether there is anything to undo."""
        return bool(self._past)

    @property
    def chosen(self) -> Shape | None:
        """The shape that is being worked on."""
        return next((shape for shape in self.shapes if shape.id == self.active), None)

    def heard(self, told: object) -> None:
        """Take what the board told; what it says of an older revision is out of date and left out."""
        if not isinstance(told, Mapping) or told.get("revision") != self.revision:
            return
        if told.get("board") != self._board:
            self._board, self._undone = str(told.get("board")), 0
        self._set(moved(self.shapes, told.get("points")))
        if told.get("active") in {shape.id for shape in self.shapes}:
            self.active = str(told["active"])
        undone = told.get("undone")
        if isinstance(undone, int) and undone > self._undone:
            steps, self._undone = undone - self._undone, undone
            self.undo(steps)

    def undo(self, steps: int = 1) -> None:
        """Go back to before the last change, or several."""
        for _ in range(min(steps, len(self._past))):
            self.shapes = self._past.pop()
        self.revision += 1
        self._choose()

    def put(self, *shapes: Shape) -> None:
        """Put shapes there, in place of those of the same id, and work on the first of them."""
        new = {shape.id: shape for shape in shapes}
        kept = [new.pop(shape.id, shape) for shape in self.shapes]
        self._set((*kept, *new.values()))
        self.active = shapes[0].id
        self.revision += 1

    def rename(self, name: str, new: str) -> None:
        """Call a zone something else, and work on it."""
        self._set(renamed(self.shapes, name, new))
        self.active = f"{What.ZONE}:{new}"
        self.revision += 1

    def drop(self, *ids: str) -> None:
        """Take shapes away."""
        self._set(tuple(shape for shape in self.shapes if shape.id not in ids))
        self.revision += 1
        self._choose()

    def _set(self, shapes: tuple[Shape, ...]) -> None:
        if shapes != self.shapes:
            self._past = [*self._past, self.shapes][-STEPS:]
            self.shapes = shapes

    def _choose(self) -> None:
        if self.chosen is None:
            self.active = self.shapes[0].id if self.shapes else ""
