"""Random numbers that are addressed, not drawn one after another.

Every number is a function of a seed, a stream's name, a row and a place within the row, by the counter-based generator
Philox 4x64 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011). So a row's numbers don't depend on
which rows were made before it, by how many threads, or in which shard.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

WORDS_PER_BLOCK = 4
"""64-bit words that Philox makes of one value of its counter."""


def key_of(seed: int, stream: str) -> int:
    """A 128-bit key for one use of a seed, so that different uses share no numbers."""
    digest = hashlib.blake2b(f"{stream}\0{seed}".encode(), digest_size=16).digest()
    return int.from_bytes(digest, "little")


def words(seed: int, stream: str, first_row: int, rows: int, per_row: int) -> NDArray[np.uint64]:
    """Uniform 64-bit words of rows `first_row` … `first_row + rows - 1`; shape (rows, per_row)."""
    blocks = -(-per_row // WORDS_PER_BLOCK)
    generator = np.random.Philox(key=key_of(seed, stream))
    generator.advance(first_row * blocks)
    drawn = generator.random_raw(rows * blocks * WORDS_PER_BLOCK)
    return np.asarray(drawn, dtype=np.uint64).reshape(rows, blocks * WORDS_PER_BLOCK)[:, :per_row]


def single_uniforms(raw: NDArray[np.uint64]) -> NDArray[np.float32]:
    """Words as numbers in [0, 1), each of which single precision holds exactly."""
    return (raw >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)


def closed_uniforms(raw: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Words as numbers from 0 to 1, both ends included, in double precision."""
    return (raw >> np.uint64(11)).astype(np.float64) / (2.0**53 - 1.0)


def generator_for(seed: int, stream: str) -> np.random.Generator:
    """A generator for what is drawn as a whole, such as the order of the rows in an epoch."""
    return np.random.Generator(np.random.Philox(key=key_of(seed, stream)))


def scaled(raw: NDArray[np.uint64], largest: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Words as integers from 0 to `largest`, both ends included: floor(raw · (largest + 1) / 2^64), exactly.

    The product has up to 128 bits, of which the upper 64 are wanted; they are put together from halves of 32 bits.
    """
    half, low_bits = np.uint64(32), np.uint64(0xFFFFFFFF)
    raw_high, raw_low = raw >> half, raw & low_bits
    top_high, top_low = largest >> half, largest & low_bits
    middle = raw_high * top_low + (raw_low * top_low >> half)
    other_middle = raw_low * top_high + (middle & low_bits)
    high = raw_high * top_high + (middle >> half) + (other_middle >> half)
    low = raw * largest  # modulo 2^64
    carry = (low + raw) < raw  # from the "+ 1", which largest itself may have no room for
    return np.asarray(high + carry.astype(np.uint64), dtype=np.uint64)
