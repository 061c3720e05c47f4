/* A ring of frames for one thread that puts and one that takes: two counters that only grow, each
 * written by one side, published by release and read by acquire. What tells a sleeper apart from
 * somebody who looks again before he sleeps (port/group.c) needs the stores and loads of `tail` to
 * stand in one order with those of the sleeper's flag, hence sequential consistency there. */
#define _GNU_SOURCE
#include "port/ring.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#define LINE_BYTES 64

struct ring {
	alignas(LINE_BYTES) _Atomic uint64_t tail; /* bytes ever put */
	uint64_t head_seen;                        /* what the putting side last saw of head */
	alignas(LINE_BYTES) _Atomic uint64_t head; /* bytes ever taken */
	alignas(LINE_BYTES) size_t room;
	alignas(LINE_BYTES) uint8_t data[];
};

_Static_assert(sizeof(struct ring_frame) == 16, "frames are aligned to 16 bytes");

static uint64_t frame_room(uint32_t bytes)
{
	return sizeof(struct ring_frame) + ((uint64_t)bytes + 15) / 16 * 16;
}

struct ring *ring_new(size_t room)
{
	struct ring *r = mmap(NULL, sizeof(*r) + room, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (r == MAP_FAILED)
		return NULL;
	r->room = room;
	return r;
}

void ring_free(struct ring *r)
{
	if (r)
		munmap(r, sizeof(*r) + r->room);
}

static void copy_in(struct ring *r, uint64_t at, const void *from, size_t n)
{
	size_t i = at & (r->room - 1), first = n < r->room - i ? n : r->room - i;

	memcpy(r->data + i, from, first);
	memcpy(r->data, (const uint8_t *)from + first, n - first);
}

static void copy_out(const struct ring *r, uint64_t at, void *to, size_t n)
{
	size_t i = at & (r->room - 1), first = n < r->room - i ? n : r->room - i;

	memcpy(to, r->data + i, first);
	memcpy((uint8_t *)to + first, r->data, n - first);
}

bool ring_put(struct ring *r, const struct ring_frame *f, const void *data)
{
	uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	uint64_t need = frame_room(f->bytes);

	if (tail + need - r->head_seen > r->room) {
		r->head_seen = atomic_load_explicit(&r->head, memory_order_acquire);
		if (tail + need - r->head_seen > r->room)
			return false;
	}
	copy_in(r, tail, f, sizeof(*f));
	copy_in(r, tail + sizeof(*f), data, f->bytes);
	atomic_store(&r->tail, tail + need);
	return true;
}

bool ring_is_empty(const struct ring *r)
{
	return atomic_load(&r->tail) == atomic_load_explicit(&r->head, memory_order_relaxed);
}

bool ring_peek(struct ring *r, struct ring_frame *f)
{
	uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

	if (atomic_load_explicit(&r->tail, memory_order_acquire) == head)
		return false;
	copy_out(r, head, f, sizeof(*f));
	return true;
}

void ring_take(struct ring *r, const struct ring_frame *f, void *data)
{
	uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

	if (data)
		copy_out(r, head + sizeof(*f), data, f->bytes);
	atomic_store_explicit(&r->head, head + frame_room(f->bytes), memory_order_release);
}
