/* The Internet checksum: each implementation against a definition written out here, and against
 * known values (RFC 1071 section 3's example among them). */
#include "base/csum.h"
#include "unit.h"

#define BIG 70000u

struct impl {
	const char *name;
	csum_fn *add;
};

static const struct impl impls[] = {
	{"scalar", csum_add_scalar},
	{"wide", csum_add_wide},
#if defined(__x86_64__)
	{"avx2", csum_add_avx2},
#endif
};

static uint8_t buf[BIG + 64];

/* May this machine run it? */
static bool usable(const struct impl *im)
{
#if defined(__x86_64__)
	if (im->add == csum_add_avx2)
		return __builtin_cpu_supports("avx2");
#endif
	return im->add != NULL;
}

/* The definition, with nothing deferred: a 16-bit sum with its carry put back at once. */
static uint16_t model(const uint8_t *b, size_t len, uint32_t sum)
{
	uint32_t s = (sum & 0xffff) + (sum >> 16);

	s = (s & 0xffff) + (s >> 16);
	for (size_t i = 0; i < len; i += 2) {
		s += (uint32_t)b[i] << 8 | (i + 1 < len ? b[i + 1] : 0u);
		s = (s & 0xffff) + (s >> 16);
	}
	return (uint16_t)s;
}

/* 0 and 0xffff are two values here: all must agree on which of the zeros it is. */
static void check_all(const uint8_t *b, size_t len, uint32_t sum)
{
	uint16_t want = model(b, len, sum);

	for (size_t i = 0; i < ARRAY_LEN(impls); i++) {
		if (!usable(&impls[i]))
			continue;
		ck_assert_msg(csum_fold(impls[i].add(b, len, sum)) == want,
			"%s: %zu bytes, sum %08x: %04x, wanted %04x [TG_UNIT_SEED=%" PRIu64 "]",
			impls[i].name, len, sum, csum_fold(impls[i].add(b, len, sum)), want,
			unit_seed);
	}
}

static const uint32_t starts[] = {0, 1, 0xffff, 0x10000, 0xfffe, 0xffff0001, 0xffffffff};

START_TEST (every_length_and_alignment) {
	struct unit_rng r;

	unit_rng_start(&r, _i);
	unit_bytes(&r, buf, 1100);
	for (size_t at = 0; at < 33; at++) {
		for (size_t len = 0; len <= 300; len++)
			check_all(buf + at, len, starts[(at + len) % ARRAY_LEN(starts)]);
		for (size_t len = 500; len <= 1040; len += 13)
			check_all(buf + at, len, (uint32_t)unit_u64(&r));
	}
}
END_TEST

START_TEST (large_ones) {
	static const size_t lens[] = {1448, 4096, 8191, 65535, 65536, 65549, BIG};
	struct unit_rng r;

	unit_rng_start(&r, _i);
	unit_bytes(&r, buf, sizeof(buf));
	for (size_t i = 0; i < ARRAY_LEN(lens); i++)
		for (size_t at = 0; at < 8; at++)
			check_all(buf + at, lens[i], (uint32_t)unit_u64(&r));
}
END_TEST

START_TEST (carries_of_all_ones_and_of_nothing) {
	static const uint8_t fill[] = {0xff, 0x00, 0x80, 0x7f, 0x01};

	memset(buf, fill[_i], sizeof(buf));
	for (size_t len = 0; len <= 600; len++)
		for (size_t i = 0; i < ARRAY_LEN(starts); i++)
			check_all(buf + len % 8, len, starts[i]);
	check_all(buf, BIG, 0xffffffff);
	check_all(buf + 1, BIG, 0);
}
END_TEST

START_TEST (one_bit_at_a_time) {
	memset(buf, 0, sizeof(buf));
	for (size_t bit = 0; bit < 8 * 320; bit++) {
		buf[bit / 8] = (uint8_t)(1u << bit % 8);
		check_all(buf, 320, 0);
		check_all(buf, 319, 0);
		check_all(buf, 320, 0xffff);
		buf[bit / 8] = 0;
	}
}
END_TEST

START_TEST (known_values) {
	/* [1071 3] the numerical example: ddf2 */
	static const uint8_t rfc[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
	/* an IPv4 header with its checksum (b861) zeroed: 192.168.0.1 to 192.168.0.199, UDP */
	static const uint8_t ip[] = {0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
		0x00, 0x00, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7};
	static const uint8_t odd[] = {0x12, 0x34, 0x56};

	for (size_t i = 0; i < ARRAY_LEN(impls); i++) {
		if (!usable(&impls[i]))
			continue;
		UNIT_CHECK(csum_fold(impls[i].add(rfc, sizeof(rfc), 0)) == 0xddf2);
		UNIT_CHECK(csum_finish(impls[i].add(ip, sizeof(ip), 0)) == 0xb861);
		UNIT_CHECK(csum_finish(impls[i].add(ip, sizeof(ip), 0xb861)) == 0);
		UNIT_CHECK(csum_fold(impls[i].add(odd, sizeof(odd), 0)) == 0x6834);
		UNIT_CHECK(impls[i].add(odd, 0, 0x12345678) == 0x12345678);
	}
}
END_TEST

START_TEST (pieces_add_up_wherever_they_are_cut) {
	struct unit_rng r;

	unit_rng_start(&r, _i);
	unit_bytes(&r, buf, 700);
	for (size_t len = 1; len < 700; len += 7) {
		size_t cut = unit_below(&r, (uint32_t)len);
		uint32_t a = csum_add_wide(buf, cut, 0);
		uint32_t b = csum_add_wide(buf + cut, len - cut, 0);

		if (cut % 2)
			b = csum_shift(b);
		UNIT_CHECK(csum_fold(csum_join(a, b)) == model(buf, len, 0));
	}
}
END_TEST

START_TEST (join_and_fold_keep_every_carry) {
	UNIT_CHECK(
		csum_join(0xffffffff, 1) == 1 && csum_join(0xffffffff, 0xffffffff) == 0xffffffff);
	UNIT_CHECK(csum_join(0, 0) == 0 && csum_join(0x80000000, 0x80000000) == 1);
	UNIT_CHECK(csum_fold(0xffffffff) == 0xffff && csum_fold(0xffff0001) == 1);
	UNIT_CHECK(csum_fold(0) == 0 && csum_fold(0x10000) == 1 && csum_fold(0xffff) == 0xffff);
	UNIT_CHECK(csum_shift(0x12) == 0x1200 && csum_shift(0x1234) == 0x3412);
	UNIT_CHECK(csum_finish(0xffff) == 0 && csum_finish(0) == 0xffff);
}
END_TEST

static Suite *csum_suite(void)
{
	Suite *s = suite_create("csum");
	TCase *t = tcase_create("csum");

	tcase_add_loop_test(t, every_length_and_alignment, 0, 4);
	tcase_add_test(t, large_ones);
	tcase_add_loop_test(t, carries_of_all_ones_and_of_nothing, 0, 5);
	tcase_add_test(t, one_bit_at_a_time);
	tcase_add_test(t, known_values);
	tcase_add_test(t, pieces_add_up_wherever_they_are_cut);
	tcase_add_test(t, join_and_fold_keep_every_carry);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(csum_suite)
