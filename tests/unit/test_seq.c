/* Sequence number arithmetic (RFC 9293 3.4), around the wrap above all. */
#include "base/seq.h"
#include "unit.h"

static const uint32_t at[] = {0, 1, 2, 1000, 0x7ffffffe, 0x7fffffff, 0x80000000, 0x80000001,
	0xfffffc18, 0xfffffffe, 0xffffffff};

START_TEST (order_holds_at_any_place_on_the_circle) {
	struct seq a = seq_of(at[_i]);
	static const uint32_t ahead[] = {1, 2, 65535, 0x3fffffff, 0x7fffffff};

	for (size_t i = 0; i < ARRAY_LEN(ahead); i++) {
		struct seq b = seq_add(a, ahead[i]);

		UNIT_CHECK(seq_lt(a, b) && seq_le(a, b) && !seq_gt(a, b) && !seq_ge(a, b));
		UNIT_CHECK(seq_gt(b, a) && seq_ge(b, a) && !seq_lt(b, a) && !seq_le(b, a));
		UNIT_CHECK(!seq_eq(a, b) && seq_eq(seq_sub(b, ahead[i]), a));
		UNIT_CHECK(seq_diff(b, a) == (int32_t)ahead[i] &&
			   seq_diff(a, b) == -(int32_t)ahead[i]);
		UNIT_CHECK(seq_dist(b, a) == ahead[i]);
		UNIT_CHECK(seq_eq(seq_min(a, b), a) && seq_eq(seq_min(b, a), a));
		UNIT_CHECK(seq_eq(seq_max(a, b), b) && seq_eq(seq_max(b, a), b));
	}
	UNIT_CHECK(seq_le(a, a) && seq_ge(a, a) && !seq_lt(a, a) && !seq_gt(a, a) && seq_eq(a, a));
}
END_TEST

START_TEST (window_includes_its_left_edge_and_not_its_right) {
	struct seq lo = seq_of(at[_i]);
	static const uint32_t windows[] = {1, 2, 1000, 65535, 0x3fffc000, 0x7fffffff};

	UNIT_CHECK(!seq_in(lo, lo, 0) && !seq_in(seq_add(lo, 1), lo, 0));
	for (size_t i = 0; i < ARRAY_LEN(windows); i++) {
		uint32_t w = windows[i];

		UNIT_CHECK(seq_in(lo, lo, w) && seq_in(seq_add(lo, w - 1), lo, w));
		UNIT_CHECK(!seq_in(seq_add(lo, w), lo, w) && !seq_in(seq_sub(lo, 1), lo, w));
	}
}
END_TEST

static Suite *seq_suite(void)
{
	Suite *s = suite_create("seq");
	TCase *t = tcase_create("seq");

	tcase_add_loop_test(t, order_holds_at_any_place_on_the_circle, 0, (int)ARRAY_LEN(at));
	tcase_add_loop_test(
		t, window_includes_its_left_edge_and_not_its_right, 0, (int)ARRAY_LEN(at));
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(seq_suite)
