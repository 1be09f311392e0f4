"""Draw keys: the one uniform behind every sampled token, addressed instead of generated in sequence.

A token is keyed by (run seed, policy digest, sampling digest, problem id, sample index, token position). The first five
are hashed (BLAKE2b) to a 128-bit key per rollout; the position is the counter of Philox-4x64-10 under that key (Salmon
et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), the generator of `numpy.random.Philox`, vectorised over
keys. Nothing is drawn in order, so nothing depends on batching, on what else is sampled, or on a restart.

What would surprise: the policy digest is in the key, so two policies never share uniforms, not even two copies of one
model under two names: coupled rollouts would read as agreement between policies where there is none.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_MULTIPLIERS = (np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157))
_WEYL = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B))
_ROUNDS = 10
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def rollout_keys(
    seed: int, policy_digest: str, sampling_digest: str, problem_id: str, indices: Sequence[int]
) -> NDArray[np.uint64]:
    """(N, 2) keys of the rollouts with these sample indices (0 or more) of one problem."""
    prefix = _hasher(seed, policy_digest, sampling_digest, problem_id, digest_size=16, purpose=b"rollout")
    digests = bytearray()
    for index in indices:
        hasher = prefix.copy()
        hasher.update(int(index).to_bytes(8, "little"))
        digests += hasher.digest()
    return np.frombuffer(bytes(digests), dtype="<u8").astype(np.uint64).reshape(-1, 2)


def seed63(seed: int, policy_digest: str, sampling_digest: str, problem_id: str, block: int) -> int:
    """A seed in [0, 2**63) for an engine that draws by itself, one for each problem and block of sample indices.

    Hashed, because engines derive child seeds as seed + index: neighbouring seeds would give overlapping draws.
    """
    hasher = _hasher(seed, policy_digest, sampling_digest, problem_id, digest_size=8, purpose=b"engine seed")
    hasher.update(int(block).to_bytes(8, "little"))
    return int.from_bytes(hasher.digest(), "little") >> 1


def uniforms(keys_N2: NDArray[np.uint64], position: int | NDArray[np.int64]) -> NDArray[np.float64]:
    """The uniforms in [0, 1) at a token position: (N,) for an int, (N, T) for an array of T positions.

    Position t is word t % 4 of Philox block t // 4; a float takes the word's upper 53 bits.
    """
    positions_T = np.atleast_1d(np.asarray(position, dtype=np.int64))
    blocks, block_T = np.unique(positions_T // 4, return_inverse=True)
    words_NB4 = philox_blocks(keys_N2, blocks.astype(np.uint64))
    words_NT = words_NB4[:, block_T, positions_T % 4]
    uniform_NT = (words_NT >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return uniform_NT[:, 0] if np.ndim(position) == 0 else uniform_NT


def philox_blocks(keys_N2: NDArray[np.uint64], blocks_B: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """(N, B, 4) words of Philox-4x64-10 at the counters (block, 0, 0, 0) under each key."""
    key0, key1 = keys_N2[:, 0:1], keys_N2[:, 1:2]
    c0 = np.broadcast_to(blocks_B, (len(keys_N2), len(blocks_B)))
    c1 = c2 = c3 = np.zeros_like(c0)
    for _ in range(_ROUNDS):
        high0, low0 = _multiply(c0, _MULTIPLIERS[0])
        high1, low1 = _multiply(c2, _MULTIPLIERS[1])
        c0, c1, c2, c3 = high1 ^ c1 ^ key0, low1, high0 ^ c3 ^ key1, low0
        key0, key1 = key0 + _WEYL[0], key1 + _WEYL[1]
    return np.stack([c0, c1, c2, c3], axis=-1)


def _multiply(x: NDArray[np.uint64], multiplier: np.uint64) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """High and low 64 bits of the 128-bit product, by halves, since NumPy has no 128-bit integer."""
    x_low, x_high = x & _LOW, x >> _HALF
    m_low, m_high = multiplier & _LOW, multiplier >> _HALF
    cross = x_high * m_low + ((x_low * m_low) >> _HALF)
    middle = x_low * m_high + (cross & _LOW)
    return x_high * m_high + (cross >> _HALF) + (middle >> _HALF), x * multiplier


def _hasher(
    seed: int, policy_digest: str, sampling_digest: str, problem_id: str, *, digest_size: int, purpose: bytes
) -> hashlib.blake2b:
    """A hash of the fields that rollouts of one problem share. JSON keeps ("ab", "c") and ("a", "bc") apart."""
    fields = json.dumps([seed, policy_digest, sampling_digest, problem_id]).encode()
    return hashlib.blake2b(fields, digest_size=digest_size, person=purpose)
