/* What programs read of an iperf3 test (-J): one JSON object, with iperf3's names. */
#define _GNU_SOURCE 1
#include "iperf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#define ROWS_MAX 100000u /* of streams in intervals: a day of one stream, each second */

static void add(struct json_object *o, const char *name, struct json_object *v)
{
	json_object_object_add(o, name, v);
}

static void add_int(struct json_object *o, const char *name, int64_t v)
{
	add(o, name, json_object_new_int64(v));
}

static void add_num(struct json_object *o, const char *name, double v)
{
	add(o, name, json_object_new_double(v));
}

static void add_text(struct json_object *o, const char *name, const char *v)
{
	add(o, name, json_object_new_string(v));
}

static void add_bool(struct json_object *o, const char *name, bool v)
{
	add(o, name, json_object_new_boolean(v));
}

/* ---- start ----------------------------------------------------------------------------------- */

static struct json_object *report_of(struct iperf_test *t)
{
	struct utsname u;
	char system[sizeof u];

	if (t->report != NULL) {
		return t->report;
	}
	t->report = json_object_new_object();
	t->intervals = json_object_new_array();
	struct json_object *start = json_object_new_object();

	add(t->report, "start", start);
	add(start, "connected", json_object_new_array());
	add_text(start, "version", "tapglass " TAPGLASS_VERSION);
	if (uname(&u) == 0) {
		snprintf(system, sizeof system, "%s %s %s %s", u.sysname, u.nodename, u.release,
			u.machine);
		add_text(start, "system_info", system);
	}
	add(t->report, "intervals", json_object_get(t->intervals));
	return t->report;
}

static struct json_object *connected(const struct iperf_test *t)
{
	struct json_object *list = json_object_new_array();
	char ip[16];

	for (unsigned i = 0; i < t->n_streams; i++) {
		const struct iperf_stream *st = t->streams[i];
		struct json_object *o = json_object_new_object();

		add_int(o, "socket", st->id);
		add_text(o, "local_host", tg_ip_format(&st->local.ip, ip));
		add_int(o, "local_port", st->local.port);
		add_text(o, "remote_host", tg_ip_format(&st->peer.ip, ip));
		add_int(o, "remote_port", st->peer.port);
		json_object_array_add(list, o);
	}
	return list;
}

static void add_time(struct json_object *start)
{
	struct json_object *o = json_object_new_object();
	time_t now = time(NULL);
	struct tm tm;
	char text[64];

	gmtime_r(&now, &tm);
	strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
	add_text(o, "time", text);
	add_int(o, "timesecs", (int64_t)now);
	add(start, "timestamp", o);
}

static void add_peer(const struct iperf_test *t, struct json_object *start)
{
	struct json_object *o = json_object_new_object();
	char ip[16];

	add_text(o, "host", tg_ip_format(&t->peer.ip, ip));
	add_int(o, "port", t->peer.port);
	add(start, t->server ? "accepted_connection" : "connecting_to", o);
}

static void add_buffers(const struct iperf_test *t, struct json_object *start)
{
	tg_sock k = t->n_streams > 0 ? t->streams[0]->conn.sock : 0;
	struct tg_tcp_info info;
	int64_t v;

	if (!t->p.udp && tg_tcp_status(t->s, k, &info) == 0) {
		add_int(start, "tcp_mss_default", info.mss_snd);
	}
	add_int(start, "target_bitrate", (int64_t)t->p.rate_bps);
	add_int(start, "sock_bufsize", t->p.window_bytes);
	if (tg_sock_getopt(t->s, k, TG_SO_SNDBUF, &v) == 0) {
		add_int(start, "sndbuf_actual", v);
	}
	if (tg_sock_getopt(t->s, k, TG_SO_RCVBUF, &v) == 0) {
		add_int(start, "rcvbuf_actual", v);
	}
}

void iperf_json_begin(struct iperf_test *t)
{
	struct json_object *start, *o = json_object_new_object();
	const struct iperf_params *p = &t->p;

	json_object_object_get_ex(report_of(t), "start", &start);
	add(start, "connected", connected(t));
	add_time(start);
	add_peer(t, start);
	add_text(start, "cookie", t->cookie);
	add_buffers(t, start);
	add_text(o, "protocol", p->udp ? "UDP" : "TCP");
	add_int(o, "num_streams", p->parallel);
	add_int(o, "blksize", p->block_bytes);
	add_int(o, "omit", p->omit_s);
	add_int(o, "duration", p->time_s);
	add_int(o, "bytes", (int64_t)p->bytes);
	add_int(o, "blocks", (int64_t)p->blocks);
	add_int(o, "reverse", p->reverse);
	add_int(o, "bidir", p->bidir);
	add_int(o, "tos", p->tos);
	add_int(o, "target_bitrate", (int64_t)p->rate_bps);
	add(start, "test_start", o);
	if (p->extra[0] != '\0') {
		add_text(t->report, "extra_data", p->extra);
	}
	if (p->title[0] != '\0') {
		add_text(t->report, "title", p->title);
	}
}

/* ---- Parts ----------------------------------------------------------------------------------- */

struct part {
	struct iperf_count count;
	double from_s, to_s, jitter_s;
	int64_t retransmits; /* -1: unknown */
	bool sender;         /* of the figures: whose they are */
};

static struct json_object *part_write(
	const struct iperf_test *t, const struct part *p, int64_t socket)
{
	struct json_object *o = json_object_new_object();
	double seconds = p->to_s - p->from_s;

	if (socket != 0) {
		add_int(o, "socket", socket);
	}
	add_num(o, "start", p->from_s);
	add_num(o, "end", p->to_s);
	add_num(o, "seconds", seconds);
	add_int(o, "bytes", (int64_t)p->count.bytes);
	add_num(o, "bits_per_second", seconds > 0 ? (double)p->count.bytes * 8 / seconds : 0);
	if (p->retransmits >= 0) {
		add_int(o, "retransmits", p->retransmits);
	}
	if (t->p.udp && !p->sender) {
		add_num(o, "jitter_ms", p->jitter_s * 1e3);
		add_int(o, "lost_packets", (int64_t)p->count.lost);
	}
	if (t->p.udp) {
		add_int(o, "packets", (int64_t)p->count.packets);
	}
	if (t->p.udp && !p->sender) {
		add_num(o, "lost_percent",
			p->count.packets > 0
				? 100.0 * (double)p->count.lost / (double)p->count.packets
				: 0);
	}
	return o;
}

static void part_add(struct part *sum, const struct part *p)
{
	sum->count.bytes += p->count.bytes;
	sum->count.packets += p->count.packets;
	sum->count.lost += p->count.lost;
	sum->jitter_s += p->jitter_s;
	sum->to_s = p->to_s > sum->to_s ? p->to_s : sum->to_s;
	if (p->retransmits >= 0) {
		sum->retransmits = (sum->retransmits >= 0 ? sum->retransmits : 0) + p->retransmits;
	}
}

/* ---- intervals ------------------------------------------------------------------------------- */

static struct json_object *interval_stream(
	struct iperf_test *t, const struct iperf_stream *st, const struct part *p)
{
	struct json_object *o = part_write(t, p, st->id);

	if (st->sender && !t->p.udp) {
		add_int(o, "snd_cwnd", st->cwnd_bytes);
		add_int(o, "snd_wnd", st->snd_wnd_bytes);
		add_int(o, "rtt", st->rtt_us);
		add_int(o, "rttvar", st->rttvar_us);
		add_int(o, "pmtu", st->pmtu);
	}
	add_bool(o, "omitted", t->omitting);
	add_bool(o, "sender", st->sender);
	return o;
}

void iperf_json_interval(struct iperf_test *t, uint64_t now_ns)
{
	struct json_object *row = json_object_new_object(), *streams = json_object_new_array();
	struct part zero = {.from_s = iperf_seconds(t->start_ns, t->mark_ns),
		.to_s = iperf_seconds(t->start_ns, now_ns),
		.retransmits = -1};
	struct part sum[2] = {zero, zero};
	unsigned n[2] = {0, 0};

	if (t->interval_rows + t->n_streams > ROWS_MAX) {
		json_object_put(row);
		json_object_put(streams);
		return;
	}
	t->interval_rows += t->n_streams;
	for (unsigned i = 0; i < t->n_streams; i++) {
		const struct iperf_stream *st = t->streams[i];
		struct part p = zero;

		p.count = iperf_count_diff(&st->now, &st->mark);
		p.jitter_s = st->arrivals.jitter_s;
		p.retransmits = st->sender && !t->p.udp ? (int64_t)p.count.retransmits : -1;
		p.sender = st->sender;
		json_object_array_add(streams, interval_stream(t, st, &p));
		part_add(&sum[!st->sender], &p);
		n[!st->sender]++;
	}
	add(row, "streams", streams);
	for (unsigned i = 0; i < 2; i++) {
		struct json_object *o;

		if (n[i] == 0) {
			continue;
		}
		sum[i].sender = i == 0;
		sum[i].jitter_s /= n[i];
		o = part_write(t, &sum[i], 0);
		add_bool(o, "omitted", t->omitting);
		add_bool(o, "sender", i == 0);
		add(row, t->p.bidir && (i == 0) == t->server ? "sum_bidir_reverse" : "sum", o);
	}
	json_object_array_add(t->intervals, row);
}

/* ---- end ------------------------------------------------------------------------------------- */

static struct part part_of(const struct iperf_test *t, const struct iperf_stream *st, bool sender)
{
	struct iperf_summary s = iperf_summary_of(t, st, sender);

	return (struct part){s.count, 0, s.seconds, s.jitter_s, s.retransmits, sender};
}

static struct json_object *end_stream(const struct iperf_test *t, const struct iperf_stream *st)
{
	struct part sent = part_of(t, st, true), got = part_of(t, st, false);
	struct json_object *o = json_object_new_object(), *a;

	if (t->p.udp) { /* the receiver knows more, the sender knows how many there were */
		struct part both = got;

		both.count.bytes = sent.count.bytes != 0 ? sent.count.bytes : got.count.bytes;
		both.count.packets =
			sent.count.packets != 0 ? sent.count.packets : got.count.packets;
		a = part_write(t, &both, st->id);
		add_int(a, "out_of_order", (int64_t)st->arrivals.disorder);
		add_bool(a, "sender", st->sender);
		add(o, "udp", a);
		return o;
	}
	a = part_write(t, &sent, st->id);
	if (st->sender) {
		add_int(a, "max_snd_cwnd", st->max_cwnd_bytes);
		add_int(a, "max_snd_wnd", st->max_wnd_bytes);
		add_int(a, "max_rtt", st->max_rtt_us);
		add_int(a, "min_rtt", st->min_rtt_us);
		add_int(a, "mean_rtt",
			st->rtt_samples > 0 ? (int64_t)(st->rtt_sum_us / st->rtt_samples) : 0);
	}
	add_bool(a, "sender", st->sender);
	add(o, "sender", a);
	a = part_write(t, &got, st->id);
	add_bool(a, "sender", st->sender);
	add(o, "receiver", a);
	return o;
}

/* Sums over the streams on which we are the sender, or not. */
static void end_sums(const struct iperf_test *t, struct json_object *end, bool ours)
{
	const char *suffix = t->p.bidir && ours == t->server ? "_bidir_reverse" : "";
	struct part sum[2] = {{.retransmits = -1, .sender = true}, {.retransmits = -1}};
	unsigned n = 0;
	char name[40];

	for (unsigned i = 0; i < t->n_streams; i++) {
		if (t->streams[i]->sender == ours) {
			struct part sent = part_of(t, t->streams[i], true),
				    got = part_of(t, t->streams[i], false);

			part_add(&sum[0], &sent);
			part_add(&sum[1], &got);
			n++;
		}
	}
	if (n == 0) {
		return;
	}
	sum[1].jitter_s /= n;
	for (unsigned i = 0; i < 2; i++) {
		struct json_object *o = part_write(t, &sum[i], 0);

		add_bool(o, "sender", ours);
		snprintf(name, sizeof name, "%s%s", i == 0 ? "sum_sent" : "sum_received", suffix);
		add(end, name, o);
	}
	if (t->p.udp) {
		struct part both = sum[1];
		struct json_object *o;

		both.count.bytes = sum[0].count.bytes != 0 ? sum[0].count.bytes : both.count.bytes;
		both.count.packets =
			sum[0].count.packets != 0 ? sum[0].count.packets : both.count.packets;
		o = part_write(t, &both, 0);
		add_bool(o, "sender", ours);
		snprintf(name, sizeof name, "sum%s", suffix);
		add(end, name, o);
	}
}

static void add_cpu(const struct iperf_test *t, struct json_object *end)
{
	struct json_object *o = json_object_new_object();
	const struct iperf_results *r = t->theirs;

	add_num(o, "host_total", t->cpu[0]);
	add_num(o, "host_user", t->cpu[1]);
	add_num(o, "host_system", t->cpu[2]);
	add_num(o, "remote_total", r != NULL ? r->cpu_total : 0);
	add_num(o, "remote_user", r != NULL ? r->cpu_user : 0);
	add_num(o, "remote_system", r != NULL ? r->cpu_system : 0);
	add(end, "cpu_utilization_percent", o);
}

static void add_congestion(const struct iperf_test *t, struct json_object *end)
{
	bool sends = t->n_streams > 0 && t->streams[0]->sender;

	if (t->mine != NULL && t->mine->congestion[0] != '\0') {
		add_text(end, sends ? "sender_tcp_congestion" : "receiver_tcp_congestion",
			t->mine->congestion);
	}
	if (t->theirs != NULL && t->theirs->congestion[0] != '\0') {
		add_text(end, sends ? "receiver_tcp_congestion" : "sender_tcp_congestion",
			t->theirs->congestion);
	}
}

void iperf_json_end(struct iperf_test *t)
{
	struct json_object *report = report_of(t), *end = json_object_new_object();
	struct json_object *streams = json_object_new_array();

	for (unsigned i = 0; i < t->n_streams; i++) {
		json_object_array_add(streams, end_stream(t, t->streams[i]));
	}
	add(end, "streams", streams);
	end_sums(t, end, !t->server);
	end_sums(t, end, t->server);
	add_cpu(t, end);
	add_congestion(t, end);
	add(report, "end", end);
	if (t->theirs != NULL && t->theirs->output != NULL && t->p.get_output && !t->server) {
		add_text(report, "server_output_text", t->theirs->output);
	}
	if (t->theirs != NULL && t->theirs->output_json != NULL && t->p.get_output) {
		add(report, "server_output_json", json_object_get(t->theirs->output_json));
	}
}

void iperf_json_print(struct iperf_test *t)
{
	struct json_object *report;
	char *text;
	int n;

	if (!t->opt->json) {
		return;
	}
	report = report_of(t);
	if (t->why[0] != '\0') {
		add_text(report, "error", t->why);
	}
	n = asprintf(
		&text, "%s\n", json_object_to_json_string_ext(report, JSON_C_TO_STRING_PRETTY));
	if (n >= 0) {
		t->sink->json(t->sink->arg, text);
	}
}
