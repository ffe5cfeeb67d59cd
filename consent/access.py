"""Who may come in and what they may do: sign-in, sessions, denials and reads, in one place for every page.

Rules:
- Whoever is not signed in sees nothing. Whoever is may do what the matrix of `desks` says, as their account stands at
  this very moment: role and session are read anew at every request.
- A password is tried a few times at once and then slowly, for each account and for each address. An address from which
  an account was signed in lately has a count of its own, so that a guesser elsewhere does not keep its owner out. Links
  and the sign-in provider are counted apart from passwords.
- Every refusal and every read of personal data goes through `accesslog`.

`accounts` keeps what is kept, `signin` has the pages and what stands before Streamlit.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from consent.accesslog import AccessLog
from consent.accounts import Account, AccountError, Accounts, digest, fold
from consent.desks import MATRIX, PERSONAL, Action, Desk, Refusal, Who, may
from consent.events import ConsentError
from consent.kiosk.pace import Pace
from consent.tokens import Scope, Token, Tokens

__all__ = ["MATRIX", "PERSONAL", "Access", "Action", "DeniedError", "Desk", "Refusal", "Who", "may"]

TRIES, TRIES_PER_S = 10, 1 / 60  # wrong passwords of an address, at once and in the long run
ACCOUNT_TRIES, ACCOUNT_TRIES_PER_S = 20, 1 / 60  # and on an account, from all addresses that it does not know
USES, USES_PER_S = 120, 10  # of one token, at once and in the long run: people at the pages come first
_MOST_KNOWN = 256
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


class Access:
    """The door of one shop's dashboard.

    Args:
        accounts: accounts and sessions.
        log: where denials and reads go.
        now_us: UTC microseconds.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        accounts: Accounts,
        log: AccessLog,
        *,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.accounts, self.log, self.now_us, self._clock = accounts, log, now_us, clock
        self.tokens = Tokens(accounts)
        self._addresses = Pace(TRIES, TRIES_PER_S)
        self._links = Pace(TRIES, TRIES_PER_S)
        self._wrong_tokens = Pace(TRIES, TRIES_PER_S)
        self._token_uses = Pace(USES, USES_PER_S, counted_as=str)
        self._names = Pace(ACCOUNT_TRIES, ACCOUNT_TRIES_PER_S, counted_as=str)
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

    def close(self) -> None:
        """Write down what was refused and is not written yet."""
        self.log.flush(end=True)

    # coming in

    def sign_in(self, name: str, password: str, address: str) -> str:
        """Return the token of a new session; see `check`.

        Raises:
            DeniedError: wrong name or password, or too many were wrong.
        """
        self.check(name, password, address)
        return self.accounts.begin(self.accounts.find(name), now_us=self.now_us())

    def check(self, name: str, password: str, address: str) -> Who:
        """Return whose name and password these are.

        Args:
            name: of the account, as typed.
            password: as typed.
            address: of the caller.

        Raises:
            DeniedError: wrong name or password, or too many were wrong; it does not say which.
        """
        folded = fold(name)[:64]
        counted = self._slow_down(folded, address)
        account = self.accounts.check(name, password)
        if account is None:
            known = next((one.id for one in self.accounts.accounts() if fold(one.name) == folded), "")
            self.log.denied(Refusal.PASSWORD, account=known)
            raise DeniedError(Refusal.PASSWORD, "name or password is wrong")
        with self._lock:
            self._known[folded, address] = None
            self._known.move_to_end((folded, address))
            while len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)
        self._addresses.forgive(address)
        self._names.forgive(counted)
        return account.who()

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
        self._slow_down(fold(who.name), address)
        if self.accounts.check(who.name, old) is None:
            self.log.denied(Refusal.PASSWORD, account=who.account)
            raise DeniedError(Refusal.PASSWORD, "the password you have now is another one")
        account = self.accounts.set_password(who.name, new)
        self.log.changed(account.id, "password", by=who.account)
        return self.let_in(account)

    def use_link(self, code: str, address: str) -> str:
        """Return the token of a new session for a one-time link.

        Raises:
            DeniedError: it is none, was used, or is over.
        """
        self.slow_down_link(address)
        account = self.accounts.use_link(code, now_us=self.now_us())
        if account is None:
            self.log.denied(Refusal.CODE)
            raise DeniedError(Refusal.CODE, "this link was used already, or is over")
        return self.let_in(account, address)

    def slow_down(self, address: str) -> None:
        """Count one try of an address, before it is known whether it is right.

        Raises:
            DeniedError: there were too many.
        """
        self._wait(self._addresses.wait_s(address, self._clock()))

    def slow_down_link(self, address: str) -> None:
        """Count one try of an address by a link or by the sign-in provider.

        Raises:
            DeniedError: there were too many.
        """
        self._wait(self._links.wait_s(address, self._clock()))

    def _slow_down(self, folded: str, address: str) -> str:
        """Count one try on an account; return under what it was counted."""
        now_s, counted = self._clock(), self._count_of(folded, address)
        self._wait(max(self._addresses.wait_s(address, now_s), self._names.wait_s(counted, now_s)))
        return counted

    def _count_of(self, folded: str, address: str) -> str:
        """Return the name of the count that a try on an account falls into."""
        with self._lock:
            return f"{folded}\n{address}" if (folded, address) in self._known else folded

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


def _same(password: str, again: str) -> None:
    if password != again:
        raise AccountError("the two passwords are not the same; type them again")
