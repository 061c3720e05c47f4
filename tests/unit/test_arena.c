/* The arena against a naive model (a table of live objects, each with its own bytes): random
 * operations, snapshots in the middle of them, ordered failures, budgets, and the layout's
 * promises. */
#include "unit.h"

#define RESERVED  (24u << 20)
#define MAX_LIVE  1500u
#define SUPER_64K 17u
#define SUPER_68K 16u

struct object {
	uint8_t *p;
	size_t size;
	uint64_t tag;
};

struct model {
	struct object live[MAX_LIVE];
	uint32_t n;
	uint64_t in_use;
	uint64_t trace; /* hash over every offset ever returned */
};

static bool is_block(size_t size)
{
	return size == ARENA_BLOCK_2K || size == ARENA_BLOCK_4K || size == ARENA_BLOCK_64K ||
	       size == ARENA_BLOCK_68K;
}

/* The bytes an object has to hold: its tag, over its whole capacity. */
static void paint(const struct object *o)
{
	size_t cap = arena_capacity(o->size);

	for (size_t i = 0; i + 8 <= cap; i += 8)
		memcpy(o->p + i, &o->tag, 8);
}

static bool painted(const struct object *o)
{
	size_t cap = arena_capacity(o->size);
	uint64_t v;

	for (size_t i = 0; i + 8 <= cap; i += 8) {
		memcpy(&v, o->p + i, 8);
		if (v != o->tag)
			return false;
	}
	return true;
}

static bool all_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

static size_t random_size(struct unit_rng *r)
{
	static const size_t edges[] = {1, 16, 17, 64, 65, 2047, 2048, 2049, 4095, 4097, 65535,
		65537, 69631, 69633, ARENA_SUPER_BYTES - 1};

	switch (unit_below(r, 16)) {
	case 0: return edges[unit_below(r, ARRAY_LEN(edges))];
	case 1: return ARENA_BLOCK_64K;
	case 2: return ARENA_BLOCK_68K;
	case 3: return ARENA_BLOCK_4K;
	case 4: return 1 + unit_below(r, 200000);
	case 5: return 64 * (1 + unit_below(r, 32));
	default: return 1 + unit_below(r, 2048);
	}
}

static void model_alloc(struct model *m, struct arena *a, struct unit_rng *r)
{
	struct object *o = &m->live[m->n];

	o->size = random_size(r);
	o->tag = unit_u64(r);
	o->p = arena_alloc(a, o->size);
	if (!o->p)
		return;
	UNIT_CHECK((uintptr_t)o->p % 16 == 0 && arena_capacity(o->size) >= o->size);
	if (o->size % 64 == 0)
		UNIT_CHECK((uintptr_t)o->p % 64 == 0);
	if (o->size > ARENA_SMALL_MAX)
		UNIT_CHECK((uintptr_t)o->p % ARENA_PAGE_BYTES == 0);
	if (!is_block(o->size))
		UNIT_CHECK(all_zero(o->p, arena_capacity(o->size)));
	UNIT_CHECK(o->p + arena_capacity(o->size) <= (uint8_t *)a + RESERVED);
	paint(o);
	m->in_use += arena_capacity(o->size);
	m->trace = (m->trace ^ (uint64_t)(o->p - (uint8_t *)a)) * 0x100000001b3ull;
	m->n++;
}

static void model_free(struct model *m, struct arena *a, uint32_t i)
{
	struct object *o = &m->live[i];

	UNIT_CHECK(painted(o));
	m->in_use -= arena_capacity(o->size);
	arena_free(a, o->p, o->size);
	*o = m->live[--m->n];
}

static void model_verify(const struct model *m, const struct arena *a)
{
	struct arena_stats s;

	for (uint32_t i = 0; i < m->n; i++)
		UNIT_CHECK(painted(&m->live[i]));
	arena_get_stats(a, &s);
	UNIT_CHECK(s.in_use == m->in_use && s.allocs - s.frees == m->n);
	UNIT_CHECK(s.pages >= s.in_use && s.pages <= s.budget);
	arena_check(a);
}

/* `steps` operations; the number of live objects drifts up and down between none and many. */
static void model_run(struct model *m, struct arena *a, struct unit_rng *r, int steps)
{
	uint32_t grow = 50;

	for (int i = 0; i < steps; i++) {
		if (i % 400 == 0)
			grow = 20 + 15 * unit_below(r, 5);
		if (m->n == 0 || (m->n < MAX_LIVE && unit_below(r, 100) < grow))
			model_alloc(m, a, r);
		else
			model_free(m, a, unit_below(r, m->n));
		if (i % 500 == 0)
			arena_check(a);
	}
}

static void model_free_all(struct model *m, struct arena *a)
{
	while (m->n)
		model_free(m, a, m->n - 1);
	UNIT_CHECK(unit_arena_empty(a));
	arena_check(a);
}

static struct model model, saved_model;

START_TEST (random_operations_keep_every_byte) {
	struct arena *a = unit_arena(RESERVED, _i % 2 ? RESERVED / 4 : 0);
	struct unit_rng r;

	unit_rng_start(&r, _i);
	memset(&model, 0, sizeof(model));
	model_run(&model, a, &r, 8000);
	model_verify(&model, a);
	model_free_all(&model, a);
	unit_arena_free(a, RESERVED);
}
END_TEST

START_TEST (random_operations_with_ordered_failures) {
	struct arena *a = unit_arena(RESERVED, 0);
	struct arena_stats s;
	struct unit_rng r;

	unit_rng_start(&r, _i);
	memset(&model, 0, sizeof(model));
	arena_fail_after(a, 5, 3);
	model_run(&model, a, &r, 4000);
	model_verify(&model, a);
	arena_get_stats(a, &s);
	UNIT_CHECK(s.failures >= (s.allocs + s.failures) / 3 - 2);
	model_free_all(&model, a);
	unit_arena_free(a, RESERVED);
}
END_TEST

START_TEST (equal_calls_give_equal_layouts) {
	uint64_t trace[2];
	struct unit_rng r;

	for (int i = 0; i < 2; i++) {
		struct arena *a = unit_arena(RESERVED, 0);

		unit_rng_start(&r, _i);
		memset(&model, 0, sizeof(model));
		model_run(&model, a, &r, 4000);
		trace[i] = model.trace;
		unit_arena_free(a, RESERVED);
	}
	UNIT_CHECK(trace[0] == trace[1]);
}
END_TEST

/* Restores the image, checks that everything is as it was saved, and goes on from there. */
static uint64_t run_on(struct arena *a, const void *image, size_t bytes, struct unit_rng r)
{
	struct arena_stats s;

	UNIT_CHECK(arena_snapshot_restore(a, image, bytes));
	model = saved_model;
	model_verify(&model, a);
	UNIT_CHECK(arena_snapshot_bytes(a) == bytes);
	model_run(&model, a, &r, 3000);
	model_verify(&model, a);
	arena_get_stats(a, &s);
	return model.trace ^ s.allocs << 1 ^ s.failures << 33;
}

START_TEST (restore_brings_back_objects_and_the_allocator) {
	struct arena *a = unit_arena(RESERVED, 0);
	struct arena_stats s;
	struct unit_rng r;
	uint64_t first;
	size_t bytes;
	void *image, *again;

	unit_rng_start(&r, _i);
	memset(&model, 0, sizeof(model));
	model_run(&model, a, &r, 500 + 1500 * _i);
	saved_model = model;
	if (_i % 2)
		arena_fail_after(a, 100, 7);
	bytes = arena_snapshot_bytes(a);
	image = malloc(bytes);
	again = malloc(bytes);
	UNIT_CHECK(arena_snapshot_save(a, image, bytes - 1) == 0);
	UNIT_CHECK(arena_snapshot_save(a, image, bytes) == bytes);
	arena_get_stats(a, &s);
	UNIT_CHECK(bytes >= s.pages && bytes < s.pages + s.pages / 50 + 16384);

	model_run(&model, a, &r, 3000);
	first = run_on(a, image, bytes, r);
	model_free_all(&model, a);
	UNIT_CHECK(run_on(a, image, bytes, r) == first);
	/* What was saved is saved the same again. */
	UNIT_CHECK(arena_snapshot_restore(a, image, bytes));
	UNIT_CHECK(arena_snapshot_save(a, again, bytes) == bytes);
	UNIT_CHECK(memcmp(image, again, bytes) == 0);
	free(image);
	free(again);
	unit_arena_free(a, RESERVED);
}
END_TEST

START_TEST (restore_to_the_state_before_the_first_allocation) {
	struct arena *a = unit_arena(RESERVED, 0);
	size_t bytes = arena_snapshot_bytes(a);
	void *image = malloc(bytes);
	struct unit_rng r;

	unit_rng_start(&r, _i);
	UNIT_CHECK(arena_snapshot_save(a, image, bytes) == bytes);
	memset(&model, 0, sizeof(model));
	model_run(&model, a, &r, 3000);
	UNIT_CHECK(arena_snapshot_restore(a, image, bytes));
	UNIT_CHECK(unit_arena_empty(a));
	memset(&model, 0, sizeof(model));
	model_run(&model, a, &r, 3000);
	model_verify(&model, a);
	model_free_all(&model, a);
	free(image);
	unit_arena_free(a, RESERVED);
}
END_TEST

START_TEST (restore_refuses_what_is_not_its_image) {
	struct arena *a = unit_arena(RESERVED, 0), *b = unit_arena(RESERVED, 0);
	uint8_t *p = arena_alloc(a, 100), *image;
	size_t bytes = arena_snapshot_bytes(a);

	image = malloc(bytes + 1);
	memset(p, 1, 100);
	UNIT_CHECK(arena_snapshot_save(a, image, bytes) == bytes);
	memset(p, 2, 100);
	for (size_t n = 0; n < bytes; n += n < 4096 ? 1 : 997)
		UNIT_CHECK(!arena_snapshot_restore(a, image, n));
	UNIT_CHECK(!arena_snapshot_restore(a, image, bytes + 1));
	UNIT_CHECK(!arena_snapshot_restore(b, image, bytes));
	image[0] ^= 1;
	UNIT_CHECK(!arena_snapshot_restore(a, image, bytes));
	image[0] ^= 1;
	UNIT_CHECK(p[0] == 2 && p[99] == 2 && arena_alloc(a, 100) != NULL);
	UNIT_CHECK(arena_snapshot_restore(a, image, bytes) && p[0] == 1 && p[99] == 1);
	free(image);
	unit_arena_free(a, RESERVED);
	unit_arena_free(b, RESERVED);
}
END_TEST

START_TEST (failures_come_when_ordered) {
	static const char want[] = "++-+-+-+-+";
	struct arena *a = unit_arena(RESERVED, 0);
	struct arena_stats s;

	arena_fail_after(a, 3, 2);
	for (int i = 0; want[i]; i++)
		UNIT_CHECK((arena_alloc(a, 64) != NULL) == (want[i] == '+'));
	arena_get_stats(a, &s);
	UNIT_CHECK(s.failures == 4 && s.allocs == 6);
	arena_fail_after(a, 1, 0);
	UNIT_CHECK(!arena_alloc(a, ARENA_BLOCK_64K) && arena_alloc(a, ARENA_BLOCK_64K));
	arena_fail_after(a, 1, 1);
	for (int i = 0; i < 10; i++)
		UNIT_CHECK(!arena_alloc(a, 16));
	arena_fail_after(a, 0, 0);
	UNIT_CHECK(arena_alloc(a, 16));
	unit_arena_free(a, RESERVED);
}
END_TEST

/* How many objects of the size fit; frees them again, in the order of allocation or against it. */
static uint32_t fill(struct arena *a, size_t size, bool backwards)
{
	uint32_t n = 0, cap = 200000;
	void **all = malloc(cap * sizeof(*all));
	struct arena_stats s;

	while (n < cap && (all[n] = arena_alloc(a, size)) != NULL)
		n++;
	arena_check(a);
	arena_get_stats(a, &s);
	UNIT_CHECK(s.pages <= s.budget && s.in_use == n * arena_capacity(size));
	for (uint32_t i = 0; i < n; i++)
		arena_free(a, all[backwards ? n - 1 - i : i], size);
	free(all);
	UNIT_CHECK(unit_arena_empty(a));
	arena_check(a);
	return n;
}

START_TEST (the_budget_caps_pages_of_any_kind) {
	struct arena *a = unit_arena(RESERVED, 100 * ARENA_PAGE_BYTES + 5);

	for (int i = 0; i < 3; i++) {
		UNIT_CHECK(fill(a, 64, i & 1) == 100 * 64);
		UNIT_CHECK(fill(a, 2048, i & 1) == 200);
		UNIT_CHECK(fill(a, 3000, i & 1) == 100);
		UNIT_CHECK(fill(a, ARENA_BLOCK_4K, i & 1) == 100);
		UNIT_CHECK(fill(a, ARENA_BLOCK_64K, i & 1) == 6);
		UNIT_CHECK(fill(a, ARENA_BLOCK_68K, i & 1) == 5);
		UNIT_CHECK(fill(a, 5000, i & 1) == 50);
		UNIT_CHECK(fill(a, 100 * ARENA_PAGE_BYTES, i & 1) == 1);
		UNIT_CHECK(fill(a, 101 * ARENA_PAGE_BYTES, i & 1) == 0);
	}
	unit_arena_free(a, RESERVED);
}
END_TEST

START_TEST (free_superblocks_serve_any_kind_again) {
	struct arena *a = unit_arena(RESERVED, 0);
	struct arena_stats s;
	uint32_t supers;

	arena_get_stats(a, &s);
	supers = (uint32_t)(s.budget / ARENA_SUPER_BYTES);
	UNIT_CHECK(s.reserved == RESERVED && supers == 22);
	for (int i = 0; i < 2; i++) {
		UNIT_CHECK(fill(a, ARENA_BLOCK_64K, i) == supers * SUPER_64K);
		UNIT_CHECK(fill(a, ARENA_BLOCK_68K, !i) == supers * SUPER_68K);
		UNIT_CHECK(fill(a, 2048, i) == supers * 2 * ARENA_SUPER_PAGES);
		UNIT_CHECK(fill(a, ARENA_SUPER_BYTES, !i) == supers);
		UNIT_CHECK(fill(a, 2 * ARENA_PAGE_BYTES, i) == supers * ARENA_SUPER_PAGES / 2);
		UNIT_CHECK(fill(a, 512, !i) == supers * 8 * ARENA_SUPER_PAGES);
	}
	UNIT_CHECK(!arena_alloc(a, ARENA_SUPER_BYTES + 1) && !arena_alloc(a, SIZE_MAX));
	unit_arena_free(a, RESERVED);
}
END_TEST

START_TEST (runs_fill_the_tightest_hole) {
	struct arena *a = unit_arena(RESERVED, 0);
	uint8_t *p[6];

	for (int i = 0; i < 6; i++)
		p[i] = arena_alloc(a, 10 * ARENA_PAGE_BYTES);
	for (int i = 1; i < 6; i++)
		UNIT_CHECK(p[i] == p[i - 1] + 10 * ARENA_PAGE_BYTES);
	arena_free(a, p[1], 10 * ARENA_PAGE_BYTES);
	arena_free(a, p[3], 10 * ARENA_PAGE_BYTES);
	arena_free(a, p[4], 10 * ARENA_PAGE_BYTES);
	UNIT_CHECK(arena_alloc(a, 20 * ARENA_PAGE_BYTES) == p[3]);
	UNIT_CHECK(arena_alloc(a, 5 * ARENA_PAGE_BYTES - 1) == p[1]);
	UNIT_CHECK(arena_alloc(a, 5 * ARENA_PAGE_BYTES) == p[1] + 5 * ARENA_PAGE_BYTES);
	arena_check(a);
	unit_arena_free(a, RESERVED);
}
END_TEST

START_TEST (a_long_hole_is_found_in_front_of_a_short_one) {
	struct arena *a = unit_arena(RESERVED, 0);
	uint8_t *p[17];

	for (int i = 0; i < 17; i++)
		p[i] = arena_alloc(a, (i == 16 ? 15u : i == 3 ? 17u : 16u) * ARENA_PAGE_BYTES - 1);
	UNIT_CHECK(p[16] == p[0] + 257 * ARENA_PAGE_BYTES);
	arena_free(a, p[3], 17 * ARENA_PAGE_BYTES - 1);
	arena_free(a, p[16], 15 * ARENA_PAGE_BYTES - 1);
	UNIT_CHECK(arena_alloc(a, 17 * ARENA_PAGE_BYTES - 1) == p[3]);
	UNIT_CHECK(arena_alloc(a, 15 * ARENA_PAGE_BYTES - 1) == p[16]);
	arena_check(a);
	unit_arena_free(a, RESERVED);
}
END_TEST

START_TEST (capacity_is_close_to_size) {
	size_t last = 0;

	for (size_t n = 1; n <= ARENA_SMALL_MAX; n++) {
		size_t cap = arena_capacity(n);

		UNIT_CHECK(cap >= n && cap >= last && cap % 16 == 0 && (n % 64 || cap % 64 == 0));
		UNIT_CHECK(cap - n < 16 || cap * 2 < n * 2 + n * 11 / 10);
		/* no other number of objects would fit into the page */
		UNIT_CHECK(ARENA_PAGE_BYTES / cap == ARENA_PAGE_BYTES / (cap + 15) ||
			   ARENA_PAGE_BYTES % cap <= 512);
		last = cap;
	}
	for (size_t n = 16; n <= 128; n += 16)
		UNIT_CHECK(arena_capacity(n) == n);
	for (size_t n = 128; n <= 512; n += 64)
		UNIT_CHECK(arena_capacity(n) == n);
	UNIT_CHECK(arena_capacity(1024) == 1024 && arena_capacity(2048) == 2048);
	UNIT_CHECK(arena_capacity(2049) == 4096 && arena_capacity(4096) == 4096);
	UNIT_CHECK(arena_capacity(ARENA_BLOCK_64K) == 65536);
	UNIT_CHECK(arena_capacity(ARENA_BLOCK_68K) == 69632);
	UNIT_CHECK(arena_capacity(69633) == 73728);
}
END_TEST

START_TEST (what_was_freed_last_is_used_first) {
	static const size_t sizes[] = {
		16, 64, 480, 2048, 3000, ARENA_BLOCK_4K, ARENA_BLOCK_64K, ARENA_BLOCK_68K, 9000};
	struct arena *a = unit_arena(RESERVED, 0);

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		void *p[40];

		for (int j = 0; j < 40; j++)
			p[j] = arena_alloc(a, sizes[i]);
		/* 5 and 35 lie in different superblocks for the blocks */
		arena_free(a, p[5], sizes[i]);
		if (sizes[i] != 9000) {
			arena_free(a, p[35], sizes[i]);
			arena_check(a);
			UNIT_CHECK(arena_alloc(a, sizes[i]) == p[35]);
		}
		if (sizes[i] < ARENA_BLOCK_64K) /* of blocks, what the last one's superblock has */
			UNIT_CHECK(arena_alloc(a, sizes[i]) == p[5]);
	}
	unit_arena_free(a, RESERVED);
}
END_TEST

START_TEST (our_own_mistakes_are_caught) {
	struct arena *a = unit_arena(RESERVED, 0);
	uint8_t *p = arena_alloc(a, 64), *block = arena_alloc(a, ARENA_BLOCK_64K);
	uint8_t *run = arena_alloc(a, 9000), *page = arena_alloc(a, ARENA_BLOCK_4K), other[64];

	UNIT_CHECK(arena_alloc(a, 64) && arena_alloc(a, ARENA_BLOCK_64K) && arena_alloc(a, 9000));
	UNIT_CHECK_ASSERTS(arena_free(a, other, 64));
	UNIT_CHECK_ASSERTS(arena_free(a, p + 8, 64));
	UNIT_CHECK_ASSERTS(arena_free(a, p, 128));
	UNIT_CHECK_ASSERTS(arena_free(a, p, ARENA_BLOCK_4K));
	UNIT_CHECK_ASSERTS(arena_free(a, block, ARENA_BLOCK_68K));
	UNIT_CHECK_ASSERTS(arena_free(a, block + ARENA_PAGE_BYTES, ARENA_BLOCK_64K));
	UNIT_CHECK_ASSERTS(arena_free(a, run, 4097 + 8192));
	UNIT_CHECK_ASSERTS(arena_free(a, run, 9000 + 4096 * 3));
	UNIT_CHECK_ASSERTS(arena_free(a, run + 4096, 5000));
	UNIT_CHECK_ASSERTS(arena_free(a, page, 64));
	arena_free(a, NULL, 64);
	arena_free(a, p, 64);
	UNIT_CHECK_ASSERTS(arena_free(a, p, 64));
	arena_free(a, block, ARENA_BLOCK_64K);
	UNIT_CHECK_ASSERTS(arena_free(a, block, ARENA_BLOCK_64K));
	arena_free(a, run, 9000);
	UNIT_CHECK_ASSERTS(arena_free(a, run, 9000));
	arena_free(a, page, ARENA_BLOCK_4K);
	UNIT_CHECK_ASSERTS(arena_free(a, page, ARENA_BLOCK_4K));
	unit_arena_free(a, RESERVED);
}
END_TEST

START_TEST (a_range_that_is_too_small_is_refused) {
	size_t enough = 4 * (ARENA_SUPER_BYTES + ARENA_SUPER_PAGES * 64) + 3 * ARENA_PAGE_BYTES;
	struct arena *big = unit_arena(RESERVED, 0);

	UNIT_CHECK(!arena_init(big, 0, 0) && !arena_init(big, 4 * ARENA_SUPER_BYTES, 0));
	UNIT_CHECK(arena_init(big, enough, 0) == big);
	UNIT_CHECK(fill(big, ARENA_BLOCK_64K, false) == 4 * SUPER_64K);
	unit_arena_free(big, RESERVED);
}
END_TEST

static Suite *arena_suite(void)
{
	Suite *s = suite_create("arena");
	TCase *t = tcase_create("arena");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, random_operations_keep_every_byte, 0, 4);
	tcase_add_loop_test(t, random_operations_with_ordered_failures, 0, 2);
	tcase_add_test(t, equal_calls_give_equal_layouts);
	tcase_add_loop_test(t, restore_brings_back_objects_and_the_allocator, 0, 3);
	tcase_add_test(t, restore_to_the_state_before_the_first_allocation);
	tcase_add_test(t, restore_refuses_what_is_not_its_image);
	tcase_add_test(t, failures_come_when_ordered);
	tcase_add_test(t, the_budget_caps_pages_of_any_kind);
	tcase_add_test(t, free_superblocks_serve_any_kind_again);
	tcase_add_test(t, runs_fill_the_tightest_hole);
	tcase_add_test(t, a_long_hole_is_found_in_front_of_a_short_one);
	tcase_add_test(t, capacity_is_close_to_size);
	tcase_add_test(t, what_was_freed_last_is_used_first);
	tcase_add_test(t, our_own_mistakes_are_caught);
	tcase_add_test(t, a_range_that_is_too_small_is_refused);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(arena_suite)
