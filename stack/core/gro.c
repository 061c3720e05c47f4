/* Software coalescing: see gro.h. */
#include "core/gro.h"

#include "wire/patch.h"

void gro_init(struct gro *g, enum tg_link link, csum_fn *sum)
{
	memset(g, 0, sizeof(*g));
	g->link = link;
	g->sum = sum ? sum : csum_add_wide;
}

/* Where the headers of a frame lie that others could join. */
static bool locate(struct gro *g, const struct tg_pkt *p)
{
	struct eth_hdr e = {.type = ETH_TYPE_IP4, .hdr_bytes = 0};
	struct ip4_hdr ip;
	struct tcp_seg t;
	const uint8_t *b = p->data;

	if (g->link == TG_LINK_ETHERNET && eth_parse(b, p->len, &e) != TG_DROP_NONE)
		return false;
	if (e.type != ETH_TYPE_IP4 || p->len < e.hdr_bytes + IP4_HDR_BYTES + TCP_HDR_BYTES)
		return false;
	g->ip_off = e.hdr_bytes;
	g->l4_off = e.hdr_bytes + IP4_HDR_BYTES;
	/* the last of what belongs together has PSH: looked at first, as most frames end here */
	if (tcp_get_flags(b + g->l4_off) != TCP_ACK ||
		ip4_parse(b + g->ip_off, p->len - g->ip_off, &ip) != TG_DROP_NONE)
		return false;
	if (ip.hdr_bytes != IP4_HDR_BYTES || ip.proto != IP_PROTO_TCP || ip.mf || ip.frag_off ||
		g->ip_off + ip.total_bytes != p->len ||
		tcp_parse(b + g->l4_off, p->len - g->l4_off, &t) != TG_DROP_NONE || !t.text_bytes)
		return false;
	g->hdr_bytes = g->l4_off + t.hdr_bytes;
	g->src = ip.src;
	g->dst = ip.dst;
	g->seq = t.seq.v + t.text_bytes;
	g->id = (uint16_t)(ip.id + 1);
	g->seg_bytes = t.text_bytes;
	return g->hdr_bytes <= sizeof(g->next);
}

static bool csum_good(
	const struct gro *g, const uint8_t *hdr, const uint8_t *text, uint32_t text_bytes)
{
	uint32_t l4_bytes = g->hdr_bytes - g->l4_off;
	uint32_t sum = ip4_pseudo_sum(g->src, g->dst, IP_PROTO_TCP, l4_bytes + text_bytes);

	sum = g->sum(hdr + g->l4_off, l4_bytes, sum);
	return csum_fold(g->sum(text, text_bytes, sum)) == 0xffff;
}

bool gro_start(struct gro *g, struct tg_pkt *p)
{
	ASSERT(!g->p);
	/* what the peer on this machine sends comes in large frames: what does not had nothing to
	 * follow it */
	if (p->gso != TG_GSO_NONE || p->csum == TG_CSUM_PARTIAL || !locate(g, p))
		return false;
	if (p->csum == TG_CSUM_UNKNOWN &&
		!csum_good(g, p->data, p->data + g->hdr_bytes, g->seg_bytes))
		return false; /* the core has a reason for it */
	p->csum = TG_CSUM_VALID;
	memcpy(g->next, p->data, g->hdr_bytes);
	g->p = p;
	g->text_bytes = g->seg_bytes;
	g->segs = 1;
	g->psh = false;
	return true;
}

uint8_t *gro_tail(const struct gro *g, uint32_t *room)
{
	uint8_t *end = g->p->data + g->p->len;

	*room = g->p->room - (uint32_t)(end - tg_pkt_block(g->p));
	return end;
}

/* Is hdr what cutting would put in front of the next text_bytes? */
static bool headers_follow(struct gro *g, const uint8_t *hdr, uint32_t text_bytes)
{
	uint8_t *ip = g->next + g->ip_off, *l4 = g->next + g->l4_off;
	uint8_t flags = TCP_ACK | (tcp_get_flags(hdr + g->l4_off) & TCP_PSH);

	ip4_patch(ip, (uint16_t)(g->hdr_bytes - g->ip_off + text_bytes), g->id);
	tcp_set_seq_flags(l4, g->seq, flags);
	tcp_set_csum(l4, tcp_get_csum(hdr + g->l4_off));
	return memcmp(g->next, hdr, g->hdr_bytes) == 0;
}

bool gro_join(struct gro *g, const uint8_t *hdr, uint32_t text_bytes, uint8_t csum)
{
	uint32_t room;
	const uint8_t *text = gro_tail(g, &room);

	if (gro_is_full(g) || !text_bytes || text_bytes > g->seg_bytes || text_bytes > room ||
		g->hdr_bytes - g->ip_off + g->text_bytes + text_bytes > IP4_MAX_BYTES)
		return false;
	if (!headers_follow(g, hdr, text_bytes))
		return false;
	if (csum == TG_CSUM_UNKNOWN && !csum_good(g, hdr, text, text_bytes))
		return false;
	g->psh = (tcp_get_flags(hdr + g->l4_off) & TCP_PSH) != 0;
	g->p->len += text_bytes;
	g->text_bytes += text_bytes;
	g->seq += text_bytes;
	g->id++;
	g->segs++;
	return true;
}

bool gro_is_full(const struct gro *g)
{
	return g->psh || g->segs >= GRO_SEGS_MAX || g->text_bytes < g->segs * g->seg_bytes;
}

struct tg_pkt *gro_take(struct gro *g)
{
	struct tg_pkt *p = g->p;
	uint8_t *ip;

	g->p = NULL;
	if (!p || g->segs == 1)
		return p;
	ip = p->data + g->ip_off;
	ip4_patch(ip, (uint16_t)(p->len - g->ip_off), ip4_get_id(ip));
	tcp_set_seq_flags(p->data + g->l4_off, tcp_get_seq(p->data + g->l4_off),
		g->psh ? TCP_ACK | TCP_PSH : TCP_ACK);
	p->gso = TG_GSO_TCP4;
	p->gso_size = (uint16_t)g->seg_bytes;
	p->merged = (uint16_t)g->segs;
	return p;
}
