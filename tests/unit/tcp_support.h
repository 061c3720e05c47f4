/* What the tests of tcp/ share: an instance with an interface of plain IP, 10.0.0.2/24, segments
 * from the peer 10.0.0.1 made by hand, and those sent, parsed. */
#ifndef TG_TCP_SUPPORT_H
#define TG_TCP_SUPPORT_H

#include "core_support.h"

#include "tcp/tcp.h"
#include "wire/ip4.h"

#define TW_US   0x0a000002u
#define TW_PEER 0x0a000001u
#define TW_PORT 80   /* ours, as a listener */
#define TW_FAR  4000 /* the peer's */
#define TW_IRS  0xffffff00u

struct tcp_world {
	struct tg *s;
	struct dev dev;
	unsigned netif;
	uint64_t now_ns;
	uint64_t idle_bytes; /* memory in use without a socket */
	tg_sock listener, conn;
	struct tcp_conn *c; /* the record behind conn */
	struct tcp_opts syn_opts;
};

static inline uint64_t tw_in_use(const struct tcp_world *w)
{
	struct tg_memory m;

	tg_memory_stats(w->s, &m);
	return m.in_use_bytes;
}

static inline struct tcp_conn *tw_record(const struct tcp_world *w, tg_sock k)
{
	struct endpoint *e = handle_find(w->s, k);

	return e ? (struct tcp_conn *)e : NULL;
}

static inline struct tcp_world *tw_new(const struct tg_config *cfg)
{
	struct tcp_world *w = calloc(1, sizeof(*w));
	struct tg_addr peer = {tg_ip4_of(TW_PEER), 1};
	struct tg_ip us = tg_ip4_of(TW_US);
	struct tg_config c;
	tg_sock k;

	world_config(&c);
	w->now_ns = 1000 * NS_PER_SEC;
	w->s = tg_create(cfg ? cfg : &c, world_memory(), WORLD_BYTES, w->now_ns);
	ck_assert_ptr_nonnull(w->s);
	dev_init(&w->dev);
	w->netif = world_netif(w->s, &w->dev, TG_LINK_IP, TG_CAP_CSUM | TG_CAP_TSO4, 1500);
	ck_assert_int_eq(tg_addr_add(w->s, w->netif, &us, 24, w->now_ns), 0);
	/* The tables of handles, ports and connections keep their first pages. */
	ck_assert_int_eq(tg_sock_open(w->s, TG_STREAM, 0, 0, &k), 0);
	ck_assert_int_eq(tg_sock_connect(w->s, k, &peer, w->now_ns), -TG_EINPROGRESS);
	tg_sock_close(w->s, k, w->now_ns);
	w->idle_bytes = tw_in_use(w);
	return w;
}

static inline void tw_free(struct tcp_world *w)
{
	dev_clear(&w->dev);
	world_end(w->s);
	free(w);
}

static inline void tw_step(struct tcp_world *w, uint64_t ns)
{
	uint64_t end = w->now_ns + ns;

	for (unsigned i = 0; i < 100000 && tg_next_deadline(w->s) <= end; i++) {
		w->now_ns = max_u64(w->now_ns, tg_next_deadline(w->s));
		tg_step(w->s, w->now_ns);
	}
	w->now_ns = end;
	tg_step(w->s, w->now_ns);
}

/* The IP packet of a segment to dst; g: ports, numbers, flags, wnd, up, opts. */
static inline uint32_t tw_build(
	uint8_t *b, uint32_t dst, const struct tcp_seg *g, const void *text, uint32_t n)
{
	uint32_t hdr = tcp_emit(b + IP4_HDR_BYTES, g), len = hdr + n;
	struct ip4_hdr ip = {.src = TW_PEER,
		.dst = dst,
		.ttl = 64,
		.proto = IP_PROTO_TCP,
		.hdr_bytes = IP4_HDR_BYTES,
		.total_bytes = (uint16_t)(IP4_HDR_BYTES + len)};

	ip4_emit(b, &ip);
	if (n)
		memcpy(b + IP4_HDR_BYTES + hdr, text, n);
	tcp_set_csum(
		b + IP4_HDR_BYTES, csum_finish(csum_add_scalar(b + IP4_HDR_BYTES, len,
					   ip4_pseudo_sum(ip.src, ip.dst, IP_PROTO_TCP, len))));
	return IP4_HDR_BYTES + len;
}

static inline void tw_raw_in(struct tcp_world *w, const uint8_t *b, uint32_t len)
{
	world_input(w->s, w->netif, b, len);
	world_check(w->s);
}

static inline void tw_in_at(
	struct tcp_world *w, uint32_t dst, const struct tcp_seg *g, const void *text, uint32_t n)
{
	static uint8_t b[65536];

	w->s->now_ns = max_u64(w->s->now_ns, w->now_ns);
	tw_raw_in(w, b, tw_build(b, dst, g, text, n));
}

static inline void tw_in(struct tcp_world *w, const struct tcp_seg *g, const void *text, uint32_t n)
{
	tw_in_at(w, TW_US, g, text, n);
}

/* The i-th frame of those that the device keeps; false: it is not TCP. */
static inline bool tw_parse(struct tcp_world *w, uint32_t i, struct tcp_seg *g)
{
	const struct dev_frame *f = &w->dev.frame[i % DEV_FRAMES];
	struct ip4_hdr h;

	ck_assert_uint_lt(i, w->dev.n);
	ck_assert_int_eq(ip4_parse(f->bytes, f->len, &h), TG_DROP_NONE);
	if (h.proto != IP_PROTO_TCP)
		return false;
	ck_assert_int_eq(tcp_parse(f->bytes + h.hdr_bytes, f->len - h.hdr_bytes, g), TG_DROP_NONE);
	return true;
}

/* The last frame sent. */
static inline struct tcp_seg tw_last(struct tcp_world *w)
{
	struct tcp_seg g;

	memset(&g, 0, sizeof(g));
	ck_assert_uint_gt(w->dev.n, 0);
	ck_assert(tw_parse(w, w->dev.n - 1, &g));
	return g;
}

static inline tg_sock tw_listen(struct tcp_world *w, uint16_t port, uint32_t backlog)
{
	struct tg_addr a = {{{0}}, port};
	tg_sock k;

	ck_assert_int_eq(tg_sock_open(w->s, TG_STREAM, 0, 0, &k), 0);
	ck_assert_int_eq(tg_sock_bind(w->s, k, &a), 0);
	ck_assert_int_eq(tg_sock_listen(w->s, k, backlog, w->now_ns), 0);
	return k;
}

/* A SYN from the peer's port; returns our ISS out of the SYN-ACK. */
static inline struct seq tw_syn(struct tcp_world *w, uint16_t far_port, struct seq irs)
{
	struct tcp_seg g = {.src_port = far_port,
		.dst_port = TW_PORT,
		.seq = irs,
		.flags = TCP_SYN,
		.wnd = 65535,
		.opts = w->syn_opts};

	tw_in(w, &g, NULL, 0);
	tg_step(w->s, w->now_ns);
	g = tw_last(w);
	ck_assert_uint_eq(g.flags, TCP_SYN | TCP_ACK);
	return g.seq;
}

/* A segment of an established connection as the peer sends it: exact, pure ACK. */
static inline struct tcp_seg tw_seg(const struct tcp_world *w)
{
	const struct tcp_conn *c = w->c;
	struct tcp_seg g = {.src_port = c->rport,
		.dst_port = c->lport,
		.seq = c->rcv.nxt,
		.ack = c->snd.nxt,
		.flags = TCP_ACK,
		.wnd = 65535};

	if (c->ts_ok) {
		g.opts.has = TCP_HAS_TS;
		g.opts.tsval = c->ts_recent;
		g.opts.tsecr = tcp_ts_now(w->s, c->ts_offset);
	}
	return g;
}

/* The handshake by passive OPEN with the options in w->syn_opts; w->conn and w->c. */
static inline void tw_establish(struct tcp_world *w, uint16_t far_port, struct seq irs)
{
	struct tcp_seg g = {.src_port = far_port,
		.dst_port = TW_PORT,
		.flags = TCP_ACK,
		.wnd = 65535,
		.seq = seq_add(irs, 1)};

	if (!w->listener)
		w->listener = tw_listen(w, TW_PORT, 8);
	g.ack = seq_add(tw_syn(w, far_port, irs), 1);
	if (w->syn_opts.has & TCP_HAS_TS) {
		g.opts = w->syn_opts;
		g.opts.has = TCP_HAS_TS;
	}
	tw_in(w, &g, NULL, 0);
	ck_assert_int_eq(tg_sock_accept(w->s, w->listener, 0, &w->conn, w->now_ns), 0);
	w->c = tw_record(w, w->conn);
	ck_assert_ptr_nonnull(w->c);
	ck_assert_int_eq(w->c->state, TG_ESTABLISHED);
}

/* All that the peer would offer. */
static inline struct tcp_opts tw_all_opts(void)
{
	return (struct tcp_opts){
		.has = TCP_HAS_MSS | TCP_HAS_WSCALE | TCP_HAS_SACK_PERM | TCP_HAS_TS,
		.mss = 1460,
		.wscale = 7,
		.tsval = 1000};
}

/* Closes what is open and waits until nothing is left: all memory is back. */
static inline void tw_end(struct tcp_world *w)
{
	if (w->conn)
		tg_sock_abort(w->s, w->conn, w->now_ns);
	if (w->listener)
		tg_sock_close(w->s, w->listener, w->now_ns);
	w->conn = 0;
	w->listener = 0;
	w->dev.room = UINT32_MAX;
	tw_step(w, 300 * NS_PER_SEC);
	UNIT_CHECK(tw_in_use(w) == w->idle_bytes);
	tw_free(w);
}

static inline uint64_t tw_drops(const struct tcp_world *w, enum tg_drop d)
{
	return tg_counters(w->s)->drops[d];
}

#endif
