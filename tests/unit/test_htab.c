/* The hash table against an array of flags. */
#include "base/htab.h"
#include "unit.h"

#define RESERVED (64u << 20)
#define N        20000u

struct item {
	struct hnode node;
	uint32_t key;
	bool in;
	uint32_t seen;
};

static struct item items[N];

static bool find(const struct htab *t, const struct item *it)
{
	struct hnode *n = htab_chain(t, it->node.hash);

	while (n && container_of(n, struct item, node)->key != it->key)
		n = n->next;
	UNIT_CHECK(!n || n == &it->node);
	return n != NULL;
}

/* Fresh items; a hash of `bits` bits, so that few bits give many collisions. */
static void items_init(struct unit_rng *r, unsigned bits)
{
	for (uint32_t i = 0; i < N; i++) {
		items[i] = (struct item){.key = i};
		items[i].node.hash = (uint32_t)(unit_u64(r) >> (64 - bits));
	}
}

static void check_same(const struct htab *t)
{
	uint32_t n = 0, seen = 0;

	for (uint32_t i = 0; i < N; i++) {
		n += items[i].in;
		items[i].seen = 0;
		UNIT_CHECK(find(t, &items[i]) == items[i].in);
	}
	UNIT_CHECK(t->n_nodes == n);
	for (struct hnode *h = htab_next(t, NULL); h; h = htab_next(t, h)) {
		struct item *it = container_of(h, struct item, node);

		UNIT_CHECK(it->in && it->seen++ == 0);
		seen++;
	}
	UNIT_CHECK(seen == n);
}

/* Adds or removes one item at random, more of the one or of the other. */
static void step(struct htab *t, struct arena *a, struct unit_rng *r, uint32_t add_percent)
{
	struct item *it = &items[unit_below(r, N)];

	if (unit_below(r, 100) < add_percent) {
		if (!it->in)
			it->in = htab_insert(t, a, &it->node);
	} else if (it->in) {
		htab_remove(t, a, &it->node);
		it->in = false;
	}
}

static void empty(struct htab *t, struct arena *a)
{
	for (uint32_t i = 0; i < N; i++) {
		if (items[i].in)
			htab_remove(t, a, &items[i].node);
		items[i].in = false;
	}
	check_same(t);
	UNIT_CHECK(t->n_buckets <= HTAB_SEG_BUCKETS);
	htab_free(t, a);
	UNIT_CHECK(unit_arena_empty(a) && !t->dir && htab_next(t, NULL) == NULL);
}

START_TEST (random_operations_match_flags) {
	static const unsigned bits[] = {32, 32, 11, 9};
	struct arena *a = unit_arena(RESERVED, 0);
	struct unit_rng r;
	struct htab t;

	unit_rng_start(&r, _i);
	items_init(&r, bits[_i]);
	htab_init(&t);
	UNIT_CHECK(!htab_chain(&t, 5) && !htab_next(&t, NULL) && unit_arena_empty(a));
	for (int round = 0; round < 10; round++) {
		for (uint32_t i = 0; i < N; i++)
			step(&t, a, &r, round % 2 ? 10 : 85);
		check_same(&t);
		if (bits[_i] == 32)
			UNIT_CHECK(t.n_buckets >= min_u32(t.n_nodes, 512) &&
				   t.n_buckets <= max_u32(512, 4 * t.n_nodes + 4));
	}
	empty(&t, a);
	unit_arena_free(a, RESERVED);
}
END_TEST

START_TEST (without_memory_chains_grow_and_nothing_is_lost) {
	struct arena *a = unit_arena(RESERVED, 0);
	struct unit_rng r;
	struct htab t;

	unit_rng_start(&r, _i);
	items_init(&r, 32);
	htab_init(&t);
	for (uint64_t first = 1; first <= 2; first++) { /* the directory, then the segment */
		arena_fail_after(a, first, 0);
		UNIT_CHECK(!htab_insert(&t, a, &items[0].node) && unit_arena_empty(a));
	}
	items[0].in = htab_insert(&t, a, &items[0].node);
	arena_fail_after(a, 1, 1);
	for (uint32_t i = 1; i < N; i++)
		UNIT_CHECK(items[i].in = htab_insert(&t, a, &items[i].node));
	UNIT_CHECK(t.n_buckets == HTAB_SEG_BUCKETS);
	check_same(&t);
	/* memory comes back: each insertion catches up by one bucket */
	arena_fail_after(a, 3, 3);
	for (uint32_t i = 0; i < 4 * N; i++)
		step(&t, a, &r, 90);
	UNIT_CHECK(t.n_buckets > HTAB_SEG_BUCKETS);
	check_same(&t);
	empty(&t, a);
	unit_arena_free(a, RESERVED);
}
END_TEST

/* Hash over the keys in the order of iteration. */
static uint64_t order_of_run(int run_number, size_t pad)
{
	struct arena *a = unit_arena(RESERVED, 0);
	uint64_t order = 0;
	struct unit_rng r;
	struct htab t;

	unit_rng_start(&r, run_number);
	items_init(&r, 13);
	htab_init(&t);
	if (pad)
		UNIT_CHECK(arena_alloc(a, pad) != NULL);
	for (uint32_t i = 0; i < 3 * N; i++)
		step(&t, a, &r, 60);
	for (struct hnode *h = htab_next(&t, NULL); h; h = htab_next(&t, h))
		order = (order ^ container_of(h, struct item, node)->key) * 0x100000001b3ull;
	unit_arena_free(a, RESERVED);
	return order;
}

START_TEST (iteration_order_does_not_depend_on_addresses) {
	UNIT_CHECK(order_of_run(_i, 0) == order_of_run(_i, ARENA_BLOCK_4K));
	UNIT_CHECK(order_of_run(_i, 0) != order_of_run(_i + 1000, 0));
}
END_TEST

START_TEST (a_million_nodes_have_short_chains_and_small_steps) {
	enum { MILLION = 1000000 };
	struct hnode *all = calloc(MILLION, sizeof(*all)), *n;
	struct arena *a = unit_arena(RESERVED, 0);
	uint32_t longest = 0, before;
	struct unit_rng r;
	struct htab t;

	unit_rng_start(&r, _i);
	htab_init(&t);
	for (uint32_t i = 0; i < MILLION; i++) {
		all[i].hash = (uint32_t)unit_u64(&r);
		before = t.n_buckets;
		UNIT_CHECK(htab_insert(&t, a, &all[i]));
		UNIT_CHECK(i == 0 || t.n_buckets - before <= 2);
	}
	UNIT_CHECK(t.n_buckets == 2 * MILLION);
	for (uint32_t i = 0; i < MILLION; i++) {
		uint32_t len = 0;

		for (n = htab_chain(&t, all[i].hash); n && n != &all[i]; n = n->next)
			len++;
		UNIT_CHECK(n == &all[i]);
		longest = max_u32(longest, len);
	}
	UNIT_CHECK(longest < 20);
	for (uint32_t i = 0; i < MILLION; i++) {
		before = t.n_buckets;
		htab_remove(&t, a, &all[i]);
		UNIT_CHECK(before - t.n_buckets <= 4);
	}
	UNIT_CHECK(t.n_nodes == 0 && t.n_buckets == HTAB_SEG_BUCKETS);
	htab_free(&t, a);
	UNIT_CHECK(unit_arena_empty(a));
	unit_arena_free(a, RESERVED);
	free(all);
}
END_TEST

START_TEST (removing_what_is_not_in_is_our_mistake) {
	struct arena *a = unit_arena(RESERVED, 0);
	struct unit_rng r;
	struct htab t;

	unit_rng_start(&r, _i);
	items_init(&r, 32);
	htab_init(&t);
	UNIT_CHECK_ASSERTS(htab_remove(&t, a, &items[0].node));
	UNIT_CHECK(htab_insert(&t, a, &items[0].node));
	UNIT_CHECK_ASSERTS(htab_remove(&t, a, &items[1].node));
	UNIT_CHECK(find(&t, &items[0]) && t.n_nodes == 1);
	htab_free(&t, a);
	unit_arena_free(a, RESERVED);
}
END_TEST

static Suite *htab_suite(void)
{
	Suite *s = suite_create("htab");
	TCase *t = tcase_create("htab");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, random_operations_match_flags, 0, 4);
	tcase_add_test(t, without_memory_chains_grow_and_nothing_is_lost);
	tcase_add_test(t, iteration_order_does_not_depend_on_addresses);
	tcase_add_test(t, a_million_nodes_have_short_chains_and_small_steps);
	tcase_add_test(t, removing_what_is_not_in_is_our_mistake);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(htab_suite)
