/* The arena: superblocks, pages, small objects. See arena.h for the contract and arena_impl.h for
 * the layout. Every search is over lists of indices or over the bits of one superblock, so the cost
 * of a call does not depend on how much memory there is.
 *
 * A superblock serves one kind at a time and goes back to the pool when its last part is freed. The
 * part freed last is reused first, and otherwise the lowest: what is warm stays in use, what was
 * never touched stays untouched. Memory is not given back to the operating system. */
#include "base/arena_impl.h"

#define INLINE static inline __attribute__((always_inline))

const uint16_t arena_parts[ARENA_KINDS] = {0, ARENA_SUPER_PAGES, 17, 16, ARENA_SUPER_PAGES};
const uint16_t arena_part_pages[ARENA_KINDS] = {0, 1, 16, 17, 1};

/* Sizes that waste little of a page; a size that is a multiple of 64 always lands in a class that
 * is one, for the alignment. */
const uint16_t arena_class_bytes[ARENA_CLASSES] = {16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224,
	256, 288, 320, 384, 448, 512, 576, 640, 768, 1024, 1344, 2048, 4096};
const uint16_t arena_class_objects[ARENA_CLASSES] = {
	256, 128, 85, 64, 51, 42, 36, 32, 25, 21, 18, 16, 14, 12, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1};

/* 2^20 by the bytes of an object, rounded up: times an offset of whole objects in a page it gives
 * their number without a division. */
#define PER_BYTE(bytes) (((1u << 20) + (bytes)-1) / (bytes))
static const uint32_t per_byte[ARENA_CLASSES] = {PER_BYTE(16), PER_BYTE(32), PER_BYTE(48),
	PER_BYTE(64), PER_BYTE(80), PER_BYTE(96), PER_BYTE(112), PER_BYTE(128), PER_BYTE(160),
	PER_BYTE(192), PER_BYTE(224), PER_BYTE(256), PER_BYTE(288), PER_BYTE(320), PER_BYTE(384),
	PER_BYTE(448), PER_BYTE(512), PER_BYTE(576), PER_BYTE(640), PER_BYTE(768), PER_BYTE(1024),
	PER_BYTE(1344), PER_BYTE(2048), PER_BYTE(4096)};

/* Class by size in units of 16 bytes, rounded up. */
static const uint8_t class_of_16[ARENA_SMALL_MAX / 16 + 1] = {0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 9, 9,
	10, 10, 11, 11, 12, 12, 13, 13, 14, 14, 14, 14, 15, 15, 15, 15, 16, 16, 16, 16, 17, 17, 17,
	17, 18, 18, 18, 18, 19, 19, 19, 19, 19, 19, 19, 19, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20,
	20, 20, 20, 20, 20, 20, 21, 21, 21, 21, 21, 21, 21, 21, 21, 21, 21, 21, 21, 21, 21, 21, 21,
	21, 21, 21, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22,
	22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22, 22,
	22};

_Static_assert(ARENA_SUPER_PAGES == 17 * 16, "both kinds of blocks fill a superblock");
_Static_assert(sizeof(struct page) == 48, "what a page costs beyond itself");

unsigned arena_map_find(const uint64_t *map, unsigned bits, unsigned from, bool set)
{
	for (unsigned w = from / 64; w * 64 < bits; w++) {
		uint64_t v = set ? map[w] : ~map[w];

		if (w == from / 64)
			v &= UINT64_MAX << (from % 64);
		if (v)
			return min_u32(bits, w * 64 + (unsigned)__builtin_ctzll(v));
	}
	return bits;
}

void arena_map_fill(uint64_t *map, unsigned words, unsigned n)
{
	for (unsigned w = 0; w < words; w++) {
		unsigned left = n > w * 64 ? n - w * 64 : 0;

		map[w] = left >= 64 ? UINT64_MAX : (1ull << left) - 1;
	}
}

unsigned arena_map_longest(const uint64_t *map, unsigned bits)
{
	unsigned best = 0;

	for (unsigned i = arena_map_find(map, bits, 0, true); i < bits;) {
		unsigned end = arena_map_find(map, bits, i, false);

		best = max_u32(best, end - i);
		i = arena_map_find(map, bits, end, true);
	}
	return best;
}

/* ---- superblocks ---- */

static void super_link(struct arena *a, unsigned list, uint32_t s)
{
	struct super *sp = arena_super(a, s);

	sp->prev = ARENA_NONE;
	sp->next = a->list[list];
	if (sp->next != ARENA_NONE)
		arena_super(a, sp->next)->prev = s;
	a->list[list] = s;
}

static void super_unlink(struct arena *a, unsigned list, uint32_t s)
{
	struct super *sp = arena_super(a, s);

	if (sp->prev == ARENA_NONE)
		a->list[list] = sp->next;
	else
		arena_super(a, sp->prev)->next = sp->next;
	if (sp->next != ARENA_NONE)
		arena_super(a, sp->next)->prev = sp->prev;
}

/* A superblock from the pool, every part free, on no list. ARENA_NONE when the range is used up. */
static uint32_t super_acquire(struct arena *a, enum arena_kind kind)
{
	uint32_t s = a->list[ARENA_FREE];
	struct super *sp;

	if (s != ARENA_NONE)
		super_unlink(a, ARENA_FREE, s);
	else if (a->n_fresh < a->n_supers)
		s = a->n_fresh++;
	else
		return ARENA_NONE;
	sp = arena_super(a, s);
	memset(sp, 0, sizeof(*sp));
	arena_map_fill(sp->free_map, ARENA_SUPER_WORDS, arena_parts[kind]);
	sp->kind = (uint16_t)kind;
	return s;
}

static void super_release(struct arena *a, uint32_t s)
{
	arena_super(a, s)->kind = ARENA_FREE;
	super_link(a, ARENA_FREE, s);
}

/* The number of the page p lies in; asserts that p is the arena's. */
static uint32_t page_of(const struct arena *a, const void *p)
{
	uint64_t off = (uintptr_t)p - ((uintptr_t)a + a->data_off);

	ASSERT(off < (uint64_t)a->n_fresh * ARENA_SUPER_BYTES);
	return (uint32_t)(off / ARENA_PAGE_BYTES);
}

/* ---- parts: pages and blocks ---- */

/* One part of a superblock of the kind; the number of its first page, or ARENA_NONE. A copy for
 * each kind, without a multiplication or a look-up. */
INLINE uint32_t part_alloc(struct arena *a, enum arena_kind kind)
{
	uint32_t s = a->list[kind];
	struct super *sp;
	unsigned part;

	if (a->pages_used + arena_part_pages[kind] > a->pages_max)
		return ARENA_NONE;
	if (s == ARENA_NONE) {
		s = super_acquire(a, kind);
		if (s == ARENA_NONE)
			return ARENA_NONE;
		super_link(a, kind, s);
	}
	sp = arena_super(a, s);
	part = sp->hint;
	if (!arena_map_test(sp->free_map, part))
		part = arena_map_find(sp->free_map, arena_parts[kind], 0, true);
	arena_map_clear(sp->free_map, part);
	if (++sp->n_used == arena_parts[kind])
		super_unlink(a, kind, s);
	a->pages_used += arena_part_pages[kind];
	return s * ARENA_SUPER_PAGES + part * arena_part_pages[kind];
}

INLINE void part_free(struct arena *a, enum arena_kind kind, uint32_t page)
{
	uint32_t s = page / ARENA_SUPER_PAGES, in = page % ARENA_SUPER_PAGES;
	unsigned part = in / arena_part_pages[kind];
	struct super *sp = arena_super(a, s);
	bool listed = sp->n_used < arena_parts[kind];

	ASSERT(sp->kind == kind && in % arena_part_pages[kind] == 0);
	ASSERT(part < arena_parts[kind] && !arena_map_test(sp->free_map, part));
	arena_map_set(sp->free_map, part);
	sp->hint = (uint16_t)part;
	sp->n_used--;
	a->pages_used -= arena_part_pages[kind];
	if (listed && sp->n_used > 0 && a->list[kind] == s)
		return;
	if (listed)
		super_unlink(a, kind, s);
	if (sp->n_used == 0)
		super_release(a, s);
	else
		super_link(a, kind, s); /* to the front: its free part is the warmest */
}

/* ---- runs of pages ---- */

static void run_link(struct arena *a, uint32_t s)
{
	struct super *sp = arena_super(a, s);

	sp->longest = (uint16_t)arena_map_longest(sp->free_map, ARENA_SUPER_PAGES);
	if (sp->longest == 0)
		return;
	super_link(a, ARENA_LIST_RUN + sp->longest, s);
	arena_map_set(a->run_map, sp->longest);
}

static void run_unlink(struct arena *a, uint32_t s)
{
	unsigned longest = arena_super(a, s)->longest;

	if (longest == 0)
		return;
	super_unlink(a, ARENA_LIST_RUN + longest, s);
	if (a->list[ARENA_LIST_RUN + longest] == ARENA_NONE)
		arena_map_clear(a->run_map, longest);
}

/* n pages in a row, from the superblock that they fit most tightly; its first page, or NONE. */
static uint32_t run_alloc(struct arena *a, unsigned n)
{
	unsigned fit = arena_map_find(a->run_map, ARENA_SUPER_PAGES + 1, n, true), at = 0, end = 0;
	struct super *sp;
	uint32_t s;

	if (a->pages_used + n > a->pages_max)
		return ARENA_NONE;
	if (fit <= ARENA_SUPER_PAGES) {
		s = a->list[ARENA_LIST_RUN + fit];
		run_unlink(a, s);
	} else {
		s = super_acquire(a, ARENA_RUNS);
		if (s == ARENA_NONE)
			return ARENA_NONE;
	}
	sp = arena_super(a, s);
	while (end - at < n) {
		at = arena_map_find(sp->free_map, ARENA_SUPER_PAGES, end, true);
		end = arena_map_find(sp->free_map, ARENA_SUPER_PAGES, at, false);
	}
	for (unsigned i = at; i < at + n; i++)
		arena_map_clear(sp->free_map, i);
	arena_map_set(sp->start_map, at);
	sp->n_used = (uint16_t)(sp->n_used + n);
	a->pages_used += n;
	run_link(a, s);
	return s * ARENA_SUPER_PAGES + at;
}

static void run_free(struct arena *a, uint32_t page, unsigned n)
{
	uint32_t s = page / ARENA_SUPER_PAGES, at = page % ARENA_SUPER_PAGES;
	struct super *sp = arena_super(a, s);
	unsigned end = at + n;

	ASSERT(sp->kind == ARENA_RUNS && end <= ARENA_SUPER_PAGES &&
		arena_map_test(sp->start_map, at));
	ASSERT(arena_map_find(sp->start_map, end, at + 1, true) == end);
	ASSERT(end == ARENA_SUPER_PAGES || arena_map_test(sp->free_map, end) ||
		arena_map_test(sp->start_map, end));
	run_unlink(a, s);
	arena_map_clear(sp->start_map, at);
	for (unsigned i = at; i < end; i++) {
		ASSERT(!arena_map_test(sp->free_map, i));
		arena_map_set(sp->free_map, i);
	}
	sp->n_used = (uint16_t)(sp->n_used - n);
	a->pages_used -= n;
	if (sp->n_used == 0)
		super_release(a, s);
	else
		run_link(a, s);
}

/* ---- objects ---- */

static void page_link(struct arena *a, uint32_t page)
{
	struct page *d = arena_page(a, page);

	d->prev = ARENA_NONE;
	d->next = a->page_list[d->class];
	if (d->next != ARENA_NONE)
		arena_page(a, d->next)->prev = page;
	a->page_list[d->class] = page;
}

static void page_unlink(struct arena *a, uint32_t page)
{
	struct page *d = arena_page(a, page);

	if (d->prev == ARENA_NONE)
		a->page_list[d->class] = d->next;
	else
		arena_page(a, d->prev)->next = d->next;
	if (d->next != ARENA_NONE)
		arena_page(a, d->next)->prev = d->prev;
}

/* A page for objects of the class, all of them free, on no list. ARENA_NONE: no memory. */
static uint32_t page_acquire(struct arena *a, unsigned class)
{
	uint32_t page = part_alloc(a, ARENA_PAGES);
	struct page *d;

	if (page == ARENA_NONE)
		return ARENA_NONE;
	d = arena_page(a, page);
	arena_map_fill(d->free_map, ARENA_PAGE_WORDS, arena_class_objects[class]);
	d->prev = d->next = ARENA_NONE;
	d->n_live = 0;
	d->hint = 0;
	d->class = class;
	return page;
}

static void *page_object(struct arena *a, unsigned class)
{
	uint32_t page = a->page_list[class];
	struct page *d;
	unsigned i;

	if (page == ARENA_NONE) {
		page = page_acquire(a, class);
		if (page == ARENA_NONE)
			return NULL;
		page_link(a, page);
	}
	d = arena_page(a, page);
	i = d->hint;
	if (!arena_map_test(d->free_map, i))
		i = arena_map_find(d->free_map, arena_class_objects[class], 0, true);
	arena_map_clear(d->free_map, i);
	if (++d->n_live == arena_class_objects[class])
		page_unlink(a, page);
	return arena_page_mem(a, page) + i * arena_class_bytes[class];
}

/* Asserts that p is an object of the class, in use. */
INLINE void object_check(const struct arena *a, const void *p, unsigned class)
{
	uint32_t page = page_of(a, p);
	const struct page *d = arena_page(a, page);
	unsigned off = (unsigned)((const uint8_t *)p - arena_page_mem(a, page));
	unsigned i = off * per_byte[class] >> 20;

	ASSERT(d->n_live > 0 && d->class == class && i * arena_class_bytes[class] == off);
	ASSERT(i < arena_class_objects[class] && !arena_map_test(d->free_map, i));
}

static void give_back(struct arena *a, unsigned class)
{
	uint64_t at = a->kept[class] - a->data_off;
	uint32_t page = (uint32_t)(at / ARENA_PAGE_BYTES);
	unsigned i = (unsigned)(at % ARENA_PAGE_BYTES) * per_byte[class] >> 20;
	struct page *d = arena_page(a, page);
	bool listed = d->n_live < arena_class_objects[class];

	a->kept[class] = 0;
	arena_map_set(d->free_map, i);
	d->hint = (uint16_t)i;
	if (--d->n_live > 0) {
		if (!listed)
			page_link(a, page);
		return;
	}
	if (listed)
		page_unlink(a, page);
	part_free(a, ARENA_PAGES, page);
}

INLINE void object_free(struct arena *a, const void *p, unsigned class)
{
	uint64_t at = (uint64_t)((const uint8_t *)p - (uint8_t *)a->self);

	object_check(a, p, class);
	ASSERT(at != a->kept[class]);
	if (a->kept[class])
		give_back(a, class);
	a->kept[class] = at;
}

/* Gives up the objects that are kept. False: there was none. */
static bool drop_kept(struct arena *a)
{
	bool any = false;

	for (unsigned class = 0; class < ARENA_CLASSES; class ++) {
		if (!a->kept[class])
			continue;
		give_back(a, class);
		any = true;
	}
	return any;
}

/* ---- blocks ---- */

static unsigned pages_for(size_t size)
{
	return (unsigned)((size + ARENA_PAGE_BYTES - 1) / ARENA_PAGE_BYTES);
}

static void *large_alloc(struct arena *a, size_t size)
{
	uint32_t page;

	if (size == ARENA_BLOCK_68K) {
		page = part_alloc(a, ARENA_68K);
		return page == ARENA_NONE ? NULL : arena_page_mem(a, page);
	}
	if (size == ARENA_BLOCK_64K) {
		page = part_alloc(a, ARENA_64K);
		return page == ARENA_NONE ? NULL : arena_page_mem(a, page);
	}
	if (size > ARENA_SUPER_BYTES)
		return NULL;
	page = run_alloc(a, pages_for(size));
	if (page == ARENA_NONE)
		return NULL;
	return memset(arena_page_mem(a, page), 0, (size_t)pages_for(size) * ARENA_PAGE_BYTES);
}

static void large_free(struct arena *a, void *p, size_t size)
{
	uint32_t page = page_of(a, p);

	ASSERT(p == arena_page_mem(a, page) && size <= ARENA_SUPER_BYTES);
	if (size == ARENA_BLOCK_64K)
		part_free(a, ARENA_64K, page);
	else
		run_free(a, page, pages_for(size));
}

/* ---- the public face ---- */

struct arena *arena_init(void *mem, size_t reserved_bytes, size_t budget_bytes)
{
	const uint64_t per_super =
		sizeof(struct super) + ARENA_SUPER_PAGES * sizeof(struct page) + ARENA_SUPER_BYTES;
	const uint64_t head = (sizeof(struct arena) + 63) / 64 * 64;
	struct arena *a = mem;
	uint64_t n;

	ASSERT((uintptr_t)mem % ARENA_PAGE_BYTES == 0);
	if (reserved_bytes < head + ARENA_PAGE_BYTES + 4 * per_super)
		return NULL;
	n = (reserved_bytes - head - ARENA_PAGE_BYTES) / per_super;
	n = min_u64(n, (ARENA_NONE - 1) / ARENA_SUPER_PAGES);
	memset(a, 0, sizeof(*a));
	a->magic = ARENA_MAGIC;
	a->self = a;
	a->reserved_bytes = reserved_bytes;
	a->n_supers = (uint32_t)n;
	a->supers_off = head;
	a->pages_off = head + n * sizeof(struct super);
	a->data_off = a->pages_off + n * ARENA_SUPER_PAGES * sizeof(struct page);
	a->data_off = (a->data_off + ARENA_PAGE_BYTES - 1) / ARENA_PAGE_BYTES * ARENA_PAGE_BYTES;
	a->pages_max = n * ARENA_SUPER_PAGES;
	if (budget_bytes)
		a->pages_max = min_u64(a->pages_max, budget_bytes / ARENA_PAGE_BYTES);
	a->budget_bytes = a->pages_max * ARENA_PAGE_BYTES;
	for (unsigned i = 0; i < ARENA_LISTS; i++)
		a->list[i] = ARENA_NONE;
	for (unsigned i = 0; i < ARENA_CLASSES; i++)
		a->page_list[i] = ARENA_NONE;
	return a;
}

static bool failure_is_due(struct arena *a)
{
	if (a->fail_in == 0 || --a->fail_in > 0)
		return false;
	a->fail_in = a->fail_period;
	return true;
}

static inline unsigned class_of(size_t size)
{
	return size <= ARENA_SMALL_MAX ? class_of_16[(size + 15) / 16] : ARENA_CLASSES - 1;
}

static inline size_t whole_pages(size_t size)
{
	return (size + ARENA_PAGE_BYTES - 1) / ARENA_PAGE_BYTES * ARENA_PAGE_BYTES;
}

/* Of a page at most. */
INLINE void *object_alloc(struct arena *a, size_t size, unsigned class)
{
	uint64_t kept = a->kept[class];
	void *p = kept ? (uint8_t *)a->self + kept : page_object(a, class);

	a->kept[class] = 0;
	return p && size != ARENA_BLOCK_2K && size != ARENA_BLOCK_4K
		       ? memset(p, 0, arena_class_bytes[class])
		       : p;
}

static void *object_or_large(struct arena *a, size_t size)
{
	return size > ARENA_BLOCK_4K ? large_alloc(a, size) : object_alloc(a, size, class_of(size));
}

static inline void *count_alloc(struct arena *a, void *p, size_t capacity)
{
	a->allocs++;
	a->in_use_bytes += capacity;
	return p;
}

/* Whatever the size, and though a failure may be ordered or memory be short. */
static void *alloc_any(struct arena *a, size_t size)
{
	void *p = NULL;

	if (!failure_is_due(a)) {
		p = object_or_large(a, size);
		if (!p && drop_kept(a))
			p = object_or_large(a, size);
	}
	if (!p) {
		a->failures++;
		return NULL;
	}
	return count_alloc(a, p, arena_capacity(size));
}

/* What comes with every frame takes the short way: objects, and blocks to read into. */
void *arena_alloc(struct arena *a, size_t size)
{
	if (size <= ARENA_BLOCK_4K && !a->fail_in) {
		unsigned class = class_of(size);
		void *p = object_alloc(a, size, class);

		if (p)
			return count_alloc(a, p, arena_class_bytes[class]);
	} else if (size == ARENA_BLOCK_68K && !a->fail_in) {
		uint32_t page = part_alloc(a, ARENA_68K);

		if (page != ARENA_NONE)
			return count_alloc(a, arena_page_mem(a, page), ARENA_BLOCK_68K);
	}
	return alloc_any(a, size);
}

void arena_free(struct arena *a, void *p, size_t size)
{
	size_t capacity;

	if (!p)
		return;
	if (size <= ARENA_BLOCK_4K) {
		unsigned class = class_of(size);

		object_free(a, p, class);
		capacity = arena_class_bytes[class];
	} else if (size == ARENA_BLOCK_68K) {
		uint32_t page = page_of(a, p);

		ASSERT(p == arena_page_mem(a, page));
		part_free(a, ARENA_68K, page);
		capacity = ARENA_BLOCK_68K;
	} else {
		large_free(a, p, size);
		capacity = whole_pages(size);
	}
	a->frees++;
	a->in_use_bytes -= capacity;
}

size_t arena_capacity(size_t size)
{
	return size <= ARENA_BLOCK_4K ? arena_class_bytes[class_of(size)] : whole_pages(size);
}

void arena_fail_after(struct arena *a, uint64_t countdown, uint64_t period)
{
	a->fail_in = countdown;
	a->fail_period = period;
}

uint64_t arena_pages_bytes(const struct arena *a)
{
	return a->pages_used * ARENA_PAGE_BYTES;
}

uint64_t arena_budget_bytes(const struct arena *a)
{
	return a->budget_bytes;
}

void arena_get_stats(const struct arena *a, struct arena_stats *out)
{
	out->reserved = a->reserved_bytes;
	out->budget = a->budget_bytes;
	out->in_use = a->in_use_bytes;
	out->pages = arena_pages_bytes(a);
	out->allocs = a->allocs;
	out->frees = a->frees;
	out->failures = a->failures;
}
