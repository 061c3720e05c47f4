/* The network layer as the transports see it. IPv4 now; addresses are opaque 16 bytes, so that IPv6
 * becomes new files behind the same functions. */
#ifndef TG_IP_H
#define TG_IP_H

#include "core/core.h"

/* A remembered way to a destination: 12 bytes in a connection. Valid while generation equals the
 * network layer's, which moves on with every change of routes, addresses and neighbours. Zero it to
 * begin. */
struct ip_path {
	uint32_t generation;
	uint16_t netif;
	uint16_t neigh; /* index of the neighbour entry; 0xffff: none needed */
	uint16_t mtu;
	uint16_t flags; /* private */
};

/* What ip_output and ip_send need besides the bytes. */
struct ip_flow {
	struct tg_ip src, dst;
	struct ip_path *path;  /* may be NULL: looked up each time */
	struct sender *waiter; /* ip_output: parked here while the next hop resolves (TX_WAIT).
				  NULL: a copy is held instead and TX_OK returned */
	uint8_t proto, ttl, tos;
	bool df;        /* don't fragment */
	bool cut;       /* what exceeds the MTU is fragmented here all the same, without DF */
	bool link_mtu;  /* the interface's MTU counts, whatever was learnt of the path */
	bool bcast;     /* the socket may send broadcasts */
	uint16_t netif; /* leave through this one; 0: as routed */
	bool loop;      /* ip_output: to a group: a copy for ourselves */
	bool stay;      /* ... and that is all, nothing leaves */
};

/* tg_dgram.via: an interface, and whether it is the loopback one, which nothing is routed to. */
#define IP_VIA_LOOPBACK 1u
static inline uint16_t ip_netif_of(uint16_t via)
{
	return via ? (uint16_t)(via - 1) : 0;
}

int ip_init(struct tg *s);

/* Chooses interface, neighbour and MTU for dst and, if *src is any, the source address. 0, or
 * -TG_ENETUNREACH (no route), -TG_EHOSTUNREACH (neighbour failed lately), -TG_EADDRNOTAVAIL (*src
 * is not ours), -TG_EACCES (broadcast, !bcast), -TG_EINVAL (dst impossible, or a loopback source
 * for the wire), -TG_ENOBUFS (neighbour table full). Does not wait for ARP and sends nothing. */
int ip_resolve(struct tg *s, const struct tg_ip *dst, struct tg_ip *src, uint16_t netif, bool bcast,
	struct ip_path *path);

/* Sends t now; only from a sender's turn inside tg_step. One of TCP's super-frames needs a waiter.
 * f->src may be any: then it is chosen, and t must not be checksummed against another. f->ttl 0
 * means the default. Fills in network and link header, splits what exceeds the MTU unless df (a GSO
 * super-frame never counts as too big if its segments fit). TX_OK (see t->accepted), TX_BUSY,
 * TX_WAIT, TX_DROPPED with t->error TG_EMSGSIZE (path->mtu says the limit), TG_EHOSTUNREACH,
 * TG_ENETUNREACH ... */
enum tx_result ip_output(struct tg *s, struct tx *t, const struct ip_flow *f);

/* Copies t (no super-frame) and queues it as control frame(s), at any time: RST, challenge ACK,
 * ICMP. Held back while the next hop resolves. 0, or a negative errno: then it was counted in
 * counters.discards. */
int ip_send(struct tg *s, struct tx *t, const struct ip_flow *f);

/* Is a one of our addresses (loopback included)? Is it a broadcast address of netif (any of the
 * four forms, RFC 1122 3.2.1.3), or of any interface if netif is 0? Multicast (class D)? Usable as
 * a unicast source or destination? */
bool ip_is_ours(const struct tg *s, const struct tg_ip *a);
bool ip_is_broadcast(const struct tg *s, const struct tg_ip *a, uint16_t netif);
/* The interface that has a (loopback addresses: 0), or -1. */
int ip_netif_with(const struct tg *s, const struct tg_ip *a);
bool ip_is_multicast(const struct tg_ip *a);
bool ip_is_any(const struct tg_ip *a);
bool ip_is_loopback(const struct tg_ip *a);
static inline bool ip_equal(const struct tg_ip *a, const struct tg_ip *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}
/* Small number of one of our addresses, stable while it exists, and back: tables of 64-byte entries
 * keep that instead of 16 bytes. -1 / false: not ours. All of 127/8 is ours; one of its addresses
 * that nobody configured has a number once something was sent to it, -1 if there are too many. */
int ip_addr_index(const struct tg *s, const struct tg_ip *a);
bool ip_addr_at(const struct tg *s, int index, struct tg_ip *out);

/* Partial checksum of the pseudo-header for `len` bytes of transport header and data. */
uint32_t ip_pseudo_sum(
	const struct tg_ip *src, const struct tg_ip *dst, uint8_t proto, uint32_t len);
/* Header bytes that the network layer adds for dst: MSS = MTU - this - 20. */
uint32_t ip_header_bytes(const struct tg_ip *dst);
/* Would ip_resolve find this path again? */
bool ip_path_stands(const struct tg *s, const struct ip_path *path, bool bcast);
/* Fills df, cut and link_mtu of a flow as a socket's enum tg_pmtu wants them. */
void ip_flow_discover(struct ip_flow *f, uint8_t pmtu);
/* May a socket with `pmtu` send a datagram of l4_bytes (behind the network header) to dst? */
bool ip_fits(
	struct tg *s, const struct tg_ip *dst, struct ip_path *path, uint8_t pmtu, size_t l4_bytes);
/* MTU towards dst as far as known (interface, or path MTU learnt), bytes. */
uint32_t ip_mtu(const struct tg *s, const struct tg_ip *dst, const struct ip_path *path);
/* The largest packet that may go along path as one frame of segments: its interface's. */
uint32_t ip_frame_most(const struct tg *s, const struct ip_path *path);
/* MMS_R: the largest transport message we can receive from dst's direction (interface MTU - 20):
 * MSS advertised is this - 20 [9293 MUST-67]. */
uint32_t ip_mms_r(struct tg *s, const struct tg_ip *dst, struct ip_path *path);

/* Answers p (still holding its network header) with ICMP unreachable protocol/port; p stays the
 * caller's. Nothing is sent where RFC 1122 3.2.2 forbids it. */
enum ip_reject { IP_REJECT_PROTOCOL, IP_REJECT_PORT };
void ip_reject(struct tg *s, const struct tg_pkt *p, const struct ip_info *i, enum ip_reject how);

/* Looks into a frame that has not been input: the transport's part of a datagram that is no
 * fragment, of which as little is checked as keeps the look within the frame. src, dst and proto of
 * *i are filled in, *bytes: of what is returned. NULL: there is none. */
const uint8_t *ip_peek(
	const struct tg *s, unsigned netif, struct tg_pkt *p, struct ip_info *i, uint32_t *bytes);

/* Nothing here is for p (at its transport header), as nothing else was at fault: if several
 * instances share our addresses it is passed on to the one that singular sockets belong to. True:
 * it was, and p is taken. */
bool ip_passes_home(struct tg *s, struct tg_pkt *p, const struct ip_info *i);

/* Advice from TCP. Positive: the neighbour behind path works (RFC 1122 3.3.1.4). Negative: R1 was
 * reached, look the next hop up again (RFC 9293 MUST-20, RFC 1122 4.2.3.5). */
void ip_advise_good(struct tg *s, struct ip_path *path);
void ip_advise_bad(struct tg *s, struct ip_path *path);
/* Learnt a smaller path MTU towards dst (already checked by the transport). */
void ip_set_pmtu(struct tg *s, const struct tg_ip *dst, uint32_t mtu);

/* The calls themselves, as tapglass.h describes them: sock/boundary.c has the public functions. */
int ip_addr_add(
	struct tg *s, unsigned netif, const struct tg_ip *ip, unsigned prefix_len, uint64_t now_ns);
int ip_route_add(struct tg *s, const struct tg_ip *dest, unsigned prefix_len,
	const struct tg_ip *gateway, unsigned netif, unsigned metric, uint64_t now_ns);
int ip_route_del(struct tg *s, const struct tg_ip *dest, unsigned prefix_len,
	const struct tg_ip *gateway, unsigned netif, uint64_t now_ns);

#endif
