/* The event log: which trace records are told, and the coalescing of those that bulk transfer makes
 * many of.
 *
 * At the default level a segment is told if it carries SYN, FIN or RST or is a retransmission or
 * probe; SEND and RECEIVE calls are summed up, and a connection's measures are looked at, every 50
 * ms. With `all`, every record of the trace is told. Measures are those of the first 1,024 sockets
 * of the table. */
#define _GNU_SOURCE 1
#include "eventlog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <json-c/json.h>

#define TICK_NS            (50 * NS_PER_MS)
#define RETRY_NS           (50 * NS_PER_MS)
#define SOCKS_PER_TICK     1024u
#define RECORDS_PER_SECOND 20000u /* at the default level: a flood of drops fills no disk */
#define CLOSE_MS           1000
#define RECORD_BYTES       (EVENT_JSON_BYTES + 2)
#define RS                 '\x1e' /* [7464 2.2] */

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04

/* ---- Records --------------------------------------------------------------------------------- */

/* [7464 2.2] RS, the text, LF. False: no room. */
static bool record_put(struct eventlog *g, char *record, size_t n)
{
	record[0] = RS;
	record[n + 1] = '\n';
	if (g->out.len_bytes > OUT_BUFFER_BYTES / 2 && !g->stuck) {
		g->stuck = out_flush(&g->out);
	}
	return out_line(&g->out, record, n + 2);
}

static bool gap_told(struct eventlog *g, uint64_t time_ns)
{
	char record[RECORD_BYTES];

	if (g->lost > 0 &&
		record_put(g, record, event_json_gap(g->lost, time_ns, g->start_ns, record + 1))) {
		g->lost = 0;
	}
	return g->lost == 0;
}

/* The text stands in record + 1, n bytes; 0: nothing is to be told. */
static void tell(struct eventlog *g, char *record, size_t n, uint64_t time_ns)
{
	uint64_t second = time_ns / NS_PER_S;

	if (n == 0) {
		return;
	}
	if (second != g->second) {
		g->second = second;
		g->in_second = 0;
	}
	if (!g->all && ++g->in_second > RECORDS_PER_SECOND) {
		g->lost++;
		return;
	}
	if (!gap_told(g, time_ns) || !record_put(g, record, n)) {
		g->lost++;
	}
}

static void tell_trace(struct eventlog *g, const struct tg_trace *t)
{
	char record[RECORD_BYTES];

	tell(g, record, event_json(t, g->start_ns, record + 1), t->time_ns);
	g->last_ns = t->time_ns;
}

/* ---- What is summed up ----------------------------------------------------------------------- */

static void calls_tell(struct eventlog *g, struct eventlog_conn *c, uint64_t time_ns)
{
	char record[RECORD_BYTES];

	for (unsigned i = 0; i < 2; i++) {
		struct tg_trace *t = &c->calls[i].last;

		if (c->calls[i].n == 0) {
			continue;
		}
		t->time_ns = time_ns;
		t->len = c->calls[i].bytes < UINT32_MAX ? (uint32_t)c->calls[i].bytes : UINT32_MAX;
		tell(g, record, event_json_calls(t, c->calls[i].n, g->start_ns, record + 1),
			time_ns);
		c->calls[i].n = 0;
		c->calls[i].bytes = 0;
	}
}

/* The place of a connection; one that was there before tells what it has. */
static struct eventlog_conn *conn_of(struct eventlog *g, uint32_t conn, uint64_t time_ns)
{
	struct eventlog_conn *c = &g->conns[conn % EVENTLOG_CONNS];

	if (c->conn != conn) {
		calls_tell(g, c, time_ns);
		memset(c, 0, sizeof *c);
		c->conn = conn;
	}
	return c;
}

static bool is_summed(const struct tg_trace *t)
{
	return t->kind == TG_TRACE_CALL && t->conn != 0 && (int32_t)t->aux >= 0 &&
	       (t->a == TG_CALL_SEND || t->a == TG_CALL_RECEIVE);
}

static void call_add(struct eventlog *g, const struct tg_trace *t)
{
	struct eventlog_conn *c = conn_of(g, t->conn, t->time_ns);
	unsigned i = t->a == TG_CALL_RECEIVE;

	c->calls[i].n++;
	c->calls[i].bytes += t->len;
	c->calls[i].last = *t;
}

static uint32_t us_of(uint64_t ns)
{
	uint64_t us = ns / NS_PER_US;

	return us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

static void metrics_tell(struct eventlog *g, const struct tg_sock_row *row,
	const struct tg_tcp_info *i, uint64_t now_ns)
{
	const uint32_t v[EVENT_METRIC_COUNT] = {
		[EVENT_METRIC_srtt] = us_of(i->srtt_ns),
		[EVENT_METRIC_rttvar] = us_of(i->rttvar_ns),
		[EVENT_METRIC_min_rtt] = us_of(i->min_rtt_ns),
		[EVENT_METRIC_rto] = us_of(i->rto_ns),
		[EVENT_METRIC_cwnd] = i->cwnd_bytes,
		[EVENT_METRIC_ssthresh] = i->ssthresh_bytes,
		[EVENT_METRIC_inflight] = i->flight_bytes,
		[EVENT_METRIC_snd_wnd] = i->snd_wnd,
		[EVENT_METRIC_rcv_wnd] = i->rcv_wnd,
	};
	struct eventlog_conn *c = conn_of(g, row->conn, now_ns);
	struct tg_trace t = {.time_ns = now_ns,
		.conn = row->conn,
		.lport = row->local.port,
		.rport = row->peer.port};
	char record[RECORD_BYTES];

	memcpy(t.raddr, row->peer.ip.b, sizeof t.raddr);
	tell(g, record,
		event_json_metrics(&t, v, c->measured ? c->metrics : NULL, g->start_ns, record + 1),
		now_ns);
	memcpy(c->metrics, v, sizeof v);
	c->measured = true;
}

static void tick(struct eventlog *g, uint64_t now_ns)
{
	struct tg_sock_row row;
	struct tg_tcp_info info;
	uint64_t cursor = 0;

	for (unsigned i = 0; i < EVENTLOG_CONNS; i++) {
		calls_tell(g, &g->conns[i], now_ns);
	}
	for (unsigned n = 0; n < SOCKS_PER_TICK && tg_table_socks(g->s, &cursor, &row); n++) {
		if (row.sock != 0 && row.conn != 0 && row.type == TG_STREAM &&
			row.state != TG_LISTEN && tg_tcp_status(g->s, row.sock, &info) == 0) {
			metrics_tell(g, &row, &info, now_ns);
		}
	}
}

/* ---- Reading the trace ----------------------------------------------------------------------- */

/* Of the default level; what is summed up has been taken out before. */
static bool is_told(const struct tg_trace *t)
{
	switch ((enum tg_trace_kind)t->kind) {
	case TG_TRACE_SEGMENT_IN: return (t->tcp_flags & (TCP_FIN | TCP_SYN | TCP_RST)) != 0;
	case TG_TRACE_SEGMENT_OUT:
		return t->a != 0 || (t->tcp_flags & (TCP_FIN | TCP_SYN | TCP_RST)) != 0;
	case TG_TRACE_CALL:
		return (int32_t)t->aux < 0 || (t->a != TG_CALL_SEND && t->a != TG_CALL_RECEIVE);
	case TG_TRACE_UDP: return false;
	case TG_TRACE_REASSEMBLY: return t->a != 0; /* not each fragment */
	case TG_TRACE_STATE:
	case TG_TRACE_DROP:
	case TG_TRACE_TIMER:
	case TG_TRACE_CONGESTION:
	case TG_TRACE_ARP:
	case TG_TRACE_ICMP:
	case TG_TRACE_NEIGHBOUR:
	case TG_TRACE_IMPAIRED: return true;
	case TG_TRACE_NONE: return false;
	}
	return false;
}

static void trace_one(struct eventlog *g, const struct tg_trace *t)
{
	bool moves = t->kind == TG_TRACE_SEGMENT_IN || t->kind == TG_TRACE_SEGMENT_OUT ||
		     t->kind == TG_TRACE_CALL;

	if (moves && g->tick_ns == UINT64_MAX) {
		g->tick_ns = t->time_ns + TICK_NS;
	}
	if (!g->all && is_summed(t)) {
		call_add(g, t);
		return;
	}
	if (!g->all && !is_told(t)) {
		return;
	}
	if (t->conn != 0 && t->kind != TG_TRACE_SEGMENT_IN && t->kind != TG_TRACE_SEGMENT_OUT &&
		g->conns[t->conn % EVENTLOG_CONNS].conn == t->conn) {
		calls_tell(g, &g->conns[t->conn % EVENTLOG_CONNS], t->time_ns);
	}
	tell_trace(g, t);
}

static void trace_read(struct eventlog *g)
{
	struct tg_trace t;
	uint64_t lost = 0;

	while (tg_trace_next(g->s, &g->cursor, &t, &lost)) {
		g->lost += lost;
		lost = 0;
		trace_one(g, &t);
	}
}

void eventlog_trace(struct eventlog *g, const struct tg_trace *t)
{
	struct tg_trace late = *t;

	if (g->on && !g->out.dead) {
		trace_read(g); /* in the order of time, however the records come here */
		late.time_ns = t->time_ns > g->last_ns ? t->time_ns : g->last_ns;
		trace_one(g, &late);
	}
}

/* ---- Life ------------------------------------------------------------------------------------ */

static void header_add(struct json_object *o, const char *name, const char *text)
{
	json_object_object_add(o, name, json_object_new_string(text));
}

/* What qlog wants to know of the whole. */
static struct json_object *header_make(const struct eventlog_about *about)
{
	struct json_object *o = json_object_new_object(), *trace = json_object_new_object(),
			   *common = json_object_new_object(), *when = json_object_new_object(),
			   *from = json_object_new_object(), *schemas = json_object_new_array();
	time_t now = time(NULL);
	struct tm tm;
	char text[32] = "";

	if (gmtime_r(&now, &tm) != NULL) {
		strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	}
	header_add(when, "clock_type", "monotonic");
	header_add(when, "epoch", "unknown"); /* as qlog demands of such a clock */
	header_add(when, "wall_clock_time", text);
	header_add(common, "group_id", about->instance);
	header_add(common, "time_format", "relative_to_epoch");
	json_object_object_add(common, "reference_time", when);
	header_add(from, "name", about->address);
	header_add(from, "type", "unknown");
	json_object_array_add(schemas, json_object_new_string(EVENT_SCHEMA));
	json_object_object_add(trace, "common_fields", common);
	json_object_object_add(trace, "vantage_point", from);
	json_object_object_add(trace, "event_schemas", schemas);
	header_add(o, "file_schema", "urn:ietf:params:qlog:file:sequential");
	header_add(o, "serialization_format", "application/qlog+json-seq");
	header_add(o, "title", "tapglass " TAPGLASS_VERSION);
	json_object_object_add(o, "trace", trace);
	return o;
}

static void header_tell(struct eventlog *g, const struct eventlog_about *about)
{
	struct json_object *o = header_make(about);
	const char *text = json_object_to_json_string_ext(
		o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	char record[1024];
	size_t n = strlen(text);

	if (n < sizeof record - 2) {
		memcpy(record + 1, text, n);
		record_put(g, record, n);
	}
	json_object_put(o);
}

int eventlog_open(struct eventlog *g, const char *file, bool all)
{
	bool standard = strcmp(file, "json") == 0;
	int fd = standard ? STDOUT_FILENO
			  : open(file, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY | O_CLOEXEC, 0644);

	memset(g, 0, sizeof *g);
	if (fd < 0) {
		return -errno;
	}
	out_open(&g->out, fd);
	if (!standard && g->out.own_fd) { /* a pipe, open a second time */
		close(fd);
	}
	g->own_fd = !standard && !g->out.own_fd;
	g->out.patient = true;
	g->all = all;
	g->tick_ns = UINT64_MAX;
	return 0;
}

void eventlog_start(struct eventlog *g, const struct tg *s, const struct eventlog_about *about,
	uint64_t start_ns)
{
	g->s = s;
	g->start_ns = start_ns;
	g->on = true;
	header_tell(g, about);
	out_flush(&g->out);
}

uint64_t eventlog_round(struct eventlog *g, uint64_t now_ns)
{
	if (!g->on || g->out.dead) {
		return UINT64_MAX;
	}
	g->stuck = false;
	trace_read(g);
	now_ns = now_ns > g->last_ns ? now_ns : g->last_ns;
	if (now_ns >= g->tick_ns) {
		g->tick_ns = UINT64_MAX;
		tick(g, now_ns);
		g->last_ns = now_ns;
	}
	if (!g->stuck && g->out.len_bytes > 0) {
		g->stuck = out_flush(&g->out);
	}
	return g->stuck && now_ns + RETRY_NS < g->tick_ns ? now_ns + RETRY_NS : g->tick_ns;
}

/* Records that stand in the buffer. */
static uint64_t unwritten(const struct out *o)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < o->len_bytes; i++) {
		n += o->buf[(o->start_bytes + i) % OUT_BUFFER_BYTES] == RS;
	}
	return n;
}

uint64_t eventlog_close(struct eventlog *g, uint64_t now_ns)
{
	bool gone;

	if (!g->on) {
		return 0;
	}
	eventlog_round(g, now_ns);
	now_ns = now_ns > g->last_ns ? now_ns : g->last_ns;
	for (unsigned i = 0; i < EVENTLOG_CONNS; i++) {
		calls_tell(g, &g->conns[i], now_ns);
	}
	gap_told(g, now_ns);
	gone = g->out.dead;
	out_close(&g->out, CLOSE_MS);
	if (g->own_fd) {
		close(g->out.fd);
	}
	g->on = false;
	return gone ? 0 : g->lost + unwritten(&g->out); /* a reader that left wants no more */
}
