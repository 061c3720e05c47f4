/* An instance with so many connections, and the other ends of all of them: for conn_cost.c. */
#ifndef TG_BENCH_CONN_WORLD_H
#define TG_BENCH_CONN_WORLD_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "port/host.h"
#include "tcp/tcp.h"
#include "tcp/tcp_ahead.h"
#include "wire/ip4.h"

#define RESERVED   (12ull << 30)
#define BUDGET     (6ull << 30)
#define US         0x0afffffeu /* 10.255.255.254 */
#define PORT       80
#define FAR_PORT   4000
#define TEXT_BYTES 100u
#define PAGE_EXTRA 48.0 / ARENA_PAGE_BYTES /* an arena's book keeping of a page */

struct peer { /* the other end of a connection, as it sees it */
	tg_sock k;
	uint32_t seq, ack, tsecr;
};

static struct {
	struct tg *s;
	void *mem;
	uint64_t now_ns;
	struct peer *peer;
	uint32_t n, in_use; /* events happen to so many */
	uint64_t spread;    /* of them apart */
	unsigned netif;
	tg_sock listener;
	uint64_t rng;
} w;

static uint32_t below(uint32_t n)
{
	w.rng = w.rng * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(((w.rng >> 32) * n) >> 32);
}

static double clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "conn_cost: %s\n", what);
	exit(1);
}

/* ---- The other side ---- */

static uint32_t addr_of(uint32_t i)
{
	return 0x0a000001u + i;
}

/* Remembers what the peer has to acknowledge. */
static bool transmit(void *dev, const struct tg_frame *f)
{
	static uint8_t b[128];
	uint32_t n = 0, i;
	struct tcp_seg g;

	(void)dev;
	for (unsigned k = 0; k < f->n_spans && n < sizeof(b); k++) {
		uint32_t part = min_u32(f->span[k].len, (uint32_t)sizeof(b) - n);

		memcpy(b + n, f->span[k].base, part);
		n += part;
	}
	i = (uint32_t)b[16] << 24 | (uint32_t)b[17] << 16 | (uint32_t)b[18] << 8 | b[19];
	i -= addr_of(0);
	if (b[9] != IP_PROTO_TCP || i >= w.n)
		return true;
	if (tcp_parse(b + IP4_HDR_BYTES, n - IP4_HDR_BYTES, &g) != TG_DROP_NONE)
		return true;
	w.peer[i].ack = g.seq.v + f->bytes - IP4_HDR_BYTES - g.hdr_bytes +
			((g.flags & (TCP_SYN | TCP_FIN)) != 0);
	w.peer[i].tsecr = g.opts.tsval;
	return true;
}

static struct tg_pkt *segment(uint32_t i, uint8_t flags, uint32_t text_bytes)
{
	struct peer *p = &w.peer[i];
	struct tcp_seg g = {.src_port = FAR_PORT,
		.dst_port = PORT,
		.seq = seq_of(p->seq),
		.ack = seq_of(flags & TCP_ACK ? p->ack : 0),
		.flags = flags,
		.wnd = 65535};
	struct ip4_hdr ip = {
		.src = addr_of(i), .dst = US, .ttl = 64, .proto = IP_PROTO_TCP, .hdr_bytes = 20};
	struct tg_pkt *k = tg_pkt_alloc(w.s, 200);
	uint32_t hdr;

	if (!k)
		die("out of memory");
	g.opts.has = TCP_HAS_TS;
	g.opts.tsval = (uint32_t)(w.now_ns / NS_PER_MS);
	g.opts.tsecr = p->tsecr;
	if (flags & TCP_SYN) {
		g.opts.has |= TCP_HAS_MSS | TCP_HAS_WSCALE | TCP_HAS_SACK_PERM;
		g.opts.mss = 1460;
		g.opts.wscale = 7;
	}
	hdr = tcp_emit(k->data + IP4_HDR_BYTES, &g);
	memset(k->data + IP4_HDR_BYTES + hdr, 'x', text_bytes);
	k->len = IP4_HDR_BYTES + hdr + text_bytes;
	ip.total_bytes = (uint16_t)k->len;
	ip4_emit(k->data, &ip);
	k->csum = TG_CSUM_VALID;
	p->seq += text_bytes + ((flags & (TCP_SYN | TCP_FIN)) != 0);
	return k;
}

static void in(uint32_t i, uint8_t flags, uint32_t text_bytes)
{
	tg_input(w.s, w.netif, segment(i, flags, text_bytes), w.now_ns);
}

/* ---- An instance with N connections ---- */

static void run_until(uint64_t end_ns)
{
	while (tg_next_deadline(w.s) <= end_ns) {
		w.now_ns = max_u64(w.now_ns, tg_next_deadline(w.s));
		tg_step(w.s, w.now_ns);
	}
	w.now_ns = end_ns;
	tg_step(w.s, w.now_ns);
}

static void begin(uint32_t n, uint64_t rest_after_ns)
{
	struct tg_netif_config nc = {.name = "t0",
		.link = TG_LINK_IP,
		.mtu = 1500,
		.caps = TG_CAP_CSUM | TG_CAP_TSO4,
		.transmit = transmit};
	struct tg_addr any = {{{0}}, PORT};
	struct tg_ip us = tg_ip4_of(US);
	struct tg_config c;
	void *mem = mmap(NULL, RESERVED, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int r;

	if (n > 100000)
		madvise(mem, RESERVED, MADV_HUGEPAGE);
	tg_config_default(&c);
	memset(c.seed, 7, sizeof(c.seed));
	c.budget_bytes = BUDGET;
	c.max_sockets = n + 10;
	c.tcp.max_half_open = 2 * n + 64;
	c.tcp.max_time_wait = n + 10;
	c.tcp.mem_high_bytes = c.tcp.mem_pressure_bytes = BUDGET;
	c.tcp.rest_after_ns = rest_after_ns;
	c.tcp.msl_ns = 3600 * NS_PER_SEC;
	w.mem = mem;
	w.rng = w.spread = 1;
	w.n = w.in_use = n;
	w.now_ns = 1000 * NS_PER_SEC;
	w.peer = calloc(n, sizeof(*w.peer));
	w.s = mem == MAP_FAILED || !w.peer ? NULL : tg_create(&c, mem, RESERVED, w.now_ns);
	if (!w.s)
		die("no memory for an instance");
	r = tg_netif_add(w.s, &nc, w.now_ns);
	w.netif = (unsigned)r;
	if (r < 0 || tg_addr_add(w.s, w.netif, &us, 8, w.now_ns) < 0 ||
		tg_sock_open(w.s, TG_STREAM, 0, 0, &w.listener) < 0 ||
		tg_sock_bind(w.s, w.listener, &any) < 0 ||
		tg_sock_listen(w.s, w.listener, 1000, w.now_ns) < 0)
		die("the instance cannot be set up");
}

static void end(void)
{
	munmap(w.mem, RESERVED);
	free(w.peer);
}

static void syn(uint32_t i)
{
	w.peer[i].seq = i * 2654435761u;
	in(i, TCP_SYN, 0);
	tg_step(w.s, w.now_ns);
}

static void establish(void)
{
	bool large = false;

	for (uint32_t i = 0; i < w.n; i++) {
		if (w.s->many && !large) {
			host_map_large(w.mem, RESERVED);
			large = true;
		}
		syn(i);
		in(i, TCP_ACK, 0);
		if (tg_sock_accept(w.s, w.listener, i, &w.peer[i].k, w.now_ns) < 0)
			die("a connection was not made");
		w.now_ns += NS_PER_US;
	}
}

/* A request of 100 octets, an answer of 100, its acknowledgment. */
static void exchange(uint32_t i)
{
	uint8_t b[TEXT_BYTES];
	struct tg_event e;

	in(i, TCP_ACK | TCP_PSH, TEXT_BYTES);
	if (tg_sock_recv(w.s, w.peer[i].k, b, sizeof(b), 0, w.now_ns) != TEXT_BYTES ||
		tg_sock_send(w.s, w.peer[i].k, b, sizeof(b), 0, w.now_ns) != TEXT_BYTES)
		die("text got lost");
	tg_step(w.s, w.now_ns);
	in(i, TCP_ACK, 0);
	while (tg_event(w.s, &e))
		;
	w.now_ns += NS_PER_US;
}

static double bytes_in_pages(void)
{
	struct tg_memory m;

	tg_memory_stats(w.s, &m);
	return (double)m.page_bytes * (1 + PAGE_EXTRA);
}

#endif
