/* ICMP messages that we make: echo replies, and errors where RFC 1122 wants them.
 *
 * RFC 792, RFC 1122 3.2.2 (what no error is ever sent about; what is quoted), 3.2.2.1 (unreachable
 * protocol and port), 3.2.2.4 (time exceeded in reassembly), 3.2.2.5 (parameter problem), 3.2.2.6
 * (echo), RFC 1812 4.3.2.3 (as much quoted as 576 bytes hold) and 4.3.2.8 (rate). Left out:
 * redirects, timestamps, address masks, information, RFC 4884 extensions, reflecting record route
 * and timestamp options of an echo request. */
#include "ip/ip_private.h"
#include "core/gso.h"

#define MILLI        1000u
#define QUOTE_BYTES  (ICMP_TOTAL_BYTES - IP4_HDR_BYTES - ICMP_HDR_BYTES)
#define L4_MIN_BYTES 8u /* [1122 3.2.2] of the transport's header are quoted at least */

void icmp_out_init(struct tg *s)
{
	s->ip->icmp_millitokens = (uint64_t)s->cfg.ip.icmp_errors_per_sec * MILLI;
	s->ip->icmp_refill_ns = s->now_ns;
}

/* Token bucket; its burst is what a second brings. */
static bool rate_ok(struct tg *s)
{
	struct ip_state *ip = s->ip;
	uint64_t full = (uint64_t)s->cfg.ip.icmp_errors_per_sec * MILLI;
	uint64_t gone_ms = (s->now_ns - ip->icmp_refill_ns) / NS_PER_MS;
	uint32_t cost;

	ip->icmp_refill_ns += gone_ms * NS_PER_MS;
	ip->icmp_millitokens =
		min_u64(full, ip->icmp_millitokens + min_u64(gone_ms, MILLI) * (full / MILLI));
	/* A price that varies about 1: an exact count would tell a third party which ports are
	 * open. */
	cost = MILLI / 2 + rng_below(&s->rng, MILLI + 1);
	if (ip->icmp_millitokens < cost) {
		pkt_discard(s, NULL, TG_DROP_ICMP_RATE);
		return false;
	}
	ip->icmp_millitokens -= cost;
	return true;
}

void icmp_trace(struct tg *s, const struct icmp_msg *m, uint32_t peer, uint16_t netif, bool out)
{
	struct tg_trace *tr = trace_add(s, TG_TRACE_ICMP);
	struct tg_ip a = tg_ip4_of(peer);

	if (!tr)
		return;
	tr->a = m->type;
	tr->b = m->code;
	tr->wnd = out;
	tr->seq = m->id;
	tr->ack = m->seq;
	tr->len = ICMP_HDR_BYTES + m->body_bytes;
	tr->netif = netif;
	memcpy(tr->raddr, a.b, sizeof(tr->raddr));
}

/* 0 or a negative errno. */
static int icmp_send(
	struct tg *s, const struct icmp_msg *m, uint32_t src, uint32_t dst, uint8_t tos)
{
	struct ip_flow f = {.src = tg_ip4_of(src),
		.dst = tg_ip4_of(dst),
		.proto = IP_PROTO_ICMP,
		.ttl = s->cfg.ip.default_ttl,
		.tos = tos};
	struct ip_path path = {0};
	struct tx t;
	int r;

	f.path = &path;
	tx_init(&t);
	t.head_bytes = ICMP_HDR_BYTES;
	if (m->body_bytes)
		tx_add_body(&t, m->body, m->body_bytes);
	icmp_emit(t.head + t.off, m, s->csum(m->body, m->body_bytes, 0));
	r = ip_send(s, &t, &f);
	if (r < 0)
		return r;
	s->counters.icmp_out_msgs++;
	icmp_trace(s, m, dst, path.netif, true);
	return 0;
}

void icmp_echo_reply(struct tg *s, const struct icmp_msg *request, const struct ip_info *i)
{
	struct icmp_msg m = *request;

	/* [1122-C10] [1122 3.2.2.6] the same data, from the address that was asked, same TOS */
	m.type = ICMP_ECHO_REPLY;
	m.code = 0;
	if (icmp_send(s, &m, tg_ip4_value(&i->dst), tg_ip4_value(&i->src), i->tos) == 0)
		s->counters.icmp_out_echo_reps++;
}

/* [1122-C5] [1122 3.2.2] where an error must never be sent. d: n bytes from the IP header on. */
static bool may_report(const struct tg *s, const uint8_t *d, uint32_t n, uint8_t pkt_flags,
	const struct ip4_hdr *h)
{
	/* about an ICMP error, or an ICMP message cut too short to tell */
	if (h->proto == IP_PROTO_ICMP && h->frag_off == 0 &&
		(n <= h->hdr_bytes || icmp_is_error(d[h->hdr_bytes])))
		return false;
	/* about a broadcast or multicast, of IP or of the link */
	if ((pkt_flags & (PKT_GROUP | PKT_BCAST)) || ip4_is_mcast(h->dst) ||
		!ip4_is_ours(s, h->dst))
		return false;
	/* about a fragment other than the first */
	if (h->frag_off)
		return false;
	/* to what is no single host; a loopback address can only have come by loopback */
	return !ip4_is_zero_net(h->src) && !ip4_is_mcast(h->src) && !ip4_is_reserved(h->src) &&
	       !ip4_is_bcast(s, h->src, 0);
}

static void count_out(struct tg *s, uint8_t type)
{
	if (type == ICMP_UNREACHABLE)
		s->counters.icmp_out_dest_unreachs++;
	else if (type == ICMP_TIME_EXCEEDED)
		s->counters.icmp_out_time_excds++;
	else if (type == ICMP_PARAM_PROBLEM)
		s->counters.icmp_out_parm_probs++;
}

void icmp_report(struct tg *s, const uint8_t *d, uint32_t n, uint8_t pkt_flags, struct icmp_msg *m)
{
	struct ip4_hdr h;

	if (!ip4_parse_quoted(d, n, &h) || !may_report(s, d, n, pkt_flags, &h) || !rate_ok(s))
		return;
	/* [1122-C2] unmodified, at least 8 bytes beyond the header if there are, at most what 576
	 * hold */
	m->body = d;
	m->body_bytes = min_u32(n, QUOTE_BYTES);
	/* [1122-C4] TOS 0; [1122-G5] from the address that the datagram was sent to */
	if (icmp_send(s, m, h.dst, h.src, 0) == 0)
		count_out(s, m->type);
}

/* A datagram that was made on this machine may have come with its checksum left to a device: what
 * is quoted has to look as it would have on a wire. */
static void complete_csum(struct tg *s, const struct tg_pkt *p, uint8_t proto)
{
	uint32_t at = proto == IP_PROTO_UDP ? 6 : 16;

	if (p->csum != TG_CSUM_PARTIAL || p->gso ||
		(proto != IP_PROTO_UDP && proto != IP_PROTO_TCP))
		return;
	if (p->len >= at + 2)
		l4_finish_csum(s->csum, p->data, p->len, at, NULL, 0);
}

void ip_reject(struct tg *s, const struct tg_pkt *p, const struct ip_info *i, enum ip_reject how)
{
	struct icmp_msg m = {.type = ICMP_UNREACHABLE,
		.code = how == IP_REJECT_PORT ? ICMP_UNREACH_PORT : ICMP_UNREACH_PROTOCOL};

	/* [1122-C6] [1122-U1] */
	if (i->group || !p->net)
		return;
	complete_csum(s, p, i->proto);
	icmp_report(s, p->net, (uint32_t)(p->data - p->net) + p->len, p->flags, &m);
}
