/* SipHash-2-4 against the published vectors (key 00..0f, messages of 0 to 63 bytes 00, 01, ...),
 * key derivation and the generator. */
#include "base/siphash.h"
#include "unit.h"

static const uint64_t vectors[64] = {0x726fdb47dd0e0e31ull, 0x74f839c593dc67fdull,
	0x0d6c8009d9a94f5aull, 0x85676696d7fb7e2dull, 0xcf2794e0277187b7ull, 0x18765564cd99a68dull,
	0xcbc9466e58fee3ceull, 0xab0200f58b01d137ull, 0x93f5f5799a932462ull, 0x9e0082df0ba9e4b0ull,
	0x7a5dbbc594ddb9f3ull, 0xf4b32f46226bada7ull, 0x751e8fbc860ee5fbull, 0x14ea5627c0843d90ull,
	0xf723ca908e7af2eeull, 0xa129ca6149be45e5ull, 0x3f2acc7f57c29bdbull, 0x699ae9f52cbe4794ull,
	0x4bc1b3f0968dd39cull, 0xbb6dc91da77961bdull, 0xbed65cf21aa2ee98ull, 0xd0f2cbb02e3b67c7ull,
	0x93536795e3a33e88ull, 0xa80c038ccd5ccec8ull, 0xb8ad50c6f649af94ull, 0xbce192de8a85b8eaull,
	0x17d835b85bbb15f3ull, 0x2f2e6163076bcfadull, 0xde4daaaca71dc9a5ull, 0xa6a2506687956571ull,
	0xad87a3535c49ef28ull, 0x32d892fad841c342ull, 0x7127512f72f27cceull, 0xa7f32346f95978e3ull,
	0x12e0b01abb051238ull, 0x15e034d40fa197aeull, 0x314dffbe0815a3b4ull, 0x027990f029623981ull,
	0xcadcd4e59ef40c4dull, 0x9abfd8766a33735cull, 0x0e3ea96b5304a7d0ull, 0xad0c42d6fc585992ull,
	0x187306c89bc215a9ull, 0xd4a60abcf3792b95ull, 0xf935451de4f21df2ull, 0xa9538f0419755787ull,
	0xdb9acddff56ca510ull, 0xd06c98cd5c0975ebull, 0xe612a3cb9ecba951ull, 0xc766e62cfcadaf96ull,
	0xee64435a9752fe72ull, 0xa192d576b245165aull, 0x0a8787bf8ecb74b2ull, 0x81b3e73d20b49b6full,
	0x7fa8220ba3b2eceaull, 0x245731c13ca42499ull, 0xb78dbfaf3a8d83bdull, 0xea1ad565322a1a0bull,
	0x60e61c23a3795013ull, 0x6606d7e446282b93ull, 0x6ca4ecb15c5f91e1ull, 0x9f626da15c9625f3ull,
	0xe51b38608ef25f57ull, 0x958a324ceb064572ull};

static void counted_bytes(uint8_t *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		b[i] = (uint8_t)i;
}

START_TEST (published_vectors) {
	const struct sipkey key = {0x0706050403020100ull, 0x0f0e0d0c0b0a0908ull};
	uint8_t m[64 + 8];

	counted_bytes(m + _i, 64);
	for (size_t n = 0; n < 64; n++)
		UNIT_CHECK(siphash(&key, m + _i, n) == vectors[n]);
}
END_TEST

START_TEST (long_messages) {
	/* The same key and message bytes modulo 256; values by an independent implementation. */
	static const struct {
		size_t len;
		uint64_t hash;
	} want[] = {
		{127, 0x9e7db1ba81dc7e3aull},
		{128, 0xdeb79e256c8736aeull},
		{129, 0x10498d0645502cf8ull},
		{200, 0x10849fe512591651ull},
		{255, 0xa9c169fec74db21aull},
		{256, 0x999d0526d2a7bfd7ull},
		{257, 0x8a817b8d55b29748ull},
		{511, 0x969303d05e5af242ull},
		{1000, 0xdb9b3ed69e31c9a6ull},
	};
	const struct sipkey key = {0x0706050403020100ull, 0x0f0e0d0c0b0a0908ull};
	uint8_t m[1000];

	counted_bytes(m, sizeof(m));
	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		UNIT_CHECK(siphash(&key, m, want[i].len) == want[i].hash);
}
END_TEST

START_TEST (messages_of_zeros_differ_by_length) {
	const struct sipkey key = {1, 2};
	static const uint8_t zeros[300];

	for (size_t i = 0; i < 300; i++)
		for (size_t j = i + 1; j < 300; j++)
			UNIT_CHECK(siphash(&key, zeros, i) != siphash(&key, zeros, j));
}
END_TEST

START_TEST (derived_keys_depend_on_purpose_and_on_every_seed_bit) {
	uint8_t seed[32];
	struct sipkey base, other;

	counted_bytes(seed, sizeof(seed));
	base = sipkey_derive(seed, 7);
	other = sipkey_derive(seed, 7);
	UNIT_CHECK(base.k0 == other.k0 && base.k1 == other.k1 && base.k0 != base.k1);
	for (uint32_t p = 0; p < 100; p++) {
		other = sipkey_derive(seed, p);
		UNIT_CHECK(p == 7 || (other.k0 != base.k0 && other.k1 != base.k1));
	}
	for (unsigned bit = 0; bit < 256; bit++) {
		seed[bit / 8] ^= (uint8_t)(1u << bit % 8);
		other = sipkey_derive(seed, 7);
		UNIT_CHECK(other.k0 != base.k0 && other.k1 != base.k1);
		seed[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}
END_TEST

START_TEST (equal_halves_of_a_seed_do_not_cancel_out) {
	uint8_t seed[32];
	struct sipkey a, b;

	for (unsigned fill = 0; fill < 3; fill++) {
		memset(seed, (int)fill * 0x55, sizeof(seed));
		a = sipkey_derive(seed, 1);
		b = sipkey_derive(seed, 2);
		UNIT_CHECK(a.k0 && a.k1 && a.k0 != b.k0 && a.k1 != b.k1);
	}
}
END_TEST

START_TEST (generator_repeats_and_its_state_can_be_copied) {
	uint8_t seed[32];
	struct rng a, b, c;
	unsigned same = 0;

	counted_bytes(seed, sizeof(seed));
	rng_init(&a, seed, 1);
	rng_init(&b, seed, 1);
	rng_init(&c, seed, 2);
	for (int i = 0; i < 1000; i++) {
		uint64_t x = rng_u64(&a);

		UNIT_CHECK(x == rng_u64(&b));
		same += x == rng_u64(&c);
	}
	UNIT_CHECK(same == 0);
	b = a;
	for (int i = 0; i < 100; i++)
		UNIT_CHECK(rng_below(&a, 1000) == rng_below(&b, 1000));
}
END_TEST

START_TEST (below_is_in_range_and_even) {
	static const uint32_t bounds[] = {1, 2, 3, 7, 10, 64, 0x80000001, 0xffffffff};
	uint8_t seed[32] = {9};
	uint32_t hits[10] = {0};
	struct rng r;

	rng_init(&r, seed, 0);
	for (size_t i = 0; i < ARRAY_LEN(bounds); i++)
		for (int j = 0; j < 2000; j++)
			UNIT_CHECK(rng_below(&r, bounds[i]) < bounds[i]);
	for (int i = 0; i < 100000; i++)
		hits[rng_below(&r, 10)]++;
	for (int i = 0; i < 10; i++)
		UNIT_CHECK(hits[i] > 9500 && hits[i] < 10500);
	/* 3/4 of 2^32: a remainder would give every third value twice the chance. */
	hits[0] = 0;
	for (int i = 0; i < 30000; i++)
		hits[0] += rng_below(&r, 0xc0000000) % 3 == 0;
	UNIT_CHECK(hits[0] > 9500 && hits[0] < 10500);
}
END_TEST

static Suite *siphash_suite(void)
{
	Suite *s = suite_create("siphash");
	TCase *t = tcase_create("siphash");

	tcase_add_loop_test(t, published_vectors, 0, 8);
	tcase_add_test(t, long_messages);
	tcase_add_test(t, messages_of_zeros_differ_by_length);
	tcase_add_test(t, derived_keys_depend_on_purpose_and_on_every_seed_bit);
	tcase_add_test(t, equal_halves_of_a_seed_do_not_cancel_out);
	tcase_add_test(t, generator_repeats_and_its_state_can_be_copied);
	tcase_add_test(t, below_is_in_range_and_even);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(siphash_suite)
