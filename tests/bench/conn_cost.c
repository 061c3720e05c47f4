/* What connections cost an instance, in memory and in time, as their number grows.
 *
 *   conn_cost [--json] [--memory] [--events] [N...]
 *
 * Memory: bytes of the instance's pages, with the book keeping of those, divided by N: of
 * established connections that have exchanged text both ways and then rest (and before they do), of
 * half-open connections, of TIME-WAIT entries; N = 1,000, 100,000 and 1,000,000.
 *
 * Events: nanoseconds of one event on one of N connections, picked at random, the segments made
 * beforehand, 64 at a time; the median of many batches; N = 10, 10,000 and 1,000,000; and at a
 * million also with events on ten thousand of them only: what is left is the cost of the number,
 * not of caches that are smaller than a gigabyte. Segments are of 100 octets with timestamps, in
 * plain IP, handed to tg_input and taken from the transmit function: no system call, no copy but
 * what the stack makes. lookup    the 4-tuple's hash and the search for its record timer     armed
 * anew (delayed ACK to keepalive, at random) in a wheel in which all N stand receive   a segment in
 * order, tg_sock_recv, and the ACK's share: every second is acknowledged send      tg_sock_send and
 * its frame ack       the acknowledgment of that, all of it wake      receive, for a connection
 * that rests */
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE
#endif
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "tcp/tcp.h"
#include "wire/ip4.h"

#define RESERVED   (12ull << 30)
#define BUDGET     (6ull << 30)
#define US         0x0afffffeu /* 10.255.255.254 */
#define PORT       80
#define FAR_PORT   4000
#define TEXT_BYTES 100u
#define PAGE_EXTRA 48.0 / ARENA_PAGE_BYTES /* an arena's book keeping of a page */
#define BATCH      64u
#define BATCHES    3000u
#define FEW        10000u

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
	for (uint32_t i = 0; i < w.n; i++) {
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

/* ---- Memory ---- */

struct memory_row {
	uint32_t n;
	double awake, at_rest, half_open, time_wait;
};

static double established(uint32_t n, uint64_t rest_after_ns)
{
	double before, after;

	begin(n, rest_after_ns);
	before = bytes_in_pages();
	establish();
	for (uint32_t i = 0; i < n; i++)
		exchange(i);
	run_until(w.now_ns + 60 * NS_PER_SEC);
	after = bytes_in_pages();
	end();
	return (after - before) / n;
}

static double half_open(uint32_t n)
{
	double before, after;

	begin(n, 0);
	before = bytes_in_pages();
	for (uint32_t i = 0; i < n; i++)
		syn(i);
	after = bytes_in_pages();
	if (w.s->tcp->half_open.n_used != n)
		die("half-open connections are missing");
	end();
	return (after - before) / n;
}

static double time_wait(uint32_t n)
{
	double before, after;

	begin(n, 0);
	before = bytes_in_pages();
	for (uint32_t i = 0; i < n; i++) {
		syn(i);
		in(i, TCP_ACK, 0);
		if (tg_sock_accept(w.s, w.listener, i, &w.peer[i].k, w.now_ns) < 0)
			die("a connection was not made");
		exchange(i);
		tg_sock_close(w.s, w.peer[i].k, w.now_ns);
		tg_step(w.s, w.now_ns);
		in(i, TCP_ACK | TCP_FIN, 0);
		tg_step(w.s, w.now_ns);
	}
	after = bytes_in_pages();
	if (w.s->tcp->time_wait.n_used != n)
		die("entries in TIME-WAIT are missing");
	end();
	return (after - before) / n;
}

static struct memory_row memory(uint32_t n)
{
	return (struct memory_row){
		n, established(n, 0), established(n, 10 * NS_PER_SEC), half_open(n), time_wait(n)};
}

/* ---- Events ---- */

enum { LOOKUP, TIMER, RECEIVE, SEND, ACK, WAKE, EVENTS };
static const char *const event_names[EVENTS] = {
	"lookup", "timer", "receive", "send", "ack", "wake"};

static double took[EVENTS][BATCHES];
static uint32_t picked[BATCH];
static struct tg_pkt *made[BATCH];

static void pick(void)
{
	for (unsigned i = 0; i < BATCH; i++)
		picked[i] = (uint32_t)(below(w.in_use) * w.spread % w.n);
}

static double lookups(void)
{
	struct tg_ip us = tg_ip4_of(US), far[BATCH];
	const struct tcp_conn *found = NULL;
	double t;

	for (unsigned i = 0; i < BATCH; i++)
		far[i] = tg_ip4_of(addr_of(picked[i]));
	t = clock_ns();
	for (unsigned i = 0; i < BATCH; i++) {
		uint32_t hash = tcp_tuple_hash(w.s, &us, PORT, &far[i], FAR_PORT);

		found = tcp_find_conn(w.s, &us, PORT, &far[i], FAR_PORT, hash);
		if (!found)
			die("a connection is not found");
	}
	return clock_ns() - t;
}

static struct timer *timers;

static double timer_events(void)
{
	uint64_t at_ns[BATCH];
	double t;

	for (unsigned i = 0; i < BATCH; i++)
		at_ns[i] = w.now_ns + (40 * NS_PER_MS << below(18));
	t = clock_ns();
	for (unsigned i = 0; i < BATCH; i++)
		timer_arm(w.s, &timers[picked[i]], at_ns[i]);
	return clock_ns() - t;
}

static double receive(void)
{
	uint8_t b[TEXT_BYTES];
	struct tg_event e;
	double t;

	for (unsigned i = 0; i < BATCH; i++)
		made[i] = segment(picked[i], TCP_ACK | TCP_PSH, TEXT_BYTES);
	t = clock_ns();
	for (unsigned i = 0; i < BATCH; i++) {
		tg_input(w.s, w.netif, made[i], w.now_ns);
		while (tg_event(w.s, &e))
			;
		if (tg_sock_recv(w.s, w.peer[picked[i]].k, b, sizeof(b), 0, w.now_ns) != TEXT_BYTES)
			die("text got lost");
	}
	tg_step(w.s, w.now_ns);
	return clock_ns() - t;
}

static double sends(void)
{
	static const uint8_t b[TEXT_BYTES];
	double t = clock_ns();

	for (unsigned i = 0; i < BATCH; i++) {
		if (tg_sock_send(w.s, w.peer[picked[i]].k, b, sizeof(b), 0, w.now_ns) != TEXT_BYTES)
			die("text was not taken");
		tg_step(w.s, w.now_ns);
	}
	return clock_ns() - t;
}

static double acks(void)
{
	struct tg_event e;
	double t;

	for (unsigned i = 0; i < BATCH; i++)
		made[i] = segment(picked[i], TCP_ACK, 0);
	t = clock_ns();
	for (unsigned i = 0; i < BATCH; i++)
		tg_input(w.s, w.netif, made[i], w.now_ns);
	t = clock_ns() - t;
	while (tg_event(w.s, &e))
		;
	return t;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, unsigned n)
{
	qsort(v, n, sizeof(*v), compare);
	return v[n / 2] / BATCH;
}

static void nodelay(void)
{
	for (uint32_t i = 0; i < w.n; i++)
		tg_sock_setopt(w.s, w.peer[i].k, TG_TCP_NODELAY, 1, w.now_ns);
}

static void begin_timers(void)
{
	timers = calloc(w.n, sizeof(*timers));
	if (!timers)
		die("out of memory");
	for (uint32_t i = 0; i < w.n; i++) {
		timer_init(&timers[i], TIMER_TCP_CONN);
		timer_arm(w.s, &timers[i], w.now_ns + (40 * NS_PER_MS << below(18)));
	}
}

static void end_timers(void)
{
	for (uint32_t i = 0; i < w.n; i++)
		timer_stop(w.s, &timers[i]);
	free(timers);
}

static void awake_events(double *out)
{
	for (unsigned b = 0; b < BATCHES; b++) {
		pick();
		took[LOOKUP][b] = lookups();
		pick();
		took[RECEIVE][b] = receive();
		pick();
		took[SEND][b] = sends();
		took[ACK][b] = acks();
		w.now_ns += NS_PER_MS;
	}
	tg_step(w.s, w.now_ns);
	begin_timers();
	for (unsigned b = 0; b < BATCHES; b++) {
		pick();
		took[TIMER][b] = timer_events();
	}
	end_timers();
	for (unsigned e = LOOKUP; e < WAKE; e++)
		out[e] = median(took[e], BATCHES);
}

/* Each batch wakes other connections: as many batches as N allows. */
static double wakes(void)
{
	unsigned n = w.n / 2 / BATCH, batches = n > BATCHES ? BATCHES : n;
	uint32_t step = w.n / (batches ? batches * BATCH : 1) | 1;

	for (unsigned b = 0; b < batches; b++) {
		for (unsigned i = 0; i < BATCH; i++)
			picked[i] = (uint32_t)((b * BATCH + i) * (uint64_t)step * 7919 % w.n);
		took[WAKE][b] = receive();
	}
	return batches ? median(took[WAKE], batches) : 0;
}

static void events(uint32_t n, uint32_t in_use, double *out)
{
	begin(n, 0);
	w.in_use = in_use;
	w.spread = in_use < n ? 2654435761u : 1;
	establish();
	nodelay();
	run_until(w.now_ns + NS_PER_SEC);
	awake_events(out);
	end();
	if (in_use < n)
		return;
	begin(n, 10 * NS_PER_SEC);
	establish();
	run_until(w.now_ns + 60 * NS_PER_SEC);
	out[WAKE] = wakes();
	end();
}

/* ---- Output ---- */

static void print_memory(const struct memory_row *r, unsigned rows, bool json)
{
	printf(json ? "\"memory_bytes\":["
		    : "bytes each       established, before it rests   at rest   half-open   "
		      "TIME-WAIT\n");
	for (unsigned i = 0; i < rows; i++)
		printf(json ? "%s{\"connections\":%u,\"established\":%.1f,\"at_rest\":%.1f,"
			      "\"half_open\":%.1f,\"time_wait\":%.1f}"
			    : "%s%9u %37.1f %9.1f %11.1f %11.1f\n",
			json && i ? "," : "", r[i].n, r[i].awake, r[i].at_rest, r[i].half_open,
			r[i].time_wait);
	printf(json ? "]" : "\n");
}

static void event_row_json(uint32_t n, uint32_t in_use, const double *v)
{
	printf("{\"connections\":%u,\"in_use\":%u", n, in_use);
	for (unsigned e = 0; e < EVENTS; e++)
		printf(",\"%s\":%.1f", event_names[e], v[e]);
	printf("}");
}

static void event_row(uint32_t n, uint32_t in_use, const double *v)
{
	printf("%11u%10u", n, in_use);
	for (unsigned e = 0; e < EVENTS; e++)
		printf(v[e] > 0 ? "%10.1f" : "         -", v[e]);
	printf("\n");
}

static void print_events(
	const uint32_t *n, const uint32_t *in_use, double (*v)[EVENTS], unsigned rows, bool json)
{
	printf(json ? "\"event_ns\":[" : "ns an event    in use");
	for (unsigned e = 0; e < EVENTS && !json; e++)
		printf("%10s", event_names[e]);
	printf(json ? "" : "\n");
	for (unsigned i = 0; i < rows; i++) {
		printf(json && i ? "," : "");
		(json ? event_row_json : event_row)(n[i], in_use[i], v[i]);
	}
	printf(json ? "]" : "");
}

int main(int argc, char **argv)
{
	static const uint32_t memory_n[] = {1000, 100000, 1000000},
			      events_n[] = {10, 10000, 1000000};
	static struct memory_row m[16];
	static double v[32][EVENTS];
	bool json = false, want_memory = true, want_events = true;
	uint32_t given[16], n_given = 0, rows, ns[32], in_use[32], event_rows = 0;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0)
			json = true;
		else if (strcmp(argv[i], "--memory") == 0)
			want_events = false;
		else if (strcmp(argv[i], "--events") == 0)
			want_memory = false;
		else if (n_given < 16 && atoi(argv[i]) > 0 && atoi(argv[i]) < 16000000)
			given[n_given++] = (uint32_t)atoi(argv[i]);
		else
			die("usage: conn_cost [--json] [--memory | --events] [N...]");
	}
	rows = n_given ? n_given : 3;
	printf(json ? "{" : "");
	for (uint32_t i = 0; i < rows && want_memory; i++)
		m[i] = memory(n_given ? given[i] : memory_n[i]);
	if (want_memory)
		print_memory(m, rows, json);
	for (uint32_t i = 0; i < rows && want_events; i++) {
		uint32_t n = n_given ? given[i] : events_n[i];

		in_use[event_rows] = ns[event_rows] = n;
		events(n, n, v[event_rows++]);
		if (n <= FEW)
			continue;
		ns[event_rows] = n;
		in_use[event_rows] = FEW;
		events(n, FEW, v[event_rows++]);
	}
	printf(json && want_memory && want_events ? "," : "");
	if (want_events)
		print_events(ns, in_use, v, event_rows, json);
	printf(json ? "}\n" : "");
	return 0;
}
