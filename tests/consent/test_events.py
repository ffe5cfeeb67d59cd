"""The state table, the levels, and the words of the log."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.events import (
    DEFAULT_TERM,
    PERMITTING,
    TRANSITIONS,
    ConsentError,
    EventKind,
    IllegalMoveError,
    Leaf,
    Level,
    Move,
    Purpose,
    State,
    commit,
    diagram,
    encode_payload,
    move,
)
from tests.conftest import ROOT

HASH = bytes(range(32))


def test_only_given_and_renewed_permit() -> None:
    assert {s for s in State if s.permits} == {State.GIVEN, State.RENEWED} == PERMITTING


def test_what_permits_is_reached_by_a_tap_alone() -> None:
    into = {step for (_, step), after in TRANSITIONS.items() if after.permits}
    assert into == {Move.GIVE, Move.RENEW}
    assert {before for (before, step) in TRANSITIONS if step is Move.GIVE} == {State.REQUESTED}
    assert {before for (before, step) in TRANSITIONS if step is Move.RENEW} == {State.GIVEN, State.RENEWED}


def test_every_pair_outside_the_table_raises() -> None:
    for state, step in itertools.product(State, Move):
        if (state, step) in TRANSITIONS:
            assert move(state, step) is TRANSITIONS[state, step]
        else:
            with pytest.raises(IllegalMoveError, match=step.value):
                move(state, step)


def test_silence_is_not_consent() -> None:
    assert move(State.UNKNOWN, Move.REQUEST, Move.LAPSE) is State.UNKNOWN


def test_every_state_is_reached_and_left() -> None:
    assert set(TRANSITIONS.values()) == set(State)
    assert {before for before, _ in TRANSITIONS} == set(State)


@pytest.mark.parametrize("state", sorted(PERMITTING))
@pytest.mark.parametrize("end", [Move.WITHDRAW, Move.EXPIRE, Move.REVOKE, Move.INVALIDATE, Move.OBJECT])
def test_every_end_is_one_move_away(state: State, end: Move) -> None:
    assert not move(state, end).permits


def test_the_diagram_shows_every_move_and_no_other() -> None:
    drawn = [line.split() for line in diagram().splitlines()[2:]]
    moves = {(State[a], Move(step)): State[b.rstrip(":")] for a, _, b, step in drawn}
    assert moves == TRANSITIONS
    assert len(drawn) == len(TRANSITIONS)


def test_the_docs_show_the_diagram_as_the_table_draws_it() -> None:
    page = (ROOT / "docs" / "governance.md").read_text()
    _, _, rest = page.partition("```mermaid\n")
    assert rest.partition("```")[0] == diagram()
    assert page.count("```mermaid") == 1


def test_levels_are_ordered_and_cap_purposes() -> None:
    assert sorted(Level, key=lambda level: level.rank) == [Level.COUNTS, Level.DWELL, Level.REPEAT, Level.EMOTION]
    assert Level.COUNTS < Level.DWELL < Level.REPEAT < Level.EMOTION
    assert Level.EMOTION > Level.COUNTS
    assert Level.DWELL >= Level.DWELL >= Level.COUNTS
    assert Level.DWELL <= Level.REPEAT
    allowed = {level: {p for p in Purpose if level.allows(p)} for level in Level}
    assert allowed == {
        Level.COUNTS: set(),
        Level.DWELL: {Purpose.DWELL},
        Level.REPEAT: {Purpose.DWELL, Purpose.REPEAT},
        Level.EMOTION: set(Purpose),
    }


def test_every_purpose_has_a_term() -> None:
    assert set(DEFAULT_TERM) == set(Purpose)
    assert [DEFAULT_TERM[p] for p in (Purpose.DWELL, Purpose.EMOTION, Purpose.REPEAT)] == [30, 7, 90]


LEAVES = st.builds(
    Leaf,
    kind=st.sampled_from(EventKind),
    commitment=st.binary(min_size=32, max_size=32),
    purposes=st.frozensets(st.sampled_from(Purpose)),
    level=st.none() | st.sampled_from(Level),
    count=st.none() | st.integers(0, 2**53 - 1),
    digest=st.none() | st.binary(min_size=32, max_size=32),
)


@settings(derandomize=True, deadline=None)
@given(LEAVES)
def test_a_leaf_survives_the_round_trip_in_one_form(leaf: Leaf) -> None:
    data = leaf.encode()
    assert Leaf.decode(data) == leaf
    assert b"\n" not in data
    assert data == json.dumps(json.loads(data), sort_keys=True, separators=(",", ":")).encode()


@settings(derandomize=True, deadline=None)
@given(LEAVES, st.data())
def test_a_leaf_of_one_other_byte_is_another_leaf_or_none(leaf: Leaf, data: st.DataObject) -> None:
    raw = bytearray(leaf.encode())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        other = Leaf.decode(bytes(raw))
    except ConsentError:
        return
    assert other != leaf


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "granted because Mrs Miller asked"},
        {"kind": "granted"},  # the word alone is not the type
        {"commitment": b"short"},
        {"commitment": "ab" * 32},
        {"purposes": frozenset({"marketing"})},
        {"level": "whatever"},
        {"count": -1},
        {"count": 2**53},
        {"count": True},
        {"count": 1.5},
        {"digest": "Mrs Miller"},
        {"digest": b"x" * 31},
    ],
)
def test_no_free_text_enters_leaf_data(fields: dict[str, object]) -> None:
    right: dict[str, object] = {"kind": EventKind.GRANTED, "commitment": HASH}
    with pytest.raises(ConsentError):
        Leaf(**(right | fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 100_000,
        b'{"commitment":"' + b"00" * 32 + b'","kind":"granted","v":1,"note":"Mrs Miller"}',
        b'{"commitment":"' + b"00" * 32 + b'","kind":"granted","v":2}',
        b'{"kind":"granted","commitment":"' + b"00" * 32 + b'","v":1}',
        b'{"commitment":"' + b"0A" * 32 + b'","kind":"granted","v":1}',
        b'{"commitment":"' + b"00" * 32 + b'","kind":"granted","v":1} ',
        b'{"commitment":"' + b"00" * 32 + b'","count":1.0,"kind":"erased","v":1}',
    ],
)
def test_leaf_data_of_another_form_is_refused(data: bytes) -> None:
    with pytest.raises(ConsentError):
        Leaf.decode(data)


@pytest.mark.parametrize(
    "payload",
    [
        {"note": "Mrs Miller asked for it"},
        {"name": "Müller"},
        {"Name": "x"},
        {"a b": 1},
        {"x": 2**53},
        {"x": 1.5},
        {"x": None},
        {"x": True},
        {"x": ["fine", "not fine"]},
        {"x": {"y": "a\nb"}},
        {"x": "a" * 129},
    ],
)
def test_no_prose_enters_a_payload(payload: dict[str, object]) -> None:
    with pytest.raises(ConsentError):
        encode_payload(payload)  # type: ignore[arg-type]


def test_a_payload_is_canonical() -> None:
    assert encode_payload({"b": 1, "a": ["x", {"d": 2, "c": "en-GB"}]}) == b'{"a":["x",{"c":"en-GB","d":2}],"b":1}'


def test_a_commitment_binds_key_and_payload() -> None:
    key, other = b"\x01" * 32, b"\x02" * 32
    assert len({commit(key, b"a"), commit(key, b"b"), commit(other, b"a"), commit(other, b"b")}) == 4
    with pytest.raises(ConsentError):
        commit(b"short", b"a")
