/* Software segmentation and checksum completion: see gso.h. */
#include "core/gso.h"

#include "core/core_impl.h"
#include "wire/ip4.h"
#include "wire/patch.h"
#include "wire/tcp_wire.h"
#include "wire/udp.h"

uint32_t span_cut(
	const struct tg_span *in, uint32_t n, uint32_t off, uint32_t len, struct tg_span *out)
{
	uint32_t n_out = 0;

	for (uint32_t i = 0; i < n && len > 0; i++) {
		uint32_t take;

		if (off >= in[i].len) {
			off -= in[i].len;
			continue;
		}
		take = min_u32(in[i].len - off, len);
		out[n_out++] = (struct tg_span){(const uint8_t *)in[i].base + off, take};
		len -= take;
		off = 0;
	}
	ASSERT(len == 0);
	return n_out;
}

uint32_t span_csum(csum_fn *fn, const struct tg_span *in, uint32_t n, uint32_t sum)
{
	bool odd = false;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t part = fn(in[i].base, in[i].len, 0);

		sum = csum_join(sum, odd ? csum_shift(part) : part);
		odd ^= in[i].len & 1;
	}
	return sum;
}

void l4_finish_csum(csum_fn *fn, uint8_t *l4, uint32_t l4_bytes, uint32_t csum_offset,
	const struct tg_span *body, uint32_t n)
{
	/* Transport headers are of even length, so the body's sum needs no shift. */
	uint32_t sum = span_csum(fn, body, n, fn(l4, l4_bytes, 0));

	if (csum_offset == UDP_CSUM_OFFSET)
		udp_set_csum(l4, udp_csum_field(sum));
	else
		csum_field_set(l4 + csum_offset, csum_finish(sum));
}

uint32_t gso_count(const struct gso_super *g)
{
	return max_u32(1, (g->body_bytes + g->gso_size - 1) / g->gso_size);
}

static void patch_tcp(const struct gso_super *g, uint8_t *tcp, uint32_t i)
{
	uint8_t flags = tcp_get_flags(tcp);

	/* [3168 6.1.2] CWR on the first segment alone */
	if (i > 0)
		flags &= (uint8_t)~TCP_CWR;
	if (i + 1 < gso_count(g))
		flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	tcp_set_seq_flags(tcp, tcp_get_seq(tcp) + i * g->gso_size, flags);
}

uint32_t gso_segment(const struct gso_super *g, uint32_t i, uint8_t *head, struct tg_span *out)
{
	uint32_t off = i * g->gso_size, len = min_u32(g->gso_size, g->body_bytes - off);
	uint32_t l4_head = g->head_bytes - g->l4_off;
	uint8_t *ip = head + g->ip_off, *l4 = head + g->l4_off;
	uint32_t sum;

	memcpy(head, g->head, g->head_bytes);
	ip4_patch(ip, (uint16_t)(g->head_bytes - g->ip_off + len), (uint16_t)(ip4_get_id(ip) + i));
	if (g->gso == TG_GSO_TCP4)
		patch_tcp(g, l4, i);
	else
		udp_set_bytes(l4, (uint16_t)(l4_head + len));
	/* The pseudo-header's sum has the super-frame's length in it: take that out, put ours in.
	 */
	sum = csum_field_get(l4 + g->csum_offset);
	sum = csum_join(sum, (uint16_t)~csum_fold(l4_head + g->body_bytes));
	sum = csum_join(sum, l4_head + len);
	csum_field_set(l4 + g->csum_offset, csum_fold(sum));
	return span_cut(g->body, g->n_body, off, len, out);
}

/* ---- In front of a device ---- */

void tx_finish_csum(struct tg *s, struct tx *t)
{
	uint32_t l4_bytes = t->head_bytes - (uint32_t)(t->l4_off - t->off);

	ASSERT(t->csum && t->gso_size == 0);
	l4_finish_csum(s->csum, t->head + t->l4_off, l4_bytes, t->csum_offset, t->body, t->n_body);
	t->csum = false;
}

static void plan_super(const struct netif *n, const struct tx *t, struct gso_super *g)
{
	g->head = t->head + t->off;
	g->head_bytes = t->head_bytes;
	g->ip_off = n->c.link == TG_LINK_ETHERNET ? ETH_HDR_BYTES : 0;
	g->l4_off = (uint32_t)(t->l4_off - t->off);
	g->csum_offset = t->csum_offset;
	g->body = t->body;
	g->n_body = t->n_body;
	g->body_bytes = t->body_bytes;
	g->gso_size = t->gso_size;
	g->gso = t->gso;
}

/* The frame of segment i; its head lies in `head`. */
static void segment_frame(struct tg *s, const struct netif *n, const struct gso_super *g,
	uint32_t i, uint8_t *head, struct tg_frame *f)
{
	uint32_t n_body;

	memset(f, 0, sizeof(*f));
	n_body = gso_segment(g, i, head, &f->span[1]);
	f->span[0] = (struct tg_span){head, g->head_bytes};
	f->n_spans = 1 + n_body;
	f->hdr_bytes = (uint16_t)g->head_bytes;
	f->bytes = g->head_bytes + min_u32(g->gso_size, g->body_bytes - i * g->gso_size);
	if (n->c.caps & TG_CAP_CSUM) {
		f->csum_partial = true;
		f->csum_start = (uint16_t)g->l4_off;
		f->csum_offset = (uint16_t)g->csum_offset;
		return;
	}
	l4_finish_csum(s->csum, head + g->l4_off, g->head_bytes - g->l4_off, g->csum_offset,
		&f->span[1], n_body);
}

enum tx_result gso_transmit(struct tg *s, struct netif *n, struct tx *t)
{
	struct gso_super g;
	uint8_t head[TX_HEAD_BYTES];
	struct tg_frame f;
	uint32_t count;

	ASSERT(t->csum);
	plan_super(n, t, &g);
	count = gso_count(&g);
	t->accepted = 0;
	for (uint32_t i = 0; i < count; i++) {
		segment_frame(s, n, &g, i, head, &f);
		if (!netif_emit(s, n, &f))
			return i == 0 ? TX_BUSY : TX_OK;
		t->accepted += min_u32(g.gso_size, g.body_bytes - i * g.gso_size);
	}
	return TX_OK;
}
