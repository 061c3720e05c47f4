/* A test of iperf3 as it runs, at either end: its streams, its time, what is counted, its end. */
#define _GNU_SOURCE 1
#include "iperf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define RETRY_NS     (10 * NS_PER_MS)
#define UDP_QUIET_NS NS_PER_S /* what did not come by then is lost */

double iperf_seconds(uint64_t from_ns, uint64_t to_ns)
{
	return to_ns > from_ns ? (double)(to_ns - from_ns) / 1e9 : 0;
}

struct iperf_count iperf_count_diff(const struct iperf_count *a, const struct iperf_count *b)
{
	return (struct iperf_count){
		.bytes = a->bytes - b->bytes,
		.blocks = a->blocks - b->blocks,
		.packets = a->packets - b->packets,
		.lost = a->lost > b->lost ? a->lost - b->lost
					  : 0, /* what was lost may still come */
		.disorder = a->disorder - b->disorder,
		.retransmits = a->retransmits - b->retransmits,
	};
}

/* ---- Streams --------------------------------------------------------------------------------- */

unsigned iperf_streams_wanted(const struct iperf_params *p)
{
	return p->bidir ? 2 * p->parallel : p->parallel;
}

bool iperf_stream_sends(const struct iperf_test *t, unsigned i)
{
	bool client_sends = t->p.bidir ? i < t->p.parallel : !t->p.reverse;

	return client_sends != t->server;
}

struct iperf_stream *iperf_stream_new(struct iperf_test *t, enum iperf_phase phase)
{
	struct iperf_stream *st;

	if (t->n_streams >= IPERF_STREAMS_MAX) {
		return NULL;
	}
	st = calloc(1, sizeof *st);
	if (st == NULL) {
		return NULL;
	}
	st->conn.event = iperf_stream_event;
	st->test = t;
	st->id = t->n_streams == 0 ? 1 : t->n_streams + 2; /* 2 is left out: both ends do so */
	st->sender = iperf_stream_sends(t, t->n_streams);
	st->phase = phase;
	t->streams[t->n_streams++] = st;
	return st;
}

/* ---- Time ------------------------------------------------------------------------------------ */

static void cpu_read(double out[3], uint64_t now_ns)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	out[0] = (double)now_ns / 1e9;
	out[1] = (double)u.ru_utime.tv_sec + (double)u.ru_utime.tv_usec / 1e6;
	out[2] = (double)u.ru_stime.tv_sec + (double)u.ru_stime.tv_usec / 1e6;
}

/* What the socket knows is fetched only when it is needed. */
static void look(struct iperf_stream *st)
{
	if (st->sender) {
		iperf_stream_look(st);
	} else if (st->test->p.udp) {
		st->now.packets = st->arrivals.packets;
		st->now.lost = st->arrivals.lost;
		st->now.disorder = st->arrivals.disorder;
	}
}

/* Everything is counted from here. */
static void count_anew(struct iperf_test *t, uint64_t now_ns)
{
	for (unsigned i = 0; i < t->n_streams; i++) {
		struct iperf_stream *st = t->streams[i];

		look(st);
		st->base = st->mark = st->now;
	}
	t->start_ns = t->mark_ns = now_ns;
	t->sent_bytes = t->sent_blocks = t->received_bytes = t->received_blocks = 0;
	cpu_read(t->cpu_at, now_ns);
}

static bool payload_make(struct iperf_test *t)
{
	t->payload = malloc(t->p.block_bytes);
	if (t->payload != NULL) {
		seed_expand(t->begin_ns, t->payload, t->p.block_bytes);
	}
	return t->payload != NULL;
}

bool iperf_test_start(struct iperf_test *t, uint64_t now_ns)
{
	t->begin_ns = t->moved_ns = now_ns;
	if (!payload_make(t)) {
		return false;
	}
	t->omitting = t->p.omit_s > 0;
	t->running = t->counting = true;
	count_anew(t, now_ns);
	t->next_interval_ns = t->opt->interval_ns != 0 ? now_ns + t->opt->interval_ns : UINT64_MAX;
	iperf_report_begin(t);
	for (unsigned i = 0; i < t->n_streams && !t->failed; i++) {
		iperf_stream_event(&t->streams[i]->conn, TG_IN | TG_OUT, now_ns);
	}
	return true;
}

static void interval(struct iperf_test *t, uint64_t now_ns)
{
	for (unsigned i = 0; i < t->n_streams; i++) {
		look(t->streams[i]);
	}
	iperf_report_interval(t, now_ns);
	for (unsigned i = 0; i < t->n_streams; i++) {
		t->streams[i]->mark = t->streams[i]->now;
	}
	t->mark_ns = now_ns;
}

/* Senders that wait for their time, or for what the socket was short of. When to look again. */
static uint64_t pace(struct iperf_test *t, uint64_t now_ns)
{
	uint64_t due = UINT64_MAX, least = now_ns + t->p.pacing_us * NS_PER_US;

	if (now_ns < t->next_pace_ns) {
		return t->next_pace_ns;
	}
	for (unsigned i = 0; i < t->n_streams && !t->failed; i++) {
		struct iperf_stream *st = t->streams[i];

		if (!st->sender || st->phase != IPERF_READY || !t->counting) {
			continue;
		}
		if (st->retry || (t->p.rate_bps != 0 && st->due_ns <= now_ns)) {
			iperf_stream_send(st, now_ns);
		}
		if (st->retry) {
			due = now_ns + RETRY_NS < due ? now_ns + RETRY_NS : due;
		} else if (st->due_ns > now_ns) {
			due = st->due_ns < due ? st->due_ns : due;
		}
	}
	if (due == UINT64_MAX && t->p.rate_bps == 0) {
		return due; /* next_pace_ns stays: what is short of something shows at once */
	}
	t->next_pace_ns = due > least && due != UINT64_MAX ? due : least;
	return t->next_pace_ns;
}

/* Nothing moves for so long only if something is wrong; slow tests have their own measure. */
static uint64_t silence_ns(const struct iperf_test *t)
{
	const struct iperf_params *p = &t->p;
	double block_s = p->rate_bps != 0 ? (double)p->block_bytes * 8 / (double)p->rate_bps : 0;
	uint64_t twice_ns = block_s < 1e6 ? (uint64_t)(2e9 * block_s) : UINT64_MAX / 4;

	return t->opt->idle_ns + twice_ns;
}

uint64_t iperf_test_round(struct iperf_test *t, uint64_t now_ns)
{
	uint64_t due, end;

	if (!t->running || !t->counting || t->failed) {
		return UINT64_MAX;
	}
	end = t->begin_ns + t->p.omit_s * NS_PER_S;
	if (t->omitting && now_ns >= end) {
		if (now_ns - t->mark_ns > NS_PER_MS && t->opt->interval_ns != 0) {
			interval(t, now_ns);
		}
		t->omitting = false;
		count_anew(t, now_ns);
		t->next_interval_ns =
			t->opt->interval_ns != 0 ? now_ns + t->opt->interval_ns : UINT64_MAX;
	}
	if (now_ns >= t->next_interval_ns) {
		interval(t, now_ns);
		t->next_interval_ns += t->opt->interval_ns;
		if (t->next_interval_ns <= now_ns) {
			t->next_interval_ns = now_ns + t->opt->interval_ns;
		}
	}
	due = pace(t, now_ns);
	due = t->omitting && end < due ? end : due;
	due = t->next_interval_ns < due ? t->next_interval_ns : due;
	end = t->moved_ns + silence_ns(t);
	if (now_ns >= end && !t->failed) {
		iperf_test_fail(t, IPERF_E_IDLE, now_ns, "nothing has moved for %.0f s",
			iperf_seconds(t->moved_ns, now_ns));
	}
	return end < due ? end : due;
}

/* Of what was to be received, as far as that is known: octets that would make it complete; 0:
 * unknown. */
static uint64_t target_bytes(const struct iperf_params *p)
{
	return p->bytes != 0                            ? p->bytes
	       : p->blocks < INT64_MAX / p->block_bytes ? p->blocks * p->block_bytes
							: 0;
}

static bool received_all(const struct iperf_test *t, uint64_t now_ns)
{
	uint64_t sum = t->received_bytes;

	for (unsigned i = 0; t->p.udp && i < t->n_streams;
		i++) { /* those that are lost will not come */
		sum += t->streams[i]->sender ? 0 : t->streams[i]->arrivals.lost * t->p.block_bytes;
	}
	return sum >= target_bytes(&t->p) ||
	       (t->p.udp && t->received_blocks > 0 && now_ns >= t->moved_ns + UDP_QUIET_NS);
}

bool iperf_test_complete(const struct iperf_test *t, uint64_t now_ns)
{
	const struct iperf_params *p = &t->p;
	bool sends = t->server ? p->reverse || p->bidir : !p->reverse;
	bool receives = t->server ? !p->reverse : p->reverse || p->bidir;

	if (!t->running || t->omitting) {
		return false;
	}
	if (p->time_s != 0) {
		return now_ns >= t->start_ns + p->time_s * NS_PER_S;
	}
	if (p->bytes == 0 && p->blocks == 0) {
		return false;
	}
	if (sends && ((p->bytes != 0 && t->sent_bytes < p->bytes) ||
			     (p->blocks != 0 && t->sent_blocks < p->blocks))) {
		return false;
	}
	return !receives || received_all(t, now_ns);
}

void iperf_test_stop(struct iperf_test *t, uint64_t now_ns)
{
	double at[3], wall;

	if (!t->counting) {
		return;
	}
	t->end_ns = now_ns;
	for (unsigned i = 0; i < t->n_streams; i++) {
		look(t->streams[i]);
	}
	/* a beginning of an interval is worth a line if it is the only one, or long enough to say
	 * something */
	if (t->opt->interval_ns != 0 &&
		(t->mark_ns == t->start_ns || (now_ns - t->mark_ns) * 10 >= t->opt->interval_ns)) {
		interval(t, now_ns);
	}
	t->counting = false;
	cpu_read(at, now_ns);
	wall = at[0] - t->cpu_at[0];
	if (wall > 0) {
		t->cpu[1] = 100 * (at[1] - t->cpu_at[1]) / wall;
		t->cpu[2] = 100 * (at[2] - t->cpu_at[2]) / wall;
		t->cpu[0] = t->cpu[1] + t->cpu[2];
	}
}

/* ---- Steps of the protocol ------------------------------------------------------------------- */

static void ctl_event(struct svc_conn *c, unsigned events, uint64_t now_ns)
{
	struct iperf_ctl *ctl = (struct iperf_ctl *)(void *)c;
	struct iperf_test *t =
		(struct iperf_test *)(void *)((char *)ctl - offsetof(struct iperf_test, ctl));

	(void)now_ns;
	t->heard = t->heard || events != 0; /* the round that follows reads */
}

void iperf_test_init(struct iperf_test *t, struct tg *s, const struct iperf_opt *opt,
	const struct iperf_sink *sink)
{
	t->s = t->ctl.s = s;
	t->opt = opt;
	t->sink = sink;
	t->state = IPERF_START;
	t->ctl.conn.event = ctl_event;
	t->heard = true;
}

void iperf_test_step(struct iperf_test *t, enum iperf_state state, uint64_t now_ns)
{
	uint64_t patience = t->opt->idle_ns < IPERF_STEP_NS ? t->opt->idle_ns : IPERF_STEP_NS;

	t->state = state;
	t->step_ns = now_ns + patience;
}

uint64_t iperf_test_patience(struct iperf_test *t, uint64_t now_ns)
{
	static const char *const waiting[] = {[IPERF_TEST_START] = "the beginning of the test",
		[IPERF_TEST_END] = "the results",
		[IPERF_PARAM_EXCHANGE] = "the parameters",
		[IPERF_CREATE_STREAMS] = "the streams",
		[IPERF_EXCHANGE_RESULTS] = "the results",
		[IPERF_DISPLAY_RESULTS] = "the end of the test",
		[IPERF_START] = "an answer"};

	if (t->state == IPERF_TEST_RUNNING || t->failed) {
		return UINT64_MAX;
	}
	if (now_ns >= t->step_ns) {
		iperf_test_fail(
			t, IPERF_E_IDLE, now_ns, "waited too long for %s", waiting[t->state]);
	}
	return t->step_ns;
}

void iperf_test_tell(struct iperf_test *t)
{
	char line[320];
	int n;

	if (t->failed && !t->reported) {
		iperf_report_end(t); /* what there was */
	}
	iperf_json_print(t);
	if (!t->failed || t->opt->json) {
		return;
	}
	n = snprintf(line, sizeof line, "tapglass: iperf3: %s\n", t->why);
	t->sink->line(t->sink->arg, line, (size_t)n, true);
}

/* ---- Results --------------------------------------------------------------------------------- */

static void stream_result(
	const struct iperf_test *t, const struct iperf_stream *st, struct iperf_stream_result *r)
{
	struct iperf_count all = iperf_count_diff(&st->now, &st->base);

	r->id = (int64_t)st->id;
	r->bytes = all.bytes;
	r->packets = all.packets;
	r->lost = all.lost;
	r->retransmits = st->sender && !t->p.udp ? (int64_t)all.retransmits : -1;
	r->jitter_s = st->arrivals.jitter_s;
	r->start_s = 0;
	r->end_s = iperf_seconds(t->start_ns, t->end_ns);
}

static void congestion_used(const struct iperf_test *t, char out[16])
{
	struct tg_tcp_info i;

	if (!t->p.udp && t->n_streams > 0 &&
		tg_tcp_status(t->s, t->streams[0]->conn.sock, &i) == 0) {
		snprintf(out, 16, "%s", tg_cc_name(i.cc));
	}
}

bool iperf_test_results(struct iperf_test *t)
{
	struct iperf_results *r = calloc(1, sizeof *r);
	bool sends = false;

	if (r == NULL) {
		return false;
	}
	t->mine = r;
	r->cpu_total = t->cpu[0];
	r->cpu_user = t->cpu[1];
	r->cpu_system = t->cpu[2];
	r->n = t->n_streams;
	for (unsigned i = 0; i < t->n_streams; i++) {
		stream_result(t, t->streams[i], &r->stream[i]);
		sends = sends || t->streams[i]->sender;
	}
	r->has_retransmits = !sends ? -1 : t->p.udp ? 0 : 1;
	congestion_used(t, r->congestion);
	return true;
}

/* ---- Ends ------------------------------------------------------------------------------------ */

void iperf_test_fail(struct iperf_test *t, unsigned error, uint64_t now_ns, const char *format, ...)
{
	uint8_t message[9] = {IPERF_SERVER_ERROR, 0, 0, (uint8_t)(error >> 8), (uint8_t)error};
	va_list ap;

	if (t->failed) {
		return;
	}
	va_start(ap, format);
	vsnprintf(t->why, sizeof t->why, format, ap);
	va_end(ap);
	iperf_test_stop(t, now_ns);
	t->failed = true;
	if (t->ctl.conn.sock == 0) {
		return;
	}
	if (t->server && error == IPERF_E_SERVER_TERM && t->state == IPERF_TEST_RUNNING) {
		iperf_ctl_state(&t->ctl, IPERF_SERVER_TERMINATE, now_ns);
	} else if (t->server) {
		iperf_ctl_send(&t->ctl, message, sizeof message, now_ns);
	} else if (t->state != IPERF_START) {
		iperf_ctl_state(&t->ctl, IPERF_CLIENT_TERMINATE, now_ns);
	}
}

void iperf_test_free(struct iperf_test *t, uint64_t now_ns)
{
	for (unsigned i = 0; i < t->n_streams; i++) {
		struct iperf_stream *st = t->streams[i];

		if (st->conn.sock != 0) {
			tg_sock_close(t->s, st->conn.sock, now_ns);
		}
		free(st);
	}
	t->n_streams = 0;
	iperf_ctl_close(&t->ctl, now_ns);
	iperf_results_free(t->mine);
	iperf_results_free(t->theirs);
	free(t->mine);
	free(t->theirs);
	free(t->payload);
	free(t->output);
	json_object_put(t->report);
	json_object_put(t->intervals);
	t->mine = t->theirs = NULL;
	t->payload = t->output = NULL;
	t->report = t->intervals = NULL;
}
