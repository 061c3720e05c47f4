/* What the tests of datagram sockets share: an instance with IP, UDP and raw sockets, an interface
 * of plain IP with 192.0.2.2/24, and datagrams from the wire. One instance a program, made anew for
 * each test. */
#ifndef TG_UDP_SUPPORT_H
#define TG_UDP_SUPPORT_H

#include "core_support.h"

#include "core/dgram.h"
#include "raw/raw.h"
#include "udp/udp.h"
#include "wire/icmp.h"
#include "wire/ip4.h"
#include "wire/patch.h"
#include "wire/udp.h"

#define US    tg_ip4(192, 0, 2, 2)
#define THEM  tg_ip4(192, 0, 2, 1)
#define OTHER tg_ip4(192, 0, 2, 9)
#define BCAST tg_ip4(192, 0, 2, 255)
#define LOCAL tg_ip4(127, 0, 0, 1)
#define ANY   ((struct tg_ip){{0}})

static struct tg *s;
static struct dev dev;
static unsigned nif;
static uint64_t idle_bytes;

static inline uint64_t in_use(void)
{
	struct tg_memory m;

	tg_memory_stats(s, &m);
	return m.in_use_bytes;
}

/* The tables keep their first buckets once they have them. */
static inline void warm_up(void)
{
	struct tg_addr us = {US, 9}, them = {THEM, 9};
	struct endpoint *e = udp_open(s, 0);

	ck_assert_int_eq(udp_bind(s, e, &us), 0);
	ck_assert_int_eq(udp_connect(s, e, &them), 0);
	udp_close(s, e);
}

static inline void setup_with(uint32_t caps, uint16_t port_first, uint16_t port_last)
{
	struct tg_ip us = US;
	struct tg_config c;

	world_config(&c);
	c.tcp.port_first = port_first;
	c.tcp.port_last = port_last;
	s = core_create(&c, world_memory(), WORLD_BYTES, 0);
	ck_assert_ptr_nonnull(s);
	ck_assert_int_eq(ip_init(s), 0);
	ck_assert_int_eq(udp_init(s), 0);
	ck_assert_int_eq(raw_init(s), 0);
	dev_init(&dev);
	nif = world_netif(s, &dev, TG_LINK_IP, caps, 1500);
	ck_assert_int_eq(tg_addr_add(s, nif, &us, 24, 0), 0);
	warm_up();
	idle_bytes = in_use();
}

static inline void setup(void)
{
	setup_with(0, 32768, 60999);
}

static inline void teardown(void)
{
	dev_clear(&dev);
	world_end(s);
}

static inline struct tg_addr at(struct tg_ip ip, uint16_t port)
{
	return (struct tg_addr){ip, port};
}

static inline struct endpoint *sock_open(tg_sock *k)
{
	struct endpoint *e = udp_open(s, 42);
	tg_sock any;

	ck_assert_ptr_nonnull(e);
	ck_assert_int_eq(handle_open(s, e, k ? k : &any), 0);
	return e;
}

static inline int try_bind(struct endpoint *e, struct tg_ip ip, uint16_t port)
{
	struct tg_addr a = at(ip, port);

	return udp_bind(s, e, &a);
}

static inline struct endpoint *bound(struct tg_ip ip, uint16_t port)
{
	struct endpoint *e = sock_open(NULL);

	ck_assert_int_eq(try_bind(e, ip, port), 0);
	return e;
}

static inline struct endpoint *connected(
	struct tg_ip ip, uint16_t port, struct tg_ip peer, uint16_t peer_port)
{
	struct endpoint *e = sock_open(NULL);
	struct tg_addr a = at(peer, peer_port);

	udp_setopt(s, e, TG_SO_REUSEADDR, 1);
	ck_assert_int_eq(try_bind(e, ip, port), 0);
	ck_assert_int_eq(udp_connect(s, e, &a), 0);
	return e;
}

static inline void done(struct endpoint *e)
{
	handle_close(s, e);
	udp_close(s, e);
}

static inline int64_t send_to(
	struct endpoint *e, const void *data, size_t n, struct tg_ip ip, uint16_t port)
{
	struct tg_dgram to;

	memset(&to, 0, sizeof(to));
	to.peer = at(ip, port);
	return udp_sendto(s, e, data, n, 0, &to);
}

static inline int64_t recv_len(struct endpoint *e)
{
	static uint8_t b[65536];

	return udp_recvfrom(s, e, b, sizeof(b), 0, NULL);
}

/* ---- Datagrams from the wire ---- */

struct wire_dgram {
	struct tg_ip src, dst;
	uint16_t sport, dport;
	uint32_t bytes;   /* of payload */
	uint32_t padding; /* behind it, within the IP packet */
	bool no_csum, bad_csum;
	uint8_t csum; /* enum tg_csum, as the device says */
	uint16_t gso_size;
	bool reserve; /* make it come out of the reserve */
};

static inline uint32_t wire_build(uint8_t *b, const struct wire_dgram *w)
{
	uint32_t len = UDP_HDR_BYTES + w->bytes, sum;
	struct ip4_hdr ip = {.src = tg_ip4_value(&w->src),
		.dst = tg_ip4_value(&w->dst),
		.ttl = 9,
		.tos = 4,
		.proto = IP_PROTO_UDP,
		.hdr_bytes = 20,
		.total_bytes = (uint16_t)(20 + len + w->padding)};
	struct udp_hdr u = {w->sport, w->dport, (uint16_t)len, 0};

	ip4_emit(b, &ip);
	udp_emit(b + 20, &u);
	for (uint32_t i = 0; i < w->bytes; i++)
		b[28 + i] = (uint8_t)(i * 7);
	memset(b + 28 + w->bytes, 0xee, w->padding);
	sum = ip4_pseudo_sum(ip.src, ip.dst, IP_PROTO_UDP, len);
	if (w->csum == TG_CSUM_PARTIAL)
		udp_set_csum(b + 20, csum_fold(sum));
	else if (!w->no_csum)
		udp_set_csum(b + 20, udp_csum_field(csum_add_scalar(b + 20, len, sum)));
	if (w->bad_csum)
		b[28] ^= 1;
	return 20 + len + w->padding;
}

static inline void wire_in(const struct wire_dgram *w)
{
	struct tg_pkt *p;

	if (w->reserve)
		tg_memory_fail_after(s, 1, 0);
	p = tg_pkt_alloc(s, TG_PKT_LARGE);
	tg_memory_fail_after(s, 0, 0);
	ck_assert_ptr_nonnull(p);
	p->len = wire_build(p->data, w);
	p->csum = w->csum;
	if (w->gso_size) {
		p->gso = TG_GSO_UDP4;
		p->gso_size = w->gso_size;
	}
	tg_input(s, nif, p, s->now_ns);
	world_check(s);
}

static inline void from_them(struct tg_ip src, uint16_t sport, struct tg_ip dst, uint16_t dport)
{
	struct wire_dgram w = {.src = src, .sport = sport, .dst = dst, .dport = dport, .bytes = 5};

	wire_in(&w);
}

static inline uint64_t drops(enum tg_drop d)
{
	return tg_counters(s)->drops[d];
}

#endif
