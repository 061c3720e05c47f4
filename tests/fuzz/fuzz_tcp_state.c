/* Fuzz: the life of TCP connections. An input is a sequence of operations on one instance with an
 * interface of plain IP: time goes by, the peer sends segments around the edges of what is
 * expected, the user calls, the device is busy, memory fails. What the stack sends tells the peer
 * where each connection stands, so that inputs get far into it.
 *
 * Held after every operation: each frame is delivered or dropped; what a connection says of its
 * records, queues and memory is so. At the end everything is closed, and minutes later all memory
 * is back. */
#define _DEFAULT_SOURCE
#include <stdlib.h>
#include <sys/mman.h>

#include "fuzz.h"
#include "tcp/tcp.h"
#include "wire/ip4.h"

#define MEM_BYTES    (64u << 20)
#define BUDGET_BYTES (12u << 20)
#define OPS_MAX      600
#define SOCKS        4u
#define FLOWS        8u
#define US           0x0a000002u
#define PEER         0x0a000001u
#define PORT         80u

const char *const fuzz_seeds[] = {
	/* handshake by the peer, accept, text both ways, close from both sides */
	"03 06 00 05 00 ff 0b 00 07 00 40 09 00 ff 08 01 ff 05 00 ff 0c 00 05 00 ff 04 00 11 00 00 "
	"00 00 00 01 10",
	/* connect, SYN-ACK, send, SACK, time-outs */
	"43 0a 05 04 00 12 00 00 00 00 00 08 01 ff 08 01 ff 0f 00 01 02 10 20 01 01 01 0f 00 02 05 "
	"20 01 01 0c 01",
	/* to ourselves, by loopback */
	"05 0a 83 01 0b 00 08 00 ff 08 01 ff 01 01 09 00 80 01 0c 00 0c 01 01",
	/* closed window, probes, busy device, failing memory */
	"12 06 00 05 00 ff 0b 00 05 00 00 08 01 ff 01 01 01 05 00 ff 0e 01 08 01 80 01 0e 00 01 0e "
	"83 07 00 ff 0e 80 01",
	/* a FIN as the probe of a closed window, after the persist timer was stopped */
	"430a050400120908e0011e210c0c0c0c00000100000000000000000000000000c200000000000000"
	"000000000000002a0a83297e7e823e2600af5518cd007e7e010b000810cb9500000a287e28282828"
	"28000000000000000000000000000000008e",
	NULL,
};

/* What the peer knows of one connection. */
struct flow {
	uint16_t port, far_port;
	struct seq next;  /* of the peer's: what we expect */
	struct seq their; /* behind the highest number that we sent */
	struct seq una;   /* below it by what the last frame had */
	uint32_t tsval;
	bool ts;
};

struct script {
	const uint8_t *b;
	size_t n;
};

static struct {
	struct tg *s;
	uint64_t now_ns;
	bool busy;
	unsigned netif;
	tg_sock sock[SOCKS];
	unsigned n_socks, n_flows;
	struct flow flow[FLOWS];
	uint64_t idle_bytes;
	void *mem;
} f;

static uint8_t take(struct script *d)
{
	if (!d->n)
		return 0;
	d->n--;
	return *d->b++;
}

/* ---- The peer ---- */

static struct flow *flow_of(uint16_t port, uint16_t far_port)
{
	struct flow *w;

	for (unsigned i = 0; i < FLOWS; i++)
		if (f.flow[i].port == port && f.flow[i].far_port == far_port)
			return &f.flow[i];
	w = &f.flow[f.n_flows++ % FLOWS];
	*w = (struct flow){.port = port, .far_port = far_port};
	return w;
}

static void learn(const struct tcp_seg *g)
{
	struct flow *w = flow_of(g->src_port, g->dst_port);
	struct seq end = seq_add(g->seq, g->len);

	if (g->flags & TCP_RST)
		return;
	if (g->flags & TCP_SYN)
		w->their = end;
	w->their = seq_max(w->their, end);
	w->una = g->seq;
	if (g->flags & TCP_ACK)
		w->next = g->ack;
	w->ts = (g->opts.has & TCP_HAS_TS) != 0;
	w->tsval = g->opts.tsval;
}

static bool transmit(void *dev, const struct tg_frame *fr)
{
	static uint8_t b[65536 + 64];
	uint32_t at = 0;
	struct ip4_hdr h;
	struct tcp_seg g;

	(void)dev;
	if (f.busy)
		return false;
	for (uint32_t i = 0; i < fr->n_spans; i++) {
		FUZZ_CHECK(at + fr->span[i].len <= sizeof(b));
		memcpy(b + at, fr->span[i].base, fr->span[i].len);
		at += fr->span[i].len;
	}
	FUZZ_CHECK(at == fr->bytes);
	FUZZ_CHECK(ip4_parse(b, at, &h) == TG_DROP_NONE && h.total_bytes == at);
	if (h.proto == IP_PROTO_TCP) {
		FUZZ_CHECK(tcp_parse(b + h.hdr_bytes, at - h.hdr_bytes, &g) == TG_DROP_NONE);
		learn(&g);
	}
	return true;
}

static void input(const struct tcp_seg *g, uint32_t text_bytes, bool good)
{
	uint32_t hdr = tcp_hdr_bytes(&g->opts), len = hdr + text_bytes;
	struct tg_pkt *p = tg_pkt_alloc(f.s, IP4_HDR_BYTES + len);
	struct ip4_hdr ip = {.src = PEER,
		.dst = US,
		.ttl = 64,
		.proto = IP_PROTO_TCP,
		.hdr_bytes = IP4_HDR_BYTES,
		.total_bytes = (uint16_t)(IP4_HDR_BYTES + len)};
	uint8_t *t;

	if (!p)
		return;
	t = p->data + IP4_HDR_BYTES;
	ip4_emit(p->data, &ip);
	tcp_emit(t, g);
	for (uint32_t i = 0; i < text_bytes; i++)
		t[hdr + i] = (uint8_t)(g->seq.v + i);
	tcp_set_csum(t,
		csum_finish(csum_add_scalar(t, len, ip4_pseudo_sum(PEER, US, IP_PROTO_TCP, len))));
	if (!good)
		t[13] ^= TCP_FIN;
	p->len = IP4_HDR_BYTES + len;
	if (text_bytes > 1460) {
		p->gso = TG_GSO_TCP4;
		p->gso_size = 1460;
	}
	tg_input(f.s, f.netif, p, f.now_ns);
}

/* A distance near zero, a segment, a window or half the circle, of either sign. */
static uint32_t take_offset(struct script *d)
{
	static const uint32_t around[] = {0, 0, 1460, 4096, 0x8000, 0x10000, 0x100000, 0x7fffffff};
	uint8_t k = take(d);
	uint32_t v = around[k & 7] + (k >> 4);

	return k & 8 ? 0u - v : v;
}

static struct tcp_seg segment_of(const struct flow *w, uint8_t flags)
{
	struct tcp_seg g = {.src_port = w->far_port,
		.dst_port = w->port,
		.flags = flags,
		.seq = w->next,
		.ack = w->their,
		.wnd = 65535};

	if (w->ts) {
		g.opts.has = TCP_HAS_TS;
		g.opts.tsval = (uint32_t)(f.now_ns / NS_PER_MS);
		g.opts.tsecr = w->tsval;
	}
	return g;
}

static void syn_options(struct tcp_opts *o, uint8_t k)
{
	static const uint16_t mss[] = {1460, 536, 1, 65495};

	o->has = k & 0x1f;
	o->mss = mss[k >> 5 & 3];
	o->wscale = k & 0x80 ? 14 : 3;
	o->tsval = (uint32_t)(f.now_ns / NS_PER_MS);
	o->n_sack = 0;
	o->has &= (uint8_t)~TCP_HAS_SACK;
}

static void op_segment(struct script *d, bool good)
{
	static const uint32_t texts[] = {0, 1, 2, 100, 1460, 1461, 5000, 60000};
	uint8_t which = take(d), flags = take(d), k;
	const struct flow *w = &f.flow[which % FLOWS];
	struct tcp_seg g = segment_of(w, flags);

	g.seq = seq_add(g.seq, take_offset(d));
	g.ack = seq_add(which & 0x80 ? w->una : w->their, take_offset(d));
	k = take(d);
	if (flags & TCP_SYN)
		syn_options(&g.opts, k);
	else if (k & 0x80)
		g.opts.has ^= TCP_HAS_TS;
	if (k & 0x40)
		g.opts.tsval -= 5000;
	g.wnd = (uint16_t)(k & 0x20 ? 0 : k & 0x10 ? 1000 : 65535);
	g.up = (uint16_t)(k & 0x10 ? 0xffff : k);
	input(&g, texts[k & 7], good);
}

/* An ACK of what was sent, or of none of it, with up to three SACK blocks behind SND.UNA. */
static void op_sack(struct script *d)
{
	uint8_t which = take(d), k = take(d);
	const struct flow *w = &f.flow[which % FLOWS];
	struct tcp_seg g = segment_of(w, TCP_ACK);
	struct seq at = g.ack = k & 0x80 ? w->una : seq_sub(w->their, (k & 0x78u) * 256u);

	g.opts.n_sack = (uint8_t)(k & 3);
	if (g.opts.n_sack)
		g.opts.has |= TCP_HAS_SACK;
	for (uint8_t i = 0; i < g.opts.n_sack; i++) {
		at = seq_add(at, take(d) * (k & 4 ? 16u : 1460u));
		g.opts.sack[i].start = at;
		at = seq_add(at, take(d) * (k & 4 ? 16u : 1460u));
		g.opts.sack[i].end = at;
	}
	input(&g, 0, true);
}

static void op_peer(struct script *d, uint8_t op)
{
	uint8_t which = take(d), k = take(d);
	const struct flow *w = &f.flow[which % FLOWS];
	struct tcp_seg g = segment_of(w, TCP_ACK);

	if (op == 5) { /* acknowledges everything; the window */
		g.wnd = (uint16_t)(k << 8 | k);
		input(&g, 0, true);
	} else if (op == 6) { /* a SYN for the listener */
		g = (struct tcp_seg){.src_port = (uint16_t)(4000 + (which & 3)),
			.dst_port = PORT,
			.flags = TCP_SYN,
			.seq = seq_of(0u - k * 16u),
			.wnd = 65535};
		syn_options(&g.opts, which ^ 0x1f);
		input(&g, which & 4 ? 10 : 0, true);
	} else { /* text, the next in order */
		input(&g, which & 0x80 ? k * 200u : k, true);
	}
}

/* ---- The user ---- */

static void keep(tg_sock k)
{
	tg_sock *to = &f.sock[1 + f.n_socks++ % (SOCKS - 1)];

	tg_sock_abort(f.s, *to, f.now_ns);
	*to = k;
}

static void op_open(uint8_t k)
{
	struct tg_addr a = {tg_ip4_of(k & 0x80 ? 0x7f000001 : PEER), (uint16_t)(k & 3 ? PORT : 9)};
	struct tg_addr local = {{{0}}, 7777};
	tg_sock n;

	if (tg_sock_open(f.s, TG_STREAM, 0, k, &n))
		return;
	if (k & 0x40) {
		tg_sock_setopt(f.s, n, TG_SO_REUSEADDR, 1, f.now_ns);
		tg_sock_bind(f.s, n, &local);
	}
	if (k & 0x20) /* to itself */
		a = (struct tg_addr){tg_ip4_of(US), 7777};
	if (k & 0x10)
		tg_sock_listen(f.s, n, 2, f.now_ns);
	else
		tg_sock_connect(f.s, n, &a, f.now_ns);
	keep(n);
}

static void op_read(tg_sock c, uint8_t k)
{
	static uint8_t buf[65536];
	struct tg_span v[3];
	int n;

	if (k & 1) {
		tg_sock_recv(f.s, c, buf, k * 250u, k & 2 ? TG_MSG_PEEK : 0, f.now_ns);
		return;
	}
	n = tg_sock_peek(f.s, c, v, 3);
	for (int i = 0; i < n; i++)
		memcpy(buf, v[i].base, min_u32(v[i].len, sizeof(buf)));
	if (n > 0)
		FUZZ_CHECK(tg_sock_consume(f.s, c, k & 2 ? v[0].len : 1, f.now_ns) == 0);
}

static void op_write(tg_sock c, uint8_t which, uint8_t k)
{
	static const uint8_t text[65536];
	struct tg_mspan m[2];
	unsigned flags = which & 0x40 ? TG_MSG_MORE : which & 0x20 ? TG_MSG_OOB : 0;

	if (which & 0x80) {
		if (tg_sock_reserve(f.s, c, k * 100u, m) > 0) {
			memset(m[0].base, 'r', m[0].len);
			tg_sock_commit(f.s, c, m[0].len, flags, f.now_ns);
		}
		return;
	}
	tg_sock_send(f.s, c, text, which & 0x10 ? k : k * 257u, flags, f.now_ns);
}

static void op_option(tg_sock c, uint8_t k, uint8_t v)
{
	enum tg_option opt = (enum tg_option)(k % (TG_TCP_USER_COOKIE + 1));
	int64_t value = v, out;

	if (opt == TG_SO_SNDBUF || opt == TG_SO_RCVBUF)
		value = v * 1024;
	if (opt == TG_TCP_KEEPIDLE || opt == TG_TCP_KEEPINTVL || opt == TG_TCP_USER_TIMEOUT ||
		opt == TG_SO_LINGER)
		value = (v % 60) * (int64_t)NS_PER_SEC;
	tg_sock_setopt(f.s, c, opt, value, f.now_ns);
	tg_sock_getopt(f.s, c, opt, &out);
}

static void op_end(tg_sock c, uint8_t how)
{
	struct tg_tcp_info info;

	tg_tcp_status(f.s, c, &info);
	switch (how % 5) {
	case 0: tg_sock_close(f.s, c, f.now_ns); break;
	case 1: tg_sock_abort(f.s, c, f.now_ns); break;
	default: tg_sock_shutdown(f.s, c, how % 5 - 2, f.now_ns); break;
	}
}

static void op_user(struct script *d, uint8_t op)
{
	uint8_t which = take(d), k = op == 8 || op == 9 || op == 13 ? take(d) : 0;
	tg_sock c = f.sock[1 + which % (SOCKS - 1)], n;

	switch (op) {
	case 8: op_write(c, which, k); break;
	case 9: op_read(c, k); break;
	case 10: op_open(which); break;
	case 11:
		if (tg_sock_accept(
			    f.s, f.sock[which & 0x80 ? 1 + which % 3u : 0], 1, &n, f.now_ns) == 0)
			keep(n);
		break;
	case 12: op_end(which & 0x80 ? f.sock[0] : c, (uint8_t)(which >> 2)); break;
	default: op_option(c, which, k); break;
	}
}

/* ---- What must hold ---- */

static uint32_t charge_of(const struct pktq *q)
{
	uint32_t charge = 0, bytes = 0;

	for (const struct tg_pkt *p = q->head; p; p = p->next) {
		FUZZ_CHECK(!(p->flags & PKT_RESERVE));
		charge += pkt_charge(p);
		bytes += p->len;
	}
	FUZZ_CHECK(charge == q->charge && bytes == q->bytes);
	return charge;
}

static void check_sent(const struct tcp_conn *c)
{
	uint32_t sacked = 0, lost = 0, again = 0, n = 0;
	struct seq at = c->snd.una;

	FUZZ_CHECK(seq_le(c->snd.una, c->snd.nxt) && seq_le(c->snd.nxt, c->snd.max));
	if (!c->tx)
		return;
	list_for_each (it, &c->tx->ranges) {
		const struct tcp_range *r = list_entry(it, const struct tcp_range, node);

		FUZZ_CHECK(n == 0 || seq_eq(r->start, at));
		FUZZ_CHECK(seq_lt(r->start, r->end));
		at = r->end;
		sacked += r->flags & RANGE_SACKED ? range_bytes(r) : 0;
		lost += r->flags & RANGE_LOST ? range_bytes(r) : 0;
		again += r->flags & RANGE_RETRANS ? range_bytes(r) : 0;
		n++;
	}
	FUZZ_CHECK(n == 0 || seq_eq(at, c->snd.nxt));
	FUZZ_CHECK(n == c->tx->n_ranges && n <= TCP_RANGES_MAX);
	FUZZ_CHECK(sacked == c->tx->sacked_bytes && lost == c->tx->lost_bytes);
	FUZZ_CHECK(again == c->tx->retrans_bytes);
	FUZZ_CHECK(tcp_unsent(c) <= tcp_queued(c));
}

static void check_received(const struct tcp_conn *c, bool limit_moved)
{
	uint32_t charge = charge_of(&c->rcvq), held = 0, n = 0;
	struct seq at = c->rcv.nxt;

	if (c->ooo) {
		list_for_each (it, &c->ooo->ranges) {
			const struct tcp_ooo_range *o =
				list_entry(it, const struct tcp_ooo_range, node);

			FUZZ_CHECK(seq_lt(at, o->start) && seq_lt(o->start, o->end));
			FUZZ_CHECK(seq_dist(o->end, o->start) == o->q.bytes);
			held += charge_of(&o->q);
			at = o->end;
			n++;
		}
		FUZZ_CHECK(n == c->ooo->n_ranges && n > 0 && n <= TCP_OOO_RANGES_MAX);
		FUZZ_CHECK(held == c->ooo->charge);
	}
	FUZZ_CHECK(limit_moved ||
		   charge + held <= 2 * max_u32(1u << 20, TG_PKT_LARGE) + 2 * ARENA_BLOCK_68K);
}

static void check(void)
{
	const struct tg_counters *n = tg_counters(f.s);
	struct tg_memory m;
	uint32_t conns = 0;

	FUZZ_CHECK(n->frames_in == n->frames_delivered + n->frames_dropped);
	tg_memory_stats(f.s, &m);
	FUZZ_CHECK(m.page_bytes <= BUDGET_BYTES);
	for (struct hnode *h = NULL; (h = htab_next(&f.s->tcp->conns, h)) != NULL;) {
		const struct tcp_conn *c = container_of(h, struct tcp_conn, hash);
		conns++;
		if (!c->resting) { /* else the rest of the record is not there */
			check_sent(c);
			check_received(c, c->rcvbuf > 1u << 20);
		}
	}
	FUZZ_CHECK(conns == f.s->tcp->n_conns);
}

/* ---- Running ---- */

static void step(void)
{
	struct tg_event e;

	tg_step(f.s, f.now_ns);
	while (tg_event(f.s, &e))
		tg_sock_ready(f.s, e.sock);
}

/* Until `end_ns`; time that does not get on is a loop. */
static void run_until(uint64_t end_ns)
{
	unsigned stuck = 0;

	while (tg_next_deadline(f.s) <= end_ns) {
		uint64_t at = max_u64(f.now_ns, tg_next_deadline(f.s));

		stuck = at == f.now_ns ? stuck + 1 : 0;
		FUZZ_CHECK(stuck < 20000);
		f.now_ns = at;
		step();
	}
	f.now_ns = end_ns;
	step();
}

static void op(struct script *d)
{
	uint8_t k = take(d), v;

	switch (k & 15) {
	case 0:
		v = take(d);
		run_until(f.now_ns + ((uint64_t)v << (v & 7)) * NS_PER_MS);
		break;
	case 1:
		if (tg_next_deadline(f.s) != UINT64_MAX)
			f.now_ns = max_u64(f.now_ns, tg_next_deadline(f.s));
		break;
	case 2:
	case 3:
	case 4: op_segment(d, true); break;
	case 5:
	case 6:
	case 7: op_peer(d, k & 15); break;
	case 14:
		v = take(d);
		if (v & 0x80)
			tg_memory_fail_after(f.s, v & 15, v >> 4 & 7);
		else
			f.busy = v & 1;
		break;
	case 15:
		if (k & 0x10)
			op_segment(d, false);
		else
			op_sack(d);
		break;
	default: op_user(d, k & 15); break;
	}
	if (!(k & 0x80))
		step();
	check();
}

static void listen_at(uint8_t k)
{
	struct tg_addr a = {.port = PORT};

	if (tg_sock_open(f.s, TG_STREAM, 0, 0, &f.sock[0]) || tg_sock_bind(f.s, f.sock[0], &a) ||
		tg_sock_listen(f.s, f.sock[0], 1 + (k & 3), f.now_ns))
		FUZZ_CHECK(false);
}

static void begin(uint8_t k)
{
	static const uint32_t mtus[] = {1500, 68, 296, 576, 9000, 65535, 1500, 1500};
	struct tg_netif_config n = {
		.name = "fuzz", .link = TG_LINK_IP, .mtu = mtus[k & 7], .transmit = transmit};
	struct tg_addr peer = {tg_ip4_of(PEER), 1};
	struct tg_ip us = tg_ip4_of(US);
	struct tg_config c;
	struct tg_memory m;

	if (!f.mem)
		f.mem = mmap(NULL, MEM_BYTES, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	FUZZ_CHECK(f.mem != MAP_FAILED && madvise(f.mem, MEM_BYTES, MADV_DONTNEED) == 0);
	tg_config_default(&c);
	memset(c.seed, 1 + (k >> 5), sizeof(c.seed));
	c.budget_bytes = BUDGET_BYTES;
	c.trace_records = 64;
	c.tcp.r2_ns = c.tcp.r2_syn_ns = 60 * NS_PER_SEC;
	c.tcp.rcvbuf_bytes = c.tcp.sndbuf_bytes = k & 8 ? 1u << 20 : 16384;
	c.tcp.max_half_open = 3;
	c.tcp.max_time_wait = 3;
	c.tcp.fast_path = !(k & 0x40);
	c.tcp.ecn = (uint8_t)(k % 3);
	c.tcp.mtu_probing = (uint8_t)(k % 3);
	c.tcp.isn_fixed = (k & 0x20) != 0;
	c.tcp.isn = 0xffffff00;
	n.caps = k & 0x10 ? 0 : TG_CAP_CSUM | TG_CAP_TSO4;
	f = (__typeof__(f)){.mem = f.mem, .now_ns = NS_PER_SEC};
	f.s = tg_create(&c, f.mem, MEM_BYTES, f.now_ns);
	FUZZ_CHECK(f.s);
	f.netif = (unsigned)tg_netif_add(f.s, &n, f.now_ns);
	FUZZ_CHECK(tg_addr_add(f.s, f.netif, &us, 24, f.now_ns) == 0);
	/* The tables keep their first pages. */
	FUZZ_CHECK(tg_sock_open(f.s, TG_STREAM, 0, 0, &f.sock[0]) == 0);
	tg_sock_connect(f.s, f.sock[0], &peer, f.now_ns);
	tg_sock_close(f.s, f.sock[0], f.now_ns);
	tg_memory_stats(f.s, &m);
	f.idle_bytes = m.in_use_bytes;
	listen_at(k);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script d = {data, size};
	struct tg_memory m;

	begin(take(&d));
	for (int i = 0; i < OPS_MAX && d.n; i++)
		op(&d);
	tg_memory_fail_after(f.s, 0, 0);
	f.busy = false;
	for (unsigned i = 0; i < SOCKS; i++)
		tg_sock_close(f.s, f.sock[i], f.now_ns);
	step();
	run_until(f.now_ns + 300 * NS_PER_SEC);
	check();
	FUZZ_CHECK(f.s->tcp->n_conns == 0);
	FUZZ_CHECK(f.s->tcp->half_open.n_used == 0 && f.s->tcp->time_wait.n_used == 0);
	tg_memory_stats(f.s, &m);
	FUZZ_CHECK(m.in_use_bytes == f.idle_bytes);
	return 0;
}
