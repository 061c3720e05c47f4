/* The packet-script engine: a packet as bytes, and bytes as a packet. Checksums of what is injected
 * are filled in, of what is emitted verified; payload is zero bytes both ways. Fragments are
 * drill_frag's affair. */
#include "sim/drill.h"

#include "wire/icmp.h"
#include "wire/udp.h"

/* ---- Building -------------------------------------------------------------------------------- */

/* The header of TCP as the directives before the packet want it. */
static uint32_t build_tcp_header(
	const struct drill *d, const struct drill_pkt *p, uint8_t *b, bool *bad_csum)
{
	uint8_t opts[TCP_OPTS_MAX_BYTES];
	uint32_t n = tcp_list_emit(opts, p->opts, p->n_opts);
	struct tcp_seg g = p->g;
	uint8_t words = 0;

	g.src_port = p->src_port;
	g.dst_port = p->dst_port;
	for (uint32_t i = 0; i < d->n_tamper; i++) {
		const struct drill_check *k = d->tamper[i];

		if (k->next == NEXT_OPTIONS) {
			memset(opts, 0, sizeof(opts));
			memcpy(opts, k->bytes, k->n_bytes);
			n = (k->n_bytes + 3) / 4 * 4;
		}
		if (k->next == NEXT_OFFSET)
			words = (uint8_t)k->value;
		*bad_csum = *bad_csum || k->next == NEXT_CSUM;
	}
	n = tcp_emit_raw(b, &g, opts, n);
	if (words)
		tcp_set_offset(b, words);
	return n;
}

static uint32_t build_tcp(const struct drill *d, const struct drill_pkt *p, uint8_t *b)
{
	bool bad_csum = false;
	uint32_t n = build_tcp_header(d, p, b, &bad_csum);
	uint32_t sum;

	memset(b + n, 0, p->g.text_bytes);
	n += p->g.text_bytes;
	sum = csum_add_wide(b, n, ip4_pseudo_sum(p->src, p->dst, IP_PROTO_TCP, n));
	tcp_set_csum(b, (uint16_t)(csum_finish(sum) ^ (bad_csum ? 0x1234 : 0)));
	return n;
}

static uint32_t build_udp(const struct drill *d, const struct drill_pkt *p, uint8_t *b)
{
	uint32_t n = UDP_HDR_BYTES + p->g.text_bytes;
	struct udp_hdr h = {p->src_port, p->dst_port, (uint16_t)n, 0};
	uint32_t sum;
	bool bad = false;

	for (uint32_t i = 0; i < d->n_tamper; i++)
		bad = bad || d->tamper[i]->next == NEXT_CSUM;
	udp_emit(b, &h);
	memset(b + UDP_HDR_BYTES, 0, p->g.text_bytes);
	sum = csum_add_wide(b, n, ip4_pseudo_sum(p->src, p->dst, IP_PROTO_UDP, n));
	udp_set_csum(b, (uint16_t)(udp_csum_field(sum) ^ (bad ? 0x1234 : 0)));
	return n;
}

/* The packet quoted by an ICMP error: one of ours, header and the first bytes behind it. */
static uint32_t build_quote(const struct drill_pkt *p, uint8_t *b)
{
	bool udp = p->quote_proto == IP_PROTO_UDP;
	uint32_t l4 = udp ? UDP_HDR_BYTES : TCP_HDR_BYTES;
	struct ip4_hdr h = {.src = p->dst,
		.dst = p->src,
		.total_bytes = (uint16_t)(IP4_HDR_BYTES + l4 + p->quote_bytes),
		.hdr_bytes = IP4_HDR_BYTES,
		.ttl = 63,
		.proto = p->quote_proto,
		.df = !udp};
	struct udp_hdr u = {
		p->quote_src, p->quote_dst, (uint16_t)(UDP_HDR_BYTES + p->quote_bytes), 0};
	struct tcp_seg g = {.src_port = p->quote_src,
		.dst_port = p->quote_dst,
		.seq = {p->quote_seq},
		.flags = TCP_ACK};

	ip4_emit(b, &h);
	if (udp)
		udp_emit(b + IP4_HDR_BYTES, &u);
	else
		tcp_emit(b + IP4_HDR_BYTES, &g);
	return IP4_HDR_BYTES + l4;
}

static uint32_t build_icmp(const struct drill_pkt *p, uint8_t *b)
{
	struct icmp_msg m = {.type = p->icmp_type,
		.code = p->icmp_code,
		.id = p->icmp_id,
		.seq = 1,
		.mtu = p->icmp_mtu};
	uint32_t n = 0;

	if (p->has & PKT_HAS_QUOTE)
		n = build_quote(p, b + ICMP_HDR_BYTES);
	if (p->has & PKT_RAW) {
		n = p->g.text_bytes;
		memset(b + ICMP_HDR_BYTES, 0, n);
	}
	icmp_emit(b, &m, csum_add_wide(b + ICMP_HDR_BYTES, n, 0));
	return ICMP_HDR_BYTES + n;
}

uint32_t drill_build(struct drill *d, const struct drill_event *e, const struct drill_pkt *p)
{
	struct drill_pkt q = *p;
	struct ip4_hdr h = {.hdr_bytes = IP4_HDR_BYTES, .proto = p->proto, .ttl = 64, .df = true};
	uint8_t *l4 = d->frame + IP4_HDR_BYTES;
	uint32_t n;

	q.src = d->o.remote_ip;
	q.dst = d->o.local_ip;
	for (uint32_t i = 0; i < d->n_tamper; i++) {
		if (d->tamper[i]->next == NEXT_SRC)
			q.src = (uint32_t)d->tamper[i]->value;
		if (d->tamper[i]->next == NEXT_DST)
			q.dst = (uint32_t)d->tamper[i]->value;
	}
	if (p->proto == IP_PROTO_TCP)
		n = build_tcp(d, &q, l4);
	else
		n = p->proto == IP_PROTO_UDP ? build_udp(d, &q, l4) : build_icmp(&q, l4);
	d->n_tamper = 0;
	n += IP4_HDR_BYTES;
	if (n > IP4_MAX_BYTES) {
		drill_error(d, e->pos, "this packet is longer than IP allows", "", 0);
		return 0;
	}
	h.src = q.src;
	h.dst = q.dst;
	h.total_bytes = (uint16_t)n;
	h.id = ++d->ip_id;
	h.tos = (uint8_t)((p->has & PKT_HAS_TOS ? p->tos : 0) |
			  (p->has & PKT_HAS_ECN ? p->ecn : 0));
	if (p->has & PKT_HAS_TTL)
		h.ttl = p->ttl;
	ip4_emit(d->frame, &h);
	return n;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static bool all_zero(const uint8_t *b, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (b[i])
			return false;
	return true;
}

static void read_tcp(const uint8_t *b, uint32_t n, struct drill_pkt *p)
{
	int count;

	if (tcp_parse(b, n, &p->g) != TG_DROP_NONE) {
		p->fault = "malformed TCP header";
		return;
	}
	if (csum_fold(csum_add_wide(b, n, ip4_pseudo_sum(p->src, p->dst, IP_PROTO_TCP, n))) !=
		0xffff)
		p->fault = "wrong TCP checksum";
	else if (!all_zero(b + p->g.hdr_bytes, p->g.text_bytes))
		p->fault = "payload is not what the script wrote";
	p->src_port = p->g.src_port;
	p->dst_port = p->g.dst_port;
	p->has |= PKT_HAS_WIN;
	count = tcp_list_parse(
		b + TCP_HDR_BYTES, p->g.hdr_bytes - TCP_HDR_BYTES, p->opts, TCP_LIST_MAX);
	if (count < 0)
		p->fault = "malformed TCP options";
	p->n_opts = count < 0 ? 0 : (uint32_t)count;
}

static void read_udp(const uint8_t *b, uint32_t n, struct drill_pkt *p)
{
	struct udp_hdr h;

	if (udp_parse(b, n, &h) != TG_DROP_NONE || h.bytes != n) {
		p->fault = "malformed UDP header";
		return;
	}
	if (h.csum && csum_fold(csum_add_wide(
			      b, n, ip4_pseudo_sum(p->src, p->dst, IP_PROTO_UDP, n))) != 0xffff)
		p->fault = "wrong UDP checksum";
	p->src_port = h.src_port;
	p->dst_port = h.dst_port;
	p->g.text_bytes = n - UDP_HDR_BYTES;
}

static void read_quote(const uint8_t *b, uint32_t n, struct drill_pkt *p)
{
	struct tcp_seg g;
	struct ip4_hdr h;
	uint32_t l4;

	if (!ip4_parse_quoted(b, n, &h) || n < (uint32_t)h.hdr_bytes + 8) {
		p->fault = "ICMP error quotes too little";
		return;
	}
	tcp_parse_quoted(b + h.hdr_bytes, &g); /* the ports are where UDP has them */
	l4 = h.proto == IP_PROTO_UDP ? UDP_HDR_BYTES : TCP_HDR_BYTES;
	p->has |= PKT_HAS_QUOTE;
	p->quote_proto = h.proto;
	p->quote_seq = h.proto == IP_PROTO_UDP ? 0 : g.seq.v;
	p->quote_src = g.src_port;
	p->quote_dst = g.dst_port;
	p->quote_bytes = h.total_bytes > h.hdr_bytes + l4 ? h.total_bytes - h.hdr_bytes - l4 : 0;
}

static void read_icmp(const uint8_t *b, uint32_t n, struct drill_pkt *p)
{
	struct icmp_msg m;

	if (icmp_parse(b, n, false, csum_add_wide, &m) != TG_DROP_NONE) {
		p->fault = "malformed ICMP message";
		return;
	}
	p->icmp_type = m.type;
	p->icmp_code = m.code;
	p->icmp_mtu = m.mtu;
	p->icmp_id = m.id;
	if (m.mtu)
		p->has |= PKT_HAS_MTU;
	if (m.type == ICMP_ECHO || m.type == ICMP_ECHO_REPLY)
		p->has |= PKT_HAS_ID;
	p->g.text_bytes = m.body_bytes;
	if (icmp_is_error(m.type))
		read_quote(m.body, m.body_bytes, p);
}

void drill_read(const uint8_t *b, uint32_t n, struct drill_pkt *p)
{
	struct ip4_hdr h;

	*p = (struct drill_pkt){0};
	if (ip4_parse(b, n, &h) != TG_DROP_NONE || h.total_bytes != n) {
		p->fault = "malformed IP header";
		return;
	}
	p->src = h.src;
	p->dst = h.dst;
	p->tos = h.tos;
	p->ecn = h.tos & 3;
	p->ttl = h.ttl;
	p->proto = h.proto;
	if (h.proto == IP_PROTO_TCP)
		read_tcp(b + h.hdr_bytes, n - h.hdr_bytes, p);
	else if (h.proto == IP_PROTO_UDP)
		read_udp(b + h.hdr_bytes, n - h.hdr_bytes, p);
	else if (h.proto == IP_PROTO_ICMP)
		read_icmp(b + h.hdr_bytes, n - h.hdr_bytes, p);
}
