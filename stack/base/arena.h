/* All memory of one instance: one address range, cut into superblocks, those into pages and
 * blocks, those pages into small objects. A snapshot is a copy of what is in use; nothing in here
 * depends on addresses, so equal calls give equal layouts.
 *
 * The range is reserved by the instance's creator and reads as zero (anonymous mmap with
 * MAP_NORESERVE, or a static array). A page that is never used is never touched. */
#ifndef TG_ARENA_H
#define TG_ARENA_H

#include "base/base.h"

#define ARENA_PAGE_BYTES 4096u
/* 17 * 16 pages: holds 272 pages, 17 blocks of 64 KiB or 16 blocks of 68 KiB without remainder. */
#define ARENA_SUPER_PAGES 272u
#define ARENA_SUPER_BYTES (ARENA_SUPER_PAGES * ARENA_PAGE_BYTES)

/* Sizes that whole blocks come in, bytes. Everything up to ARENA_SMALL_MAX is a small object. */
#define ARENA_BLOCK_2K  2048u /* a small object, but not zeroed */
#define ARENA_BLOCK_4K  4096u
#define ARENA_BLOCK_64K 65536u
#define ARENA_BLOCK_68K 69632u
#define ARENA_SMALL_MAX 2048u

struct arena;

/* Where an arena's memory stands. All bytes. */
struct arena_stats {
	uint64_t reserved; /* the whole range */
	uint64_t budget;   /* what may be in use at most (counted in superblocks' used pages) */
	uint64_t in_use;   /* capacity of live objects and blocks, as allocated */
	uint64_t pages; /* bytes of pages that live objects occupy, and of the few that are kept for
			 * the next object of their size; what a snapshot copies */
	uint64_t allocs, frees, failures;
};

/* Puts an arena into [mem, mem + reserved_bytes): mem page-aligned and zero. The arena's own book
 * keeping lies at the start. budget_bytes caps `pages`; 0 means all of it. Reserve more
 * than the budget (twice is plenty): a superblock serves one kind of part at a time. Returns NULL
 * if the range is too small (less than four superblocks and the book keeping). */
struct arena *arena_init(void *mem, size_t reserved_bytes, size_t budget_bytes);

/* Bytes of zeroed memory, aligned to 16 (objects of 64 bytes and more whose size is a multiple of
 * 64: to 64). size up to ARENA_SMALL_MAX, or exactly one of the block sizes (a block is
 * NOT zeroed, and page-aligned but for the smallest), or any other size up to a superblock (rounded
 * up to whole pages, zeroed). NULL when the budget or the range is used up, the size is above a
 * superblock, or a failure was ordered. O(1) up to ARENA_BLOCK_68K. */
void *arena_alloc(struct arena *a, size_t size);

/* Gives back what arena_alloc returned for the same size. p may be NULL. */
void arena_free(struct arena *a, void *p, size_t size);

/* What arena_alloc(size) really takes, bytes: what a queue has to be charged. */
size_t arena_capacity(size_t size);

/* Orders failures for tests: the `countdown`-th allocation from now fails (1 = the next), and after
 * it every `period`-th (0 = only that one). countdown 0 switches it off. */
void arena_fail_after(struct arena *a, uint64_t countdown, uint64_t period);

void arena_get_stats(const struct arena *a, struct arena_stats *out);
/* arena_stats.pages and arena_stats.budget alone. */
uint64_t arena_pages_bytes(const struct arena *a);
uint64_t arena_budget_bytes(const struct arena *a);

/* Snapshot of every page in use and of the book keeping. size: bytes needed now. save returns the
 * bytes written (0 if cap is too small). restore brings the same arena, at the same address, back;
 * it returns false (and changes nothing) if the image is not of this arena. Pages that were free at
 * the time of the save hold nothing of worth afterwards, but read as before for arena_alloc's
 * promise of zeroed memory. Blocks are not cleared, so what a program reads of one must have been
 * written since its arena_alloc. Takes the bytes of the image and a walk over the superblocks. */
size_t arena_snapshot_bytes(const struct arena *a);
size_t arena_snapshot_save(const struct arena *a, void *buf, size_t cap);
bool arena_snapshot_restore(struct arena *a, const void *buf, size_t bytes);

/* Walks the book keeping and asserts that it is sound. Slow; for tests. */
void arena_check(const struct arena *a);

#endif
