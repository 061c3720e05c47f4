/* What pd_host.h declares: packets as bytes, made and checked with no help of the stack's. */
#include "pd_host.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static void put16(uint8_t *b, unsigned v)
{
	b[0] = (uint8_t)(v >> 8);
	b[1] = (uint8_t)v;
}

static void put32(uint8_t *b, uint32_t v)
{
	put16(b, v >> 16);
	put16(b + 2, v & 0xffff);
}

static unsigned get16(const uint8_t *b)
{
	return (unsigned)b[0] << 8 | b[1];
}

static uint32_t get32(const uint8_t *b)
{
	return (uint32_t)get16(b) << 16 | get16(b + 2);
}

static uint32_t sum(const uint8_t *b, uint32_t n, uint32_t s)
{
	for (uint32_t i = 0; i + 1 < n; i += 2)
		s += get16(b + i);
	if (n & 1)
		s += (uint32_t)b[n - 1] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

static uint32_t transport_sum(const uint8_t *ip, uint32_t n)
{
	uint32_t s = ip[9] == IPPROTO_ICMP ? 0 : sum(ip + 12, 8, ip[9] + n - 20);

	return sum(ip + 20, n - 20, s);
}

static uint32_t header_bytes(const struct seg *s)
{
	return s->proto == IPPROTO_UDP || s->proto == IPPROTO_ICMP ? 8 : 20 + s->n_opts;
}

uint32_t seg_build(const struct seg *s, uint8_t *out)
{
	uint32_t hdr = header_bytes(s), body = s->quote ? s->quote_bytes : s->len;
	uint32_t n = 20 + hdr + body;
	uint8_t *t = out + 20, *at = t + 16;

	memset(out, 0, n);
	out[0] = 0x45;
	put16(out + 2, n);
	out[8] = 64;
	out[9] = s->proto ? s->proto : IPPROTO_TCP;
	put32(out + 12, s->src ? s->src : PD_REMOTE_IP);
	put32(out + 16, s->dst ? s->dst : PD_LOCAL_IP);
	put16(out + 10, ~sum(out, 20, 0) & 0xffff);
	if (out[9] == IPPROTO_ICMP) {
		t[0] = s->icmp_type;
		t[1] = s->icmp_code;
		put32(t + 4, s->icmp_rest);
		if (s->quote)
			memcpy(t + 8, s->quote, s->quote_bytes);
		at = t + 2;
	} else {
		put16(t, s->sport);
		put16(t + 2, s->dport);
	}
	if (out[9] == IPPROTO_UDP) {
		put16(t + 4, n - 20);
		at = t + 6;
	} else if (out[9] == IPPROTO_TCP) {
		put32(t + 4, s->seq);
		put32(t + 8, s->ack);
		t[12] = (uint8_t)(hdr / 4 << 4);
		t[13] = s->flags;
		put16(t + 14, s->win);
		put16(t + 18, s->urg);
		memcpy(t + 20, s->opts, s->n_opts);
	}
	put16(at, ~transport_sum(out, n) & 0xffff);
	return n;
}

static const char *parse_transport(struct seg *s, const uint8_t *t, uint32_t n)
{
	uint32_t hdr = 8;

	if (s->proto == IPPROTO_ICMP) {
		s->icmp_type = t[0];
		s->icmp_code = t[1];
		s->icmp_rest = get32(t + 4);
		s->len = n - 8;
		return NULL;
	}
	s->sport = (uint16_t)get16(t);
	s->dport = (uint16_t)get16(t + 2);
	if (s->proto == IPPROTO_TCP) {
		hdr = (uint32_t)t[12] >> 4 << 2;
		if (hdr < 20 || hdr > n)
			return "TCP header";
		s->seq = get32(t + 4);
		s->ack = get32(t + 8);
		s->flags = t[13];
		s->win = (uint16_t)get16(t + 14);
		s->urg = (uint16_t)get16(t + 18);
		s->n_opts = hdr - 20;
		memcpy(s->opts, t + 20, s->n_opts);
	} else if (get16(t + 4) != n) {
		return "UDP length";
	}
	s->len = n - hdr;
	for (uint32_t i = hdr; i < n; i++)
		if (t[i])
			return "payload";
	return NULL;
}

const char *seg_parse(struct seg *s, const uint8_t *b, uint32_t n)
{
	if (n < 28 || b[0] != 0x45 || get16(b + 2) != n)
		return "IP header";
	if (sum(b, 20, 0) != 0xffff)
		return "IP checksum";
	if (transport_sum(b, n) != 0xffff)
		return "transport checksum";
	s->proto = b[9];
	s->src = get32(b + 12);
	s->dst = get32(b + 16);
	s->raw_bytes = n < sizeof(s->raw) ? n : (uint32_t)sizeof(s->raw);
	memcpy(s->raw, b, s->raw_bytes);
	return parse_transport(s, b + 20, n - 20);
}

void pd_inject(struct pd_host *h, const struct seg *s)
{
	static uint8_t b[65536];

	ck_assert_int_eq(h->ifc.netdev_send(h->u, b, seg_build(s, b)), 0);
}

bool pd_receive(struct pd_host *h, struct seg *s)
{
	static uint8_t b[65536];
	size_t n = sizeof(b);
	const char *bad;

	memset(s, 0, sizeof(*s));
	ck_assert_int_eq(h->ifc.netdev_receive(h->u, b, &n, &s->time_us), 0);
	s->time_us -= h->start_us;
	if (!n)
		return false;
	bad = seg_parse(s, b, (uint32_t)n);
	ck_assert_msg(!bad, "a packet's %s is wrong", bad);
	return true;
}

void pd_expect(
	struct pd_host *h, struct seg *s, unsigned flags, uint32_t seq, uint32_t ack, uint32_t len)
{
	ck_assert_msg(pd_receive(h, s), "no packet came");
	ck_assert_uint_eq(s->flags, flags);
	ck_assert_uint_eq(s->seq, seq);
	ck_assert_uint_eq(s->ack, ack);
	ck_assert_uint_eq(s->len, len);
}
