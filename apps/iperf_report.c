/* What people read of an iperf3 test: lines as iperf3's. Octets are counted by 1024, bits by 1000.
 */
#define _GNU_SOURCE 1
#include "iperf.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RULE "- - - - - - - - - - - - - - - - - - - - - - - - -\n"

/* ---- Numbers --------------------------------------------------------------------------------- */

static void scaled(double v, double base, char unit, const char *name, char buf[24])
{
	static const char units[] = " KMGT";
	const char *fixed = unit != 0 ? strchr(units, toupper((unsigned char)unit)) : NULL;
	size_t i = 0;

	while (fixed != NULL ? i < (size_t)(fixed - units)
			     : v >= base && i + 1 < sizeof units - 1) {
		v /= base;
		i++;
	}
	snprintf(buf, 24, "%4.*f %.*s%s",
		v < 9.995   ? 2
		: v < 99.95 ? 1
			    : 0,
		v, i > 0, units + i, name);
}

char *iperf_amount(double bytes, char buf[24])
{
	scaled(bytes, 1024, 0, "Bytes", buf);
	return buf;
}

/* Small letters are bits, capitals octets, as of -f. */
char *iperf_rate(double bits_per_second, char unit, char buf[24])
{
	if (unit != 0 && isupper((unsigned char)unit)) {
		scaled(bits_per_second / 8, 1024, unit, "Bytes/sec", buf);
	} else {
		scaled(bits_per_second, 1000, unit, "bits/sec", buf);
	}
	return buf;
}

/* ---- Lines ----------------------------------------------------------------------------------- */

/* Kept for the client that asked for it, as much as there is room for. */
static void keep(struct iperf_test *t, const char *line, size_t n)
{
	char *more;

	bool asked = t->p.get_output || t->state == IPERF_START; /* it may ask yet */

	if (!t->server || !asked || t->output_bytes + n + 1 > IPERF_OUTPUT_MAX / 8) {
		return;
	}
	more = realloc(t->output, t->output_bytes + n + 1);
	if (more == NULL) {
		return;
	}
	t->output = more;
	memcpy(more + t->output_bytes, line, n);
	t->output_bytes += n;
	more[t->output_bytes] = '\0';
}

void iperf_say(struct iperf_test *t, const char *format, ...)
{
	char line[640];
	int at = 0, n;
	va_list ap;

	if (t->opt->json) {
		return;
	}
	if (t->p.title[0] != '\0' && !t->server) {
		at = snprintf(line, sizeof line, "%s:  ", t->p.title);
	}
	va_start(ap, format);
	n = vsnprintf(line + at, sizeof line - (size_t)at, format, ap);
	va_end(ap);
	n = n < (int)sizeof line - at ? at + n : (int)sizeof line - 1;
	keep(t, line, (size_t)n);
	t->sink->line(t->sink->arg, line, (size_t)n, false);
}

static const char *role(const struct iperf_test *t, bool sender)
{
	if (!t->p.bidir) {
		return "";
	}
	return t->server ? sender ? "[TX-S]" : "[RX-S]" : sender ? "[TX-C]" : "[RX-C]";
}

static bool any(const struct iperf_test *t, bool sender)
{
	for (unsigned i = 0; i < t->n_streams; i++) {
		if (t->streams[i]->sender == sender) {
			return true;
		}
	}
	return false;
}

/* ---- Intervals ------------------------------------------------------------------------------- */

static void heading(struct iperf_test *t)
{
	bool sends = any(t, true), receives = any(t, false);
	const char *head = t->p.bidir ? "[ ID][Role] Interval           Transfer     Bitrate       "
				      : "[ ID] Interval           Transfer     Bitrate       ";

	if (t->p.udp) {
		iperf_say(t, "%s  %s\n", head,
			receives ? "Jitter    Lost/Total Datagrams" : "Total Datagrams");
	} else {
		iperf_say(t, "%s%s\n", head, sends ? "  Retr  Cwnd" : "");
	}
}

void iperf_report_begin(struct iperf_test *t)
{
	char a[24];

	if (t->opt->json) {
		iperf_json_begin(t);
		return;
	}
	if (t->opt->quiet) {
		return;
	}
	for (unsigned i = 0; i < t->n_streams; i++) {
		const struct iperf_stream *st = t->streams[i];
		char ip_a[16], ip_b[16];

		iperf_say(t, "[%3u] local %s port %u connected to %s port %u\n", st->id,
			tg_ip_format(&st->local.ip, ip_a), (unsigned)st->local.port,
			tg_ip_format(&st->peer.ip, ip_b), (unsigned)st->peer.port);
	}
	if (t->opt->verbose) {
		iperf_say(t, "Starting test: %s, streams: %u, blocks of %s, %u s omitted\n",
			t->p.udp ? "UDP" : "TCP", t->n_streams, iperf_amount(t->p.block_bytes, a),
			t->p.omit_s);
	}
	if (t->opt->interval_ns != 0) {
		heading(t);
	}
}

static double percent(uint64_t part, uint64_t all)
{
	return all > 0 ? 100.0 * (double)part / (double)all : 0;
}

/* Everything of a line up to the rate. */
static int line_begin(const struct iperf_test *t, unsigned id, bool sender, double from, double to,
	uint64_t bytes, char line[256])
{
	double seconds = to - from;
	char name[8], a[24], r[24];

	snprintf(name, sizeof name, id == 0 ? "SUM" : "%3u", id);
	return snprintf(line, 256, "[%s]%s %6.2f-%-6.2f sec  %11s  %14s", name, role(t, sender),
		from, to, iperf_amount((double)bytes, a),
		iperf_rate(seconds > 0 ? (double)bytes * 8 / seconds : 0, t->opt->unit, r));
}

struct span {
	double from, to;
};

static void interval_line(struct iperf_test *t, unsigned id, bool sender, struct span s,
	const struct iperf_count *d, double jitter_s, const struct iperf_stream *st)
{
	char line[256], cwnd[24];
	int n = line_begin(t, id, sender, s.from, s.to, d->bytes, line);
	const char *omitted = t->omitting ? "(omitted)" : "";
	size_t room = sizeof line - (size_t)n;

	if (t->p.udp && sender) {
		snprintf(line + n, room, "  %llu  %s", (unsigned long long)d->packets, omitted);
	} else if (t->p.udp) {
		snprintf(line + n, room, "  %.3f ms  %llu/%llu (%.2g%%)  %s", jitter_s * 1e3,
			(unsigned long long)d->lost, (unsigned long long)d->packets,
			percent(d->lost, d->packets), omitted);
	} else if (sender) {
		snprintf(line + n, room, "  %3llu  %12s  %s", (unsigned long long)d->retransmits,
			st != NULL ? iperf_amount(st->cwnd_bytes, cwnd) : "", omitted);
	} else {
		snprintf(line + n, room, "  %s", omitted);
	}
	iperf_say(t, "%s\n", line);
}

static void interval_group(struct iperf_test *t, bool sender, struct span s)
{
	struct iperf_count sum = {0};
	double jitter_s = 0;
	unsigned n = 0;

	for (unsigned i = 0; i < t->n_streams; i++) {
		const struct iperf_stream *st = t->streams[i];
		struct iperf_count d = iperf_count_diff(&st->now, &st->mark);

		if (st->sender != sender) {
			continue;
		}
		interval_line(t, st->id, sender, s, &d, st->arrivals.jitter_s, st);
		sum.bytes += d.bytes;
		sum.packets += d.packets;
		sum.lost += d.lost;
		sum.retransmits += d.retransmits;
		jitter_s += st->arrivals.jitter_s;
		n++;
	}
	if (n > 1) {
		interval_line(t, 0, sender, s, &sum, jitter_s / n, NULL);
	}
}

void iperf_report_interval(struct iperf_test *t, uint64_t now_ns)
{
	struct span s = {
		iperf_seconds(t->start_ns, t->mark_ns), iperf_seconds(t->start_ns, now_ns)};

	if (t->opt->json) {
		iperf_json_interval(t, now_ns);
		return;
	}
	if (t->opt->quiet) {
		return;
	}
	interval_group(t, !t->server, s);
	interval_group(t, t->server, s);
	if (t->n_streams > 1) {
		iperf_say(t, RULE);
	}
}

/* ---- The whole ------------------------------------------------------------------------------- */

static const struct iperf_stream_result *theirs_of(
	const struct iperf_test *t, const struct iperf_stream *st)
{
	for (unsigned i = 0; t->theirs != NULL && i < t->theirs->n; i++) {
		if (t->theirs->stream[i].id == (int64_t)st->id) {
			return &t->theirs->stream[i];
		}
	}
	return NULL;
}

struct iperf_summary iperf_summary_of(
	const struct iperf_test *t, const struct iperf_stream *st, bool sender)
{
	const struct iperf_stream_result *r;
	struct iperf_summary s = {.retransmits = -1};

	if (st->sender == sender) {
		s.count = iperf_count_diff(&st->now, &st->base);
		s.seconds = iperf_seconds(t->start_ns, t->end_ns);
		s.jitter_s = st->arrivals.jitter_s;
		s.retransmits = sender && !t->p.udp ? (int64_t)s.count.retransmits : -1;
		s.known = true;
		return s;
	}
	r = theirs_of(t, st);
	if (r != NULL) {
		s.count = (struct iperf_count){
			.bytes = r->bytes, .packets = r->packets, .lost = r->lost};
		s.seconds = r->end_s - r->start_s;
		s.jitter_s = r->jitter_s;
		s.retransmits = sender && t->theirs->has_retransmits == 1 ? r->retransmits : -1;
		s.known = true;
	}
	return s;
}

static void summary_line(
	struct iperf_test *t, unsigned id, bool ours, const struct iperf_summary *s, bool sender)
{
	const char *who = sender ? "sender" : "receiver";
	char line[256];
	int n = line_begin(t, id, ours, 0, s->seconds, s->count.bytes, line);
	size_t room = sizeof line - (size_t)n;

	if (t->p.udp) {
		snprintf(line + n, room, "  %.3f ms  %llu/%llu (%.2g%%)  %s",
			sender ? 0 : s->jitter_s * 1e3,
			sender ? 0 : (unsigned long long)s->count.lost,
			(unsigned long long)s->count.packets,
			sender ? 0 : percent(s->count.lost, s->count.packets), who);
	} else if (s->retransmits >= 0) {
		snprintf(line + n, room, "  %3lld             %s", (long long)s->retransmits, who);
	} else {
		snprintf(line + n, room, "                  %s", who);
	}
	iperf_say(t, "%s\n", line);
}

static void summary_add(struct iperf_summary *sum, const struct iperf_summary *s)
{
	sum->count.bytes += s->count.bytes;
	sum->count.packets += s->count.packets;
	sum->count.lost += s->count.lost;
	sum->jitter_s += s->jitter_s;
	sum->seconds = s->seconds > sum->seconds ? s->seconds : sum->seconds;
	if (s->retransmits >= 0) {
		sum->retransmits = (sum->retransmits >= 0 ? sum->retransmits : 0) + s->retransmits;
	}
}

/* Of the streams on which we are the sender, or not. */
static void summary_group(struct iperf_test *t, bool ours)
{
	struct iperf_summary sum[2] = {{.retransmits = -1}, {.retransmits = -1}};
	unsigned n[2] = {0, 0};

	for (unsigned i = 0; i < t->n_streams; i++) {
		const struct iperf_stream *st = t->streams[i];

		for (unsigned who = 0; who < 2 && st->sender == ours; who++) {
			struct iperf_summary s = iperf_summary_of(t, st, who == 0);

			if (s.known) {
				summary_line(t, st->id, ours, &s, who == 0);
				summary_add(&sum[who], &s);
				n[who]++;
			}
		}
	}
	for (unsigned who = 0; who < 2; who++) {
		if (n[who] > 1) {
			sum[who].jitter_s /= n[who];
			summary_line(t, 0, ours, &sum[who], who == 0);
		}
	}
}

static void more(struct iperf_test *t)
{
	const struct iperf_results *r = t->theirs;

	if (t->opt->verbose) {
		iperf_say(t, "CPU utilization: here %.1f%% (%.1f%% user, %.1f%% system)\n",
			t->cpu[0], t->cpu[1], t->cpu[2]);
		if (r != NULL) {
			iperf_say(t, "CPU utilization: there %.1f%% (%.1f%% user, %.1f%% system)\n",
				r->cpu_total, r->cpu_user, r->cpu_system);
			if (!t->p.udp) {
				iperf_say(t, "Congestion control: here %s, there %s\n",
					t->mine->congestion, r->congestion);
			}
		}
	}
}

static void their_output(struct iperf_test *t)
{
	const char *text = t->theirs != NULL ? t->theirs->output : NULL;

	if (text == NULL && t->theirs != NULL && t->theirs->output_json != NULL) {
		text = json_object_to_json_string_ext(
			t->theirs->output_json, JSON_C_TO_STRING_PRETTY);
	}
	if (text == NULL || t->server || !t->p.get_output) {
		return;
	}
	iperf_say(t, "\nServer output:\n");
	while (*text != '\0') {
		size_t n = strcspn(text, "\n"), part = n < 500 ? n : 500;

		iperf_say(t, "%.*s\n", (int)part, text);
		text += part;
		text += *text == '\n';
	}
}

void iperf_report_end(struct iperf_test *t)
{
	t->reported = true;
	if (t->opt->json) {
		iperf_json_end(t);
		return;
	}
	if (t->n_streams == 0 || t->begin_ns == 0) {
		return;
	}
	if (!t->opt->quiet) {
		if (t->n_streams == 1 || t->opt->interval_ns == 0) {
			iperf_say(t, RULE); /* else one stands there already */
		}
		iperf_say(t, "[ ID]%s Interval           Transfer     Bitrate       %s\n",
			t->p.bidir ? "[Role]" : "",
			t->p.udp ? "  Jitter    Lost/Total Datagrams" : "  Retr");
	}
	summary_group(t, !t->server);
	summary_group(t, t->server);
	more(t);
	their_output(t);
}
