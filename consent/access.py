"""Who may come in and what they may do: sign-in, sessions, denials and reads, in one place for every page.

Rules:
- Whoever is not signed in sees nothing. Whoever is may do what the matrix of `desks` says, as their account stands at
  this very moment: role and session are read anew at every request.
- A password is tried a few times at once and then slowly, for each account and for each address. An address from which
  an account was signed in lately has a count of its own, so that a guesser elsewhere does not keep its owner out. Links
  and the sign-in provider are counted apart from passwords. A restart resets no count (`tries`).
- Where an account has a second factor, its password alone opens nothing. Where its desk must have one and it has none,
  a password opens the page on which it is made, and nothing else.
- Every refusal and every read of personal data goes through `accesslog`.

`accounts` keeps what is kept, `signin` has the pages and what stands before Streamlit.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass

from consent import factors, tries
from consent.accesslog import AccessLog
from consent.accounts import Account, AccountError, Accounts, digest, fold
from consent.desks import MATRIX, PERSONAL, Action, Desk, Refusal, Who, may
from consent.events import ConsentError
from consent.factors import Factors
from consent.kiosk.pace import Pace
from consent.tokens import Scope, Token, Tokens
from consent.tries import Tries

__all__ = ["MATRIX", "PERSONAL", "Access", "Action", "DeniedError", "Desk", "Refusal", "Who", "may"]

TRIES, TRIES_PER_S = 10, 1 / 60  # wrong passwords of an address, at once and in the long run
ACCOUNT_TRIES, ACCOUNT_TRIES_PER_S = 20, 1 / 60  # and on an account, from all addresses that it does not know
CODES, CODES_PER_S = 5, 1 / 600  # wrong codes of a second factor after a right password
BROKEN, BROKEN_PER_S = 10, 1 / 60  # messages of a page that no page of ours sends; then its session ends
USES, USES_PER_S = 120, 2  # of one token, at once and in the long run: people at the pages come first
_MOST_KNOWN = 256
_MAKING_US = 600_000_000  # to make a second factor
_MOST_MAKING = 64
_TIDY_S = 60.0


class DeniedError(ConsentError):
    """Somebody may not do this; it is in the log.

    Args:
        reason: the log's word for it.
        text: what to tell them.
        wait_s: after how many seconds they may try again; 0 where waiting does not help.
    """

    def __init__(self, reason: Refusal, text: str, wait_s: int = 0) -> None:
        super().__init__(text)
        self.reason, self.wait_s = reason, wait_s


@dataclass(frozen=True, slots=True)
class Making:
    """A second factor that somebody is about to make; in memory until they show that their app has it.

    Attributes:
        name: of the account.
        seed: for the app.
        until_us: when it is over, UTC microseconds.
    """

    name: str
    seed: bytes
    until_us: int


class Access:
    """The door of one shop's dashboard.

    Args:
        accounts: accounts and sessions.
        log: where denials and reads go.
        now_us: UTC microseconds.
        clock: seconds that only grow.
        second: desks that must have a second factor.
    """

    def __init__(
        self,
        accounts: Accounts,
        log: AccessLog,
        *,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        clock: Callable[[], float] = time.monotonic,
        second: Collection[Desk] = (),
    ) -> None:
        self.accounts, self.log, self.now_us, self._clock = accounts, log, now_us, clock
        self.factors, self._second = Factors(accounts), frozenset(second)
        self._making: OrderedDict[str, Making] = OrderedDict()
        self.tokens = Tokens(accounts)
        self._addresses = Tries(accounts, "address", TRIES, TRIES_PER_S)
        self._links = Tries(accounts, "link", TRIES, TRIES_PER_S)
        self._names = Tries(accounts, "name", ACCOUNT_TRIES, ACCOUNT_TRIES_PER_S, counted_as=str)
        self._strangers = Tries(accounts, "stranger", ACCOUNT_TRIES, ACCOUNT_TRIES_PER_S, counted_as=str)
        self._codes = Tries(accounts, "code", CODES, CODES_PER_S, counted_as=str)
        self._broken = Tries(accounts, "message", BROKEN, BROKEN_PER_S, counted_as=str)
        self._wrong_tokens = Pace(TRIES, TRIES_PER_S)
        self._token_uses = Pace(USES, USES_PER_S, counted_as=str)
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._lock = threading.Lock()
        self._tidy_s = 0.0

    def tick(self) -> None:
        """Write down what was refused, and now and then delete what is over; a second apart, or so."""
        self.log.flush()
        if self._clock() >= self._tidy_s:
            self._tidy_s = self._clock() + _TIDY_S
            self.accounts.tidy(now_us=self.now_us())
            self.tokens.tidy(now_us=self.now_us())
            tries.tidy(self.accounts, now_us=self.now_us())

    def close(self) -> None:
        """Write down what was refused and is not written yet."""
        self.log.flush(end=True)

    # coming in

    def sign_in(self, name: str, password: str, address: str, code: str = "") -> str:
        """Return the token of a new session; see `check`.

        Raises:
            DeniedError: see `check`; or a second factor must be made first (`Refusal.FACTOR_MISSING`).
        """
        who = self.check(name, password, address, code)
        if who.desk in self._second and not self.factors.has(who.account):
            self.log.denied(Refusal.FACTOR_MISSING, account=who.account)
            raise DeniedError(Refusal.FACTOR_MISSING, f"the {who.desk} desk needs a second factor; make one first")
        return self.accounts.begin(self.accounts.find(name), now_us=self.now_us())

    def check(self, name: str, password: str, address: str, code: str = "") -> Who:
        """Return whose name and password these are, and code where the account has a second factor.

        Args:
            name: of the account, as typed.
            password: as typed.
            address: of the caller.
            code: as typed.

        Raises:
            DeniedError: wrong name, password or code, or too many were wrong; it does not say which.
        """
        folded = fold(name)[:64]
        names, counted = self._slow_down(folded, address)
        account = self.accounts.check(name, password)
        if account is None:
            if code:
                self.factors.use("", password, code, now_us=self.now_us())  # takes as long
            known = next((one.id for one in self.accounts.accounts() if fold(one.name) == folded), "")
            self.log.denied(Refusal.PASSWORD, account=known)
            raise DeniedError(Refusal.PASSWORD, _WRONG)
        self._check_code(account, password, code)
        with self._lock:
            self._known[folded, address] = None
            self._known.move_to_end((folded, address))
            while len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)
        self._addresses.forgive(address)
        names.forgive(counted)
        return account.who()

    def _check_code(self, account: Account, password: str, code: str) -> None:
        if not self.factors.has(account.id):
            return
        if code:
            self._wait(self._codes.wait_s(account.id, self.now_us()))
            left = self.factors.left(account.id)
            if self.factors.use(account.id, password, code, now_us=self.now_us()):
                self._codes.forgive(account.id)
                if self.factors.left(account.id) < left:
                    self.log.changed(account.id, "recovery_code", by=account.id)
                return
        self.log.denied(Refusal.FACTOR, account=account.id)
        raise DeniedError(Refusal.FACTOR, _WRONG)

    def let_in(self, account: Account, address: str = "") -> str:
        """Return the token of a new session of somebody who was checked otherwise, and forget the address's tries."""
        if address:
            self._links.forgive(address)
        return self.accounts.begin(account, now_us=self.now_us())

    def make_first(self, code: str, name: str, password: str, again: str, address: str) -> str:
        """Make the first administrator and return the token of a session.

        Args:
            code: the set-up code, as typed.
            name: of the account.
            password: as typed.
            again: as typed a second time.
            address: of the caller.

        Raises:
            DeniedError: the code is wrong or over, or too many were.
            AccountError: name or password will not do; the code still works.
        """
        self.slow_down(address)
        if not self.accounts.is_set_up_code(code, now_us=self.now_us()):
            self.log.denied(Refusal.CODE)
            raise DeniedError(Refusal.CODE, "this is not the code, or it is over; restart `openaisle dashboard`")
        self._addresses.forgive(address)
        _same(password, again)
        account = self.accounts.add_first(name, password, now_us=self.now_us())
        self.accounts.forget_set_up()
        self.log.changed(account.id, "made", desk=account.desk)
        return self.let_in(account)

    def change_password(self, who: Who, old: str, new: str, again: str, address: str) -> str:
        """Change one's own password, end every session, and return the token of a new one.

        Raises:
            DeniedError: the old one is wrong, or too many were.
            AccountError: the new one will not do.
        """
        _same(new, again)
        self._own_password(who, old, address)
        account = self.accounts.set_password(who.name, new, own=True)
        self.factors.follow(account.id, old, new)
        self.log.changed(account.id, "password", by=who.account)
        return self.let_in(account)

    def _own_password(self, who: Who, password: str, address: str) -> None:
        self._slow_down(fold(who.name)[:64], address)
        if self.accounts.check(who.name, password) is None:
            self.log.denied(Refusal.PASSWORD, account=who.account)
            raise DeniedError(Refusal.PASSWORD, "the password you have now is another one")

    # second factors

    def begin_factor(self, name: str) -> tuple[str, Making]:
        """Return a handle and a new seed for somebody to put into their app; nothing is kept on disk yet.

        Args:
            name: of the account.

        Raises:
            AccountError: there is none, or it has a second factor or no password here.
        """
        account = self.accounts.find(name)
        if not account.local or self.factors.has(account.id):
            raise AccountError("this account has a second factor already; take it away first")
        handle, made = secrets.token_urlsafe(16), Making(account.name, factors.seed(), self.now_us() + _MAKING_US)
        with self._lock:
            self._making[handle] = made
            while len(self._making) > _MOST_MAKING:
                self._making.popitem(last=False)
        return handle, made

    def making(self, handle: str) -> Making | None:
        """Return what `begin_factor` began, None where it is over."""
        with self._lock:
            found = self._making.get(handle)
        return found if found is not None and self.now_us() < found.until_us else None

    def finish_factor(self, handle: str, password: str, code: str, address: str) -> tuple[Account, list[str]]:
        """Give the account its second factor, end its sessions, and return it with the recovery codes, told only here.

        Args:
            handle: of `begin_factor`.
            password: of the account, typed then and there.
            code: as the app shows it.
            address: of the caller.

        Raises:
            DeniedError: the password or the code is wrong, or too many were.
            AccountError: it took too long.
        """
        made = self.making(handle)
        if made is None:
            raise AccountError("that took more than ten minutes; begin again")
        account = self.accounts.find(made.name)
        self._own_password(account.who(), password, address)
        step = factors.step_of(made.seed, code, self.now_us())
        if step is None:
            self.log.denied(Refusal.FACTOR, account=account.id)
            raise DeniedError(Refusal.FACTOR, "this is not what the app shows now; look at it again")
        with self._lock:
            if self._making.pop(handle, None) is None:
                raise AccountError("this was done already; sign in anew")
        self._addresses.forgive(address)
        codes = self.factors.put(account.id, made.seed, password, step)
        self.log.changed(account.id, "factor", by=account.id)
        self.accounts.end_all(account.id)
        return account, codes

    def remove_factor(self, who: Who, password: str, code: str, address: str) -> None:
        """Take one's own second factor away.

        Raises:
            DeniedError: the password or the code is wrong, or too many were.
        """
        self.check(who.name, password, address, code)
        if self.factors.remove(who.account):
            self.log.changed(who.account, "factor_removed", by=who.account)

    def broken(self, who: Who, key: bytes) -> None:
        """Note that a page's websocket brought what no page of ours sends; whose do so too often is signed out.

        Args:
            who: is signed in.
            key: SHA-256 of the session's token.
        """
        self.log.denied(Refusal.MESSAGE, account=who.account)
        if self._broken.wait_s(who.account, self.now_us()):
            self.accounts.end(key)

    def use_link(self, code: str, address: str) -> str:
        """Return the token of a new session for a one-time link.

        Raises:
            DeniedError: it is none, was used, or is over.
        """
        self.slow_down_link(address)
        account = self.accounts.use_link(code, now_us=self.now_us())
        if account is None:
            self.log.denied(Refusal.CODE)
            why = "this link was used already, or is over; the demo gives new ones when it is started anew"
            raise DeniedError(Refusal.CODE, why)
        return self.let_in(account, address)

    def slow_down(self, address: str) -> None:
        """Count one try of an address, before it is known whether it is right.

        Raises:
            DeniedError: there were too many.
        """
        self._wait(self._addresses.wait_s(address, self.now_us()))

    def slow_down_link(self, address: str) -> None:
        """Count one try of an address by a link or by the sign-in provider.

        Raises:
            DeniedError: there were too many.
        """
        self._wait(self._links.wait_s(address, self.now_us()))

    def _slow_down(self, folded: str, address: str) -> tuple[Tries, str]:
        """Count one try on an account; return where and under what. An address that waits counts none."""
        now_us = self.now_us()
        self._wait(self._addresses.wait_s(address, now_us))
        names, counted = self._count_of(folded, address)
        self._wait(names.wait_s(counted, now_us))
        return names, counted

    def _count_of(self, folded: str, address: str) -> tuple[Tries, str]:
        """Return the count that a try on an account falls into; names of nobody never take the room of accounts.

        Names of nobody are counted alike, each apart, so that who has to wait does not tell which names there are.
        """
        with self._lock:
            if (folded, address) in self._known:
                return self._names, f"{folded}\n{address}"
        known = any(fold(one.name)[:64] == folded for one in self.accounts.accounts())
        return self._names if known else self._strangers, folded

    def _wait(self, wait_s: int) -> None:
        if wait_s:
            self.log.denied(Refusal.PACE)
            raise DeniedError(Refusal.PACE, f"too many tries; wait {wait_s} s and try again", wait_s)

    def token(self, secret: str, scope: Scope, address: str) -> Token:
        """Return the token of a program that may read what is in a scope.

        Only wrong ones are counted by address, so that nobody keeps a right one out by guessing.

        Args:
            secret: as it was sent.
            scope: what is asked for.
            address: of the caller.

        Raises:
            DeniedError: it is none, over, or for something else, or was used too often; it is in the log.
        """
        now_us, found = self.now_us(), self.tokens.of(secret)
        if found is None or not found.stands(now_us):
            self._wait(self._wrong_tokens.wait_s(address, self._clock()))
            self.log.denied(Refusal.TOKEN, account="" if found is None else found.id)
            raise DeniedError(Refusal.TOKEN, "this token is none, or is over; `openaisle token add` makes one")
        if found.scope is not scope:
            self.log.denied(Refusal.SCOPE, account=found.id)
            raise DeniedError(Refusal.SCOPE, f"this token is for {found.scope}, not for {scope}")
        if wait_s := self._token_uses.wait_s(found.id, self._clock()):
            self.log.denied(Refusal.PACE, account=found.id)
            raise DeniedError(Refusal.PACE, f"too many requests with this token; wait {wait_s} s", wait_s)
        self.tokens.used(found, now_us=now_us)
        return found

    # being in

    def who(self, key: bytes, *, active: bool = False) -> Who | None:
        """Return who is signed in under the hash of a session's token, as things stand now.

        Args:
            key: SHA-256 of the token.
            active: somebody does something just now.
        """
        return self.accounts.session(key, now_us=self.now_us(), active=active)

    def who_holds(self, token: str, *, active: bool = False) -> Who | None:
        """Return who is signed in with a token."""
        return self.who(digest(token), active=active)

    def require(self, who: Who | None, action: Action) -> Who:
        """Return who it is if they may do this; where it is about shoppers, the log says so before this returns.

        Raises:
            DeniedError: they may not, or nobody is signed in.
            ConsentError: the log cannot be written.
        """
        if who is None:
            self.log.denied(Refusal.ANONYMOUS, action=action)
            raise DeniedError(Refusal.ANONYMOUS, "you are not signed in any more; sign in again")
        if not who.may(action):
            self.log.denied(Refusal.ACTION, account=who.account, action=action)
            raise DeniedError(Refusal.ACTION, f"this is not for the {who.desk} desk; the refusal is in the log")
        if action in PERSONAL:
            self.log.read(who.account, action)
        return who


_WRONG = "name, password or code is wrong"


def _same(password: str, again: str) -> None:
    if password != again:
        raise AccountError("the two passwords are not the same; type them again")
