"""Reference for docs/merkle.md: the root as mathematics, straight from the definition, with no regard for speed.

Usage: python3 merkle_reference.py > merkle_vectors.json
"""
import hashlib
import json
import random


def sha(b):
    return hashlib.sha256(b).digest()


def key_id(key):
    return sha(key)[:20]


def leaf(kid, hlc, actor, expires_at, value):
    return sha(b"\x00" + kid + hlc.to_bytes(8, "big") + actor.to_bytes(8, "big")
               + expires_at.to_bytes(8, "big") + sha(value)[:20])


def bit(kid, i):
    return (kid[i // 8] >> (7 - i % 8)) & 1


def digest(leaves, depth=0):
    """leaves: list of (key_id, leaf digest), all sharing their first `depth` bits."""
    if not leaves:
        return bytes(32)
    if len(leaves) == 1:
        return leaves[0][1]
    zero = [e for e in leaves if not bit(e[0], depth)]
    one = [e for e in leaves if bit(e[0], depth)]
    return sha(b"\x01" + digest(zero, depth + 1) + digest(one, depth + 1))


def proof(leaves, kid, depth=0):
    """Siblings from the root down to where the path of `kid` ends, and the leaf found there (None: empty)."""
    if not leaves:
        return [], None
    if len(leaves) == 1:
        return [], leaves[0]
    zero = [e for e in leaves if not bit(e[0], depth)]
    one = [e for e in leaves if bit(e[0], depth)]
    mine, other = (one, zero) if bit(kid, depth) else (zero, one)
    below, end = proof(mine, kid, depth + 1)
    return [digest(other, depth + 1)] + below, end


def case(name, entries, probes=()):
    leaves = [(key_id(k), leaf(key_id(k), h, a, x, v)) for k, h, a, x, v in entries]
    out = {"name": name, "root": digest(leaves).hex(), "entries": [
        {"key": k.hex(), "hlc": h, "actor": a, "expires_at": x, "value": v.hex()} for k, h, a, x, v in entries],
        "proofs": []}
    for k in probes:
        siblings, end = proof(leaves, key_id(k))
        out["proofs"].append({"key": k.hex(), "siblings": [s.hex() for s in siblings],
                              "end_key_id": end[0].hex() if end else None, "end_leaf": end[1].hex() if end else None})
    return out


def raw_case(name, leaves):
    return {"name": name, "root": digest(leaves).hex(),
            "leaves": [{"key_id": k.hex(), "leaf": d.hex()} for k, d in leaves]}


def main():
    r = random.Random(20261122)

    def entries(n):
        return [(b"key-%d" % i, (1_790_000_000_000 + i) << 16 | (i % 7), r.getrandbits(64), 0 if i % 5 else 1_800_000_000_000,
                 r.randbytes(r.randrange(0, 40))) for i in range(n)]

    cases = [case("empty", []), case("one", entries(1), [b"key-0", b"absent"]), case("two", entries(2), [b"key-1"]),
             case("seventeen", entries(17), [b"key-3", b"absent"]), case("three hundred", entries(300), [b"key-299", b"absent", b"nobody"]),
             case("odd keys", [(b"\x00", 1, 1, 0, b""), (b"\xff" * 4096, 2**64 - 1, 2**64 - 1, 2**63, b"x" * 1000), (b"k", 0, 0, 0, b"v")], [b"k", b"\x00"])]
    near = bytes.fromhex("aa" * 10)
    raw = [raw_case("eighty shared bits", [(near + r.randbytes(10), r.randbytes(32)) for _ in range(5)]),
           raw_case("last bit differs", [(bytes(19) + b"\x00", r.randbytes(32)), (bytes(19) + b"\x01", r.randbytes(32))]),
           raw_case("one crowded shard", [(b"\x42" + r.randbytes(19), r.randbytes(32)) for _ in range(200)])]
    print(json.dumps({"cases": cases, "raw": raw}, indent=1))


main()
