/* Insides of the arena, shared by arena.c (allocation) and arena_snap.c (snapshot, checking) and by
 * nobody else.
 *
 * The range: struct arena | one struct super per superblock | 272 struct page per superblock | the
 * superblocks. All links are indices, so the book keeping means the same wherever it is looked at.
 * What belongs to a superblock or page that was never used is never touched. */
#ifndef TG_ARENA_IMPL_H
#define TG_ARENA_IMPL_H

#include "base/arena.h"

#define ARENA_NONE        UINT32_MAX
#define ARENA_MAGIC       0x74676172656e6131ull
#define ARENA_CLASSES     24u /* the last: one whole page, for sizes of 2049 to 4096 */
#define ARENA_SUPER_WORDS 5u  /* 64-bit words for 272 + 1 bits */
#define ARENA_PAGE_WORDS  4u  /* 64-bit words for 4096 / 16 bits */

/* What a superblock is cut into while it is in use. */
enum arena_kind {
	ARENA_FREE,  /* in the pool */
	ARENA_PAGES, /* 272 pages, each for objects of one class */
	ARENA_64K,   /* 17 blocks */
	ARENA_68K,   /* 16 blocks */
	ARENA_RUNS,  /* runs of pages of any length */
	ARENA_KINDS
};

/* Lists of superblocks. The first four carry the number of the kind: the pool, then the superblocks
 * of that kind that have a part left. From ARENA_LIST_RUN on: run superblocks by the length of the
 * longest free run, 1 to 272. */
#define ARENA_LIST_RUN 4u
#define ARENA_LISTS    (ARENA_LIST_RUN + ARENA_SUPER_PAGES + 1)

struct super {
	uint64_t free_map[ARENA_SUPER_WORDS];  /* a bit per part (page, block): it is free */
	uint64_t start_map[ARENA_SUPER_WORDS]; /* runs only: the first page of each run */
	uint32_t prev, next;                   /* on the list it belongs to */
	uint16_t n_used;                       /* parts in use */
	uint16_t hint;                         /* part freed last: taken first, it is warm */
	uint16_t longest;                      /* runs only: longest free run, pages */
	uint16_t kind;                         /* enum arena_kind */
};

/* Descriptor of a page in an ARENA_PAGES superblock. */
struct page {
	uint64_t free_map[ARENA_PAGE_WORDS]; /* a bit per object: it is free */
	uint32_t prev, next;                 /* pages of the class that have an object left */
	uint16_t n_live;                     /* 0: not in use */
	uint16_t hint;                       /* object freed last */
	uint32_t class;
};

struct arena {
	uint64_t magic;
	struct arena *self; /* where an image belongs */
	uint64_t reserved_bytes, budget_bytes;
	uint64_t supers_off, pages_off, data_off; /* from the start of the range, bytes */
	uint32_t n_supers;
	uint32_t n_fresh; /* superblocks from here on were never used */
	uint64_t pages_used, pages_max;
	uint64_t in_use_bytes, allocs, frees, failures;
	uint64_t fail_in, fail_period;       /* ordered failures; fail_in 0: none */
	uint64_t run_map[ARENA_SUPER_WORDS]; /* which of the run lists hold something */
	uint32_t list[ARENA_LISTS];
	uint32_t page_list[ARENA_CLASSES];
	/* By class: where the object freed last lies, bytes from the start of the range, 0:
	 * nowhere. It stays taken from its page and is the next one's: what comes and goes one at a
	 * time costs no search, and no page each time. */
	uint64_t kept[ARENA_CLASSES];
};

/* By kind: parts in a superblock, pages in a part. */
extern const uint16_t arena_parts[ARENA_KINDS];
extern const uint16_t arena_part_pages[ARENA_KINDS];
/* By class: bytes of an object, objects in a page. */
extern const uint16_t arena_class_bytes[ARENA_CLASSES];
extern const uint16_t arena_class_objects[ARENA_CLASSES];

static inline struct super *arena_super(const struct arena *a, uint32_t s)
{
	return (struct super *)(void *)((uint8_t *)a->self + a->supers_off) + s;
}
static inline struct page *arena_page(const struct arena *a, uint32_t page)
{
	return (struct page *)(void *)((uint8_t *)a->self + a->pages_off) + page;
}
static inline uint8_t *arena_page_mem(const struct arena *a, uint32_t page)
{
	return (uint8_t *)a->self + a->data_off + (uint64_t)page * ARENA_PAGE_BYTES;
}
static inline bool arena_map_test(const uint64_t *map, unsigned i)
{
	return map[i / 64] >> (i % 64) & 1;
}
static inline void arena_map_set(uint64_t *map, unsigned i)
{
	map[i / 64] |= 1ull << (i % 64);
}
static inline void arena_map_clear(uint64_t *map, unsigned i)
{
	map[i / 64] &= ~(1ull << (i % 64));
}
/* First bit >= from whose value is `set`, or `bits`. */
unsigned arena_map_find(const uint64_t *map, unsigned bits, unsigned from, bool set);
/* Sets bits [0, n), clears the rest of the words. */
void arena_map_fill(uint64_t *map, unsigned words, unsigned n);
/* Length of the longest stretch of set bits. */
unsigned arena_map_longest(const uint64_t *map, unsigned bits);

#endif
