/* Handles (index and generation) and readiness events. */
#include "core_support.h"

static struct endpoint ep[3000];

static tg_sock open_one(struct tg *s, unsigned i)
{
	tg_sock k;

	endpoint_init(&ep[i], TG_DGRAM, 1000 + i);
	ck_assert_int_eq(handle_open(s, &ep[i], &k), 0);
	ck_assert_uint_ne(k, 0);
	ck_assert_ptr_eq(handle_find(s, k), &ep[i]);
	return k;
}

START_TEST (stale_handles_are_found_out) {
	struct tg *s = world_core();
	tg_sock a = open_one(s, 0), b;

	ck_assert_ptr_null(handle_find(s, 0));
	ck_assert_ptr_null(handle_find(s, a ^ 1ull << 32));
	ck_assert_ptr_null(handle_find(s, a + 1));
	ck_assert_ptr_null(handle_find(s, a | 0xffffffff));
	ck_assert_ptr_null(handle_find(s, UINT64_MAX));
	handle_close(s, &ep[0]);
	ck_assert_ptr_null(handle_find(s, a));
	ck_assert_uint_eq(handle_of(&ep[0]), 0);
	b = open_one(s, 1); /* the same slot again */
	ck_assert_uint_eq((uint32_t)a, (uint32_t)b);
	ck_assert_uint_ne(a, b);
	ck_assert_ptr_null(handle_find(s, a));
	handle_close(s, &ep[1]);
	world_end(s);
}
END_TEST

struct slot_layout {
	void *e;
	uint32_t gen, next_free;
};

START_TEST (generation_wraps) {
	struct tg *s = world_core();
	tg_sock k = open_one(s, 0), last;
	struct slot_layout *page = (struct slot_layout *)(void *)s->handles.dir[0];

	ck_assert_ptr_eq(page[(uint32_t)k].e, &ep[0]);
	page[(uint32_t)k].gen = ep[0].gen = UINT32_MAX;
	last = handle_of(&ep[0]);
	handle_close(s, &ep[0]);
	k = open_one(s, 0);
	ck_assert_uint_eq(k >> 32, 0);
	ck_assert_ptr_null(handle_find(s, last));
	handle_close(s, &ep[0]);
	ck_assert_ptr_null(handle_find(s, k));
	world_end(s);
}
END_TEST

/* Random opening and closing against the list of what is open. */
START_TEST (table_against_model) {
	struct tg *s = world_core();
	struct unit_rng r;
	tg_sock key[ARRAY_LEN(ep)] = {0}, stale = 0;
	unsigned n_open = 0, n_seen = 0;

	unit_rng_start(&r, _i);
	for (unsigned run = 0; run < 20000; run++) {
		unsigned i = unit_below(&r, ARRAY_LEN(ep));

		if (key[i] && unit_below(&r, 3) == 0) {
			stale = key[i];
			handle_close(s, &ep[i]);
			key[i] = 0;
			n_open--;
		} else if (!key[i]) {
			key[i] = open_one(s, i);
			n_open++;
		}
		i = unit_below(&r, ARRAY_LEN(ep));
		UNIT_CHECK(!key[i] || handle_find(s, key[i]) == &ep[i]);
		UNIT_CHECK(!handle_find(s, stale));
	}
	UNIT_CHECK(s->handles.n_used == n_open);
	for (struct endpoint *e = handle_next(s, 0); e; e = handle_next(s, e->index + 1)) {
		UNIT_CHECK(key[e - ep] == handle_of(e));
		n_seen++;
	}
	UNIT_CHECK(n_seen == n_open);
	world_end(s);
}
END_TEST

START_TEST (limits_and_memory) {
	struct tg *s = world_core();
	tg_sock k;
	int r = 0;

	s->cfg.max_sockets = 2000;
	for (unsigned i = 0; i < 255; i++)
		open_one(s, i);
	tg_memory_fail_after(s, 1, 1);
	endpoint_init(&ep[255], TG_DGRAM, 0);
	ck_assert_int_eq(handle_open(s, &ep[255], &k), -TG_ENOMEM);
	tg_memory_fail_after(s, 0, 0);
	for (unsigned i = 255; i < 2000; i++)
		open_one(s, i);
	endpoint_init(&ep[2000], TG_DGRAM, 0);
	r = handle_open(s, &ep[2000], &k);
	ck_assert_int_eq(r, -TG_EMFILE);
	handle_close(s, &ep[7]);
	ck_assert_int_eq(handle_open(s, &ep[2000], &k), 0);
	world_end(s);
}
END_TEST

static unsigned next_events(struct tg *s, unsigned i)
{
	struct tg_event e;

	if (!tg_event(s, &e))
		return 0;
	ck_assert_uint_eq(e.cookie, 1000 + i);
	ck_assert_uint_eq(e.sock, handle_of(&ep[i]));
	return e.events;
}

START_TEST (events_are_edges) {
	struct tg *s = world_core();

	open_one(s, 0);
	ck_assert_uint_eq(next_events(s, 0), 0);
	endpoint_set_level(s, &ep[0], TG_OUT);
	ck_assert_uint_eq(next_events(s, 0), TG_OUT);
	endpoint_set_level(s, &ep[0], TG_OUT); /* no edge */
	ck_assert_uint_eq(next_events(s, 0), 0);
	endpoint_set_level(s, &ep[0], TG_OUT | TG_IN);
	endpoint_set_level(s, &ep[0], TG_IN | TG_ERR); /* collected in one event */
	ck_assert_uint_eq(next_events(s, 0), TG_IN | TG_ERR);
	ck_assert_uint_eq(next_events(s, 0), 0);
	endpoint_set_level(s, &ep[0], 0);
	ck_assert_uint_eq(next_events(s, 0), 0);
	endpoint_set_level(s, &ep[0], TG_IN);
	handle_close(s, &ep[0]); /* takes its event along */
	ck_assert_uint_eq(next_events(s, 0), 0);
	world_end(s);
}
END_TEST

START_TEST (events_come_in_order_and_with_the_handle) {
	struct tg *s = world_core();
	tg_sock k;

	open_one(s, 0);
	open_one(s, 1);
	endpoint_set_level(s, &ep[1], TG_IN);
	endpoint_set_level(s, &ep[0], TG_IN);
	endpoint_set_level(s, &ep[1], TG_IN | TG_OUT);
	ck_assert_uint_eq(next_events(s, 1), TG_IN | TG_OUT);
	ck_assert_uint_eq(next_events(s, 0), TG_IN);
	/* What was ready before there was a handle is an edge when there is one. */
	endpoint_init(&ep[2], TG_STREAM, 1002);
	endpoint_set_level(s, &ep[2], TG_IN | TG_OUT);
	ck_assert_uint_eq(next_events(s, 2), 0);
	ck_assert_int_eq(handle_open(s, &ep[2], &k), 0);
	ck_assert_uint_eq(next_events(s, 2), TG_IN | TG_OUT);
	world_end(s);
}
END_TEST

static Suite *event_suite(void)
{
	Suite *su = suite_create("event");
	TCase *tc = tcase_create("event");

	tcase_add_test(tc, stale_handles_are_found_out);
	tcase_add_test(tc, generation_wraps);
	tcase_add_loop_test(tc, table_against_model, 0, 3);
	tcase_add_test(tc, limits_and_memory);
	tcase_add_test(tc, events_are_edges);
	tcase_add_test(tc, events_come_in_order_and_with_the_handle);
	suite_add_tcase(su, tc);
	return su;
}

UNIT_MAIN(event_suite)
