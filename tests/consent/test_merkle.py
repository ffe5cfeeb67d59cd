"""The tree is that of RFC 9162, and no proof that was touched holds."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from consent import merkle
from consent.events import ConsentError
from tests.consent.merkle_oracle import Oracle, consistent, included
from tests.consent.shop import runs

SIZES = 512
EVERY_INDEX_TO = 512 if runs(0) else 200  # above it, a few indices of every size
LEAVES = [f"leaf {i}".encode() for i in range(SIZES)]
ORACLE = Oracle(LEAVES)

# the roots that the RFC 6962 test vectors give for these eight leaves
KNOWN_LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
KNOWN_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


class Tree:
    """The smallest store there is: a map of complete subtrees."""

    def __init__(self, leaves: list[bytes]) -> None:
        self.nodes: dict[tuple[int, int], bytes] = {}
        for size, data in enumerate(leaves):
            for level, index, value in merkle.grown(size, merkle.leaf_hash(data), self.read):
                assert (level, index) not in self.nodes, "a complete subtree never changes"
                self.nodes[level, index] = value

    def read(self, level: int, index: int) -> bytes:
        return self.nodes[level, index]


TREE = Tree(LEAVES)


def refused(check: Callable[[], None]) -> bool:
    try:
        check()
    except merkle.ProofError:
        return True
    return False


def test_known_roots() -> None:
    tree = Tree([bytes.fromhex(leaf) for leaf in KNOWN_LEAVES])
    assert [merkle.root(n, tree.read).hex() for n in range(1, 9)] == KNOWN_ROOTS
    assert merkle.root(0, tree.read).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_root_and_proofs_equal_the_recursion_of_the_rfc_for_every_size() -> None:
    for size in range(1, SIZES + 1):
        root = merkle.root(size, TREE.read)
        assert root == ORACLE.mth(0, size)
        few = {0, 1, size // 3, size // 2, size - 2, size - 1} & set(range(size))
        for index in range(size) if size <= EVERY_INDEX_TO else few:
            path = merkle.inclusion_proof(index, size, TREE.read)
            assert path == ORACLE.path(index, 0, size)
            merkle.verify_inclusion(index, size, ORACLE.mth(index, index + 1), path, root)
        for old in range(1, size + 1) if size <= EVERY_INDEX_TO else few - {0}:
            proof = merkle.consistency_proof(old, size, TREE.read)
            assert proof == ORACLE.proof(old, size)
            merkle.verify_consistency(old, size, ORACLE.mth(0, old), root, proof)


def test_every_published_vector(data: Path) -> None:
    counts = {"inclusion": [0, 0], "consistency": [0, 0]}
    for kind, count in counts.items():
        for path in sorted((data / "vectors" / "merkle" / kind).rglob("*.json")):
            case = json.loads(path.read_text())
            proof = [base64.b64decode(h) for h in case["proof"] or []]
            names = ("root", "leafHash") if kind == "inclusion" else ("root1", "root2")
            first, second = (base64.b64decode(case[name] or "") for name in names)
            try:
                if kind == "inclusion":
                    merkle.verify_inclusion(case["leafIdx"], case["treeSize"], second, proof, first)
                else:
                    merkle.verify_consistency(case["size1"], case["size2"], first, second, proof)
                wrong = False
            except merkle.ProofError:
                wrong = True
            assert wrong is case["wantErr"], path
            count[wrong] += 1
    assert sum(map(sum, counts.values())) == 196
    assert counts["inclusion"][1] > 60
    assert counts["consistency"][1] > 60


def mutated(rng: random.Random, proof: list[bytes], *roots: bytes) -> tuple[list[bytes], list[bytes]]:
    """Return the proof and the roots, changed in one of the ways a liar would try."""
    path, ends = list(proof), list(roots)
    match rng.randrange(7):
        case 0 if path:
            i = rng.randrange(len(path))
            flipped = bytearray(path[i])
            flipped[rng.randrange(32)] ^= 1 << rng.randrange(8)
            path[i] = bytes(flipped)
        case 1 if path:
            path.pop(rng.randrange(len(path)))
        case 2:
            path.insert(rng.randrange(len(path) + 1), rng.choice([*path, *ends, rng.randbytes(32)]))
        case 3 if len(path) > 1:
            i = rng.randrange(len(path) - 1)
            path[i], path[i + 1] = path[i + 1], path[i]
        case 4 if path:
            path[-1] = path[-1][: rng.choice((0, 31))]
        case 5:
            ends.reverse()
        case _:
            i = rng.randrange(len(ends))
            ends[i] = rng.choice([rng.randbytes(32), b"", ends[i] + b"\x00"])
    return path, ends


def test_a_second_verifier_agrees_on_mutated_proofs() -> None:
    rng = random.Random(9162)
    held = 0
    for _ in range(runs(1_000)):
        new = rng.randrange(1, SIZES + 1)
        old = rng.randrange(new + 1)
        root, before = ORACLE.mth(0, new), ORACLE.mth(0, old)
        path, ends = mutated(rng, ORACLE.proof(old, new) if old else [], before, root)
        shift = rng.choice((0, 0, 0, 1, -1))
        ours = not refused(lambda: merkle.verify_consistency(old + shift, new, ends[0], ends[1], path))  # noqa: B023
        assert ours == consistent(old + shift, new, ends[0], ends[1], path)
        held += ours

        index = rng.randrange(new)
        leaf = ORACLE.mth(index, index + 1)
        path, ends = mutated(rng, ORACLE.path(index, 0, new), leaf, root)
        ours = not refused(lambda: merkle.verify_inclusion(index + shift, new, ends[0], path, ends[1]))  # noqa: B023
        assert ours == included(index + shift, new, ends[0], path, ends[1])
        held += ours
    assert held < runs(1_000) / 10, "a mutation that still holds is the odd one that changed nothing"


def test_the_second_verifier_accepts_what_is_true() -> None:
    for new in (1, 2, 7, 8, 100, 511):
        for old in range(1, new + 1):
            assert consistent(old, new, ORACLE.mth(0, old), ORACLE.mth(0, new), ORACLE.proof(old, new))
        for index in range(new):
            assert included(index, new, ORACLE.mth(index, index + 1), ORACLE.path(index, 0, new), ORACLE.mth(0, new))


@pytest.mark.parametrize(
    "ask",
    [
        lambda: merkle.inclusion_proof(5, 5, TREE.read),
        lambda: merkle.inclusion_proof(-1, 5, TREE.read),
        lambda: merkle.consistency_proof(6, 5, TREE.read),
        lambda: merkle.root(-1, TREE.read),
    ],
)
def test_a_proof_of_what_is_not_there_is_refused(ask: Callable[[], object]) -> None:
    with pytest.raises(ConsentError):
        ask()
