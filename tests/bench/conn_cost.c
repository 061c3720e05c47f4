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
 *   wake      receive, for a connection that rests
 *
 * Beside the nanoseconds stand instructions in user mode, where the processor's counters may be
 * read (perf_event_open(2)): they do not depend on caches, nor on who else is there. */
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE
#endif
#include "conn_world.h"
#include "counter.h"

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

static double took[EVENTS][BATCHES], ran[EVENTS][BATCHES]; /* ns; instructions */
static uint32_t picked[BATCH];
static struct tg_pkt *made[BATCH];

static void pick(void)
{
	for (unsigned i = 0; i < BATCH; i++)
		picked[i] = (uint32_t)(below(w.in_use) * w.spread % w.n);
}

static struct {
	double ns, instructions;
} begun;

static void count_from_here(void)
{
	begun.instructions = instructions();
	begun.ns = clock_ns();
}

/* That was the batch-th time of the event. */
static void count_to_here(unsigned event, unsigned batch)
{
	took[event][batch] = clock_ns() - begun.ns;
	ran[event][batch] = instructions() - begun.instructions;
}

static void lookups(unsigned batch)
{
	struct tg_ip us = tg_ip4_of(US), far[BATCH];
	const struct tcp_conn *found = NULL;
	const struct hnode *ahead[BATCH];
	uint32_t hash[BATCH];

	for (unsigned i = 0; i < BATCH; i++)
		far[i] = tg_ip4_of(addr_of(picked[i]));
	count_from_here();
	for (unsigned i = 0; i < BATCH; i++)
		hash[i] = tcp_tuple_hash(w.s, &us, PORT, &far[i], FAR_PORT);
	if (w.s->many)
		tcp_ahead_find(w.s, hash, ahead, BATCH);
	for (unsigned i = 0; i < BATCH; i++) {
		found = tcp_find_conn(w.s, &us, PORT, &far[i], FAR_PORT, hash[i]);
		if (!found)
			die("a connection is not found");
	}
	count_to_here(LOOKUP, batch);
}

static struct tcp_conn **conns; /* by the number of their peer */

static void timer_events(unsigned batch)
{
	struct tcp_conn *c[BATCH];
	uint64_t at_ns[BATCH];

	for (unsigned i = 0; i < BATCH; i++) {
		c[i] = conns[picked[i]];
		at_ns[i] = w.now_ns + (40 * NS_PER_MS << below(18));
	}
	count_from_here();
	if (w.s->many)
		tcp_ahead_timers(c, BATCH);
	for (unsigned i = 0; i < BATCH; i++)
		tcp_timers_pace(w.s, c[i], at_ns[i]);
	count_to_here(TIMER, batch);
}

static void receive(unsigned event, unsigned batch)
{
	uint8_t b[TEXT_BYTES];
	struct tg_event e;

	for (unsigned i = 0; i < BATCH; i++)
		made[i] = segment(picked[i], TCP_ACK | TCP_PSH, TEXT_BYTES);
	count_from_here();
	tg_input_ahead(w.s, w.netif, made, BATCH);
	for (unsigned i = 0; i < BATCH; i++) {
		tg_input(w.s, w.netif, made[i], w.now_ns);
		while (tg_event(w.s, &e))
			;
		if (tg_sock_recv(w.s, w.peer[picked[i]].k, b, sizeof(b), 0, w.now_ns) != TEXT_BYTES)
			die("text got lost");
	}
	tg_step(w.s, w.now_ns);
	count_to_here(event, batch);
}

static void sends(unsigned batch)
{
	static const uint8_t b[TEXT_BYTES];

	count_from_here();
	for (unsigned i = 0; i < BATCH; i++) {
		if (tg_sock_send(w.s, w.peer[picked[i]].k, b, sizeof(b), 0, w.now_ns) != TEXT_BYTES)
			die("text was not taken");
		tg_step(w.s, w.now_ns);
	}
	count_to_here(SEND, batch);
}

static void acks(unsigned batch)
{
	struct tg_event e;

	for (unsigned i = 0; i < BATCH; i++)
		made[i] = segment(picked[i], TCP_ACK, 0);
	count_from_here();
	tg_input_ahead(w.s, w.netif, made, BATCH);
	for (unsigned i = 0; i < BATCH; i++)
		tg_input(w.s, w.netif, made[i], w.now_ns);
	count_to_here(ACK, batch);
	while (tg_event(w.s, &e))
		;
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

struct event_row {
	uint32_t n, in_use;
	double ns[EVENTS], instructions[EVENTS];
};

static void medians(struct event_row *r, unsigned event, unsigned batches)
{
	r->ns[event] = median(took[event], batches);
	r->instructions[event] = median(ran[event], batches);
}

static void awake_events(struct event_row *r)
{
	for (unsigned b = 0; b < BATCHES; b++) {
		pick();
		lookups(b);
		pick();
		receive(RECEIVE, b);
		pick();
		sends(b);
		acks(b);
		w.now_ns += NS_PER_MS;
	}
	tg_step(w.s, w.now_ns);
	find_conns();
	for (unsigned b = 0; b < BATCHES; b++) {
		pick();
		timer_events(b);
	}
	free(conns);
	for (unsigned e = LOOKUP; e < WAKE; e++)
		medians(r, e, BATCHES);
}

/* Each batch wakes other connections: as many batches as N allows. */
static void wakes(struct event_row *r)
{
	unsigned n = w.n / 2 / BATCH, batches = n > BATCHES ? BATCHES : n;
	uint32_t step = w.n / (batches ? batches * BATCH : 1) | 1;

	for (unsigned b = 0; b < batches; b++) {
		for (unsigned i = 0; i < BATCH; i++)
			picked[i] = (uint32_t)((b * BATCH + i) * (uint64_t)step * 7919 % w.n);
		receive(WAKE, b);
	}
	if (batches)
		medians(r, WAKE, batches);
}

static struct event_row events(uint32_t n, uint32_t in_use)
{
	struct event_row r = {.n = n, .in_use = in_use};

	begin(n, 0);
	w.in_use = in_use;
	w.spread = in_use < n ? 2654435761u : 1;
	establish();
	nodelay();
	run_until(w.now_ns + NS_PER_SEC);
	awake_events(&r);
	end();
	if (in_use < n)
		return r;
	begin(n, 10 * NS_PER_SEC);
	establish();
	run_until(w.now_ns + 60 * NS_PER_SEC);
	wakes(&r);
	end();
	return r;
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

static void print_event_row(const struct event_row *r, const double *v, bool json)
{
	printf(json ? "{\"connections\":%u,\"in_use\":%u" : "%12u%10u", r->n, r->in_use);
	for (unsigned e = 0; e < EVENTS; e++) {
		if (json)
			printf(",\"%s\":%.1f", event_names[e], v[e]);
		else
			printf(v[e] > 0 ? "%10.1f" : "         -", v[e]);
	}
	printf(json ? "}" : "\n");
}

static void print_events(const struct event_row *r, unsigned rows, bool counted, bool json)
{
	if (json)
		printf(counted ? "\"event_instructions\":[" : "\"event_ns\":[");
	else
		printf(counted ? "instructions    in use" : "ns an event     in use");
	for (unsigned e = 0; e < EVENTS && !json; e++)
		printf("%10s", event_names[e]);
	printf(json ? "" : "\n");
	for (unsigned i = 0; i < rows; i++) {
		printf(json && i ? "," : "");
		print_event_row(&r[i], counted ? r[i].instructions : r[i].ns, json);
	}
	printf(json ? "]" : "\n");
}

static void all_events(const uint32_t *n, unsigned count, bool json)
{
	static struct event_row r[32];
	unsigned rows = 0;

	for (unsigned i = 0; i < count; i++) {
		r[rows++] = events(n[i], n[i]);
		if (n[i] > FEW)
			r[rows++] = events(n[i], FEW);
	}
	print_events(r, rows, false, json);
	if (!can_count())
		return;
	printf(json ? "," : "");
	print_events(r, rows, true, json);
}

int main(int argc, char **argv)
{
	static const uint32_t memory_n[] = {1000, 100000, 1000000},
			      events_n[] = {10, 10000, 1000000};
	static struct memory_row m[16];
	bool json = false, want_memory = true, want_events = true;
	uint32_t given[16], n_given = 0, rows;

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
	printf(json && want_memory && want_events ? "," : "");
	if (want_events)
		all_events(n_given ? given : events_n, rows, json);
	printf(json ? "}\n" : "");
	return 0;
}
