/* Big-endian loads and stores, and the helpers of base.h. */
#include "base/be.h"
#include "unit.h"

START_TEST (known_bytes_at_every_alignment) {
	uint8_t b[16] = {0};
	uint8_t *p = b + _i;

	be16_store(p, 0x1234);
	UNIT_CHECK(p[0] == 0x12 && p[1] == 0x34 && p[2] == 0);
	UNIT_CHECK(be16_load(p) == 0x1234);
	be32_store(p, 0xfedcba98);
	UNIT_CHECK(p[0] == 0xfe && p[1] == 0xdc && p[2] == 0xba && p[3] == 0x98 && p[4] == 0);
	UNIT_CHECK(be32_load(p) == 0xfedcba98 && be16_load(p + 1) == 0xdcba);
}
END_TEST

START_TEST (store_then_load_is_identity) {
	struct unit_rng r;
	uint8_t b[8];

	unit_rng_start(&r, _i);
	for (int i = 0; i < 10000; i++) {
		uint32_t v = (uint32_t)unit_u64(&r);

		be32_store(b + i % 4, v);
		UNIT_CHECK(be32_load(b + i % 4) == v);
		be16_store(b + i % 4, (uint16_t)v);
		UNIT_CHECK(be16_load(b + i % 4) == (uint16_t)v);
	}
}
END_TEST

START_TEST (saturating_sum_and_extremes) {
	UNIT_CHECK(sat_add_u64(1, 2) == 3);
	UNIT_CHECK(sat_add_u64(UINT64_MAX - 1, 1) == UINT64_MAX);
	UNIT_CHECK(sat_add_u64(UINT64_MAX - 1, 2) == UINT64_MAX);
	UNIT_CHECK(sat_add_u64(UINT64_MAX, UINT64_MAX) == UINT64_MAX);
	UNIT_CHECK(min_u32(1, 2) == 1 && min_u32(2, 1) == 1 && max_u32(1, 2) == 2);
	UNIT_CHECK(min_u64(1, UINT64_MAX) == 1 && max_u64(1, UINT64_MAX) == UINT64_MAX);
}
END_TEST

static Suite *be_suite(void)
{
	Suite *s = suite_create("be");
	TCase *t = tcase_create("be");

	tcase_add_loop_test(t, known_bytes_at_every_alignment, 0, 8);
	tcase_add_test(t, store_then_load_is_identity);
	tcase_add_test(t, saturating_sum_and_extremes);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(be_suite)
