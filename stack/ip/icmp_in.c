/* ICMP messages in: echo requests are answered, errors go to the transport that caused them.
 *
 * RFC 792, RFC 1122 3.2.2 and what it says of each type, RFC 1191 3, 5 and 7.1 (next hop's MTU),
 * RFC 5927 4 (an error has to quote a live flow), RFC 6633 (source quench), RFC 6918 (types that
 * nobody uses). Raw sockets of the quoted protocol hear of errors, too. Redirects are ignored: on a
 * network of today they are an attack more often than a help [1122-C7]. Raw sockets get a copy of
 * everything but echo requests that are answered here. */
#include "ip/ip_private.h"

#define QUOTE_L4_BYTES 8u

/* Datagram sizes at which paths usually end [1191 7.1], the MTU to try below each. */
static uint16_t plateau_below(uint16_t total_bytes)
{
	static const uint16_t plateau[] = {
		32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68};

	for (unsigned i = 0; i < ARRAY_LEN(plateau); i++)
		if (plateau[i] < total_bytes)
			return plateau[i];
	return 68;
}

/* The errno that stands for an unreachable code, 0: unknown code [792, 1122 3.2.2.1, 1812 5.2.7.1].
 */
static int unreachable_errno(uint8_t code)
{
	static const uint8_t table[16] = {TG_ENETUNREACH, TG_EHOSTUNREACH, TG_ENOPROTOOPT,
		TG_ECONNREFUSED, TG_EMSGSIZE, TG_EOPNOTSUPP, TG_ENETUNREACH, TG_EHOSTUNREACH,
		TG_EHOSTUNREACH, TG_ENETUNREACH, TG_EHOSTUNREACH, TG_ENETUNREACH, TG_EHOSTUNREACH,
		TG_EHOSTUNREACH, TG_EHOSTUNREACH, TG_EHOSTUNREACH};

	return code < ARRAY_LEN(table) ? table[code] : 0;
}

static int icmp_errno(const struct icmp_msg *m)
{
	if (m->type == ICMP_UNREACHABLE)
		return unreachable_errno(m->code);
	/* [1122-C9] */
	return m->type == ICMP_TIME_EXCEEDED ? TG_EHOSTUNREACH : TG_EPROTO;
}

/* As Linux sorts them: net, host and source route unreachable (for a TOS, too) and time exceeded
 * may pass. */
static bool is_fatal(const struct icmp_msg *m)
{
	const uint32_t may_pass = 1u << ICMP_UNREACH_NET | 1u << ICMP_UNREACH_HOST |
				  1u << ICMP_UNREACH_SRCROUTE | 1u << 11 | 1u << 12;

	if (m->type == ICMP_UNREACHABLE)
		return !(may_pass >> m->code & 1);
	return m->type == ICMP_PARAM_PROBLEM;
}

/* [1122-C3] hands the error to the transport. TG_DROP_NONE: a live flow took it. */
static enum tg_drop error_deliver(struct tg *s, const struct icmp_msg *m, const struct ip_info *i)
{
	const struct transport *t;
	struct ip_error e = {.error = icmp_errno(m), .icmp_type = m->type, .icmp_code = m->code};
	struct ip4_hdr q;
	bool known;

	if (!e.error)
		return TG_DROP_ICMP_TYPE; /* [1122-C1] a code that nobody defined */
	if (!ip4_parse_quoted(m->body, m->body_bytes, &q) ||
		m->body_bytes - q.hdr_bytes < QUOTE_L4_BYTES || q.frag_off)
		return TG_DROP_ICMP_QUOTE;
	/* [5927 4] we must have sent it, and from the address that is told now */
	if (q.src != tg_ip4_value(&i->dst) || !ip4_is_ours(s, q.src))
		return TG_DROP_ICMP_NO_FLOW;
	t = core_find_transport(s, q.proto);
	e.proto = q.proto;
	e.datagram = m->body;
	e.datagram_bytes = m->body_bytes;
	e.local = tg_ip4_of(q.src);
	e.remote = tg_ip4_of(q.dst);
	e.from = i->src;
	e.quote = m->body + q.hdr_bytes;
	e.quote_bytes = m->body_bytes - q.hdr_bytes;
	if (m->type == ICMP_UNREACHABLE) {
		/* [9293 SHLD-26] codes 2 and 3; code 4 is path MTU discovery */
		e.hard = m->code == ICMP_UNREACH_PROTOCOL || m->code == ICMP_UNREACH_PORT;
		/* [1191-4, 1191 5] an old router does not say: the next plateau. [1191 3] never
		 * below 68; what would have fitted was not the reason */
		if (m->code == ICMP_UNREACH_FRAG)
			e.mtu = m->mtu >= 68 && m->mtu < q.total_bytes
					? m->mtu
					: plateau_below(q.total_bytes);
	}
	e.fatal = is_fatal(m);
	known = s->raw_error && s->raw_error(s, &e);
	known |= t && t->error && t->error(s, &e);
	return known ? TG_DROP_NONE : TG_DROP_ICMP_NO_FLOW;
}

/* Why a message is of no use to the stack itself; TG_DROP_NONE: it was. */
static enum tg_drop icmp_act(struct tg *s, const struct icmp_msg *m, const struct ip_info *i)
{
	switch (m->type) {
	case ICMP_ECHO_REPLY: return TG_DROP_ICMP_NO_LISTENER;
	case ICMP_UNREACHABLE:
	case ICMP_TIME_EXCEEDED:
	case ICMP_PARAM_PROBLEM:
		/* Errors are for one host. */
		return i->group ? TG_DROP_ICMP_BROADCAST : error_deliver(s, m, i);
	case ICMP_SOURCE_QUENCH:
		return TG_DROP_ICMP_SOURCE_QUENCH;        /* [6633 3, 1122-C8, 9293 MUST-55] */
	case ICMP_REDIRECT: return TG_DROP_ICMP_REDIRECT; /* [1122-C7] declined */
	default: return TG_DROP_ICMP_TYPE;                /* [1122-C1] [1122-C11] */
	}
}

static bool echo_in(struct tg *s, const struct icmp_msg *m, const struct ip_info *i,
	struct tg_pkt *p, bool taken)
{
	s->counters.icmp_in_echos++;
	if (!s->cfg.ip.icmp_echo)
		return false;
	/* [1122-C10] [1122 3.2.2.6] may be dropped, or a spoofed one would be answered by all hosts
	 * at once */
	if (i->group) {
		if (taken)
			pkt_deliver(s, p);
		else
			pkt_drop(s, p, TG_DROP_ICMP_BROADCAST);
		return true;
	}
	icmp_echo_reply(s, m, i);
	pkt_deliver(s, p);
	return true;
}

void icmp_input(struct tg *s, struct tg_pkt *p, const struct ip_info *i)
{
	struct icmp_msg m;
	enum tg_drop why = icmp_parse(p->data, p->len, p->csum == TG_CSUM_VALID, s->csum, &m);
	bool taken;

	s->counters.icmp_in_msgs++;
	if (why != TG_DROP_NONE) {
		s->counters.icmp_in_errors++;
		pkt_drop(s, p, why);
		return;
	}
	icmp_trace(s, &m, tg_ip4_value(&i->src), i->netif, false);
	taken = s->raw_input && s->raw_input(s, p, i);
	if (m.type == ICMP_ECHO && echo_in(s, &m, i, p, taken))
		return;
	why = icmp_act(s, &m, i);
	if (taken || why == TG_DROP_NONE)
		pkt_deliver(s, p);
	else
		pkt_drop(s, p, why);
}
