/* TCP headers: known segments, damaged ones, what is emitted. Options in depth: test_tcp_opts.c. */
#include "base/be.h"
#include "wire/ip4.h"
#include "wire/tcp_wire.h"
#include "wire_support.h"

#define SRC 0xc0a84501u
#define DST 0xc0a84502u

#define SYN                                                                                        \
	"9c400050 fffffffe 00000000 a002faf0 82e70000 "                                            \
	"020405b4 0402080a0011223300000000 01030307"
#define SACK                                                                                       \
	"00509c40 01020304 ffffffff d01001f5 4d6a0000 0101080a0000000700112233 "                   \
	"010105120000010000000200fffffff000000010"
#define TEXT                                                                                       \
	"9c400050 01020304 a0b0c0d0 8039ffff f3160005 0101080adeadbeeffeedface "                   \
	"474554202f20485454502f312e300d0a0d0a"
#define RST "00509c40 00000000 01020305 50140000 03e50000"

static const char *const valid[] = {SYN, SACK, TEXT, RST};
static const struct tcp_seg valid_seg[] = {
	{.seq = {0xfffffffe},
		.len = 1,
		.wnd = 64240,
		.src_port = 40000,
		.dst_port = 80,
		.flags = TCP_SYN,
		.hdr_bytes = 40,
		.opts = {.has = TCP_HAS_MSS | TCP_HAS_SACK_PERM | TCP_HAS_TS | TCP_HAS_WSCALE,
			.mss = 1460,
			.wscale = 7,
			.tsval = 0x00112233}},
	{.seq = {0x01020304},
		.ack = {0xffffffff},
		.wnd = 501,
		.src_port = 80,
		.dst_port = 40000,
		.flags = TCP_ACK,
		.hdr_bytes = 52,
		.opts = {.has = TCP_HAS_TS | TCP_HAS_SACK,
			.tsval = 7,
			.tsecr = 0x00112233,
			.n_sack = 2,
			.sack = {{{0x100}, {0x200}}, {{0xfffffff0}, {0x10}}}}},
	{.seq = {0x01020304},
		.ack = {0xa0b0c0d0},
		.len = 19,
		.text_bytes = 18,
		.wnd = 65535,
		.up = 5,
		.src_port = 40000,
		.dst_port = 80,
		.flags = TCP_FIN | TCP_PSH | TCP_ACK | TCP_URG,
		.hdr_bytes = 32,
		.opts = {.has = TCP_HAS_TS, .tsval = 0xdeadbeef, .tsecr = 0xfeedface}},
	{.ack = {0x01020305},
		.src_port = 80,
		.dst_port = 40000,
		.flags = TCP_RST | TCP_ACK,
		.hdr_bytes = 20},
};
#define N_VALID (int)ARRAY_LEN(valid)

static bool same(const struct tcp_seg *a, const struct tcp_seg *b)
{
	return seq_eq(a->seq, b->seq) && seq_eq(a->ack, b->ack) && a->len == b->len &&
	       a->text_bytes == b->text_bytes && a->wnd == b->wnd && a->up == b->up &&
	       a->src_port == b->src_port && a->dst_port == b->dst_port && a->flags == b->flags &&
	       a->hdr_bytes == b->hdr_bytes && wire_same_opts(&a->opts, &b->opts);
}

/* What holds for whatever is accepted from len bytes. */
static bool sane(const struct tcp_seg *g, uint32_t len)
{
	uint32_t syn = (g->flags & TCP_SYN) != 0, fin = (g->flags & TCP_FIN) != 0;

	return g->hdr_bytes >= 20 && g->hdr_bytes % 4 == 0 && g->hdr_bytes + g->text_bytes == len &&
	       g->len == g->text_bytes + syn + fin && g->opts.n_sack <= TCP_SACK_MAX &&
	       ((g->opts.has & TCP_HAS_SACK) != 0) == (g->opts.n_sack > 0);
}

static uint32_t whole_sum(const struct wire_buf *w)
{
	return csum_add_scalar(w->b, w->n, ip4_pseudo_sum(SRC, DST, IP_PROTO_TCP, w->n));
}

START_TEST (known_segments) {
	struct wire_buf w = wire_hex(valid[_i]);
	struct tcp_seg g;

	ck_assert_uint_eq(csum_fold(whole_sum(&w)), 0xffff);
	ck_assert_int_eq(tcp_parse(w.b, w.n, &g), TG_DROP_NONE);
	ck_assert(same(&g, &valid_seg[_i]));
	ck_assert(sane(&g, w.n));
	free(w.b);
}
END_TEST

/* The same layout byte for byte, and [9293 MUST-2] the same checksum. */
START_TEST (emit_known_segments) {
	struct wire_buf w = wire_hex(valid[_i]), e = wire_copy(w.b, w.n);
	const struct tcp_seg *g = &valid_seg[_i];

	memset(e.b, 0xee, g->hdr_bytes);
	ck_assert_uint_eq(tcp_hdr_bytes(&g->opts), g->hdr_bytes);
	ck_assert_uint_eq(tcp_emit(e.b, g), g->hdr_bytes);
	ck_assert_uint_eq(tcp_get_csum(e.b), 0);
	tcp_set_csum(e.b, csum_finish(whole_sum(&e)));
	ck_assert_mem_eq(e.b, w.b, w.n);
	ck_assert_uint_eq(tcp_get_csum(e.b), be16_load(w.b + 16));
	free(w.b);
	free(e.b);
}
END_TEST

START_TEST (truncated_at_every_byte) {
	struct wire_buf w = wire_hex(valid[_i]);

	for (uint32_t n = 0; n < w.n; n++) {
		struct wire_buf t = wire_copy(w.b, n);
		struct tcp_seg g;
		enum tg_drop d = tcp_parse(t.b, t.n, &g);

		if (n < 20)
			ck_assert_int_eq(d, TG_DROP_TCP_SHORT);
		else if (n < valid_seg[_i].hdr_bytes)
			ck_assert_int_eq(d, TG_DROP_TCP_OFFSET);
		else
			ck_assert(d == TG_DROP_NONE && g.text_bytes == n - g.hdr_bytes);
		free(t.b);
	}
	free(w.b);
}
END_TEST

START_TEST (every_bit_flipped) {
	struct wire_buf w = wire_hex(valid[_i]);

	for (uint32_t bit = 0; bit < w.n * 8; bit++) {
		struct tcp_seg g;
		enum tg_drop d;

		wire_flip(w, bit);
		/* [9293 MUST-3] the receiver's sum does not come out */
		ck_assert_uint_ne(csum_fold(whole_sum(&w)), 0xffff);
		d = tcp_parse(w.b, w.n, &g);
		if (d == TG_DROP_NONE)
			ck_assert(sane(&g, w.n));
		else if (bit / 8 == 12)
			ck_assert(d == TG_DROP_TCP_OFFSET || d == TG_DROP_TCP_OPTIONS);
		else
			ck_assert(d == TG_DROP_TCP_OPTIONS && bit >= 160);
		wire_flip(w, bit);
	}
	free(w.b);
}
END_TEST

START_TEST (data_offset) {
	for (unsigned words = 0; words < 16; words++) {
		uint8_t tmp[48] = {0};
		struct wire_buf w;
		struct tcp_seg g;

		tmp[12] = (uint8_t)(words << 4 | 0x0f); /* reserved bits are ignored */
		w = wire_copy(tmp, sizeof(tmp));
		ck_assert_int_eq(tcp_parse(w.b, w.n, &g),
			words >= 5 && words <= 12 ? TG_DROP_NONE : TG_DROP_TCP_OFFSET);
		free(w.b);
	}
}
END_TEST

/* [9293 MUST-1] */
START_TEST (window_is_unsigned) {
	struct wire_buf w = wire_hex(RST);
	struct tcp_seg g;

	w.b[14] = 0xff;
	w.b[15] = 0xfe;
	ck_assert_int_eq(tcp_parse(w.b, w.n, &g), TG_DROP_NONE);
	ck_assert_uint_eq((uint32_t)g.wnd, 65534);
	free(w.b);
}
END_TEST

START_TEST (seg_len_counts_syn_and_fin) {
	for (unsigned flags = 0; flags < 256; flags++) {
		struct wire_buf w = wire_hex(TEXT);
		struct tcp_seg g;
		uint32_t want = 18 + (flags & 1) + (flags >> 1 & 1);

		w.b[13] = (uint8_t)flags;
		ck_assert_int_eq(tcp_parse(w.b, w.n, &g), TG_DROP_NONE);
		ck_assert_uint_eq(g.flags, flags);
		ck_assert_uint_eq(g.len, want);
		ck_assert_uint_eq(g.text_bytes, 18);
		free(w.b);
	}
}
END_TEST

static void random_seg(struct unit_rng *r, struct tcp_seg *g)
{
	struct tcp_opts *o = &g->opts;

	memset(g, 0, sizeof(*g));
	g->seq = seq_of((uint32_t)unit_u64(r));
	g->ack = seq_of((uint32_t)unit_u64(r));
	g->wnd = (uint16_t)unit_u64(r);
	g->up = (uint16_t)unit_u64(r);
	g->src_port = (uint16_t)unit_u64(r);
	g->dst_port = (uint16_t)unit_u64(r);
	g->flags = (uint8_t)unit_u64(r);
	o->has = (uint8_t)unit_below(r, 32);
	if (o->has & TCP_HAS_MSS)
		o->mss = (uint16_t)unit_u64(r);
	if (o->has & TCP_HAS_WSCALE)
		o->wscale = (uint8_t)unit_u64(r);
	if (o->has & TCP_HAS_TS)
		o->tsval = (uint32_t)unit_u64(r), o->tsecr = (uint32_t)unit_u64(r);
	if (o->has & TCP_HAS_SACK) {
		struct tcp_opts others = *o;
		uint32_t room;

		others.has &= (uint8_t)~TCP_HAS_SACK;
		room = TCP_HDR_MAX_BYTES - tcp_hdr_bytes(&others) - 4;
		o->n_sack = (uint8_t)(1 + unit_below(r, min_u32(4, room / 8)));
		unit_bytes(r, o->sack, o->n_sack * sizeof(o->sack[0]));
	}
	g->hdr_bytes = (uint8_t)tcp_hdr_bytes(o);
	g->text_bytes = unit_below(r, 100);
	g->len = g->text_bytes + (g->flags & 1u) + (g->flags >> 1 & 1u);
}

/* [9293 MUST-68] [9293 MUST-69] What is sent is a list of options with lengths and NOPs; should
 * there be an EOL, only zeros follow. */
static bool well_formed_options(const uint8_t *b, uint32_t n)
{
	for (uint32_t i = 0; i < n;) {
		if (b[i] == 0) {
			while (i < n && b[i] == 0)
				i++;
			return i == n;
		}
		if (b[i] == 1) {
			i++;
			continue;
		}
		if (n - i < 2 || b[i + 1] < 2 || b[i + 1] > n - i)
			return false;
		i += b[i + 1];
	}
	return true;
}

START_TEST (emit_then_parse) {
	struct unit_rng r;

	unit_rng_start(&r, _i);
	for (int k = 0; k < 1000; k++) {
		struct tcp_seg g, g2;
		struct wire_buf w;

		random_seg(&r, &g);
		w.n = g.hdr_bytes + g.text_bytes;
		w.b = malloc(w.n);
		memset(w.b, 0xee, w.n);
		UNIT_CHECK(tcp_emit(w.b, &g) == g.hdr_bytes);
		UNIT_CHECK(g.hdr_bytes <= TCP_HDR_MAX_BYTES && g.hdr_bytes % 4 == 0);
		UNIT_CHECK(well_formed_options(w.b + 20, g.hdr_bytes - 20u));
		UNIT_CHECK((w.b[12] & 15) == 0);
		UNIT_CHECK(tcp_parse(w.b, w.n, &g2) == TG_DROP_NONE);
		UNIT_CHECK(same(&g, &g2));
		free(w.b);
	}
}
END_TEST

/* The layouts that peers take their fast path on. */
START_TEST (emit_layouts) {
	static const struct {
		struct tcp_opts o;
		const char *want;
	} t[] = {
		{{.has = 0}, ""},
		{{.has = TCP_HAS_MSS, .mss = 1460}, "020405b4"},
		{{.has = TCP_HAS_SACK_PERM}, "01010402"},
		{{.has = TCP_HAS_TS, .tsval = 1, .tsecr = 2}, "0101080a0000000100000002"},
		{{.has = TCP_HAS_TS | TCP_HAS_SACK_PERM, .tsval = 1, .tsecr = 2},
			"0402080a0000000100000002"},
		{{.has = TCP_HAS_WSCALE, .wscale = 14}, "0103030e"},
		{{.has = TCP_HAS_MSS | TCP_HAS_WSCALE | TCP_HAS_SACK_PERM, .mss = 536},
			"02040218 01010402 01030300"},
		{{.has = TCP_HAS_SACK, .n_sack = 1, .sack = {{{1}, {2}}}},
			"0101050a0000000100000002"},
		{{.has = TCP_HAS_SACK, .n_sack = 0}, ""},
		{{.has = TCP_HAS_SACK,
			 .n_sack = 4,
			 .sack = {{{1}, {2}}, {{3}, {4}}, {{5}, {6}}, {{7}, {8}}}},
			"010105220000000100000002000000030000000400000005000000060000000700000008"},
	};

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct wire_buf want = wire_hex(t[i].want);
		struct tcp_seg g = {.opts = t[i].o};
		uint8_t *b = malloc(20 + want.n);

		ck_assert_uint_eq(tcp_emit(b, &g), 20 + want.n);
		ck_assert_mem_eq(b + 20, want.b, want.n);
		free(b);
		free(want.b);
	}
}
END_TEST

START_TEST (emit_refuses_too_many_blocks) {
	uint8_t b[80];
	struct tcp_seg g = {.opts = {.has = TCP_HAS_SACK | TCP_HAS_TS, .n_sack = 4}};

	UNIT_CHECK_ASSERTS(tcp_emit(b, &g));
	g.opts.n_sack = 3;
	ck_assert_uint_eq(tcp_emit(b, &g), 60);
	g.opts.has = TCP_HAS_SACK;
	g.opts.n_sack = 5;
	UNIT_CHECK_ASSERTS(tcp_emit(b, &g));
}
END_TEST

START_TEST (quoted_header) {
	struct wire_buf w = wire_hex("9c400050 11223344");
	struct tcp_seg g;

	memset(&g, 0xee, sizeof(g));
	tcp_parse_quoted(w.b, &g);
	ck_assert_uint_eq(g.src_port, 40000);
	ck_assert_uint_eq(g.dst_port, 80);
	ck_assert_uint_eq(g.seq.v, 0x11223344);
	ck_assert(g.ack.v == 0 && g.flags == 0 && g.hdr_bytes == 0 && g.opts.has == 0);
	free(w.b);
}
END_TEST

START_TEST (seq_and_flags_overwritten) {
	struct wire_buf w = wire_hex(TEXT), old = wire_hex(TEXT);

	tcp_set_seq_flags(w.b, 0xfffffffa, TCP_ACK | TCP_CWR);
	for (uint32_t i = 0; i < w.n; i++) {
		if (i == 13)
			ck_assert_uint_eq(w.b[i], 0x90);
		else if (i < 4 || i >= 8)
			ck_assert_uint_eq(w.b[i], old.b[i]);
	}
	ck_assert_uint_eq(be32_load(w.b + 4), 0xfffffffa);
	free(w.b);
	free(old.b);
}
END_TEST

static Suite *tcp_wire_suite(void)
{
	Suite *s = suite_create("tcp_wire");
	TCase *t = tcase_create("header");

	tcase_add_loop_test(t, known_segments, 0, N_VALID);
	tcase_add_loop_test(t, emit_known_segments, 0, N_VALID);
	tcase_add_loop_test(t, truncated_at_every_byte, 0, N_VALID);
	tcase_add_loop_test(t, every_bit_flipped, 0, N_VALID);
	tcase_add_test(t, data_offset);
	tcase_add_test(t, window_is_unsigned);
	tcase_add_test(t, seg_len_counts_syn_and_fin);
	tcase_add_loop_test(t, emit_then_parse, 0, 3);
	tcase_add_test(t, emit_layouts);
	tcase_add_test(t, emit_refuses_too_many_blocks);
	tcase_add_test(t, quoted_header);
	tcase_add_test(t, seq_and_flags_overwritten);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(tcp_wire_suite)
