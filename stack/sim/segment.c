/* See segment.h. What a device does with a large frame: TCP as Linux's TSO and most hardware
 * (sequence numbers go on, FIN and PSH only on the last packet [9293 3.1], CWR only on the first
 * [3168 6.1.2], the IP id counts up), UDP as USO (each piece a datagram of its own). */
#include "sim/segment.h"

#include "wire/eth.h"
#include "wire/tcp_wire.h"
#include "wire/udp.h"

/* Where the headers of an unfragmented TCP or UDP packet over IPv4 lie. */
struct layout {
	struct ip4_hdr ip;
	uint32_t ip_off, l4_off, hdr_bytes, end;
	uint32_t tcp_seq;
	uint8_t tcp_flags;
};

/* b: the first `head` of `bytes` bytes of a frame, headers included. gso: enum tg_gso. */
static bool locate(struct layout *y, enum tg_link link, const uint8_t *b, uint32_t head,
	uint32_t bytes, uint8_t gso)
{
	struct eth_hdr e = {.type = ETH_TYPE_IP4, .hdr_bytes = 0};
	struct tcp_seg seg;

	if (link == TG_LINK_ETHERNET && eth_parse(b, head, &e) != TG_DROP_NONE)
		return false;
	y->ip_off = e.hdr_bytes;
	if (e.type != ETH_TYPE_IP4 || !ip4_parse_quoted(b + y->ip_off, head - y->ip_off, &y->ip))
		return false;
	y->l4_off = y->ip_off + y->ip.hdr_bytes;
	y->end = y->ip_off + y->ip.total_bytes;
	if (!y->ip.total_bytes && gso == TG_GSO_TCP4)
		y->end = bytes; /* [TG_CAP_BIG4] */
	if (y->end > bytes || y->ip.frag_off || y->ip.mf || y->l4_off + UDP_HDR_BYTES > head)
		return false;
	switch (y->ip.proto) {
	case IP_PROTO_UDP: y->hdr_bytes = y->l4_off + UDP_HDR_BYTES; break;
	case IP_PROTO_TCP:
		if (tcp_parse(b + y->l4_off, head - y->l4_off, &seg) != TG_DROP_NONE)
			return false;
		y->hdr_bytes = y->l4_off + seg.hdr_bytes;
		y->tcp_seq = seg.seq.v;
		y->tcp_flags = seg.flags;
		break;
	default: return false;
	}
	return y->hdr_bytes <= y->end;
}

void segment_frame_of_bytes(struct tg_frame *f, enum tg_link link, const void *data, uint32_t bytes,
	uint8_t gso, uint16_t gso_size, uint8_t csum)
{
	struct layout y;

	memset(f, 0, sizeof(*f));
	f->span[0] = (struct tg_span){data, bytes};
	f->n_spans = 1;
	f->bytes = bytes;
	f->gso = gso;
	f->gso_size = gso_size;
	f->csum_partial = csum == TG_CSUM_PARTIAL;
	if ((gso == TG_GSO_NONE && !f->csum_partial) || !locate(&y, link, data, bytes, bytes, gso))
		return;
	f->hdr_bytes = (uint16_t)y.hdr_bytes;
	f->csum_start = (uint16_t)y.l4_off;
	f->csum_offset = y.ip.proto == IP_PROTO_TCP ? 16 : 6;
}

void segment_frame_of_pkt(struct tg_frame *f, enum tg_link link, const struct tg_pkt *p)
{
	segment_frame_of_bytes(f, link, p->data, p->len, p->gso, p->gso_size, p->csum);
}

void segment_gather(const struct tg_frame *f, uint32_t off, uint32_t n, uint8_t *out)
{
	for (uint32_t i = 0; i < f->n_spans && n > 0; i++) {
		uint32_t len = f->span[i].len, take;

		if (off >= len) {
			off -= len;
			continue;
		}
		take = min_u32(len - off, n);
		memcpy(out, (const uint8_t *)f->span[i].base + off, take);
		out += take;
		n -= take;
		off = 0;
	}
}

bool segment_begin(struct segmenter *g, enum tg_link link, const struct tg_frame *f, csum_fn *sum)
{
	struct layout y;
	uint8_t proto = f->gso == TG_GSO_TCP4 ? IP_PROTO_TCP : IP_PROTO_UDP;

	memset(g, 0, sizeof(*g));
	g->f = f;
	g->sum = sum ? sum : csum_add_wide;
	g->opaque = true;
	if (f->gso == TG_GSO_NONE && !f->csum_partial)
		return true;
	if (!locate(&y, link, f->span[0].base, f->span[0].len, f->bytes, f->gso))
		return f->gso == TG_GSO_NONE;
	if (f->gso != TG_GSO_NONE && (f->gso_size == 0 || y.ip.proto != proto))
		return false;
	/* what is cut from a big packet is none */
	if (!y.ip.total_bytes && y.hdr_bytes - y.ip_off + f->gso_size > IP4_MAX_BYTES)
		return false;
	g->opaque = false;
	g->ip = y.ip;
	g->ip_off = y.ip_off;
	g->l4_off = y.l4_off;
	g->hdr_bytes = y.hdr_bytes;
	g->end = y.end;
	g->tcp_seq = y.tcp_seq;
	g->tcp_flags = y.tcp_flags;
	g->seg_bytes = f->gso == TG_GSO_NONE ? y.end - y.hdr_bytes : f->gso_size;
	return true;
}

/* Payload bytes of the whole frame. */
static uint32_t payload_bytes(const struct segmenter *g)
{
	return g->end - g->hdr_bytes;
}

uint32_t segment_next_bytes(const struct segmenter *g)
{
	if (g->finished)
		return 0;
	if (g->opaque)
		return g->f->bytes;
	return g->hdr_bytes + min_u32(g->seg_bytes, payload_bytes(g) - g->done_bytes);
}

/* Transport header of the packet at out, of n bytes of payload; the checksum too if they stand
 * behind it (`whole`), else it is zero. */
static void finish_transport(
	const struct segmenter *g, uint8_t *out, uint32_t n, bool last, bool whole)
{
	uint8_t *b = out + g->l4_off;
	uint32_t len = g->hdr_bytes - g->l4_off + n;
	uint32_t pseudo = ip4_pseudo_sum(g->ip.src, g->ip.dst, g->ip.proto, len);
	struct udp_hdr u;

	if (g->ip.proto == IP_PROTO_TCP) {
		unsigned flags = g->tcp_flags;

		if (!last)
			flags &= ~(unsigned)(TCP_FIN | TCP_PSH);
		if (g->index > 0)
			flags &= ~(unsigned)TCP_CWR;
		tcp_set_seq_flags(b, g->tcp_seq + g->done_bytes, (uint8_t)flags);
		tcp_set_csum(b, 0);
		if (whole)
			tcp_set_csum(b, csum_finish(g->sum(b, len, pseudo)));
		return;
	}
	/* The length is that of the large datagram: parsing it may fail on this piece, the ports
	 * are there all the same. */
	udp_parse(b, UINT16_MAX, &u);
	u.bytes = (uint16_t)len;
	u.csum = 0;
	udp_emit(b, &u);
	if (whole)
		udp_set_csum(b, udp_csum_field(g->sum(b, len, pseudo)));
}

void segment_skip(struct segmenter *g)
{
	uint32_t bytes = segment_next_bytes(g);

	if (!g->finished && !g->opaque) {
		g->done_bytes += bytes - g->hdr_bytes;
		g->index++;
	}
	g->finished = g->finished || g->opaque || g->done_bytes == payload_bytes(g);
}

/* The next packet of a frame that is understood, with its payload or without. */
static void write_next(struct segmenter *g, uint8_t *out, bool whole)
{
	uint32_t bytes = segment_next_bytes(g), n = bytes - g->hdr_bytes;
	bool last = g->done_bytes + n == payload_bytes(g);
	struct ip4_hdr h = g->ip;

	segment_gather(g->f, 0, g->hdr_bytes, out);
	if (whole)
		segment_gather(g->f, g->hdr_bytes + g->done_bytes, n, out + g->hdr_bytes);
	h.total_bytes = (uint16_t)(bytes - g->ip_off);
	h.id = (uint16_t)(h.id + g->index);
	ip4_emit(out + g->ip_off, &h);
	finish_transport(g, out, n, last, whole);
	segment_skip(g);
}

uint32_t segment_next(struct segmenter *g, uint8_t *out)
{
	uint32_t bytes = segment_next_bytes(g);

	if (g->finished)
		return 0;
	if (!g->opaque) {
		write_next(g, out, true);
		return bytes;
	}
	segment_gather(g->f, 0, bytes, out);
	segment_skip(g);
	return bytes;
}

uint32_t segment_next_headers(struct segmenter *g, uint8_t *out)
{
	ASSERT(!g->opaque && !g->finished);
	write_next(g, out, false);
	return g->hdr_bytes;
}
