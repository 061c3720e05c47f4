/* The hash that deals flows out: evenly, whichever of its numbers changes, and by a key. */
#include "base/flow.h"
#include "unit.h"

/* Each of n gets its share, and with another key other flows. */
START_TEST (test_hash) {
	struct flow_key a = {1, 2}, b = {1, 3};
	unsigned differ = 0;

	for (unsigned n = 2; n <= 5; n++) {
		for (unsigned which = 0; which < 4; which++) {
			unsigned count[5] = {0};

			for (uint32_t i = 0; i < 10000; i++) {
				uint32_t v[4] = {0x0a000001, 40000, 0x0a000002, 80}, h;

				v[which] += which & 1 ? i % 20000 : i;
				h = flow_hash(&a, v[0], (uint16_t)v[1], v[2], (uint16_t)v[3]);
				count[h % n]++;
				differ += h % n != flow_hash(&b, v[0], (uint16_t)v[1], v[2],
							   (uint16_t)v[3]) %
							   n;
			}
			for (unsigned i = 0; i < n; i++) {
				ck_assert_uint_gt(count[i], 10000 / n * 9 / 10);
				ck_assert_uint_lt(count[i], 10000 / n * 11 / 10);
			}
		}
	}
	ck_assert_uint_gt(differ, 80000);
}
END_TEST

static Suite *flow_suite(void)
{
	Suite *s = suite_create("flow");
	TCase *t = tcase_create("flow");

	tcase_add_test(t, test_hash);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(flow_suite)
