/* Block ring: a byte queue of unlimited length over fixed blocks of an arena. TCP keeps its
 * unacknowledged data in one, once; frames are spans of it. Offsets count bytes since the ring was
 * made and never wrap (64 bits). First block 4 KiB, all later ones 64 KiB: it grows without copying
 * and holds no block while it is empty and nothing is reserved. Its user may lend it the first
 * block, so that a little that comes and goes costs the arena nothing. */
#ifndef TG_BRING_H
#define TG_BRING_H

#include "base/arena.h"

struct bring {
	uint64_t head;           /* offset of the first byte kept */
	uint64_t tail;           /* offset behind the last byte kept */
	uint64_t base;           /* offset of the first byte of blocks[first] */
	uint8_t **blocks;        /* circular directory: `few`, or of its own */
	uint8_t *few[2];         /* the ring is not to be moved */
	uint32_t dir_cap;        /* entries of the directory, a power of two */
	uint32_t first;          /* index of the oldest block in the directory */
	uint32_t n_blocks;       /* blocks held, a reserved one behind the tail included */
	uint32_t first_bytes;    /* size of the oldest block: 4 KiB or 64 KiB */
	uint32_t reserved_bytes; /* given by the last reserve and not committed: kept by drop */
	uint8_t *home;           /* lent by its user to be the first block; NULL: none */
};

struct bring_span {
	uint8_t *base;
	uint32_t len;
};

/* home: ARENA_BLOCK_4K bytes that the ring may use and never frees, or NULL. */
void bring_init(struct bring *r, uint8_t *home);
/* Frees every block but the home, and a directory of its own. */
void bring_free(struct bring *r, struct arena *a);

static inline uint64_t bring_len(const struct bring *r)
{
	return r->tail - r->head;
}

/* Appends up to n bytes; returns how many fitted (fewer only when memory ran out). It takes the
 * room behind the tail, so a reserve before it is void: only bring_commit(0) may follow. */
size_t bring_write(struct bring *r, struct arena *a, const void *src, size_t n);

/* Room behind the tail to write into, up to `want` bytes as up to two spans; the number of spans is
 * returned (0: out of memory). Nothing is queued until bring_commit(n), n at most what was given.
 * A second reserve without a commit gives the same room again, and its own length counts. The room
 * stays in place while other bytes are dropped. A reserve that is given up needs bring_commit(0);
 * the next bring_drop (of 0 bytes too) frees what it held. */
unsigned bring_reserve(struct bring *r, struct arena *a, size_t want, struct bring_span out[2]);
void bring_commit(struct bring *r, size_t n);

/* The bytes [off, off + n) as spans, off >= head, off + n <= tail. Returns the number of spans, at
 * most max; what does not fit in max spans is left out. *got: bytes covered. */
unsigned bring_spans(const struct bring *r, uint64_t off, size_t n, struct bring_span *out,
	unsigned max, size_t *got);

/* Forgets the first n bytes, n <= len, and frees every block that holds nothing kept or reserved
 * (all of them and the directory when nothing is left). */
void bring_drop(struct bring *r, struct arena *a, size_t n);

/* Bytes of arena held, a directory of its own included, the home not. */
size_t bring_charge(const struct bring *r);

#endif
