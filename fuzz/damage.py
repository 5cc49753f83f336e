"""A sound file with some of its bytes changed, as a disk or a hand may change them."""

WIDTH = 2  # bytes of a place


def damaged(sound: bytes, patches: bytes) -> bytes:
    """Return the file with patches laid over: each a place (WIDTH bytes, of all places), a length (1) and its bytes.

    A patch of no bytes cuts the file off there.
    """
    out = bytearray(sound)
    at = 0
    while at + WIDTH < len(patches):
        place = int.from_bytes(patches[at : at + WIDTH], "big") * max(1, len(sound) >> 8 * WIDTH) % len(sound)
        length = patches[at + WIDTH] % 32
        fresh = patches[at + WIDTH + 1 : at + WIDTH + 1 + length]
        if not length:
            return bytes(out[:place])
        out[place : place + len(fresh)] = fresh
        at += WIDTH + 1 + length
    return bytes(out[: len(sound)])
