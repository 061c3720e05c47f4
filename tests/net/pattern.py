"""pattern.py N: writes what GET /bytes/N has to give: byte i is i mod 251."""
import sys

PERIOD = bytes(range(251)) * 4096


def blocks(n):
    while n > 0:
        block = PERIOD[:n]
        yield block
        n -= len(block)


if __name__ == "__main__":
    for b in blocks(int(sys.argv[1])):
        sys.stdout.buffer.write(b)
