/* The timer wheel against a plain array searched for its least (deadline, order of arming). */
#include "base/wheel.h"
#include "unit.h"

#define N    200
#define MANY 100000

struct timer {
	struct wheel_node node;
	uint64_t deadline; /* the model's; NEVER_NS: not armed */
	uint64_t order;
};

struct world {
	struct wheel w;
	struct timer t[N];
	uint64_t now, arms, fired;
	struct unit_rng r;
};

static struct world world;

static void world_open(struct world *v, int run, uint64_t start_ns)
{
	memset(v, 0, sizeof(*v));
	unit_rng_start(&v->r, run);
	v->now = start_ns;
	wheel_init(&v->w, start_ns);
	for (int i = 0; i < N; i++) {
		wheel_node_init(&v->t[i].node);
		v->t[i].deadline = NEVER_NS;
	}
}

static void arm(struct world *v, struct timer *t, uint64_t deadline)
{
	wheel_arm(&v->w, &t->node, deadline);
	t->deadline = deadline;
	t->order = v->arms++;
}

static void stop(struct world *v, struct timer *t)
{
	wheel_stop(&v->w, &t->node);
	t->deadline = NEVER_NS;
}

/* The armed timer that comes first, or NULL. */
static struct timer *model_first(struct world *v)
{
	struct timer *best = NULL;

	for (struct timer *t = v->t; t < v->t + N; t++) {
		if (t->deadline == NEVER_NS)
			continue;
		if (!best || t->deadline < best->deadline ||
			(t->deadline == best->deadline && t->order < best->order))
			best = t;
	}
	return best;
}

static void check_same(struct world *v)
{
	struct timer *first = model_first(v);
	uint64_t next = wheel_next(&v->w), armed = 0;

	for (int i = 0; i < N; i++) {
		UNIT_CHECK(wheel_armed(&v->t[i].node) == (v->t[i].deadline != NEVER_NS));
		UNIT_CHECK(v->t[i].node.deadline_ns == v->t[i].deadline);
		armed += v->t[i].deadline != NEVER_NS;
	}
	UNIT_CHECK(v->w.count == armed && (next == NEVER_NS) == (armed == 0));
	if (first)
		UNIT_CHECK(next <= first->deadline);
	if (first && armed <= 8)
		UNIT_CHECK(next == first->deadline);
}

/* From nanoseconds to years, and now and then the same as another's. */
static uint64_t random_deadline(struct world *v)
{
	uint64_t span = 1ull << unit_below(&v->r, 59);
	struct timer *like = &v->t[unit_below(&v->r, N)];

	switch (unit_below(&v->r, 16)) {
	case 0: return v->now - min_u64(v->now, unit_u64(&v->r) % span);
	case 1: return v->now;
	case 2:
	case 3:
	case 4: return like->deadline == NEVER_NS ? v->now + 5 : like->deadline;
	case 5: return UINT64_MAX - 1 - unit_below(&v->r, 3);
	default: return v->now + unit_u64(&v->r) % span;
	}
}

/* Everything due at `to`; the "callbacks" re-arm and stop others, on the due list too. */
static void pop_all(struct world *v, uint64_t to)
{
	struct wheel_node *n;
	int budget = 3000;

	v->now = to;
	while ((n = wheel_pop(&v->w, to)) != NULL) {
		struct timer *t = container_of(n, struct timer, node), *want = model_first(v);

		UNIT_CHECK(t == want && t->deadline <= to && !wheel_armed(n));
		t->deadline = NEVER_NS;
		v->fired++;
		if (--budget > 0 && unit_below(&v->r, 2))
			arm(v, t, unit_below(&v->r, 4) ? to + 1 + unit_u64(&v->r) % 1000000 : to);
		if (unit_below(&v->r, 4) == 0)
			stop(v, &v->t[unit_below(&v->r, N)]);
		if (budget > 0 && unit_below(&v->r, 4) == 0)
			arm(v, &v->t[unit_below(&v->r, N)], random_deadline(v));
	}
	if (model_first(v))
		UNIT_CHECK(model_first(v)->deadline > to);
}

/* With nothing due, asking for an earlier time gives nothing and spoils nothing. */
static void step_back(struct world *v)
{
	struct timer *first = model_first(v);

	if (!first || first->deadline > v->now)
		UNIT_CHECK(!wheel_pop(&v->w, v->now / 2));
}

static const uint64_t starts[] = {
	0, 1, 65535, 65536, (1ull << 58) - 3, 1ull << 62, 1700000000ull * NS_PER_SEC};

START_TEST (random_operations_match_a_search) {
	struct world *v = &world;
	uint64_t step;

	world_open(v, _i, starts[(unsigned)_i % ARRAY_LEN(starts)]);
	for (int i = 0; i < 6000; i++) {
		struct timer *t = &v->t[unit_below(&v->r, _i % 2 ? 8 : N)];

		switch (unit_below(&v->r, 8)) {
		case 0: stop(v, t); break;
		case 1:
			step = unit_u64(&v->r) % (1ull << unit_below(&v->r, 40));
			pop_all(v, sat_add_u64(v->now, step));
			break;
		case 2: step_back(v); break;
		case 3: pop_all(v, max_u64(v->now, min_u64(wheel_next(&v->w), 1ull << 63))); break;
		default: arm(v, t, random_deadline(v)); break;
		}
		if (i % 8 == 0)
			check_same(v);
	}
	UNIT_CHECK(v->fired > 500);
	pop_all(v, UINT64_MAX - 1);
	check_same(v);
}
END_TEST

/* Sleeping until wheel_next and nothing else fires each timer at its very deadline. */
START_TEST (sleeping_until_next_is_never_late_and_wakes_seldom) {
	struct world *v = &world;
	uint64_t wakes = 0, fired = 0;

	world_open(v, _i, starts[(unsigned)_i % ARRAY_LEN(starts)]);
	for (int i = 0; i < N; i++)
		arm(v, &v->t[i], v->now + unit_u64(&v->r) % (1ull << (6 + unit_below(&v->r, 50))));
	while (wheel_next(&v->w) != NEVER_NS) {
		struct wheel_node *n;
		uint64_t now = wheel_next(&v->w);

		UNIT_CHECK(now >= v->now);
		v->now = now;
		wakes++;
		while ((n = wheel_pop(&v->w, now)) != NULL) {
			struct timer *t = container_of(n, struct timer, node);

			UNIT_CHECK(t == model_first(v) && t->deadline == now);
			t->deadline = NEVER_NS;
			fired++;
		}
	}
	UNIT_CHECK(fired == N && wakes <= N + N / 2);
}
END_TEST

static int by_deadline_then_index(const void *a, const void *b)
{
	const struct timer *x = *(struct timer *const *)a, *y = *(struct timer *const *)b;

	if (x->deadline != y->deadline)
		return x->deadline < y->deadline ? -1 : 1;
	return (x->order > y->order) - (x->order < y->order);
}

START_TEST (a_hundred_thousand_fire_in_order) {
	struct timer *all = calloc(MANY, sizeof(*all)), **sorted = malloc(MANY * sizeof(*sorted));
	static const uint64_t spans[] = {1000, 65536, NS_PER_SEC, 7200 * NS_PER_SEC};
	static struct wheel w;
	struct unit_rng r;
	uint64_t now = 12345;
	int next = 0;

	unit_rng_start(&r, _i);
	wheel_init(&w, now);
	for (int i = 0; i < MANY; i++) {
		sorted[i] = &all[i];
		all[i].order = (uint64_t)i;
		all[i].deadline = now + 65536 + unit_u64(&r) % spans[_i];
		wheel_node_init(&all[i].node);
		wheel_arm(&w, &all[i].node, all[i].deadline);
	}
	UNIT_CHECK(w.count == MANY && wheel_pop(&w, now) == NULL);
	qsort(sorted, MANY, sizeof(*sorted), by_deadline_then_index);
	while (next < MANY) {
		struct wheel_node *n;

		now += 1 + unit_u64(&r) % (spans[_i] / 50);
		while ((n = wheel_pop(&w, now)) != NULL) {
			UNIT_CHECK(n == &sorted[next]->node && sorted[next]->deadline <= now);
			next++;
		}
		UNIT_CHECK(next == MANY || sorted[next]->deadline > now);
	}
	UNIT_CHECK(w.count == 0 && wheel_next(&w) == NEVER_NS);
	free(all);
	free(sorted);
}
END_TEST

START_TEST (exact_to_the_nanosecond) {
	static const uint64_t delays[] = {1, 2, 65535, 65536, 65537, 1000000, 200 * NS_PER_MS,
		4194304ull * 65536, 3600 * NS_PER_SEC, 20ull * 365 * 86400 * NS_PER_SEC,
		1ull << 60};
	struct world *v = &world;

	for (size_t i = 0; i < ARRAY_LEN(delays); i++) {
		uint64_t at = starts[_i] + delays[i];

		world_open(v, 0, starts[_i]);
		arm(v, &v->t[0], at);
		UNIT_CHECK(wheel_next(&v->w) == at && !wheel_pop(&v->w, starts[_i]));
		UNIT_CHECK(!wheel_pop(&v->w, at - 1) && wheel_next(&v->w) == at);
		UNIT_CHECK(!wheel_pop(&v->w, at - 1) && wheel_armed(&v->t[0].node));
		UNIT_CHECK(wheel_pop(&v->w, at) == &v->t[0].node && !wheel_pop(&v->w, at));
		UNIT_CHECK(wheel_next(&v->w) == NEVER_NS && v->w.count == 0);
	}
}
END_TEST

START_TEST (equal_deadlines_fire_in_the_order_of_arming) {
	struct world *v = &world;
	uint64_t at = 10 * NS_PER_SEC;

	/* Armed from near and far: each on another level. */
	world_open(v, 0, 0);
	for (int i = 0; i < N; i++) {
		if (i % 10 == 0)
			UNIT_CHECK(!wheel_pop(&v->w, v->now = at - at / (uint64_t)(1 + i * i * i)));
		arm(v, &v->t[(i * 7) % N], at);
	}
	for (int i = 0; i < N; i++)
		UNIT_CHECK(wheel_pop(&v->w, at) == &v->t[(i * 7) % N].node);
	UNIT_CHECK(!wheel_pop(&v->w, at));
}
END_TEST

START_TEST (stopping_and_arming_what_is_already_due) {
	struct world *v = &world;

	world_open(v, 0, 1000);
	for (int i = 0; i < 6; i++)
		arm(v, &v->t[i], 2000 + (uint64_t)i);
	UNIT_CHECK(wheel_pop(&v->w, 3000) == &v->t[0].node);
	stop(v, &v->t[1]);
	stop(v, &v->t[1]);
	arm(v, &v->t[2], 5000000);
	arm(v, &v->t[3], 2500);
	arm(v, &v->t[0], 10);
	check_same(v);
	UNIT_CHECK(wheel_pop(&v->w, 3000) == &v->t[0].node);
	UNIT_CHECK(wheel_pop(&v->w, 3000) == &v->t[4].node);
	UNIT_CHECK(wheel_pop(&v->w, 3000) == &v->t[5].node);
	UNIT_CHECK(wheel_pop(&v->w, 3000) == &v->t[3].node);
	UNIT_CHECK(wheel_pop(&v->w, 3000) == NULL && wheel_next(&v->w) == 5000000);
	/* a clock that steps back does no harm */
	UNIT_CHECK(wheel_pop(&v->w, 10) == NULL);
	wheel_arm(&v->w, &v->t[2].node, NEVER_NS);
	UNIT_CHECK(v->w.count == 0 && wheel_next(&v->w) == NEVER_NS);
}
END_TEST

START_TEST (what_is_due_can_be_seen_before_it_is_handed_out) {
	static struct wheel_node n[5];
	static struct wheel w;

	wheel_init(&w, 0);
	ck_assert_ptr_null(wheel_due(&w, 0));
	for (unsigned i = 0; i < ARRAY_LEN(n); i++) {
		wheel_node_init(&n[i]);
		wheel_arm(&w, &n[i], 100 + i);
	}
	for (unsigned i = 0; i < ARRAY_LEN(n); i++) {
		for (unsigned skip = 0; skip < 7; skip++)
			ck_assert_ptr_eq(
				wheel_due(&w, skip), i + skip < ARRAY_LEN(n) ? &n[i + skip] : NULL);
		wheel_prefetch(&n[i]);
		ck_assert_ptr_eq(wheel_pop(&w, 1000), &n[i]);
	}
	ck_assert_ptr_null(wheel_due(&w, 0));
}
END_TEST

static Suite *wheel_suite(void)
{
	Suite *s = suite_create("wheel");
	TCase *t = tcase_create("wheel");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, random_operations_match_a_search, 0, 14);
	tcase_add_loop_test(t, sleeping_until_next_is_never_late_and_wakes_seldom, 0, 7);
	tcase_add_loop_test(t, a_hundred_thousand_fire_in_order, 0, 4);
	tcase_add_loop_test(t, exact_to_the_nanosecond, 0, (int)ARRAY_LEN(starts));
	tcase_add_test(t, equal_deadlines_fire_in_the_order_of_arming);
	tcase_add_test(t, stopping_and_arming_what_is_already_due);
	tcase_add_test(t, what_is_due_can_be_seen_before_it_is_handed_out);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(wheel_suite)
