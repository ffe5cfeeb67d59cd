"""What may be asked: the words of an address, checked before anything is read."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

MOST_DAYS = 366  # of one question; ours: a year and its leap day
MOST_CELLS = 5000  # of one answer
_DAY = re.compile(r"20\d\d-\d\d-\d\d", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,4}", re.ASCII)


def _day(text: Any) -> Any:
    if not (isinstance(text, date) or (isinstance(text, str) and _DAY.fullmatch(text))):
        raise ValueError("write a day as 2026-11-20")
    return text


def _number(text: Any) -> Any:
    if not (isinstance(text, int) or (isinstance(text, str) and _NUMBER.fullmatch(text))):
        raise ValueError("write a whole number")
    return text


Day = Annotated[date, BeforeValidator(_day)]
Number = Annotated[int, BeforeValidator(_number)]
Name = Annotated[str, Field(min_length=1, max_length=64)]


class Period(BaseModel):
    """What is asked of a metric; whatever is not named here is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    first: Day | None = Field(
        default=None, alias="from", description="First local day; a week before `to` where it is left out."
    )
    last: Day | None = Field(
        default=None, alias="to", description="Last local day, in it; the newest with figures where it is left out."
    )
    camera: tuple[Name, ...] = Field(default=(), max_length=64, description="Only these; may be given several times.")
    zone: tuple[Name, ...] = Field(default=(), max_length=64, description="Only these; may be given several times.")
    from_hour: Number = Field(default=0, ge=0, le=23, description="Only cells that begin at this local hour or later.")
    to_hour: Number = Field(default=24, ge=1, le=24, description="Only cells that end at this local hour or before.")
    format: Literal["json", "csv"] = Field(default="json", description="CSV has the same rows, a column a slot.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.from_hour >= self.to_hour:
            raise ValueError("from_hour is not before to_hour; swap them")
        if self.first is not None and self.last is not None:
            if self.first > self.last:
                raise ValueError("from is after to; swap them")
            if (self.last - self.first).days >= MOST_DAYS:
                raise ValueError(f"one question reaches over {MOST_DAYS} days at most; ask twice")
        return self


class CellsAsked(Period):
    """What is asked of cells, which come in pages."""

    limit: Number = Field(default=1000, ge=1, le=MOST_CELLS, description="Rows of one answer at most.")
    cursor: Annotated[str, Field(max_length=600, pattern=r"^[A-Za-z0-9_-]+$")] | None = Field(
        default=None, description="From `next` of the answer before; everything else stays as it was."
    )


class TotalsAsked(Period):
    """What is asked of totals."""

    by: Literal["day", "period"] = Field(
        default="day",
        description="A total a day, or one over all days; that has medians where the metric is of times.",
    )


class Nothing(BaseModel):
    """A question without words."""

    model_config = ConfigDict(extra="forbid", frozen=True)
