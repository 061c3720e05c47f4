/* IPv4 datagrams in: is it sound, is it for us, who gets it?
 *
 * RFC 791, RFC 1122 3.2.1 (every check with its drop reason), 3.3.6 (broadcasts), 3.3.4.2 (weak
 * host model), RFC 7126 4.3 and 4.4 (source routes are refused), RFC 1112 7.2 (of groups only
 * all-hosts, 224.0.0.1, is joined). Options are walked and otherwise ignored [1122-I8]. Left out:
 * IGMP, forwarding [1122-G8], acting on options. */
#include "ip/ip_private.h"

#define IP_OPT_EOL  0
#define IP_OPT_NOP  1
#define IP_OPT_LSRR 131
#define IP_OPT_SSRR 137
#define ALL_HOSTS   0xe0000001u /* 224.0.0.1 */

/* Looks for a source route in options that walk to an end. */
static bool has_source_route(const struct ip4_hdr *h)
{
	uint32_t n = h->hdr_bytes - IP4_HDR_BYTES;

	for (uint32_t i = 0; h->options && i < n && h->options[i] != IP_OPT_EOL;) {
		if (h->options[i] == IP_OPT_LSRR || h->options[i] == IP_OPT_SSRR)
			return true;
		i += h->options[i] == IP_OPT_NOP ? 1 : h->options[i + 1];
	}
	return false;
}

/* Offset in the header of the length that makes options malformed [792 parameter problem]. */
static uint8_t bad_option_at(const struct ip4_hdr *h)
{
	uint32_t n = h->hdr_bytes - IP4_HDR_BYTES, i = 0;

	while (i < n && h->options[i] != IP_OPT_EOL) {
		if (h->options[i] == IP_OPT_NOP) {
			i++;
			continue;
		}
		if (i + 1 >= n || h->options[i + 1] < 2 || h->options[i + 1] > n - i)
			break;
		i += h->options[i + 1];
	}
	return (uint8_t)(IP4_HDR_BYTES + min_u32(i + 1, n - 1));
}

static enum tg_drop check_source(const struct tg *s, const struct netif *n, uint32_t src)
{
	/* [1122-I3, U6] [9293 MUST-63] no single host: network 0, class D, class E, broadcasts */
	if (ip4_is_zero_net(src) || ip4_is_mcast(src) || ip4_is_reserved(src) ||
		ip4_is_bcast(s, src, 0))
		return TG_DROP_IP_SOURCE;
	if (n->loopback)
		return TG_DROP_NONE;
	/* [1122-I3] [1122 3.2.1.3] (g) */
	if (ip4_is_loop(src))
		return TG_DROP_IP_LOOPBACK_WIRE;
	/* [1122-I3] we reach ourselves by loopback, so it is forged, or an echo of our own */
	if (ip4_is_ours(s, src))
		return TG_DROP_IP_SOURCE_OURS;
	return TG_DROP_NONE;
}

/* *group: to a broadcast or multicast address. */
static enum tg_drop check_destination(const struct tg *s, const struct netif *n,
	const struct tg_pkt *p, uint32_t dst, bool *group)
{
	bool ours = ip4_is_ours(s, dst);

	*group = !ours && (ip4_is_mcast(dst) || ip4_is_bcast(s, dst, n->index));
	/* [1122 3.2.1.3] (g) */
	if (ip4_is_loop(dst) && !n->loopback)
		return TG_DROP_IP_LOOPBACK_WIRE;
	/* [1122-G6] [1122 3.3.6] the link says everybody, the datagram does not */
	if (!*group && (p->flags & (PKT_GROUP | PKT_BCAST)))
		return TG_DROP_IP_LINK_BROADCAST;
	/* [1122-G7] [1112 7.2] */
	if (ip4_is_mcast(dst) && dst != ALL_HOSTS)
		return TG_DROP_IP_MULTICAST;
	/* [1122-G8] not forwarded */
	return ours || *group ? TG_DROP_NONE : TG_DROP_IP_NOT_US;
}

/* Malformed options of a datagram that is ours otherwise: the sender gets to know [1122-C9]. */
static void report_bad_options(struct tg *s, const struct netif *n, const struct tg_pkt *p)
{
	struct ip4_hdr h;
	struct icmp_msg m = {.type = ICMP_PARAM_PROBLEM};
	bool group;

	if (!ip4_parse_quoted(p->data, p->len, &h) || !h.options ||
		check_source(s, n, h.src) != TG_DROP_NONE ||
		check_destination(s, n, p, h.dst, &group) != TG_DROP_NONE)
		return;
	m.pointer = bad_option_at(&h);
	icmp_report(s, p->data, min_u32(p->len, h.total_bytes), p->flags, &m);
}

/* p: a whole datagram, data at the payload. */
static void ip4_deliver(
	struct tg *s, struct netif *n, struct tg_pkt *p, const struct ip4_hdr *h, bool group)
{
	struct ip_info i = {.src = tg_ip4_of(h->src),
		.dst = tg_ip4_of(h->dst),
		.pseudo_sum = ip4_pseudo_sum(h->src, h->dst, h->proto, p->len),
		.netif = n->index,
		.ttl = h->ttl,
		.tos = h->tos, /* [1122-I6] passed up */
		.proto = h->proto,
		/* [1122-L7] */
		.group = group || (p->flags & (PKT_GROUP | PKT_BCAST)) != 0};
	const struct transport *t = core_find_transport(s, h->proto);
	bool taken;

	if (h->proto == IP_PROTO_ICMP) {
		s->counters.ip_in_delivers++;
		icmp_input(s, p, &i);
		return;
	}
	taken = s->raw_input && s->raw_input(s, p, &i);
	if (t || taken)
		s->counters.ip_in_delivers += pkt_frames(p);
	if (t) {
		t->input(s, p, &i);
	} else if (taken) {
		pkt_deliver(s, p);
	} else {
		/* [1122-C6] [1122 3.2.2.1] */
		ip_reject(s, p, &i, IP_REJECT_PROTOCOL);
		pkt_drop(s, p, TG_DROP_IP_PROTOCOL);
	}
}

void ip4_input(struct tg *s, struct netif *n, struct tg_pkt *p)
{
	struct ip4_hdr h;
	enum tg_drop why;
	bool group;

	s->counters.ip_in_receives += pkt_frames(p);
	p->net = p->data;
	why = ip4_parse(p->data, p->len, &h);
	if (why == TG_DROP_IP_OPTIONS)
		report_bad_options(s, n, p);
	if (why == TG_DROP_NONE && has_source_route(&h))
		why = TG_DROP_IP_SOURCE_ROUTE; /* [1122-I9] [7126 4.3] declined */
	if (why == TG_DROP_NONE)
		why = check_source(s, n, h.src);
	if (why == TG_DROP_NONE)
		why = check_destination(s, n, p, h.dst, &group);
	if (why != TG_DROP_NONE) {
		pkt_drop(s, p, why);
		return;
	}
	/* [894] what the link padded is no part of it. [1122-I7] any TTL will do for us. */
	p->len = h.total_bytes;
	pkt_pull(p, h.hdr_bytes);
	if (share_passes(s, n, p, &h, group))
		return;
	if (h.mf || h.frag_off) {
		p = reasm_input(s, p, &h); /* [1122-I4] */
		if (!p)
			return;
		/* The header of the whole, options of the first fragment included. */
		why = ip4_parse(p->net, (uint32_t)(p->data - p->net) + p->len, &h);
		ASSERT(why == TG_DROP_NONE);
		if (share_passes(s, n, p, &h, group))
			return;
	}
	ip4_deliver(s, n, p, &h, group);
}

const uint8_t *ip_peek(
	const struct tg *s, unsigned netif, struct tg_pkt *p, struct ip_info *i, uint32_t *bytes)
{
	uintptr_t off = (uintptr_t)p->data - (uintptr_t)tg_pkt_block(p);
	struct eth_hdr e = {.type = ETH_TYPE_IP4, .hdr_bytes = 0};
	struct ip4_hdr h;

	if (netif >= s->n_netifs || off > p->room || p->len > p->room - off)
		return NULL;
	if (s->netif[netif].c.link == TG_LINK_ETHERNET &&
		eth_parse(p->data, p->len, &e) != TG_DROP_NONE)
		return NULL;
	if (e.type != ETH_TYPE_IP4 ||
		!ip4_parse_quoted(p->data + e.hdr_bytes, p->len - e.hdr_bytes, &h) || h.mf ||
		h.frag_off)
		return NULL;
	i->src = tg_ip4_of(h.src);
	i->dst = tg_ip4_of(h.dst);
	i->proto = h.proto;
	*bytes = p->len - e.hdr_bytes - h.hdr_bytes;
	return p->data + e.hdr_bytes + h.hdr_bytes;
}

uint32_t ip_pseudo_sum(
	const struct tg_ip *src, const struct tg_ip *dst, uint8_t proto, uint32_t len)
{
	return ip4_pseudo_sum(tg_ip4_value(src), tg_ip4_value(dst), proto, len);
}
