/* For the tests of sim/ and of captures: whole frames with known contents. */
#ifndef TG_SIM_SUPPORT_H
#define TG_SIM_SUPPORT_H

#include "sim/segment.h"
#include "unit.h"
#include "wire/eth.h"
#include "wire/tcp_wire.h"
#include "wire/udp.h"

#define SIM_SRC 0xc0000201u /* 192.0.2.1 */
#define SIM_DST 0xc0000202u

/* Byte i of every payload. */
static inline uint8_t sim_byte(uint32_t i)
{
	return (uint8_t)(i * 7 + (i >> 8));
}

/* Writes an Ethernet (or, without, IP) frame of proto TCP or UDP with n payload bytes to b; ip_opt
 * bytes of NOPs as IP options, TCP with timestamps. The transport's checksum is the pseudo-header's
 * sum. Returns the frame's bytes; *hdr (may be NULL) gets those of its headers. */
static inline uint32_t sim_frame(
	uint8_t *b, enum tg_link link, uint8_t proto, uint32_t n, uint8_t ip_opt, uint32_t *hdr)
{
	static const uint8_t mac[2][6] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
	static const uint8_t nops[40] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
		1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
	struct tcp_seg g = {.seq = {0xfffffff0u}, .ack = {5}, .wnd = 1000, .src_port = 1024};
	struct udp_hdr u = {.src_port = 1024, .dst_port = 7};
	struct ip4_hdr ip = {.src = SIM_SRC, .dst = SIM_DST, .id = 0xfffe, .ttl = 64};
	uint32_t at = link == TG_LINK_ETHERNET ? ETH_HDR_BYTES : 0, l4, pseudo;

	g.flags = TCP_ACK | TCP_PSH | TCP_FIN | TCP_CWR;
	g.dst_port = 7;
	g.opts.has = TCP_HAS_TS;
	l4 = proto == IP_PROTO_TCP ? tcp_hdr_bytes(&g.opts) : UDP_HDR_BYTES;
	ip.proto = proto;
	ip.hdr_bytes = (uint8_t)(IP4_HDR_BYTES + ip_opt);
	ip.options = ip_opt ? nops : NULL;
	ip.total_bytes = (uint16_t)(ip.hdr_bytes + l4 + n);
	pseudo = ip4_pseudo_sum(ip.src, ip.dst, proto, l4 + n);
	if (at)
		eth_emit(b, mac[1], mac[0], ETH_TYPE_IP4);
	ip4_emit(b + at, &ip);
	at += ip.hdr_bytes;
	u.bytes = (uint16_t)(UDP_HDR_BYTES + n);
	u.csum = csum_fold(pseudo);
	if (proto == IP_PROTO_TCP) {
		tcp_emit(b + at, &g);
		tcp_set_csum(b + at, csum_fold(pseudo));
	} else {
		udp_emit(b + at, &u);
	}
	at += l4;
	if (hdr)
		*hdr = at;
	for (uint32_t i = 0; i < n; i++)
		b[at + i] = sim_byte(i);
	return at + n;
}

/* The IPv4 packet at b is whole, and its TCP or UDP checksum complete and right. */
static inline bool sim_packet_ok(const uint8_t *b, uint32_t bytes, enum tg_link link)
{
	uint32_t at = link == TG_LINK_ETHERNET ? ETH_HDR_BYTES : 0, l4;
	struct ip4_hdr ip;

	if (ip4_parse(b + at, bytes - at, &ip) != TG_DROP_NONE || at + ip.total_bytes != bytes)
		return false;
	at += ip.hdr_bytes;
	l4 = bytes - at;
	return csum_fold(csum_add_scalar(
		       b + at, l4, ip4_pseudo_sum(ip.src, ip.dst, ip.proto, l4))) == 0xffff;
}

#endif
