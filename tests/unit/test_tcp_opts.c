/* TCP options in any order and at any alignment, unknown ones, and lengths that must not hurt. */
#include "base/be.h"
#include "wire/tcp_wire.h"
#include "wire_support.h"

/* Parses a segment of these flags with these option bytes, zero padding added. */
static enum tg_drop parse_opts(const uint8_t *opts, uint32_t n, uint8_t flags, struct tcp_opts *o)
{
	uint8_t tmp[TCP_HDR_MAX_BYTES] = {0};
	uint32_t padded = (n + 3) / 4 * 4;
	struct tcp_seg g;
	struct wire_buf w;
	enum tg_drop d;

	ck_assert(padded <= TCP_OPTS_MAX_BYTES);
	if (n)
		memcpy(tmp + 20, opts, n);
	tmp[12] = (uint8_t)((20 + padded) / 4 << 4);
	tmp[13] = flags;
	w = wire_copy(tmp, 20 + padded);
	d = tcp_parse(w.b, w.n, &g);
	*o = g.opts;
	free(w.b);
	return d;
}

static enum tg_drop parse_hex_opts(const char *hex, struct tcp_opts *o)
{
	struct wire_buf w = wire_hex(hex);
	enum tg_drop d = parse_opts(w.b, w.n, TCP_ACK, o);

	free(w.b);
	return d;
}

/* [9293 MUST-4] [9293 MUST-69] EOL ends the list; what follows is not looked at. */
START_TEST (end_of_list) {
	static const char *const t[] = {"00", "00000000", "01010100", "0001ff00", "00020405b4",
		"0007", "000101080a0000000100000002", "00ffffffffffffff"};
	struct tcp_opts o;

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		ck_assert_msg(parse_hex_opts(t[i], &o) == TG_DROP_NONE, "%s", t[i]);
		ck_assert_uint_eq(o.has, 0);
	}
	ck_assert_int_eq(parse_hex_opts("020405b4 00 0204ffff 000000", &o), TG_DROP_NONE);
	ck_assert_uint_eq(o.mss, 1460);
}
END_TEST

/* [9293 MUST-7] lengths of 0, 1, past the header, and none at all. */
START_TEST (illegal_lengths) {
	static const char *const t[] = {"02000000", "02010000", "02050000", "02ff0000", "fd000000",
		"fd010000", "fd050000", "01010102", "01010108", "0101080a00000001",
		"020405b4 03040000 01010b0e", "0101051200000100 0000020000000300", "010101fd",
		"0402 0800"};
	struct tcp_opts o;

	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		ck_assert_msg(parse_hex_opts(t[i], &o) == TG_DROP_TCP_OPTIONS, "%s", t[i]);
	for (unsigned kind = 2; kind < 256; kind++) {
		uint8_t last[4] = {1, 1, 1, (uint8_t)kind}; /* its length would be text */

		for (unsigned len = 0; len < 256; len++) {
			uint8_t b[8] = {1, (uint8_t)kind, (uint8_t)len, 1, 1, 1, 1, 1};
			bool bad = len < 2 || len > 7;

			ck_assert_int_eq(parse_opts(b, 8, TCP_ACK, &o),
				bad ? TG_DROP_TCP_OPTIONS : TG_DROP_NONE);
		}
		ck_assert_int_eq(parse_opts(last, 4, TCP_ACK, &o), TG_DROP_TCP_OPTIONS);
	}
}
END_TEST

/* A known kind with a length that is not its own counts for nothing and ends nothing. */
START_TEST (wrong_lengths_of_known_options) {
	static const struct {
		uint8_t kind, right;
	} t[] = {{2, 4}, {3, 3}, {4, 2}, {8, 10}};
	struct tcp_opts o;

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		for (uint8_t len = 2; len <= 36; len++) {
			uint8_t b[40] = {t[i].kind, len};

			b[len] = 3; /* a window scale of 9 behind it */
			b[len + 1] = 3;
			b[len + 2] = 9;
			ck_assert_int_eq(parse_opts(b, len + 3u, TCP_SYN, &o), TG_DROP_NONE);
			ck_assert_uint_eq(o.wscale, 9);
			if (t[i].kind != 3)
				ck_assert_int_eq(o.has != TCP_HAS_WSCALE, len == t[i].right);
		}
	}
	for (uint8_t len = 3; len <= 40; len++) {
		uint8_t b[40] = {3, len, 9}; /* window scale alone */

		ck_assert_int_eq(parse_opts(b, 40, TCP_SYN, &o), TG_DROP_NONE);
		ck_assert_uint_eq(o.has, len == 3 ? TCP_HAS_WSCALE : 0);
	}
}
END_TEST

/* [2018 3] 1 to 4 whole blocks. */
START_TEST (sack_lengths) {
	for (uint8_t len = 2; len <= 40; len++) {
		uint8_t b[40] = {5, len};
		struct tcp_opts o;
		bool good = len == 10 || len == 18 || len == 26 || len == 34;

		for (unsigned i = 2; i < 40; i++)
			b[i] = (uint8_t)(i < len ? i : 0);
		ck_assert_int_eq(parse_opts(b, 40, TCP_ACK, &o), TG_DROP_NONE);
		ck_assert_uint_eq(o.has, good ? TCP_HAS_SACK : 0);
		ck_assert_uint_eq(o.n_sack, good ? (len - 2u) / 8 : 0);
		for (unsigned i = 0; i < o.n_sack; i++) {
			ck_assert_uint_eq(o.sack[i].start.v, be32_load(b + 2 + 8 * i));
			ck_assert_uint_eq(o.sack[i].end.v, be32_load(b + 6 + 8 * i));
		}
	}
}
END_TEST

START_TEST (last_of_a_repeated_option_counts) {
	struct tcp_opts o;

	ck_assert_int_eq(parse_hex_opts("020405b4 02040218", &o), TG_DROP_NONE);
	ck_assert_uint_eq(o.mss, 536);
	ck_assert_int_eq(parse_hex_opts("0512 00000001000000020000000300000004"
					"050a 0000000500000006",
				 &o),
		TG_DROP_NONE);
	ck_assert_uint_eq(o.n_sack, 1);
	ck_assert_uint_eq(o.sack[0].start.v, 5);
	ck_assert_uint_eq(o.sack[1].start.v, 0);
	/* a broken one behind a good one takes nothing away */
	ck_assert_int_eq(parse_hex_opts("020405b4 0203ff", &o), TG_DROP_NONE);
	ck_assert(o.has == TCP_HAS_MSS && o.mss == 1460);
}
END_TEST

/* [7323-W3] The parser reports the shift as it came. */
START_TEST (wscale_is_reported_as_received) {
	struct tcp_opts o;

	ck_assert_int_eq(parse_hex_opts("0303ff", &o), TG_DROP_NONE);
	ck_assert_uint_eq(o.wscale, 255);
}
END_TEST

/* [9293 MUST-5] whatever the flags, options are read. */
START_TEST (options_in_any_segment) {
	const uint8_t b[] = {2, 4, 5, 0xb4, 1, 3, 3, 7, 4, 2};

	for (unsigned flags = 0; flags < 256; flags++) {
		struct tcp_opts o;

		ck_assert_int_eq(parse_opts(b, sizeof(b), (uint8_t)flags, &o), TG_DROP_NONE);
		ck_assert_uint_eq(o.has, TCP_HAS_MSS | TCP_HAS_WSCALE | TCP_HAS_SACK_PERM);
	}
}
END_TEST

/* [9293 MUST-64] Each option behind 0 to 7 NOPs, the segment itself at each of 8 addresses. */
START_TEST (options_at_every_alignment) {
	static const uint8_t one[][12] = {{2, 4, 5, 0xb4}, {3, 3, 7}, {4, 2},
		{8, 10, 1, 2, 3, 4, 5, 6, 7, 8}, {5, 10, 9, 8, 7, 6, 5, 4, 3, 2}};
	static const struct tcp_opts want[] = {{.has = TCP_HAS_MSS, .mss = 1460},
		{.has = TCP_HAS_WSCALE, .wscale = 7}, {.has = TCP_HAS_SACK_PERM},
		{.has = TCP_HAS_TS, .tsval = 0x01020304, .tsecr = 0x05060708},
		{.has = TCP_HAS_SACK, .n_sack = 1, .sack = {{{0x09080706}, {0x05040302}}}}};

	for (size_t k = 0; k < ARRAY_LEN(one) * 64; k++) {
		const uint8_t *opt = one[k / 64];
		uint32_t nops = k % 8, at = k / 8 % 8;
		uint8_t *b = calloc(1, at + 40);
		struct tcp_seg g;

		b[at + 12] = 10 << 4;
		memset(b + at + 20, 1, nops);
		memcpy(b + at + 20 + nops, opt, opt[1]);
		ck_assert_int_eq(tcp_parse(b + at, 40, &g), TG_DROP_NONE);
		ck_assert(wire_same_opts(&g.opts, &want[k / 64]));
		free(b);
	}
}
END_TEST

/* What one option, well formed, adds to the expectation. */
static void expect_option(const uint8_t *b, uint32_t len, struct tcp_opts *o)
{
	static const uint8_t has[9] = {[2] = TCP_HAS_MSS,
		[3] = TCP_HAS_WSCALE,
		[4] = TCP_HAS_SACK_PERM,
		[5] = TCP_HAS_SACK,
		[8] = TCP_HAS_TS};

	if (b[0] < sizeof(has))
		o->has |= has[b[0]];
	if (b[0] == 2)
		o->mss = be16_load(b + 2);
	if (b[0] == 3)
		o->wscale = b[2];
	if (b[0] == 8) {
		o->tsval = be32_load(b + 2);
		o->tsecr = be32_load(b + 6);
	}
	if (b[0] != 5)
		return;
	o->n_sack = (uint8_t)(len / 8);
	for (uint32_t i = 0; i < o->n_sack; i++) {
		o->sack[i].start = seq_of(be32_load(b + 2 + 8 * i));
		o->sack[i].end = seq_of(be32_load(b + 6 + 8 * i));
	}
}

/* Writes one random option (a NOP and unknown ones among them), at most n bytes. Returns its
 * length, 0 if it did not fit. */
static uint32_t random_option(struct unit_rng *r, uint8_t *b, uint32_t n, struct tcp_opts *o)
{
	static const uint8_t kinds[] = {1, 2, 3, 4, 5, 8, 6, 19, 30, 34, 69, 253, 254, 255};
	static const uint8_t lens[9] = {[1] = 1, [2] = 4, [3] = 3, [4] = 2, [8] = 10};
	uint8_t kind = kinds[unit_below(r, ARRAY_LEN(kinds))];
	uint32_t len = kind < sizeof(lens) ? lens[kind] : 0;

	if (kind == 5)
		len = 2 + 8 * (1 + unit_below(r, 4));
	else if (!len)
		len = 2 + unit_below(r, 12);
	if (len > n)
		return 0;
	unit_bytes(r, b, len);
	b[0] = kind;
	if (len > 1)
		b[1] = (uint8_t)len;
	expect_option(b, len, o);
	return len;
}

/* [9293 MUST-6] Known and unknown options in random order: exactly the known ones are found. */
START_TEST (random_option_lists) {
	struct unit_rng r;

	unit_rng_start(&r, _i);
	for (int k = 0; k < 2000; k++) {
		uint8_t b[TCP_OPTS_MAX_BYTES];
		struct tcp_opts want = {0}, got;
		uint32_t n = 0, step;

		while ((step = random_option(&r, b + n, TCP_OPTS_MAX_BYTES - n, &want)))
			n += step;
		UNIT_CHECK(parse_opts(b, n, (uint8_t)unit_u64(&r), &got) == TG_DROP_NONE);
		UNIT_CHECK(wire_same_opts(&want, &got));
	}
}
END_TEST

START_TEST (random_bytes_as_options) {
	struct unit_rng r;

	unit_rng_start(&r, _i);
	for (int k = 0; k < 5000; k++) {
		uint8_t tmp[64];
		uint32_t n = 20 + unit_below(&r, 45);
		struct wire_buf w;
		struct tcp_seg g;

		unit_bytes(&r, tmp, n);
		for (uint32_t i = 20; i < n; i++)
			tmp[i] = (uint8_t)(tmp[i] & 15); /* likely kinds and lengths */
		w = wire_copy(tmp, n);
		if (tcp_parse(w.b, w.n, &g) == TG_DROP_NONE) {
			UNIT_CHECK(g.hdr_bytes + g.text_bytes == n);
			UNIT_CHECK(g.opts.n_sack <= TCP_SACK_MAX);
			UNIT_CHECK(((g.opts.has & TCP_HAS_SACK) != 0) == (g.opts.n_sack > 0));
		}
		free(w.b);
	}
}
END_TEST

static Suite *tcp_opts_suite(void)
{
	Suite *s = suite_create("tcp_opts");
	TCase *t = tcase_create("tcp_opts");

	tcase_add_test(t, end_of_list);
	tcase_add_test(t, illegal_lengths);
	tcase_add_test(t, wrong_lengths_of_known_options);
	tcase_add_test(t, sack_lengths);
	tcase_add_test(t, last_of_a_repeated_option_counts);
	tcase_add_test(t, wscale_is_reported_as_received);
	tcase_add_test(t, options_in_any_segment);
	tcase_add_test(t, options_at_every_alignment);
	tcase_add_loop_test(t, random_option_lists, 0, 3);
	tcase_add_loop_test(t, random_bytes_as_options, 0, 3);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(tcp_opts_suite)
