/* Several instances with the same addresses, each on its own queue of a link: whose is a datagram?
 *
 * The answer is computed, so that no table has to be shared and every instance gives the same one
 * at any time: whatever a connection leaves behind (a half-open entry, TIME-WAIT, the clock of its
 * ISN [6528] and timestamps [7323]) is where the next segment of that 4-tuple is judged. A flow
 * that stayed with the instance that its SYN came to could not be found when the link's memory of
 * it is gone, and a new incarnation could meet another instance than the TIME-WAIT of the old one.
 *
 * To a port of the ephemeral range: port % count, which active OPENs and UDP binds choose by. Other
 * TCP: a keyed hash of the 4-tuple. Fragments: a hash of (source, destination, identification,
 * protocol), and what they make is looked at again. UDP to other ports and echo requests stay: any
 * instance has the same servers. ICMP errors go where the quoted datagram came from; of UDP from
 * such ports they are everybody's, as what they say of the path is. The rest is instance 0's, and
 * so is what an instance has no socket for. A datagram that belongs to a connection here stays in
 * any case, so that instance 0 may bind what it likes.
 *
 * A frame is passed on twice at the most: to whom it is computed to belong, and from there to
 * instance 0. Broadcasts and ARP are everybody's; who has them from the link answers. */
#include "base/flow.h"
#include "ip/ip_private.h"
#include "wire/patch.h"

/* May something that came by n go elsewhere? */
static bool is_shared(const struct tg *s, const struct netif *n)
{
	return s->cfg.share.count > 1 && n->c.pass;
}

static unsigned owner_by_hash(
	const struct tg *s, uint32_t raddr, uint16_t rport, uint32_t laddr, uint16_t lport)
{
	struct flow_key k;

	memcpy(&k, s->cfg.share.key, sizeof(k));
	return flow_hash(&k, raddr, rport, laddr, lport) % s->cfg.share.count;
}

/* Of what travels between these two ends. stays: the answer where any instance will do. */
static unsigned owner_of_flow(const struct tg *s, uint8_t proto, uint32_t raddr, uint16_t rport,
	uint32_t laddr, uint16_t lport, unsigned stays)
{
	if (lport >= s->cfg.tcp.port_first && lport <= s->cfg.tcp.port_last)
		return (unsigned)lport % s->cfg.share.count;
	return proto == IP_PROTO_TCP ? owner_by_hash(s, raddr, rport, laddr, lport) : stays;
}

static unsigned owner_of_icmp(const struct tg *s, const struct tg_pkt *p)
{
	uint16_t lport, rport;
	struct ip4_hdr q;

	if (p->len < ICMP_HDR_BYTES || p->data[0] == ICMP_ECHO)
		return s->cfg.share.index;
	if (!icmp_is_error(p->data[0]) ||
		!ip4_parse_quoted(p->data + ICMP_HDR_BYTES, p->len - ICMP_HDR_BYTES, &q) ||
		p->len - ICMP_HDR_BYTES - q.hdr_bytes < 4 || q.frag_off ||
		(q.proto != IP_PROTO_TCP && q.proto != IP_PROTO_UDP))
		return 0;
	/* What is quoted went out: its source is our end. */
	ports_get(p->data + ICMP_HDR_BYTES + q.hdr_bytes, &lport, &rport);
	return owner_of_flow(s, q.proto, q.dst, rport, q.src, lport, TG_PASS_ALL);
}

/* TG_PASS_ALL: everybody's, this one's included. */
static unsigned owner_of(
	const struct tg *s, const struct tg_pkt *p, const struct ip4_hdr *h, bool group)
{
	uint16_t rport, lport;

	if (h->mf || h->frag_off)
		return owner_by_hash(s, h->src, h->id, h->dst, h->proto);
	if (group)
		return h->proto == IP_PROTO_UDP ? TG_PASS_ALL : s->cfg.share.index;
	if (h->proto == IP_PROTO_ICMP)
		return owner_of_icmp(s, p);
	if (h->proto != IP_PROTO_TCP && h->proto != IP_PROTO_UDP)
		return 0;
	if (p->len < 4)
		return s->cfg.share.index;
	ports_get(p->data, &rport, &lport);
	return owner_of_flow(s, h->proto, h->src, rport, h->dst, lport, s->cfg.share.index);
}

/* Puts p's data back to a link header, written anew: what stood there may be gone. */
static void restore(const struct netif *n, struct tg_pkt *p, uint32_t net_bytes, uint16_t type)
{
	static const uint8_t bcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	static const uint8_t all_hosts[6] = {1, 0, 0x5e, 0, 0, 1};
	const uint8_t *dst = p->flags & PKT_BCAST   ? bcast
			     : p->flags & PKT_GROUP ? all_hosts
						    : n->c.mac;

	p->data = p->net;
	p->len = net_bytes;
	if (n->c.link != TG_LINK_ETHERNET)
		return;
	p->data -= ETH_HDR_BYTES;
	p->len += ETH_HDR_BYTES;
	eth_emit(p->data, dst, n->c.mac, type);
}

/* The same of a copy. */
static void tell_all(
	struct tg *s, struct netif *n, const struct tg_pkt *p, uint32_t net_bytes, uint16_t type)
{
	struct tg_pkt *k = pkt_alloc(s, ETH_HDR_BYTES + net_bytes);

	if (!k) {
		pkt_discard(s, NULL, TG_DROP_NO_MEMORY);
		return;
	}
	k->net = k->data + ETH_HDR_BYTES;
	memcpy(k->net, p->net, net_bytes);
	k->flags |= p->flags & (PKT_GROUP | PKT_BCAST);
	k->gso = p->gso;
	k->gso_size = p->gso_size;
	k->csum = p->csum;
	restore(n, k, net_bytes, type);
	netif_pass(s, n, k, TG_PASS_ALL);
}

/* p's verdict is that it goes to another instance. */
static void pass(struct tg *s, struct netif *n, struct tg_pkt *p, uint32_t net_bytes, unsigned to)
{
	restore(n, p, net_bytes, ETH_TYPE_IP4);
	pkt_delivered(s);
	netif_pass(s, n, p, to);
}

static bool claimed(
	struct tg *s, const struct netif *n, const struct tg_pkt *p, const struct ip4_hdr *h)
{
	const struct transport *t = core_find_transport(s, h->proto);
	struct ip_info i = {.src = tg_ip4_of(h->src),
		.dst = tg_ip4_of(h->dst),
		.netif = n->index,
		.proto = h->proto};

	return !h->mf && !h->frag_off && t && t->claims && t->claims(s, p, &i);
}

bool share_passes(
	struct tg *s, struct netif *n, struct tg_pkt *p, const struct ip4_hdr *h, bool group)
{
	unsigned to;

	if (s->cfg.share.count <= 1 || !is_shared(s, n) || p->passed)
		return false;
	to = owner_of(s, p, h, group);
	if (to == TG_PASS_ALL) {
		tell_all(s, n, p, h->total_bytes, ETH_TYPE_IP4);
		return false;
	}
	if (to == s->cfg.share.index || claimed(s, n, p, h))
		return false;
	pass(s, n, p, h->total_bytes, to);
	return true;
}

void share_tell_all(struct tg *s, struct netif *n, const struct tg_pkt *p)
{
	if (is_shared(s, n) && !p->passed)
		tell_all(s, n, p, ARP_BYTES, ETH_TYPE_ARP);
}

bool ip_passes_home(struct tg *s, struct tg_pkt *p, const struct ip_info *i)
{
	struct netif *n = &s->netif[i->netif];
	struct ip4_hdr h;

	if (s->cfg.share.index == 0 || !is_shared(s, n) || i->group ||
		!ip4_parse_quoted(p->net, (uint32_t)(p->data - p->net) + p->len, &h))
		return false;
	pass(s, n, p, h.total_bytes, 0);
	return true;
}
