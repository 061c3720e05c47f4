/* IPv4 headers: every check of RFC 1122 3.2.1 that bytes alone can fail, options, fragments. */
#include "base/be.h"
#include "wire/ip4.h"
#include "wire_support.h"

/* The header that textbooks use for the checksum. */
#define PLAIN "4500 0073 0000 4000 4011 b861 c0a80001 c0a800c7"
#define FRAG  "4510 05dc abcd 20b9 3f11 9e26 c0a84501 c0a84502"
/* Router alert, record route, NOP, timestamp, loose source route, end. */
#define OPTIONS "94040000 0707040a000001 01 4408050000000000 83070400000000 00"
/* An unknown option that fills the header. */
#define OPT_OF_40                                                                                  \
	"8828000000000000000000000000000000000000"                                                 \
	"0000000000000000000000000000000000000000"
#define OPTIONED "4c00 0034 0001 0000 0101 374e c0a84501 c0a84502" OPTIONS

/* Puts the right checksum into a header under construction. */
static void fix_csum(uint8_t *b, uint32_t n)
{
	be16_store(b + 10, 0);
	be16_store(b + 10, csum_finish(csum_add_scalar(b, n, 0)));
}

static bool same(const struct ip4_hdr *a, const struct ip4_hdr *b)
{
	return a->src == b->src && a->dst == b->dst && a->total_bytes == b->total_bytes &&
	       a->id == b->id && a->frag_off == b->frag_off && a->hdr_bytes == b->hdr_bytes &&
	       a->tos == b->tos && a->ttl == b->ttl && a->proto == b->proto && a->df == b->df &&
	       a->mf == b->mf && !a->options == !b->options &&
	       (!a->options || !memcmp(a->options, b->options, a->hdr_bytes - IP4_HDR_BYTES));
}

/* A datagram: the header of the hex text with its body, zeros, behind. */
static struct wire_buf datagram(const char *hex)
{
	struct wire_buf h = wire_hex(hex), w;
	uint8_t tmp[2048] = {0};

	memcpy(tmp, h.b, h.n);
	w = wire_copy(tmp, be16_load(h.b + 2));
	free(h.b);
	return w;
}

START_TEST (plain_header) {
	static const struct ip4_hdr want = {.src = 0xc0a80001,
		.dst = 0xc0a800c7,
		.total_bytes = 115,
		.hdr_bytes = 20,
		.ttl = 64,
		.proto = IP_PROTO_UDP,
		.df = true};
	struct wire_buf w = datagram(PLAIN);
	struct ip4_hdr h;
	uint8_t b[IP4_HDR_BYTES];

	ck_assert_int_eq(ip4_parse(w.b, w.n, &h), TG_DROP_NONE);
	ck_assert(same(&h, &want));
	ck_assert_ptr_null(h.options);
	ip4_emit(b, &want);
	ck_assert_mem_eq(b, w.b, sizeof(b));
	free(w.b);
}
END_TEST

START_TEST (fragment_header) {
	static const struct ip4_hdr want = {.src = 0xc0a84501,
		.dst = 0xc0a84502,
		.total_bytes = 1500,
		.id = 0xabcd,
		.frag_off = 1480,
		.hdr_bytes = 20,
		.tos = 0x10,
		.ttl = 63,
		.proto = IP_PROTO_UDP,
		.mf = true};
	struct wire_buf w = datagram(FRAG);
	struct ip4_hdr h;
	uint8_t b[IP4_HDR_BYTES];

	ck_assert_int_eq(ip4_parse(w.b, w.n, &h), TG_DROP_NONE);
	ck_assert(same(&h, &want));
	ip4_emit(b, &want);
	ck_assert_mem_eq(b, w.b, sizeof(b));
	free(w.b);
}
END_TEST

START_TEST (header_with_options) {
	struct wire_buf w = datagram(OPTIONED);
	struct ip4_hdr h;
	uint8_t b[48];

	ck_assert_int_eq(ip4_parse(w.b, w.n, &h), TG_DROP_NONE);
	ck_assert_uint_eq(h.hdr_bytes, 48);
	ck_assert_ptr_eq(h.options, w.b + 20);
	ip4_emit(b, &h);
	ck_assert_mem_eq(b, w.b, sizeof(b));
	/* and over itself, as a reply is built */
	memset(w.b, 0xee, 20);
	ip4_emit(w.b, &h);
	ck_assert_mem_eq(b, w.b, sizeof(b));
	free(w.b);
}
END_TEST

/* [1122-I1] and the lengths of [791 3.1]: all with a right checksum. */
START_TEST (impossible_values) {
	static const struct {
		uint32_t at;
		uint8_t v;
		enum tg_drop want;
	} t[] = {
		{0, 0x65, TG_DROP_IP_VERSION},
		{0, 0x05, TG_DROP_IP_VERSION},
		{0, 0x40, TG_DROP_IP_HDR_LEN},
		{0, 0x44, TG_DROP_IP_HDR_LEN},
		{3, 0x74, TG_DROP_IP_TOTAL_LEN},
		{2, 0xff, TG_DROP_IP_TOTAL_LEN},
		{3, 19, TG_DROP_IP_TOTAL_LEN},
		{3, 0, TG_DROP_IP_TOTAL_LEN},
		{3, 20, TG_DROP_NONE},
		{6, 0xc0, TG_DROP_NONE} /* reserved flag: not our affair */,
	};

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct wire_buf w = datagram(PLAIN);
		struct ip4_hdr h;

		w.b[t[i].at] = t[i].v;
		fix_csum(w.b, IP4_HDR_BYTES);
		ck_assert_int_eq(ip4_parse(w.b, w.n, &h), t[i].want);
		free(w.b);
	}
}
END_TEST

START_TEST (header_longer_than_the_packet) {
	struct wire_buf w = wire_hex(PLAIN);
	struct ip4_hdr h;

	w.b[0] = 0x46;
	ck_assert_int_eq(ip4_parse(w.b, w.n, &h), TG_DROP_IP_HDR_LEN);
	free(w.b);
}
END_TEST

START_TEST (link_padding_is_allowed) {
	struct wire_buf h20 = wire_hex(PLAIN), w;
	uint8_t tmp[46] = {0};
	struct ip4_hdr h;

	memcpy(tmp, h20.b, 20);
	tmp[3] = 21;
	tmp[2] = 0;
	fix_csum(tmp, 20);
	w = wire_copy(tmp, sizeof(tmp));
	ck_assert_int_eq(ip4_parse(w.b, w.n, &h), TG_DROP_NONE);
	ck_assert_uint_eq(h.total_bytes, 21);
	free(w.b);
	free(h20.b);
}
END_TEST

START_TEST (truncated_at_every_byte) {
	struct wire_buf w = datagram(OPTIONED);
	struct ip4_hdr h;

	for (uint32_t n = 0; n < w.n; n++) {
		struct wire_buf t = wire_copy(w.b, n);
		enum tg_drop want = n < 20   ? TG_DROP_IP_SHORT
				    : n < 48 ? TG_DROP_IP_HDR_LEN
					     : TG_DROP_IP_TOTAL_LEN;

		ck_assert_int_eq(ip4_parse(t.b, t.n, &h), want);
		ck_assert_int_eq(ip4_parse_quoted(t.b, t.n, &h), n >= 48);
		free(t.b);
	}
	free(w.b);
}
END_TEST

/* [1122-I2] The checksum catches any single bit; the body is none of its business. */
START_TEST (every_bit_flipped) {
	struct wire_buf w = datagram(_i ? OPTIONED : PLAIN);
	uint32_t hdr_bits = (w.b[0] & 15u) * 32;
	struct ip4_hdr h, ok;

	ck_assert_int_eq(ip4_parse(w.b, w.n, &ok), TG_DROP_NONE);
	for (uint32_t bit = 0; bit < w.n * 8; bit++) {
		enum tg_drop d;

		wire_flip(w, bit);
		d = ip4_parse(w.b, w.n, &h);
		if (bit >= hdr_bits)
			ck_assert(d == TG_DROP_NONE && same(&h, &ok));
		else if (bit < 8)
			ck_assert(d == TG_DROP_IP_VERSION || d == TG_DROP_IP_HDR_LEN ||
				  d == TG_DROP_IP_CSUM);
		else
			ck_assert_int_eq(d, TG_DROP_IP_CSUM);
		if (ip4_parse_quoted(w.b, w.n, &h))
			ck_assert(h.hdr_bytes >= 20 && h.hdr_bytes <= w.n);
		wire_flip(w, bit);
	}
	free(w.b);
}
END_TEST

/* Behind a right checksum every flipped header is a reason or parses to a sane struct. */
START_TEST (every_bit_flipped_checksum_repaired) {
	struct wire_buf w = datagram(OPTIONED);

	for (uint32_t bit = 0; bit < 48 * 8; bit++) {
		struct wire_buf t = wire_copy(w.b, w.n);
		struct ip4_hdr h;

		wire_flip(t, bit);
		if ((t.b[0] & 15u) * 4 <= t.n)
			fix_csum(t.b, (t.b[0] & 15u) * 4);
		if (ip4_parse(t.b, t.n, &h) == TG_DROP_NONE) {
			ck_assert(h.hdr_bytes >= 20 && h.hdr_bytes <= h.total_bytes);
			ck_assert(h.total_bytes <= t.n);
		}
		free(t.b);
	}
	free(w.b);
}
END_TEST

static enum tg_drop with_options(const char *hex)
{
	struct wire_buf o = wire_hex(hex), w;
	struct ip4_hdr h = {.total_bytes = 60, .ttl = 1, .proto = 1};
	uint8_t tmp[60] = {0};
	enum tg_drop d;

	h.hdr_bytes = (uint8_t)(20 + o.n);
	h.options = o.n ? o.b : NULL;
	ip4_emit(tmp, &h);
	w = wire_copy(tmp, sizeof(tmp));
	d = ip4_parse(w.b, w.n, &h);
	free(w.b);
	free(o.b);
	return d;
}

/* [1122-I8] Unknown options are skipped, malformed ones are a reason. */
START_TEST (options_walk) {
	static const char *const good[] = {"", "00000000", "01010101", "01010100",
		"00ffffff" /* behind the end nothing is read */, "02020202" /* length 2: no data */,
		"ff040000" /* unknown */, "010203 01", "01dd030a", "9e0800000000000001010101",
		OPT_OF_40};
	static const char *const bad[] = {"07000000" /* length 0 */, "07010000" /* length 1 */,
		"07050000" /* past the header */, "07ff0000", "01010107" /* no length byte */,
		"0204000007050000", "0204000002020701"};

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		ck_assert_msg(with_options(good[i]) == TG_DROP_NONE, "%s", good[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(with_options(bad[i]) == TG_DROP_IP_OPTIONS, "%s", bad[i]);
}
END_TEST

START_TEST (options_for_fragments) {
	static const struct {
		const char *in, *out;
	} t[] = {
		{"", ""}, {"01010100", ""}, {"94040000", "94040000"},
		{"0707040a00000100", ""},                 /* record route stays in the first */
		{"8307040a00000100", "8307040a00000100"}, /* source routes go into all */
		{"01 8307040a000001", "8307040a00000100"}, {"44040501 94040000", "94040000"},
		{"0703ff 94040000 82030a 0000", "94040000 82030a00"},
		{OPTIONS, "94040000 83070400000000 00"},
		{"94040000 00 940400", "94040000"}, /* nothing behind the end */
		{"94040000 94090000", "94040000"},  /* malformed: stops there */
	};

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct wire_buf in = wire_hex(t[i].in), want = wire_hex(t[i].out);
		uint8_t out[40];

		ck_assert_uint_eq(ip4_options_for_fragments(in.b, in.n, out), want.n);
		ck_assert_mem_eq(out, want.b, want.n);
		free(in.b);
		free(want.b);
	}
}
END_TEST

START_TEST (options_for_fragments_random) {
	struct unit_rng r;

	unit_rng_start(&r, _i);
	for (int k = 0; k < 500; k++) {
		uint8_t tmp[40], out[40];
		struct wire_buf in;
		uint32_t n = unit_below(&r, 41), got;

		unit_bytes(&r, tmp, n);
		for (uint32_t i = 1; i < n; i += 2)
			tmp[i] &= 7; /* likely lengths */
		in = wire_copy(tmp, n);
		got = ip4_options_for_fragments(in.b, in.n, out);
		UNIT_CHECK(got <= 40 && got % 4 == 0);
		free(in.b);
	}
}
END_TEST

START_TEST (quoted_header) {
	struct wire_buf w = wire_hex(PLAIN "d4310035");
	struct ip4_hdr h;

	w.b[10] ^= 0xff; /* a router may have left the checksum stale */
	ck_assert(ip4_parse_quoted(w.b, w.n, &h));
	ck_assert_uint_eq(h.total_bytes, 115);
	ck_assert_uint_eq(h.proto, IP_PROTO_UDP);
	ck_assert_uint_eq(h.src, 0xc0a80001);
	ck_assert_uint_eq(h.dst, 0xc0a800c7);
	w.b[0] = 0x47;
	ck_assert(!ip4_parse_quoted(w.b, w.n, &h));
	w.b[0] = 0x44;
	ck_assert(!ip4_parse_quoted(w.b, w.n, &h));
	w.b[0] = 0x65;
	ck_assert(!ip4_parse_quoted(w.b, w.n, &h));
	free(w.b);
}
END_TEST

/* [9293 MUST-2] [768] the 12 bytes that transports sum, written out. */
START_TEST (pseudo_header_sum) {
	struct unit_rng r;

	unit_rng_start(&r, _i);
	for (int k = 0; k < 200; k++) {
		uint8_t b[12];
		uint32_t src = (uint32_t)unit_u64(&r), dst = (uint32_t)unit_u64(&r);
		uint8_t proto = (uint8_t)unit_u64(&r);
		uint16_t len = (uint16_t)unit_u64(&r);

		be32_store(b, src);
		be32_store(b + 4, dst);
		be16_store(b + 8, proto);
		be16_store(b + 10, len);
		UNIT_CHECK(csum_fold(ip4_pseudo_sum(src, dst, proto, len)) ==
			   csum_fold(csum_add_scalar(b, 12, 0)));
	}
}
END_TEST

START_TEST (emit_then_parse) {
	struct unit_rng r;

	unit_rng_start(&r, _i);
	for (int k = 0; k < 300; k++) {
		uint8_t opt[40] = {0};
		struct wire_buf w;
		struct ip4_hdr h, h2;

		unit_bytes(&r, &h, sizeof(h));
		h.hdr_bytes = (uint8_t)(20 + 4 * unit_below(&r, 11));
		h.total_bytes = (uint16_t)(h.hdr_bytes + unit_below(&r, 100));
		h.frag_off = (uint16_t)(unit_below(&r, 8192) * 8);
		h.df = unit_below(&r, 2);
		h.mf = unit_below(&r, 2);
		if (h.hdr_bytes > 20)
			opt[0] = 0x1e, opt[1] = (uint8_t)(h.hdr_bytes - 20);
		h.options = h.hdr_bytes > 20 ? opt : NULL;
		w = (struct wire_buf){calloc(1, h.total_bytes), h.total_bytes};
		ip4_emit(w.b, &h);
		UNIT_CHECK(ip4_parse(w.b, w.n, &h2) == TG_DROP_NONE);
		UNIT_CHECK(same(&h, &h2));
		UNIT_CHECK(ip4_parse_quoted(w.b, w.n, &h2) && same(&h, &h2));
		free(w.b);
	}
}
END_TEST

START_TEST (emit_refuses_our_mistakes) {
	uint8_t b[60];
	struct ip4_hdr h = {.hdr_bytes = 20, .total_bytes = 20};

	h.hdr_bytes = 16;
	UNIT_CHECK_ASSERTS(ip4_emit(b, &h));
	h.hdr_bytes = 24; /* but no options */
	UNIT_CHECK_ASSERTS(ip4_emit(b, &h));
	h.hdr_bytes = 20;
	h.frag_off = 12;
	UNIT_CHECK_ASSERTS(ip4_emit(b, &h));
}
END_TEST

static Suite *ip4_suite(void)
{
	Suite *s = suite_create("ip4");
	TCase *t = tcase_create("ip4");

	tcase_add_test(t, plain_header);
	tcase_add_test(t, fragment_header);
	tcase_add_test(t, header_with_options);
	tcase_add_test(t, impossible_values);
	tcase_add_test(t, header_longer_than_the_packet);
	tcase_add_test(t, link_padding_is_allowed);
	tcase_add_test(t, truncated_at_every_byte);
	tcase_add_loop_test(t, every_bit_flipped, 0, 2);
	tcase_add_test(t, every_bit_flipped_checksum_repaired);
	tcase_add_test(t, options_walk);
	tcase_add_test(t, options_for_fragments);
	tcase_add_loop_test(t, options_for_fragments_random, 0, 5);
	tcase_add_test(t, quoted_header);
	tcase_add_loop_test(t, pseudo_header_sum, 0, 5);
	tcase_add_loop_test(t, emit_then_parse, 0, 5);
	tcase_add_test(t, emit_refuses_our_mistakes);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(ip4_suite)
