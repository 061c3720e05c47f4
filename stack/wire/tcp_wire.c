/* TCP headers and options (RFC 9293 3.1 and 3.2; RFC 7323 2.2 and 3.2; RFC 2018 2 and 3) <->
 * struct tcp_seg. Left out: the checksum, which covers more than the header; whether an option is
 * legal in this segment (MSS, window scale and SACK-permitted only count in a SYN), which tcp/
 * decides; Fast Open, MD5 and authentication options, skipped as unknown. The reserved bits are
 * ignored. */
#include "wire/tcp_wire.h"

#include "base/be.h"

#define OPT_EOL       0
#define OPT_NOP       1
#define OPT_MSS       2
#define OPT_WSCALE    3
#define OPT_SACK_PERM 4
#define OPT_SACK      5
#define OPT_TS        8

#define OPT_MSS_BYTES       4u
#define OPT_WSCALE_BYTES    3u
#define OPT_SACK_PERM_BYTES 2u
#define OPT_SACK_HEAD_BYTES 2u
#define SACK_BLOCK_BYTES    8u
#define OPT_TS_BYTES        10u

/* Two NOPs, then a timestamp. */
#define OPTS_TS_ALONE                                                                              \
	((uint32_t)OPT_NOP << 24 | (uint32_t)OPT_NOP << 16 | (uint32_t)OPT_TS << 8 | OPT_TS_BYTES)

static void opt_sack(const uint8_t *b, uint32_t len, struct tcp_opts *o)
{
	uint32_t n = (len - OPT_SACK_HEAD_BYTES) / SACK_BLOCK_BYTES;

	/* [2018 3] whole blocks, one at least; 40 bytes hold no more than 4 */
	if (!n || n > TCP_SACK_MAX || (len - OPT_SACK_HEAD_BYTES) % SACK_BLOCK_BYTES)
		return;
	o->has |= TCP_HAS_SACK;
	o->n_sack = (uint8_t)n;
	memset(o->sack, 0, sizeof(o->sack));
	for (uint32_t i = 0; i < n; i++) {
		const uint8_t *p = b + OPT_SACK_HEAD_BYTES + i * SACK_BLOCK_BYTES;

		o->sack[i].start = seq_of(be32_load(p));
		o->sack[i].end = seq_of(be32_load(p + 4));
	}
}

/* One option with a length, len >= 2 bytes at b. A known kind of another length is passed over like
 * an unknown one. */
static void opt_take(const uint8_t *b, uint32_t len, struct tcp_opts *o)
{
	switch (b[0]) {
	case OPT_MSS: /* [9293 MUST-4] */
		if (len != OPT_MSS_BYTES)
			return;
		o->has |= TCP_HAS_MSS;
		o->mss = be16_load(b + 2);
		return;
	case OPT_WSCALE: /* [7323 2.2] */
		if (len != OPT_WSCALE_BYTES)
			return;
		o->has |= TCP_HAS_WSCALE;
		o->wscale = b[2];
		return;
	case OPT_SACK_PERM: /* [2018 2] */
		if (len == OPT_SACK_PERM_BYTES)
			o->has |= TCP_HAS_SACK_PERM;
		return;
	case OPT_SACK: opt_sack(b, len, o); return;
	case OPT_TS: /* [7323 3.2] */
		if (len != OPT_TS_BYTES)
			return;
		o->has |= TCP_HAS_TS;
		o->tsval = be32_load(b + 2);
		o->tsecr = be32_load(b + 6);
		return;
	default: return; /* [9293 MUST-6] unknown: the length says where the next one is */
	}
}

/* [9293 MUST-5] the same for every segment; [9293 MUST-64] byte by byte, so at any alignment */
static bool opts_parse(const uint8_t *b, uint32_t n, struct tcp_opts *o)
{
	uint32_t i = 0;

	/* [7323 A] what most segments carry */
	if (n == 2 + OPT_TS_BYTES && be32_load(b) == OPTS_TS_ALONE) {
		opt_take(b + 2, OPT_TS_BYTES, o);
		return true;
	}
	/* [9293 MUST-4] what stands behind the end of the list is padding */
	while (i < n && b[i] != OPT_EOL) {
		if (b[i] == OPT_NOP) {
			i++;
			continue;
		}
		/* [9293 MUST-7] no length byte, a length of 0 or 1, or past the header */
		if (n - i < 2 || b[i + 1] < 2 || b[i + 1] > n - i)
			return false;
		opt_take(b + i, b[i + 1], o);
		i += b[i + 1];
	}
	return true;
}

enum tg_drop tcp_parse(const uint8_t *b, uint32_t len, struct tcp_seg *g)
{
	if (len < TCP_HDR_BYTES)
		return TG_DROP_TCP_SHORT;
	*g = (struct tcp_seg){
		.src_port = be16_load(b),
		.dst_port = be16_load(b + 2),
		.seq = seq_of(be32_load(b + 4)),
		.ack = seq_of(be32_load(b + 8)),
		.hdr_bytes = (uint8_t)((b[12] >> 4) * 4),
		.flags = b[13],
		.wnd = be16_load(b + 14), /* [9293 MUST-1] unsigned */
		.up = be16_load(b + 18),
	};
	/* [9293 3.1] five words at least, and the header is all there */
	if (g->hdr_bytes < TCP_HDR_BYTES || g->hdr_bytes > len)
		return TG_DROP_TCP_OFFSET;
	if (!opts_parse(b + TCP_HDR_BYTES, g->hdr_bytes - TCP_HDR_BYTES, &g->opts))
		return TG_DROP_TCP_OPTIONS;
	g->text_bytes = len - g->hdr_bytes;
	/* [9293 3.4] SYN and FIN take a sequence number each */
	g->len = g->text_bytes + ((g->flags & TCP_SYN) != 0) + ((g->flags & TCP_FIN) != 0);
	return TG_DROP_NONE;
}

void tcp_parse_quoted(const uint8_t b[8], struct tcp_seg *g)
{
	*g = (struct tcp_seg){
		.src_port = be16_load(b),
		.dst_port = be16_load(b + 2),
		.seq = seq_of(be32_load(b + 4)),
	};
}

/* Every group is filled up to whole words with NOPs in front, which leaves no padding at the end.
 */
uint32_t tcp_hdr_bytes(const struct tcp_opts *o)
{
	uint32_t n = TCP_HDR_BYTES;

	if (o->has & TCP_HAS_MSS)
		n += OPT_MSS_BYTES;
	if (o->has & TCP_HAS_TS)
		n += 2 + OPT_TS_BYTES;
	else if (o->has & TCP_HAS_SACK_PERM)
		n += 2 + OPT_SACK_PERM_BYTES;
	if (o->has & TCP_HAS_WSCALE)
		n += 1 + OPT_WSCALE_BYTES;
	if ((o->has & TCP_HAS_SACK) && o->n_sack)
		n += 2 + OPT_SACK_HEAD_BYTES + o->n_sack * SACK_BLOCK_BYTES;
	return n;
}

/* SACK-permitted and timestamps share three words in a SYN. Returns the byte behind. */
static uint8_t *emit_perm_ts(uint8_t *b, const struct tcp_opts *o)
{
	if (!(o->has & (TCP_HAS_SACK_PERM | TCP_HAS_TS)))
		return b;
	if ((o->has & TCP_HAS_SACK_PERM) == 0 || (o->has & TCP_HAS_TS) == 0) {
		*b++ = OPT_NOP;
		*b++ = OPT_NOP;
	}
	if (o->has & TCP_HAS_SACK_PERM) {
		*b++ = OPT_SACK_PERM;
		*b++ = OPT_SACK_PERM_BYTES;
	}
	if (o->has & TCP_HAS_TS) {
		b[0] = OPT_TS;
		b[1] = OPT_TS_BYTES;
		be32_store(b + 2, o->tsval);
		be32_store(b + 6, o->tsecr);
		b += OPT_TS_BYTES;
	}
	return b;
}

static uint8_t *emit_sack(uint8_t *b, const struct tcp_opts *o)
{
	if (!(o->has & TCP_HAS_SACK) || !o->n_sack)
		return b;
	b[0] = OPT_NOP;
	b[1] = OPT_NOP;
	b[2] = OPT_SACK;
	b[3] = (uint8_t)(OPT_SACK_HEAD_BYTES + o->n_sack * SACK_BLOCK_BYTES);
	b += 4;
	for (uint32_t i = 0; i < o->n_sack; i++, b += SACK_BLOCK_BYTES) {
		be32_store(b, o->sack[i].start.v);
		be32_store(b + 4, o->sack[i].end.v);
	}
	return b;
}

/* [9293 MUST-68] each option but NOP with its length; [9293 MUST-69] no bytes behind the last one.
 * Returns the byte behind. */
static uint8_t *emit_opts(uint8_t *b, const struct tcp_opts *o)
{
	if (o->has & TCP_HAS_MSS) {
		b[0] = OPT_MSS;
		b[1] = OPT_MSS_BYTES;
		be16_store(b + 2, o->mss);
		b += OPT_MSS_BYTES;
	}
	b = emit_perm_ts(b, o);
	if (o->has & TCP_HAS_WSCALE) {
		b[0] = OPT_NOP;
		b[1] = OPT_WSCALE;
		b[2] = OPT_WSCALE_BYTES;
		b[3] = o->wscale;
		b += 4;
	}
	return emit_sack(b, o);
}

uint32_t tcp_emit(uint8_t *b, const struct tcp_seg *g)
{
	uint32_t n = tcp_hdr_bytes(&g->opts);
	const uint8_t *end;

	ASSERT(g->opts.n_sack <= TCP_SACK_MAX && n <= TCP_HDR_MAX_BYTES);
	be16_store(b, g->src_port);
	be16_store(b + 2, g->dst_port);
	be32_store(b + 4, g->seq.v);
	be32_store(b + 8, g->ack.v);
	b[12] = (uint8_t)(n / 4 << 4); /* [9293 3.1] reserved bits are sent as zero */
	b[13] = g->flags;
	be16_store(b + 14, g->wnd);
	be16_store(b + 16, 0);
	be16_store(b + 18, g->up);
	end = emit_opts(b + TCP_HDR_BYTES, &g->opts);
	ASSERT(end == b + n);
	return n;
}

void tcp_set_csum(uint8_t *b, uint16_t field)
{
	be16_store(b + 16, field);
}

uint16_t tcp_get_csum(const uint8_t *b)
{
	return be16_load(b + 16);
}

void tcp_set_seq_flags(uint8_t *b, uint32_t seq, uint8_t flags)
{
	be32_store(b + 4, seq);
	b[13] = flags;
}
