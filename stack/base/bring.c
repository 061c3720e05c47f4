/* Block ring: see bring.h. The directory is a circular array of block pointers, doubled when full;
 * where a byte lies follows from its offset alone, since all blocks but the first are 64 KiB.
 * Leaves out: reading by copy (spans and memcpy do that) and any limit (the caller's budget). */
#include "base/bring.h"

/* Offset of the first byte of the block numbered i from the oldest; for i == n_blocks the end of
 * all room. */
static uint64_t block_start(const struct bring *r, uint32_t i)
{
	if (i == 0)
		return r->base;
	return r->base + r->first_bytes + (uint64_t)(i - 1) * ARENA_BLOCK_64K;
}

static uint32_t block_bytes(const struct bring *r, uint32_t i)
{
	return i == 0 ? r->first_bytes : ARENA_BLOCK_64K;
}

static uint8_t **block_slot(const struct bring *r, uint32_t i)
{
	return &r->blocks[(r->first + i) & (r->dir_cap - 1)];
}

/* Makes place for one more block in the directory. False: out of memory, nothing changed. */
static bool dir_grow(struct bring *r, struct arena *a)
{
	uint32_t cap = r->dir_cap * 2;
	uint8_t **dir;

	if (r->n_blocks < r->dir_cap)
		return true;
	dir = arena_alloc(a, cap * sizeof(*dir));
	if (!dir)
		return false;
	for (uint32_t i = 0; i < r->n_blocks; i++)
		dir[i] = *block_slot(r, i);
	if (r->blocks != r->few)
		arena_free(a, r->blocks, r->dir_cap * sizeof(*dir));
	r->blocks = dir;
	r->dir_cap = cap;
	r->first = 0;
	return true;
}

static void dir_init(struct bring *r)
{
	r->blocks = r->few;
	r->dir_cap = sizeof(r->few) / sizeof(r->few[0]);
	r->first = 0;
	r->first_bytes = 0;
	r->base = r->tail;
}

static void dir_free(struct bring *r, struct arena *a)
{
	if (r->blocks != r->few)
		arena_free(a, r->blocks, r->dir_cap * sizeof(*r->blocks));
	dir_init(r);
}

static uint8_t *block_alloc(const struct bring *r, struct arena *a, uint32_t bytes)
{
	return r->n_blocks == 0 && r->home ? r->home : arena_alloc(a, bytes);
}

static void block_free(const struct bring *r, struct arena *a, uint8_t *b, uint32_t bytes)
{
	if (b != r->home)
		arena_free(a, b, bytes);
}

/* Adds a block behind the last one. False: out of memory, nothing changed. */
static bool block_add(struct bring *r, struct arena *a)
{
	uint32_t bytes = r->n_blocks == 0 ? ARENA_BLOCK_4K : ARENA_BLOCK_64K;
	uint8_t *b;

	if (!dir_grow(r, a))
		return false;
	b = block_alloc(r, a, bytes);
	if (!b)
		return false;
	if (r->n_blocks == 0) {
		r->base = r->tail;
		r->first_bytes = bytes;
	}
	*block_slot(r, r->n_blocks++) = b;
	return true;
}

static void block_drop_first(struct bring *r, struct arena *a)
{
	block_free(r, a, *block_slot(r, 0), r->first_bytes);
	r->base += r->first_bytes;
	r->first_bytes = ARENA_BLOCK_64K;
	r->first = (r->first + 1) & (r->dir_cap - 1);
	r->n_blocks--;
}

static void block_drop_last(struct bring *r, struct arena *a)
{
	r->n_blocks--;
	block_free(r, a, *block_slot(r, r->n_blocks), block_bytes(r, r->n_blocks));
}

void bring_init(struct bring *r, uint8_t *home)
{
	memset(r, 0, sizeof(*r));
	r->home = home;
	dir_init(r);
}

void bring_free(struct bring *r, struct arena *a)
{
	r->reserved_bytes = 0;
	if (r->n_blocks)
		bring_drop(r, a, bring_len(r));
}

/* The room [off, off + n) as a span, cut at the end of its block. */
static struct bring_span span_at(const struct bring *r, uint64_t off, size_t n)
{
	uint64_t in = off - r->base;
	uint32_t i = 0, left = r->first_bytes;

	if (in >= left) {
		in -= left;
		i = 1 + (uint32_t)(in / ARENA_BLOCK_64K);
		in %= ARENA_BLOCK_64K;
		left = ARENA_BLOCK_64K;
	}
	left -= (uint32_t)in;
	return (struct bring_span){*block_slot(r, i) + in, n < left ? (uint32_t)n : left};
}

size_t bring_write(struct bring *r, struct arena *a, const void *src, size_t n)
{
	const uint8_t *from = src;
	size_t done = 0;

	r->reserved_bytes = 0;
	while (done < n) {
		struct bring_span s;

		if (r->tail == block_start(r, r->n_blocks) || r->n_blocks == 0) {
			if (!block_add(r, a))
				break;
		}
		s = span_at(r, r->tail, n - done);
		memcpy(s.base, from + done, s.len);
		r->tail += s.len;
		done += s.len;
	}
	return done;
}

unsigned bring_reserve(struct bring *r, struct arena *a, size_t want, struct bring_span out[2])
{
	unsigned n = 0;
	size_t given = 0;

	while (n < 2 && given < want) {
		uint64_t at = r->tail + given;

		if (r->n_blocks == 0 || at == block_start(r, r->n_blocks)) {
			if (!block_add(r, a))
				break;
		}
		out[n] = span_at(r, at, want - given);
		given += out[n++].len;
	}
	r->reserved_bytes = (uint32_t)given;
	return n;
}

void bring_commit(struct bring *r, size_t n)
{
	ASSERT(n <= r->reserved_bytes);
	r->tail += n;
	r->reserved_bytes = 0;
}

unsigned bring_spans(const struct bring *r, uint64_t off, size_t n, struct bring_span *out,
	unsigned max, size_t *got)
{
	unsigned used = 0;
	size_t done = 0;

	ASSERT(off >= r->head && off <= r->tail && n <= r->tail - off);
	while (done < n && used < max) {
		out[used] = span_at(r, off + done, n - done);
		done += out[used++].len;
	}
	*got = done;
	return used;
}

void bring_drop(struct bring *r, struct arena *a, size_t n)
{
	uint64_t end;

	ASSERT(n <= bring_len(r));
	r->head += n;
	end = r->tail + r->reserved_bytes;
	while (r->n_blocks > 0 && (r->head == end || block_start(r, 1) <= r->head))
		block_drop_first(r, a);
	while (r->n_blocks > 0 && block_start(r, r->n_blocks - 1) >= end)
		block_drop_last(r, a);
	if (r->n_blocks == 0)
		dir_free(r, a);
}

size_t bring_charge(const struct bring *r)
{
	if (r->n_blocks == 0)
		return 0;
	return (r->blocks != r->few ? arena_capacity(r->dir_cap * sizeof(*r->blocks)) : 0) +
	       (*block_slot(r, 0) != r->home ? r->first_bytes : 0) +
	       (size_t)(r->n_blocks - 1) * ARENA_BLOCK_64K;
}
