"""The certificate: what it shows, who finds it, and that no bit of it can be changed."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
import rfc8785

import cli
from analytics.desk import log_keys
from consent.events import ConsentError, Purpose
from consent.keys import Role
from retention import certificate, scan
from retention.certificate import CertificateError
from retention.keeper import Keeper
from tests.retention.keeping import NOON, SECOND, Shop
from tests.retention.test_keeper import MINUTE, fast_path, run_once, shop

__all__ = ["fast_path", "shop"]


def erase(shop: Shop, people: int = 1) -> tuple[bytes, list[int]]:
    """Return the certificate of an erasure, and the entries by which the consents ended."""
    said = [shop.yes(Purpose.DWELL, Purpose.REPEAT) for _ in range(people + 1)]
    for i, one in enumerate(said):
        shop.stay(one.subject, NOON + (i + 1) * SECOND)
    run_once(shop)
    entries = [shop.ledger.withdraw(one.secret, now_us=NOON + MINUTE).leaf_index for one in said[:people]]
    (erased,) = run_once(shop, NOON + 2 * MINUTE).erased
    return (shop.state.certificates / erased.certificate).read_bytes(), [e for e in entries if e is not None]


def test_it_says_what_was_erased_when_and_how_it_was_searched_for(shop: Shop) -> None:
    data, entries = erase(shop, 3)
    told = certificate.verify(data, certificate.key_lines(shop.ledger), log_keys(shop.ledger))
    assert (told.subjects, dict(told.rows)) == (3, {"dwell": 3, "repeat": 3})
    assert list(told.entries) == entries
    assert told.erased_at == "2026-09-21T14:15:20.000000Z"
    assert told.log_signed
    assert told.patterns >= 6 + 3 * 6  # pseudonyms; keyed hash, key, sealed key, keys of entries, payload
    assert told.control
    whole = json.loads(data)["certificate"]
    assert whole["ended"]["first"] == whole["ended"]["last"] == "2026-09-21T14:14:20.000000Z"
    files = {file["path"]: file for file in whole["search"]["files"]}
    assert {"ledger.sqlite", "visits.duckdb", "store.toml"} <= set(files)
    assert files["visits.duckdb"]["bytes"] == shop.state.visits.stat().st_size


def test_it_names_nobody(shop: Shop) -> None:
    her = shop.yes()
    shop.stay(her.subject, NOON + SECOND)
    run_once(shop)
    key, number = shop.ledger.subject_key(her.subject), shop.hash_of(her.subject, NOON)
    patterns = [her.secret.encode(), her.subject, key, number.to_bytes(8, "little")]
    patterns += [pattern.hex().encode() for pattern in patterns] + [base64.b64encode(p) for p in patterns]
    patterns += [str(shop.ledger.number_of(her.subject)).encode(), str(number).encode()]
    shop.ledger.withdraw(her.secret, now_us=NOON + MINUTE)
    run_once(shop, NOON + 2 * MINUTE)
    (path,) = shop.state.certificates.glob("*")
    assert not [pattern for pattern in patterns if pattern in path.read_bytes()]


def test_whoever_knows_the_entry_on_the_receipt_finds_it(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    data, entries = erase(shop, 2)
    own = json.loads(data)["certificate"]["log"]["entry"]
    for entry in (*entries, own):
        assert certificate.find(shop.state.certificates, entry).read_bytes() == data
    with pytest.raises(CertificateError, match="no certificate names log entry 99"):
        certificate.find(shop.state.certificates, 99)
    words = ["--state", str(shop.state.root)]
    assert cli.main(["retention", "certificate", str(entries[0]), *words]) == 0
    assert capsys.readouterr().out.encode() == data
    assert cli.main(["retention", "certificate", "99", *words]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_command_checks_it_offline(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    data, entries = erase(shop)
    file = shop.state.root.parent / "mine.json"
    file.write_bytes(data)
    assert cli.main(["retention", "keys", "--state", str(shop.state.root)]) == 0
    mine, logs = capsys.readouterr().out.splitlines()
    assert cli.main(["retention", "verify-certificate", str(file), "--key", mine]) == 0
    assert "signature not checked" in capsys.readouterr().out
    assert cli.main(["retention", "verify-certificate", str(file), "--key", mine, "--log-key", logs]) == 0
    said = capsys.readouterr().out
    assert f"ended by {entries[0]}; checkpoint: its signature checked" in said
    file.write_bytes(data.replace(b'"subjects": 1', b'"subjects": 9'))
    for words in (["--key", mine], ["--key", logs], ["--key", "no key"]):
        assert cli.main(["retention", "verify-certificate", str(file), *words]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_every_changed_byte_is_refused(shop: Shop) -> None:
    data, _ = erase(shop)
    keys, logs = certificate.key_lines(shop.ledger), log_keys(shop.ledger)
    assert certificate.verify(data, keys, logs)
    refused = 0
    for place in range(len(data)):
        for bit in (1, 32):
            broken = bytearray(data)
            broken[place] ^= bit
            with pytest.raises((CertificateError, ConsentError)):
                certificate.verify(bytes(broken), keys, logs)
            refused += 1
    for cut in (data[:-1], data[1:], data + b"\n", data.replace(b"\n", b"\r\n"), b"", b"{}", b"[]", b"\xff"):
        with pytest.raises((CertificateError, ConsentError)):
            certificate.verify(cut, keys, logs)
    assert refused == 2 * len(data)


def more_subjects(told: dict[str, Any]) -> None:
    told["erased"]["subjects"] = 5


def fewer_rows(told: dict[str, Any]) -> None:
    told["erased"]["rows"] = {"dwell": 0}


def another_time(told: dict[str, Any]) -> None:
    told["erased"]["at"] = "2026-09-21T14:15:21.000000Z"


def something_found(told: dict[str, Any]) -> None:
    told["search"]["found"] = 1


def a_file_left_out(told: dict[str, Any]) -> None:
    told["search"]["files"].pop()


def more_patterns(told: dict[str, Any]) -> None:
    told["search"]["patterns"]["pseudonyms"] += 1


def a_search_that_sees_nothing(told: dict[str, Any]) -> None:
    told["search"]["control"]["found"] = 0


def another_entry(told: dict[str, Any]) -> None:
    told["log"]["entry"] -= 1


def another_payload(told: dict[str, Any]) -> None:
    told["log"]["payload"] = told["log"]["payload"].replace('"rows":2', '"rows":3')


def ended_by_another(told: dict[str, Any]) -> None:
    told["ended"]["entries"][0]["entry"] -= 1


def ended_by_the_erasure(told: dict[str, Any]) -> None:
    told["ended"]["entries"] = [{name: told["log"][name] for name in ("entry", "leaf", "inclusion")}]


def another_store(told: dict[str, Any]) -> None:
    told["store"] = "openaisle/other"


@pytest.mark.parametrize(
    "lie",
    [
        *(more_subjects, fewer_rows, another_time, something_found, a_file_left_out, more_patterns),
        *(a_search_that_sees_nothing, another_entry, another_payload, ended_by_another, ended_by_the_erasure),
        another_store,
    ],
    ids=lambda lie: lie.__name__,
)
def test_not_even_the_holder_of_the_certificate_key_can_say_what_the_log_does_not(
    shop: Shop, lie: Callable[[dict[str, Any]], None]
) -> None:
    data, _ = erase(shop)
    whole = json.loads(data)
    told = copy.deepcopy(whole["certificate"])
    lie(told)
    assert told != whole["certificate"]
    key = shop.ledger.keys.signing_key("certificate")
    message = b"openaisle erasure certificate v1\x00" + rfc8785.dumps(told)
    signature = {"key": whole["signature"]["key"], "value": base64.b64encode(key.sign(message)).decode()}
    forged = json.dumps({"certificate": told, "signature": signature}, indent=1, sort_keys=True).encode() + b"\n"
    with pytest.raises((CertificateError, ConsentError)):
        certificate.verify(forged, certificate.key_lines(shop.ledger), log_keys(shop.ledger))


def test_the_signature_of_another_shop_is_refused(shop: Shop) -> None:
    other = Shop.make(shop.state.root.parent / "other")
    with other.ledger:
        data, _ = erase(other)
        lines = certificate.key_lines(other.ledger)
    with pytest.raises(CertificateError, match="not signed by the key you gave"):
        certificate.verify(data, certificate.key_lines(shop.ledger))
    assert certificate.verify(data, lines)


def test_ending_one_purpose_is_certified_too_and_once(shop: Shop) -> None:
    her = shop.yes(Purpose.DWELL, Purpose.REPEAT)
    shop.stay(her.subject, NOON + SECOND)
    run_once(shop)
    one = shop.ledger.withdraw(her.secret, now_us=NOON + MINUTE, purposes=[Purpose.DWELL]).leaf_index
    run_once(shop, NOON + 2 * MINUTE)
    two = shop.ledger.withdraw(her.secret, now_us=NOON + 3 * MINUTE).leaf_index
    run_once(shop, NOON + 4 * MINUTE)
    assert one is not None
    assert two is not None
    first, second = sorted(shop.state.certificates.glob("*"))
    keys = certificate.key_lines(shop.ledger)
    told = [certificate.verify(path.read_bytes(), keys) for path in (first, second)]
    assert [(t.subjects, dict(t.rows)) for t in told] == [(0, {"dwell": 1}), (1, {"repeat": 1})]
    assert told[0].entries == (one,)
    assert two in told[1].entries


def test_a_search_that_cannot_find_proves_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    her, him = shop.yes(), shop.yes()
    for one in (her, him):
        shop.stay(one.subject, NOON + SECOND)
    run_once(shop)
    shop.ledger.withdraw(her.secret, now_us=NOON + MINUTE)
    blind = scan.Searched({}, 0, ())
    monkeypatch.setattr("retention.erasure.search_apart", lambda *_, **__: blind)
    report = run_once(shop, NOON + 2 * MINUTE)
    assert report.erased == ()
    assert "proves nothing" in str(report.deferred)
    monkeypatch.undo()
    assert [e.subjects for e in run_once(shop, NOON + 3 * MINUTE).erased] == [1]


def test_a_crash_before_the_certificate_does_not_change_what_was_logged(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Crash(BaseException):
        pass

    def crash(*_: object, **__: object) -> None:
        raise Crash

    her, him, third = (shop.yes() for _ in range(3))
    for one in (her, him, third):
        shop.stay(one.subject, NOON + SECOND)
    run_once(shop)
    shop.ledger.withdraw(her.secret, now_us=NOON + MINUTE)
    with shop.state.open_ledger(Role.KEEPER) as ledger:
        keeper = Keeper(shop.state, ledger)
        with monkeypatch.context() as broken:
            broken.setattr(certificate, "write", crash)
            with pytest.raises(Crash):
                keeper.run_once(NOON + 2 * MINUTE)
        keeper.close()
    shop.ledger.withdraw(him.secret, now_us=NOON + 3 * MINUTE)
    report = run_once(shop, NOON + 4 * MINUTE)
    assert [(e.subjects, e.rows) for e in report.erased] == [(1, 1), (1, 1)]
    keys, logs = certificate.key_lines(shop.ledger), log_keys(shop.ledger)
    for path in shop.state.certificates.glob("*"):
        assert certificate.verify(path.read_bytes(), keys, logs).subjects == 1
