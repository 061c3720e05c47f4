/* Judges every frame that a host hands to its wire by a parser of its own, written from the RFCs
 * and not shared with the stack: Ethernet, ARP (RFC 826), IPv4 (RFC 791), ICMP (RFC 792), UDP (RFC
 * 768); TCP is in sim_tcp.c. Nothing above the MTU, no offload that was not granted, no bad
 * checksum. */
#include "sim.h"

static uint8_t bytes[70000];

static uint32_t load16(const uint8_t *b)
{
	return (uint32_t)b[0] << 8 | b[1];
}
static uint32_t load32(const uint8_t *b)
{
	return load16(b) << 16 | load16(b + 2);
}

static uint32_t sum16(const uint8_t *b, uint32_t n, uint32_t sum)
{
	uint64_t s = sum;

	for (; n >= 2; n -= 2, b += 2)
		s += load16(b);
	if (n)
		s += (uint32_t)b[0] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint32_t)s;
}

static void arp_seen(const uint8_t *b, uint32_t n, unsigned host, unsigned wire)
{
	SIM_CHECK(n >= 28 && load16(b) == 1 && load16(b + 2) == 0x0800 && b[4] == 6 && b[5] == 4);
	SIM_CHECK(load16(b + 6) == 1 || load16(b + 6) == 2);
	SIM_CHECK(load32(b + 14) == (10u << 24 | wire << 8 | (host + 1)));
}

static uint32_t pseudo(const uint8_t *ip, uint32_t l4_bytes)
{
	return sum16(ip + 12, 8, ip[9] + l4_bytes);
}

/* The transport's checksum: complete, or left to a device that said it would do that. */
static void csum_seen(const struct tg_frame *f, const uint8_t *ip, const struct seen_ip *i,
	uint32_t offset, uint32_t caps)
{
	uint32_t at = (uint32_t)(i->l4 - bytes);

	if (!f->csum_partial) {
		if (sum16(i->l4, i->l4_bytes, pseudo(ip, i->l4_bytes)) != 0xffff)
			sim_fail("host %u sent a bad transport checksum, protocol %u", i->host,
				ip[9]);
		return;
	}
	SIM_CHECK(caps & TG_CAP_CSUM);
	SIM_CHECK(f->csum_start == at && f->csum_offset == offset);
	SIM_CHECK(load16(i->l4 + offset) == pseudo(ip, i->l4_bytes));
}

static void udp_seen(
	const struct tg_frame *f, const uint8_t *ip, const struct seen_ip *i, uint32_t caps)
{
	SIM_CHECK(i->l4_bytes >= 8 && load16(i->l4 + 4) == i->l4_bytes);
	SIM_CHECK(load16(i->l4 + 6) != 0);
	csum_seen(f, ip, i, 6, caps);
}

static void gso_seen(
	const struct tg_frame *f, const uint8_t *ip, const struct seen_ip *i, uint32_t caps)
{
	uint32_t l4_off = (uint32_t)(i->l4 - ip), l4_hdr = ip[9] == 6 ? (i->l4[12] >> 4) * 4u : 8;

	SIM_CHECK(f->gso == (ip[9] == 6 ? TG_GSO_TCP4 : TG_GSO_UDP4));
	SIM_CHECK(caps & (f->gso == TG_GSO_TCP4 ? TG_CAP_TSO4 : TG_CAP_USO4));
	SIM_CHECK(f->csum_partial && f->gso_size > 0);
	SIM_CHECK(f->hdr_bytes == 14 + l4_off + l4_hdr);
	if (l4_off + l4_hdr + f->gso_size > i->mtu)
		sim_fail("host %u sent segments of %u bytes over an MTU of %u", i->host,
			l4_off + l4_hdr + f->gso_size, i->mtu);
}

static void ip_seen(
	const struct tg_frame *f, const uint8_t *ip, uint32_t n, unsigned host, unsigned wire)
{
	uint32_t ihl = n >= 20 ? (ip[0] & 15u) * 4 : 0, caps = sim->plan.host[host].caps, frag;
	struct seen_ip i = {.host = host,
		.mtu = sim->plan.host[host].mtu,
		.gso_size = f->gso ? f->gso_size : 0};
	uint32_t dst = n >= 20 ? load32(ip + 16) : 0;

	if (ihl < 20 || ip[0] >> 4 != 4 || n < ihl || load16(ip + 2) != n ||
		sum16(ip, ihl, 0) != 0xffff) {
		sim_fail("host %u sent a broken IP header", host);
		return;
	}
	SIM_CHECK(load32(ip + 12) == (10u << 24 | wire << 8 | (host + 1)));
	i.peer = dst >> 8 == (10u << 16 | wire) ? (dst & 0xff) - 1 : SIM_HOSTS;
	SIM_CHECK(i.peer < sim->plan.n_hosts && i.peer != host && wire_of(host, i.peer) == wire);
	i.ect = ip[1] == 2 && ip[9] == 6;
	SIM_CHECK(ip[8] > 0 && (ip[1] == 0 || i.ect));
	i.l4 = ip + ihl;
	i.l4_bytes = n - ihl;
	if (f->gso)
		gso_seen(f, ip, &i, caps);
	else if (n > i.mtu)
		sim_fail("host %u sent a packet of %u bytes over an MTU of %u", host, n, i.mtu);
	frag = load16(ip + 6);
	if (frag & 0x3fff) { /* a fragment: its transport header is judged by the receiver */
		SIM_CHECK(!f->gso && !f->csum_partial && !(frag & 0x4000));
		SIM_CHECK(!(frag & 0x2000) || i.l4_bytes % 8 == 0);
		return;
	}
	if (ip[9] == 6) {
		csum_seen(f, ip, &i, 16, caps);
		segment_seen(&i);
	} else if (ip[9] == 17) {
		udp_seen(f, ip, &i, caps);
	} else {
		SIM_CHECK(ip[9] == 1 && !f->csum_partial && sum16(i.l4, i.l4_bytes, 0) == 0xffff);
	}
}

void frame_seen(unsigned host, unsigned wire, const struct tg_frame *f)
{
	uint32_t n = 0;

	for (uint32_t k = 0; k < f->n_spans; k++) {
		if (n + f->span[k].len > sizeof(bytes)) {
			sim_fail("host %u sent a frame that is too long", host);
			return;
		}
		memcpy(bytes + n, f->span[k].base, f->span[k].len);
		n += f->span[k].len;
	}
	sim_hash(bytes, n);
	SIM_CHECK(n == f->bytes && n >= 14 && f->hdr_bytes <= f->span[0].len);
	if (n < 14)
		return;
	if (load16(bytes + 12) == 0x0806)
		arp_seen(bytes + 14, n - 14, host, wire);
	else if (load16(bytes + 12) == 0x0800)
		ip_seen(f, bytes + 14, n - 14, host, wire);
	else
		sim_fail("host %u sent EtherType %04x", host, load16(bytes + 12));
}
