/* A frame's first steps: counted, checked against its block, its link header read (RFC 894, RFC
 * 1042 by eth_parse), handed to ARP or IPv4. It ends with exactly one verdict: delivered, or
 * dropped with a reason.
 *
 * Left out: IPv6, which is counted and ignored; VLAN tags, which are an EtherType not spoken here.
 */
#include "core/core_impl.h"

#include "wire/patch.h"

/* Is what the device filled in possible? Heals what can be healed. */
static bool pkt_possible(struct tg_pkt *p)
{
	const uint8_t *block = tg_pkt_block(p);
	uintptr_t off = (uintptr_t)p->data - (uintptr_t)block;

	if (off > p->room || p->len > p->room - off)
		return false;
	if (p->gso > TG_GSO_UDP4 || p->gso == TG_GSO_NONE || p->gso_size == 0) {
		p->gso = TG_GSO_NONE;
		p->gso_size = 0;
	}
	if (p->gso != TG_GSO_TCP4)
		p->merged = 0;
	if (p->csum > TG_CSUM_PARTIAL)
		p->csum = TG_CSUM_UNKNOWN;
	return true;
}

static void input_ip(struct tg *s, struct netif *n, struct tg_pkt *p)
{
	p->net = p->data;
	if (ip_get_version(p->data, p->len) == 6)
		pkt_drop(s, p, TG_DROP_IP6_IGNORED);
	else if (s->ip4_input)
		s->ip4_input(s, n, p);
	else
		pkt_drop(s, p, TG_DROP_ETH_TYPE);
}

static void input_ethernet(struct tg *s, struct netif *n, struct tg_pkt *p)
{
	struct eth_hdr h;
	enum tg_drop why = eth_parse(p->data, p->len, &h);

	if (why != TG_DROP_NONE) {
		pkt_drop(s, p, why);
		return;
	}
	if (eth_is_broadcast(h.dst))
		p->flags |= PKT_BCAST;
	if (eth_is_group(h.dst)) {
		p->flags |= PKT_GROUP;
	} else if (memcmp(h.dst, n->c.mac, 6) != 0) {
		pkt_drop(s, p, TG_DROP_ETH_NOT_US);
		return;
	}
	pkt_pull(p, h.hdr_bytes);
	p->net = p->data;
	if (h.type == ETH_TYPE_IP4 && s->ip4_input)
		s->ip4_input(s, n, p);
	else if (h.type == ETH_TYPE_ARP && s->arp_input)
		s->arp_input(s, n, p);
	else
		pkt_drop(s, p, h.type == ETH_TYPE_IP6 ? TG_DROP_IP6_IGNORED : TG_DROP_ETH_TYPE);
}

static void dispatch(struct tg *s, struct netif *n, struct tg_pkt *p)
{
	if (!n)
		pkt_drop(s, p, TG_DROP_NETIF_NONE);
	else if (!pkt_possible(p))
		pkt_drop(s, p, TG_DROP_FRAME_TOO_LONG);
	else if (n->c.link == TG_LINK_ETHERNET)
		input_ethernet(s, n, p);
	else
		input_ip(s, n, p);
}

void receive(struct tg *s, struct netif *n, struct tg_pkt *p)
{
	/* A device that calls tg_input from within transmit, or the like, would end here. */
	ASSERT(s->cur_frame == 0);
	s->cur_frames = (uint16_t)pkt_frames(p);
	s->cur_frame = s->frame + 1;
	s->frame += s->cur_frames;
	s->verdict = VERDICT_OPEN;
	s->counters.frames_in += s->cur_frames;
	s->counters.bytes_in += p->len;
	p->flags &= PKT_RESERVE;
	p->frame = s->cur_frame;
	p->next = NULL;
	p->net = NULL;
	p->mark = 0;
	s->counters.frames_taken_over += p->passed != 0;
	dispatch(s, n, p);
	ASSERT(s->verdict != VERDICT_OPEN);
	s->cur_frame = 0;
}

void core_input(struct tg *s, unsigned netif, struct tg_pkt *p, uint64_t now_ns)
{
	core_enter(s, now_ns);
	receive(s, netif < s->n_netifs ? &s->netif[netif] : NULL, p);
}
