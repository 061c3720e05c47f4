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
 * what the stack makes. A batch is dealt with as the host deals with what it has read at once: with
 * cfg.tcp.many_conns or more, tg_input_ahead comes first, and counts; so does what that does of it
 * before a lookup and a timer. The instance's memory is in large pages from then on, as the host's.
 *
 *   lookup    the 4-tuple's hash and the search for its record
 *   timer     a deadline of a connection set anew (delayed ACK to keepalive, at random)
 *   receive   a segment in order, tg_sock_recv, and the ACK's share: every second is acknowledged
 *   send      tg_sock_send and its frame, one at a time
 *   ack       the acknowledgment of that, all of it
 *   wake      receive, for a connection that rests */
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE
#endif
#include "conn_world.h"

#define BATCH   64u
#define BATCHES 3000u
#define FEW     10000u

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
	const struct hnode *ahead[BATCH];
	uint32_t hash[BATCH];
	double t;

	for (unsigned i = 0; i < BATCH; i++)
		far[i] = tg_ip4_of(addr_of(picked[i]));
	t = clock_ns();
	for (unsigned i = 0; i < BATCH; i++)
		hash[i] = tcp_tuple_hash(w.s, &us, PORT, &far[i], FAR_PORT);
	if (w.s->many)
		tcp_ahead_find(w.s, hash, ahead, BATCH);
	for (unsigned i = 0; i < BATCH; i++) {
		found = tcp_find_conn(w.s, &us, PORT, &far[i], FAR_PORT, hash[i]);
		if (!found)
			die("a connection is not found");
	}
	return clock_ns() - t;
}

static struct tcp_conn **conns; /* by the number of their peer */

static double timer_events(void)
{
	struct tcp_conn *c[BATCH];
	uint64_t at_ns[BATCH];
	double t;

	for (unsigned i = 0; i < BATCH; i++) {
		c[i] = conns[picked[i]];
		at_ns[i] = w.now_ns + (40 * NS_PER_MS << below(18));
	}
	t = clock_ns();
	if (w.s->many)
		tcp_ahead_timers(c, BATCH);
	for (unsigned i = 0; i < BATCH; i++)
		tcp_timers_pace(w.s, c[i], at_ns[i]);
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
	tg_input_ahead(w.s, w.netif, made, BATCH);
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
	tg_input_ahead(w.s, w.netif, made, BATCH);
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

static void find_conns(void)
{
	struct tg_ip us = tg_ip4_of(US);

	conns = calloc(w.n, sizeof(struct tcp_conn *));
	if (!conns)
		die("out of memory");
	for (uint32_t i = 0; i < w.n; i++) {
		struct tg_ip far = tg_ip4_of(addr_of(i));
		uint32_t hash = tcp_tuple_hash(w.s, &us, PORT, &far, FAR_PORT);

		conns[i] = tcp_find_conn(w.s, &us, PORT, &far, FAR_PORT, hash);
		tcp_timers_stop(w.s, conns[i]);
		tcp_timers_pace(w.s, conns[i], w.now_ns + (40 * NS_PER_MS << below(18)));
	}
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
	find_conns();
	for (unsigned b = 0; b < BATCHES; b++) {
		pick();
		took[TIMER][b] = timer_events();
	}
	free(conns);
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
