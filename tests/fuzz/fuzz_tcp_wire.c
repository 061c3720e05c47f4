/* Fuzz: a TCP segment's header and options. Whatever parses is emitted in our own layout (what fits
 * in it) and has to parse to the same. */
#include <stdlib.h>

#include "base/be.h"
#include "fuzz.h"
#include "wire/tcp_wire.h"

const char *const fuzz_seeds[] = {
	"9c400050fffffffe00000000a002faf082e70000 020405b4 0402080a0011223300000000 01030307",
	"00509c4001020304ffffffffd01001f54d6a0000 0101080a0000000700112233 "
	"010105120000010000000200fffffff000000010",
	"9c40005001020304a0b0c0d08039fffff3160005 0101080adeadbeeffeedface "
	"474554202f20485454502f312e300d0a0d0a",
	"00509c4000000000010203055014000003e50000",
	"9c400050fffffffe00000000f002faf000000000 "
	"03030e 020405b4 0402 080a0011223300000000 fd04aabb 1e08010203040506 00 0000000000 00",
	"00509c4001020304fffffffff01001f500000000 01010101 "
	"01010522000000010000000200000003000000040000000500000006000000070000000800",
	NULL,
};

static bool opts_same(const struct tcp_opts *a, const struct tcp_opts *b)
{
	if (a->has != b->has || a->wscale != b->wscale || a->mss != b->mss ||
		a->tsval != b->tsval || a->tsecr != b->tsecr || a->n_sack != b->n_sack)
		return false;
	for (unsigned i = 0; i < TCP_SACK_MAX; i++) {
		if (!seq_eq(a->sack[i].start, b->sack[i].start) ||
			!seq_eq(a->sack[i].end, b->sack[i].end))
			return false;
	}
	return true;
}

static bool seg_same(const struct tcp_seg *a, const struct tcp_seg *b)
{
	return seq_eq(a->seq, b->seq) && seq_eq(a->ack, b->ack) && a->len == b->len &&
	       a->text_bytes == b->text_bytes && a->wnd == b->wnd && a->up == b->up &&
	       a->src_port == b->src_port && a->dst_port == b->dst_port && a->flags == b->flags &&
	       opts_same(&a->opts, &b->opts);
}

/* Our layout spends NOPs that the peer's need not have spent: drop blocks that do not fit. */
static void fit(struct tcp_opts *o)
{
	while (o->n_sack && tcp_hdr_bytes(o) > TCP_HDR_MAX_BYTES) {
		o->n_sack--;
		o->sack[o->n_sack] = (struct tcp_sack_block){{0}, {0}};
	}
	if (!o->n_sack)
		o->has &= (uint8_t)~TCP_HAS_SACK;
}

static void round_trip(struct tcp_seg *g)
{
	struct tcp_seg g2;
	uint8_t flags = g->flags ^ 0xff;
	uint32_t n;
	uint8_t *b;

	fit(&g->opts);
	n = tcp_hdr_bytes(&g->opts);
	FUZZ_CHECK(n <= TCP_HDR_MAX_BYTES && n % 4 == 0);
	b = calloc(1, n + g->text_bytes);
	FUZZ_CHECK(b);
	FUZZ_CHECK(tcp_emit(b, g) == n);
	FUZZ_CHECK(tcp_get_csum(b) == 0);
	FUZZ_CHECK(tcp_parse(b, n + g->text_bytes, &g2) == TG_DROP_NONE);
	FUZZ_CHECK(g2.hdr_bytes == n && seg_same(g, &g2));
	tcp_set_seq_flags(b, ~g->seq.v, flags);
	tcp_set_csum(b, 0xabcd);
	FUZZ_CHECK(tcp_parse(b, n + g->text_bytes, &g2) == TG_DROP_NONE);
	FUZZ_CHECK(g2.seq.v == ~g->seq.v && g2.flags == flags);
	FUZZ_CHECK(tcp_get_csum(b) == 0xabcd && opts_same(&g->opts, &g2.opts));
	free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tcp_seg g, q;
	uint32_t n = (uint32_t)size;
	enum tg_drop d;

	if (size > 70000)
		return 0;
	d = tcp_parse(data, n, &g);
	if (n >= 8) {
		tcp_parse_quoted(data, &q);
		FUZZ_CHECK(n < TCP_HDR_BYTES || (seq_eq(q.seq, g.seq) && q.src_port == g.src_port));
	}
	if (d != TG_DROP_NONE) {
		FUZZ_CHECK((d == TG_DROP_TCP_SHORT) == (n < TCP_HDR_BYTES));
		FUZZ_CHECK(d == TG_DROP_TCP_SHORT || d == TG_DROP_TCP_OFFSET ||
			   d == TG_DROP_TCP_OPTIONS);
		return 0;
	}
	FUZZ_CHECK(g.hdr_bytes >= TCP_HDR_BYTES && g.hdr_bytes + g.text_bytes == n);
	FUZZ_CHECK(g.len >= g.text_bytes && g.len <= g.text_bytes + 2);
	FUZZ_CHECK(g.opts.n_sack <= TCP_SACK_MAX);
	FUZZ_CHECK(((g.opts.has & TCP_HAS_SACK) != 0) == (g.opts.n_sack > 0));
	round_trip(&g);
	return 0;
}
