/* How long to poll before sleeping (port/busy.c): fixed, and by what has paid. */
#include "unit.h"

#include "port/busy.h"
#include "tapglass_host.h"

#define PERIODS 200u

/* What a run of work in fixed intervals came to. */
struct outcome {
	unsigned slept, hit;
	uint64_t polled_ns;
};

/* Work every gap_ns. starved: it comes only to those who sleep. */
static struct outcome run(struct busy *b, uint64_t *now_ns, uint64_t gap_ns, bool starved)
{
	struct outcome o = {0};

	for (unsigned i = 0; i < PERIODS; i++) {
		uint64_t due_ns = *now_ns + gap_ns, from_ns = *now_ns;

		while (!busy_is_over(b, *now_ns) && (starved || *now_ns < due_ns))
			*now_ns += NS_PER_US;
		o.polled_ns += *now_ns - from_ns;
		if (!starved && *now_ns >= due_ns) {
			o.hit++;
			busy_hit(b, *now_ns);
			continue;
		}
		o.slept++;
		*now_ns = starved ? *now_ns + gap_ns : due_ns;
		busy_woken(b, *now_ns, true);
	}
	return o;
}

START_TEST (fixed_times_are_kept) {
	uint64_t now_ns = NS_PER_SEC;
	struct busy b;
	struct outcome o;

	busy_init(&b, 0, now_ns);
	o = run(&b, &now_ns, 10 * NS_PER_US, false);
	ck_assert_uint_eq(o.slept, PERIODS);
	ck_assert_uint_eq(o.polled_ns, 0);
	busy_init(&b, 50 * NS_PER_US, now_ns);
	o = run(&b, &now_ns, 40 * NS_PER_US, false);
	ck_assert_uint_eq(o.hit, PERIODS);
	o = run(&b, &now_ns, NS_PER_MS, false);
	ck_assert_uint_eq(o.slept, PERIODS);
	ck_assert_uint_eq(o.polled_ns, PERIODS * 50 * NS_PER_US);
}
END_TEST

START_TEST (what_comes_soon_is_polled_for) {
	uint64_t now_ns = NS_PER_SEC;
	struct busy b;
	struct outcome o;

	busy_init(&b, TG_HOST_BUSY_AUTO, now_ns);
	o = run(&b, &now_ns, 100 * NS_PER_US, false);
	ck_assert_uint_lt(o.slept, 8);
	ck_assert_uint_eq(o.slept + o.hit, PERIODS);
}
END_TEST

START_TEST (what_comes_late_is_slept_for) {
	uint64_t now_ns = NS_PER_SEC;
	struct busy b;
	struct outcome o;

	busy_init(&b, TG_HOST_BUSY_AUTO, now_ns);
	run(&b, &now_ns, 100 * NS_PER_US, false);
	o = run(&b, &now_ns, 10 * NS_PER_MS, false);
	ck_assert_uint_eq(o.hit, 0);
	ck_assert_uint_lt(o.polled_ns, 2 * BUSY_MOST_NS);
	/* and then again */
	o = run(&b, &now_ns, 100 * NS_PER_US, false);
	ck_assert_uint_lt(o.slept, 8);
}
END_TEST

START_TEST (who_is_starved_is_let_run) {
	uint64_t now_ns = NS_PER_SEC, from_ns;
	struct busy b;
	uint64_t polled_ns = 0;

	busy_init(&b, TG_HOST_BUSY_AUTO, now_ns);
	from_ns = now_ns;
	for (unsigned i = 0; i < 1000; i++)
		polled_ns += run(&b, &now_ns, 5 * NS_PER_US, true).polled_ns;
	/* a few hundredths of the time go to finding out whether it is still so */
	ck_assert_uint_lt(polled_ns, (now_ns - from_ns) / 50);
	ck_assert_uint_gt(polled_ns, 0);
}
END_TEST

START_TEST (a_wake_up_without_work_tells_nothing) {
	uint64_t now_ns = NS_PER_SEC;
	struct busy b;

	busy_init(&b, TG_HOST_BUSY_AUTO, now_ns);
	for (unsigned i = 0; i < 100; i++) {
		ck_assert(busy_is_over(&b, now_ns));
		now_ns += NS_PER_US;
		busy_woken(&b, now_ns, false);
	}
	ck_assert_uint_eq(b.window_ns, 0);
}
END_TEST

START_TEST (quiet_descriptors_are_looked_at_less_often) {
	uint64_t t = NS_PER_SEC;

	ck_assert(!busy_looks(t, t, t + BUSY_LOOK_LEAST_NS - 1));
	ck_assert(busy_looks(t, t, t + BUSY_LOOK_LEAST_NS));
	ck_assert(!busy_looks(t, t - 50 * NS_PER_US, t + 50 * NS_PER_US - 1));
	ck_assert(busy_looks(t, t - 50 * NS_PER_US, t + 50 * NS_PER_US));
	ck_assert(!busy_looks(t, 0, t + BUSY_LOOK_MOST_NS - 1));
	ck_assert(busy_looks(t, 0, t + BUSY_LOOK_MOST_NS));
}
END_TEST

static Suite *busy_suite(void)
{
	Suite *s = suite_create("busy");
	TCase *t = tcase_create("busy");

	tcase_add_test(t, fixed_times_are_kept);
	tcase_add_test(t, what_comes_soon_is_polled_for);
	tcase_add_test(t, what_comes_late_is_slept_for);
	tcase_add_test(t, who_is_starved_is_let_run);
	tcase_add_test(t, a_wake_up_without_work_tells_nothing);
	tcase_add_test(t, quiet_descriptors_are_looked_at_less_often);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(busy_suite)
