/* ARP messages in and out.
 *
 * RFC 826 (merge on every message, create only if we are the target, reply), RFC 5227 2.3 and 2.4
 * (announcements, conflicts), 2.6 (replies may not be needed by broadcast), RFC 1122 2.3.2. Left
 * out: proxy ARP, reverse ARP, 802.3 encapsulation on sending [1122-L5], trailers [1122-L10]. */
#include "ip/ip_private.h"

static void arp_trace(struct tg *s, const struct netif *n, const struct arp_msg *m, bool out)
{
	struct tg_trace *tr = trace_add(s, TG_TRACE_ARP);
	struct tg_ip a = tg_ip4_of(m->op == ARP_REQUEST ? m->tpa : m->spa);

	if (!tr)
		return;
	tr->a = (uint8_t)m->op;
	tr->b = out;
	tr->netif = n->index;
	memcpy(tr->raddr, a.b, sizeof(tr->raddr));
}

static void arp_send(struct tg *s, struct netif *n, const struct arp_msg *m, const uint8_t dst[6])
{
	struct tg_pkt *p = pkt_alloc(s, ETH_HDR_BYTES + ARP_BYTES);

	if (!p) {
		pkt_discard(s, NULL, TG_DROP_NO_MEMORY);
		return;
	}
	eth_emit(p->data, dst, n->c.mac, ETH_TYPE_ARP);
	arp_emit(p->data + ETH_HDR_BYTES, m);
	p->len = ETH_HDR_BYTES + ARP_BYTES;
	if (m->op == ARP_REQUEST)
		s->counters.arp_out_requests++;
	else
		s->counters.arp_out_replies++;
	arp_trace(s, n, m, true);
	netif_queue(s, n, p);
}

static const uint8_t mac_bcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t mac_zero[6];

void arp_ask(struct tg *s, struct netif *n, uint32_t target, const uint8_t *mac)
{
	struct arp_msg m = {
		.op = ARP_REQUEST, .spa = ip4_source_for(s, target, n->index), .tpa = target};

	/* Without an address of our own it would be a probe [5227 1.1]. */
	if (!m.spa)
		return;
	memcpy(m.sha, n->c.mac, 6);
	if (mac)
		memcpy(m.tha, mac, 6);
	arp_send(s, n, &m, mac ? mac : mac_bcast);
}

void arp_announce(struct tg *s, struct netif *n, uint32_t ip)
{
	struct arp_msg m = {.op = ARP_REQUEST, .spa = ip, .tpa = ip};

	/* [5227 2.3] a request for the address from itself */
	memcpy(m.sha, n->c.mac, 6);
	arp_send(s, n, &m, mac_bcast);
}

static void arp_reply(struct tg *s, struct netif *n, const struct arp_msg *q)
{
	struct arp_msg m = {.op = ARP_REPLY, .spa = q->tpa, .tpa = q->spa};

	/* [826] swap, put in our address, send to where it came from */
	memcpy(m.sha, n->c.mac, 6);
	memcpy(m.tha, q->sha, 6);
	arp_send(s, n, &m, q->sha);
}

static bool mac_is_ours(const struct tg *s, const uint8_t mac[6])
{
	for (unsigned i = 1; i < CORE_NETIFS_MAX; i++)
		if (s->netif[i].used && s->netif[i].c.link == TG_LINK_ETHERNET &&
			memcmp(s->netif[i].c.mac, mac, 6) == 0)
			return true;
	return false;
}

/* Can this station and address be a sender? */
static bool arp_sender_possible(const struct tg *s, const struct netif *n, const struct arp_msg *m)
{
	if (eth_is_group(m->sha) || memcmp(m->sha, mac_zero, 6) == 0 || mac_is_ours(s, m->sha))
		return false;
	/* [5227 1.1] a probe has no sender address, and is a request */
	if (m->spa == 0)
		return m->op == ARP_REQUEST;
	return !ip4_is_zero_net(m->spa) && !ip4_is_loop(m->spa) && !ip4_is_mcast(m->spa) &&
	       !ip4_is_reserved(m->spa) && !ip4_is_bcast(s, m->spa, n->index);
}

/* Another station sends from our address. */
static void arp_conflict(struct tg *s, struct netif *n, struct tg_pkt *p, struct ip_addr *a)
{
	/* [5227 2.4] */
	s->counters.arp_conflicts++;
	if (a->netif == n->index && !p->passed)
		addr_defend(s, a);
	pkt_drop(s, p, TG_DROP_ARP_CONFLICT);
}

/* Merge and create; true if the message taught us something. */
static bool arp_merge(struct tg *s, struct netif *n, const struct arp_msg *m, bool for_us)
{
	struct neigh *nb;

	/* Nothing to learn from a probe. */
	if (!m->spa)
		return false;
	nb = neigh_find(s, n->index, m->spa);
	if (!nb && for_us && ip4_on_link(s, m->spa, n->index)) {
		/* [826] we are the target: the sender will be talked to */
		nb = neigh_get(s, n->index, m->spa);
		if (!nb)
			pkt_discard(s, NULL, TG_DROP_ARP_CACHE_FULL);
	}
	if (!nb)
		return false;
	neigh_learn(s, nb, m->sha, for_us && m->op == ARP_REPLY);
	return true;
}

void arp_input(struct tg *s, struct netif *n, struct tg_pkt *p)
{
	struct ip_addr *target, *sender;
	struct arp_msg m;
	enum tg_drop why = arp_parse(p->data, p->len, &m);
	bool for_us, merged;

	if (why != TG_DROP_NONE) {
		pkt_drop(s, p, why);
		return;
	}
	share_tell_all(s, n, p);
	if (m.op == ARP_REQUEST)
		s->counters.arp_in_requests++;
	else
		s->counters.arp_in_replies++;
	arp_trace(s, n, &m, false);
	if (!arp_sender_possible(s, n, &m)) {
		pkt_drop(s, p, TG_DROP_ARP_SENDER);
		return;
	}
	sender = ip4_addr_find(s, m.spa);
	if (sender) {
		arp_conflict(s, n, p, sender);
		return;
	}
	target = ip4_addr_find(s, m.tpa);
	for_us = target && target->netif == n->index;
	merged = arp_merge(s, n, &m, for_us);
	/* Of several that share the address, whose queue it came by answers; all learn. */
	if (for_us && m.op == ARP_REQUEST && !p->passed)
		arp_reply(s, n, &m);
	if (for_us || merged)
		pkt_deliver(s, p);
	else
		pkt_drop(s, p, TG_DROP_ARP_NOT_US);
}
