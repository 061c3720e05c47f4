/* Snapshot and restoring of an arena, and the check of its book keeping.
 *
 * An image: struct image_head | struct arena | struct super for every superblock ever used | for
 * each of these, its parts in use, in order: a small-object page with its descriptor in front, the
 * others bare. What is free is not in the image, so its cost is that of what lives. Images are for
 * the process that made them (pointers inside must hold); they are no file format. */
#include "base/arena_impl.h"

#define IMAGE_MAGIC 0x7467696d61676531ull

struct image_head {
	uint64_t magic;
	uint64_t bytes; /* of the whole image */
};

/* Bytes that a superblock's parts take in an image. */
static uint64_t super_image_bytes(const struct super *sp)
{
	uint64_t part = (uint64_t)arena_part_pages[sp->kind] * ARENA_PAGE_BYTES;

	if (sp->kind == ARENA_FREE)
		return 0;
	if (sp->kind == ARENA_PAGES)
		part += sizeof(struct page);
	return sp->n_used * part;
}

size_t arena_snapshot_bytes(const struct arena *a)
{
	uint64_t n = sizeof(struct image_head) + sizeof(*a) + a->n_fresh * sizeof(struct super);

	for (uint32_t s = 0; s < a->n_fresh; s++)
		n += super_image_bytes(arena_super(a, s));
	return n;
}

static uint8_t *put(uint8_t *at, const void *from, size_t n)
{
	memcpy(at, from, n);
	return at + n;
}

static const uint8_t *get(const uint8_t *at, void *to, size_t n)
{
	memcpy(to, at, n);
	return at + n;
}

static uint8_t *save_super(const struct arena *a, uint32_t s, uint8_t *at)
{
	const struct super *sp = arena_super(a, s);
	const unsigned parts = arena_parts[sp->kind], pages = arena_part_pages[sp->kind];

	if (sp->kind == ARENA_FREE)
		return at;
	for (unsigned i = arena_map_find(sp->free_map, parts, 0, false); i < parts;
		i = arena_map_find(sp->free_map, parts, i + 1, false)) {
		uint32_t page = s * ARENA_SUPER_PAGES + i * pages;

		if (sp->kind == ARENA_PAGES)
			at = put(at, arena_page(a, page), sizeof(struct page));
		at = put(at, arena_page_mem(a, page), (size_t)pages * ARENA_PAGE_BYTES);
	}
	return at;
}

size_t arena_snapshot_save(const struct arena *a, void *buf, size_t cap)
{
	struct image_head head = {IMAGE_MAGIC, arena_snapshot_bytes(a)};
	uint8_t *at = buf;

	if (cap < head.bytes)
		return 0;
	at = put(at, &head, sizeof(head));
	at = put(at, a, sizeof(*a));
	at = put(at, arena_super(a, 0), a->n_fresh * sizeof(struct super));
	for (uint32_t s = 0; s < a->n_fresh; s++)
		at = save_super(a, s, at);
	ASSERT((uint64_t)(at - (uint8_t *)buf) == head.bytes);
	return head.bytes;
}

/* Is it a whole image of this very arena? */
static bool image_fits(const struct arena *a, const uint8_t *buf, size_t bytes)
{
	uint64_t need = sizeof(struct image_head) + sizeof(struct arena);
	const uint8_t *at = buf;
	struct image_head head;
	struct arena was;

	if (bytes < need)
		return false;
	at = get(at, &head, sizeof(head));
	at = get(at, &was, sizeof(was));
	if (head.magic != IMAGE_MAGIC || head.bytes != bytes || was.magic != ARENA_MAGIC)
		return false;
	if (was.self != a->self || was.reserved_bytes != a->reserved_bytes)
		return false;
	if (was.n_supers != a->n_supers || was.data_off != a->data_off)
		return false;
	need += was.n_fresh * sizeof(struct super);
	if (was.n_fresh > a->n_supers || bytes < need)
		return false;
	for (uint32_t s = 0; s < was.n_fresh; s++) {
		struct super sp;
		unsigned used = 0;

		at = get(at, &sp, sizeof(sp));
		if (sp.kind >= ARENA_KINDS || sp.n_used > arena_parts[sp.kind])
			return false;
		for (unsigned i = 0; i < arena_parts[sp.kind]; i++)
			used += !arena_map_test(sp.free_map, i);
		if (used != sp.n_used)
			return false;
		need += super_image_bytes(&sp);
	}
	return need == bytes;
}

/* Marks every page descriptor as not in use: only those in the image are. */
static void forget_pages(struct arena *a)
{
	for (uint32_t s = 0; s < a->n_fresh; s++) {
		if (arena_super(a, s)->kind != ARENA_PAGES)
			continue;
		for (uint32_t i = 0; i < ARENA_SUPER_PAGES; i++)
			arena_page(a, s * ARENA_SUPER_PAGES + i)->n_live = 0;
	}
}

static const uint8_t *restore_super(struct arena *a, uint32_t s, const uint8_t *at)
{
	const struct super *sp = arena_super(a, s);
	const unsigned parts = arena_parts[sp->kind], pages = arena_part_pages[sp->kind];

	if (sp->kind == ARENA_FREE)
		return at;
	for (unsigned i = arena_map_find(sp->free_map, parts, 0, false); i < parts;
		i = arena_map_find(sp->free_map, parts, i + 1, false)) {
		uint32_t page = s * ARENA_SUPER_PAGES + i * pages;

		if (sp->kind == ARENA_PAGES)
			at = get(at, arena_page(a, page), sizeof(struct page));
		at = get(at, arena_page_mem(a, page), (size_t)pages * ARENA_PAGE_BYTES);
	}
	return at;
}

bool arena_snapshot_restore(struct arena *a, const void *buf, size_t bytes)
{
	const uint8_t *at = buf;

	if (!image_fits(a, buf, bytes))
		return false;
	forget_pages(a);
	at = get(at + sizeof(struct image_head), a, sizeof(*a));
	at = get(at, arena_super(a, 0), a->n_fresh * sizeof(struct super));
	for (uint32_t s = 0; s < a->n_fresh; s++)
		at = restore_super(a, s, at);
	return true;
}

/* ---- check ---- */

/* What the walk adds up, to be compared with what the arena says. */
struct tally {
	uint64_t pages, in_use_bytes;
	uint32_t supers_listed, supers_due; /* on a list; those that should be */
	uint32_t small_listed, small_due;   /* the same of pages with an object left */
};

static void check_page(const struct arena *a, uint32_t page, struct tally *t)
{
	const struct page *d = arena_page(a, page);
	unsigned n_free = 0;

	ASSERT(d->class < ARENA_CLASSES && d->n_live > 0);
	t->in_use_bytes += (uint64_t)d->n_live * arena_class_bytes[d->class];
	for (unsigned i = 0; i < ARENA_PAGE_WORDS * 64; i++)
		n_free += arena_map_test(d->free_map, i);
	ASSERT(n_free + d->n_live == arena_class_objects[d->class]);
	ASSERT(arena_map_find(d->free_map, ARENA_PAGE_WORDS * 64, arena_class_objects[d->class],
		       true) == ARENA_PAGE_WORDS * 64);
	t->small_due += n_free > 0;
}

static void check_super(const struct arena *a, uint32_t s, struct tally *t)
{
	const struct super *sp = arena_super(a, s);
	unsigned used = 0;

	ASSERT(sp->kind < ARENA_KINDS);
	if (sp->kind == ARENA_FREE) {
		t->supers_due++;
		return;
	}
	for (unsigned i = 0; i < arena_parts[sp->kind]; i++) {
		bool live = !arena_map_test(sp->free_map, i);

		used += live;
		if (sp->kind == ARENA_PAGES && live)
			check_page(a, s * ARENA_SUPER_PAGES + i, t);
		else if (sp->kind == ARENA_PAGES)
			ASSERT(arena_page(a, s * ARENA_SUPER_PAGES + i)->n_live == 0);
	}
	ASSERT(used == sp->n_used && used > 0);
	t->supers_due += used < arena_parts[sp->kind];
	t->pages += (uint64_t)used * arena_part_pages[sp->kind];
	if (sp->kind != ARENA_PAGES)
		t->in_use_bytes += (uint64_t)used * arena_part_pages[sp->kind] * ARENA_PAGE_BYTES;
	if (sp->kind == ARENA_RUNS)
		ASSERT(sp->longest == arena_map_longest(sp->free_map, ARENA_SUPER_PAGES));
}

static void check_super_list(const struct arena *a, unsigned list, struct tally *t)
{
	uint32_t prev = ARENA_NONE;

	for (uint32_t s = a->list[list]; s != ARENA_NONE; s = arena_super(a, s)->next) {
		const struct super *sp = arena_super(a, s);

		ASSERT(s < a->n_fresh && sp->prev == prev && t->supers_listed < a->n_fresh);
		if (list < ARENA_LIST_RUN)
			ASSERT(sp->kind == list && sp->n_used < max_u32(1, arena_parts[list]));
		else
			ASSERT(sp->kind == ARENA_RUNS && sp->longest == list - ARENA_LIST_RUN);
		prev = s;
		t->supers_listed++;
	}
	if (list >= ARENA_LIST_RUN)
		ASSERT(arena_map_test(a->run_map, list - ARENA_LIST_RUN) ==
			(a->list[list] != ARENA_NONE));
}

/* The list of a class's pages, and the object that is kept, which is nobody's. */
static void check_class(const struct arena *a, unsigned class, struct tally *t)
{
	uint32_t prev = ARENA_NONE;

	for (uint32_t p = a->page_list[class]; p != ARENA_NONE; p = arena_page(a, p)->next) {
		ASSERT(arena_page(a, p)->class == class && arena_page(a, p)->prev == prev);
		ASSERT(arena_page(a, p)->n_live < arena_class_objects[class]);
		prev = p;
		ASSERT(++t->small_listed <= t->small_due);
	}
	if (a->kept[class]) {
		uint64_t in = a->kept[class] - a->data_off;
		const struct page *d = arena_page(a, (uint32_t)(in / ARENA_PAGE_BYTES));

		in %= ARENA_PAGE_BYTES;
		ASSERT(d->n_live > 0 && d->class == class && in % arena_class_bytes[class] == 0);
		ASSERT(!arena_map_test(d->free_map, (unsigned)in / arena_class_bytes[class]));
		t->in_use_bytes -= arena_class_bytes[class];
	}
}

void arena_check(const struct arena *a)
{
	struct tally t = {0};

	ASSERT(a->magic == ARENA_MAGIC && a->self == a && a->n_fresh <= a->n_supers);
	for (uint32_t s = 0; s < a->n_fresh; s++)
		check_super(a, s, &t);
	for (unsigned list = 0; list < ARENA_LISTS; list++)
		check_super_list(a, list, &t);
	for (unsigned class = 0; class < ARENA_CLASSES; class ++)
		check_class(a, class, &t);
	ASSERT(t.supers_listed == t.supers_due && t.small_listed == t.small_due);
	ASSERT(t.pages == a->pages_used && t.in_use_bytes == a->in_use_bytes);
	ASSERT(a->pages_used <= a->pages_max);
}
