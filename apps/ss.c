/* `tapglass ss`: the sockets of the running stack, in ss(8)'s columns, words and units. Beyond ss
 * it says what a sender waits for (why:). Left out: names of services, filters other than by state
 * and type. */
#define _GNU_SOURCE 1
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "show.h"
#include "tables.h"
#include "verbs.h"

struct ss {
	struct options opt;
	bool tcp, udp, raw, listening, all;
	bool info, memory, timers, extended, processes;
	bool no_header, one_line, json;
	bool queues; /* there are several: said of each socket */
};

static const struct option_spec ss_options[] = {
	{"tcp", 't', 't', NULL, "TCP sockets"},
	{"udp", 'u', 'u', NULL, "UDP sockets"},
	{"raw", 'w', 'w', NULL, "raw sockets"},
	{"listening", 'l', 'l', NULL, "only those that listen"},
	{"all", 'a', 'a', NULL, "also those that listen"},
	{"numeric", 'n', 'n', NULL, "numbers, not names (always so)"},
	{"info", 'i', 'i', NULL, "what TCP knows of the path, and what the sender waits for"},
	{"memory", 'm', 'm', NULL, "buffers"},
	{"options", 'o', 'o', NULL, "timers"},
	{"processes", 'p', 'p', NULL, "whose they are: all the running stack's"},
	{"extended", 'e', 'e', NULL, "the connection's number in the trace"},
	{"no-header", 'H', 'H', NULL, "no heading"},
	{"oneline", 'O', 'O', NULL, "each socket on one line"},
	{"json", 'j', 'j', NULL, "as JSON"},
	{NULL, 0, 0, NULL, NULL},
};

static int ss_set(void *ctx, int value, const char *arg)
{
	struct ss *o = ctx;

	(void)arg;
	switch (value) {
	case 't': o->tcp = true; break;
	case 'u': o->udp = true; break;
	case 'w': o->raw = true; break;
	case 'l': o->listening = true; break;
	case 'a': o->all = true; break;
	case 'i': o->info = true; break;
	case 'm': o->memory = true; break;
	case 'o': o->timers = true; break;
	case 'p': o->processes = true; break;
	case 'e': o->extended = true; break;
	case 'H': o->no_header = true; break;
	case 'O': o->one_line = true; break;
	case 'j': o->json = true; break;
	default: break;
	}
	return 0;
}

const struct verb_spec ss_spec = {
	.usage = "ss [OPTION]...",
	.about = "Prints the sockets of the running stack as ss(8) prints the kernel's.",
	.example = "  tapglass ss -t -a\n  tapglass ss -tin\n",
	.options = ss_options,
	.name_option = true,
	.set = ss_set,
};

/* ---- Which ----------------------------------------------------------------------------------- */

static bool keep(const void *arg, const struct tg_sock_row *row)
{
	const struct ss *o = arg;
	bool any = o->tcp || o->udp || o->raw;
	bool waits = row->state == TG_LISTEN || (row->type != TG_STREAM && row->peer.port == 0);
	bool type = row->type == TG_STREAM ? o->tcp : row->type == TG_DGRAM ? o->udp : o->raw;

	if (any && !type) {
		return false;
	}
	if (row->type == TG_STREAM && row->state == TG_CLOSED && !o->all) {
		return false;
	}
	return o->all || waits == o->listening;
}

/* ---- Details --------------------------------------------------------------------------------- */

/* "1.2Gbps": bits per second. */
static void rate_print(FILE *f, const char *name, double bps)
{
	static const char unit[][2] = {"", "K", "M", "G", "T"};
	size_t i = 0;

	for (; bps >= 1000 && i + 1 < sizeof unit / sizeof unit[0]; i++) {
		bps /= 1000;
	}
	fprintf(f, " %s %.3g%sbps", name, bps, unit[i]);
}

/* "timer:(on,1.2sec,3)", as ss writes times: 59min, 1.200sec, 340ms. */
static void timer_print(FILE *f, const struct tg_sock_row *row, uint64_t now_ns)
{
	uint64_t ms = row->timer_ns > now_ns ? (row->timer_ns - now_ns) / NS_PER_MS : 0;
	uint64_t s = ms / 1000;

	if (row->timer == TG_ROW_NO_TIMER) {
		return;
	}
	fprintf(f, " timer:(%s,", tables_timer(row));
	if (s >= 60) {
		fprintf(f, "%umin", (unsigned)(s / 60));
	}
	if (s >= 60 && s % 60 != 0) {
		fprintf(f, "%usec", (unsigned)(s % 60));
	} else if (s < 60 && s != 0) {
		fprintf(f, s >= 10 ? "%usec" : "%u.%03usec", (unsigned)s, (unsigned)(ms % 1000));
	} else if (s == 0) {
		fprintf(f, "%ums", (unsigned)ms);
	}
	fprintf(f, ",%u)", (unsigned)row->timer_count);
}

static void memory_print(FILE *f, struct tg *s, const struct tg_sock_row *row)
{
	int64_t rcvbuf = 0, sndbuf = 0;

	tg_sock_getopt(s, row->sock, TG_SO_RCVBUF, &rcvbuf);
	tg_sock_getopt(s, row->sock, TG_SO_SNDBUF, &sndbuf);
	fprintf(f, " skmem:(r%u,rb%lld,t0,tb%lld,f0,w%u,o0,bl0,d0)",
		row->state == TG_LISTEN ? 0 : (unsigned)row->recv_q_bytes, (long long)rcvbuf,
		(long long)sndbuf, row->state == TG_LISTEN ? 0 : (unsigned)row->send_q_bytes);
}

static void counts_print(FILE *f, const struct tg_tcp_info *i)
{
	const struct {
		const char *name;
		uint64_t v;
	} counts[] = {
		{"bytes_sent", i->bytes_sent},
		{"bytes_retrans", i->bytes_retrans},
		{"bytes_acked", i->bytes_acked},
		{"bytes_received", i->bytes_received},
		{"segs_out", i->segs_out},
		{"segs_in", i->segs_in},
		{"dsack_dups", i->dsack_dups},
		{"unacked", i->unacked_bytes},
		{"sacked", i->sacked_bytes},
		{"lost", i->lost_bytes},
	};

	for (size_t k = 0; k < sizeof counts / sizeof counts[0]; k++) {
		if (counts[k].v != 0) {
			fprintf(f, " %s:%llu", counts[k].name, (unsigned long long)counts[k].v);
		}
	}
}

static void info_print(FILE *f, const struct tg_tcp_info *i)
{
	uint32_t mss = i->mss_snd != 0 ? i->mss_snd : 1;

	fprintf(f, "%s%s %s", i->ts ? " ts" : "", i->sack ? " sack" : "", tg_cc_name(i->cc));
	if (i->wscale) {
		fprintf(f, " wscale:%u,%u", (unsigned)i->snd_wscale, (unsigned)i->rcv_wscale);
	}
	fprintf(f, " rto:%.6g", (double)(i->rto_ns / NS_PER_US) / 1000);
	if (i->backoff != 0) {
		fprintf(f, " backoff:%u", (unsigned)i->backoff);
	}
	if (i->srtt_ns != 0) {
		fprintf(f, " rtt:%.6g/%.6g", (double)(i->srtt_ns / NS_PER_US) / 1000,
			(double)(i->rttvar_ns / NS_PER_US) / 1000);
	}
	fprintf(f, " mss:%u pmtu:%u rcvmss:%u cwnd:%u", i->mss_snd, i->pmtu, i->mss_rcv,
		i->cwnd_bytes / mss);
	if (i->ssthresh_bytes < UINT32_MAX / 2) {
		fprintf(f, " ssthresh:%u", i->ssthresh_bytes / mss);
	}
	counts_print(f, i);
	if (i->srtt_ns != 0) {
		rate_print(f, "send", (double)i->cwnd_bytes * 8e9 / (double)i->srtt_ns);
	}
	if (i->retransmits != 0) {
		fprintf(f, " retrans:%u/%u", i->retrans_bytes / mss, i->retransmits);
	}
	if (i->min_rtt_ns != 0 && i->min_rtt_ns != UINT64_MAX) {
		fprintf(f, " minrtt:%.6g", (double)(i->min_rtt_ns / NS_PER_US) / 1000);
	}
	fprintf(f, " snd_wnd:%u rcv_wnd:%u why:%s", i->snd_wnd, i->rcv_wnd, tables_why(i));
}

static void details_print(
	FILE *f, const struct ss *o, struct tg *s, unsigned queue, const struct tg_sock_row *row)
{
	struct tg_tcp_info i;
	bool known = row->type == TG_STREAM && row->sock != 0 && row->state != TG_LISTEN &&
		     tg_tcp_status(s, row->sock, &i) == 0;

	if (o->queues) {
		fprintf(f, " queue:%u", queue);
	}
	if (o->processes) {
		fprintf(f, " users:((\"tapglass\",pid=%ld))", (long)getpid());
	}
	if (o->timers) {
		timer_print(f, row, tg_host_now());
	}
	if (o->extended) {
		fprintf(f, " conn:%u sk:%llx", row->conn, (unsigned long long)row->sock);
	}
	if (!o->one_line && (o->memory || (o->info && known))) {
		fputs("\n\t", f);
	}
	if (o->memory && row->sock != 0) {
		memory_print(f, s, row);
	}
	if (o->info && known) {
		info_print(f, &i);
	}
}

/* ---- The table ------------------------------------------------------------------------------- */

static void end_text(const struct tg_addr *a, char buf[24])
{
	static const struct tg_ip any;
	char ip[16];

	tg_ip_format(&a->ip, ip);
	if (memcmp(&a->ip, &any, sizeof any) == 0) {
		snprintf(ip, sizeof ip, "0.0.0.0");
	}
	if (a->port == 0) {
		snprintf(buf, 24, "%s:*", ip);
	} else {
		snprintf(buf, 24, "%s:%u", ip, (unsigned)a->port);
	}
}

static void row_print(
	FILE *f, const struct ss *o, struct tg *s, unsigned queue, const struct tg_sock_row *row)
{
	bool several = o->tcp + o->udp + o->raw != 1;
	char local[24], peer[24];

	end_text(&row->local, local);
	end_text(&row->peer, peer);
	if (several) {
		fprintf(f, "%-6s", tables_type(row));
	}
	fprintf(f, "%-10s %-8u %-8u %21s %21s", tables_state(row), row->recv_q_bytes,
		row->send_q_bytes, local, peer);
	details_print(f, o, s, queue, row);
	fputc('\n', f);
}

/* A table that is being made, queue by queue. */
struct ss_table {
	const struct ss *o;
	FILE *f;
	uint64_t shown;
	struct json_object *json;
};

static void queue_print(void *arg, unsigned queue, struct tg_host *h, struct tg *s)
{
	struct ss_table *t = arg;
	struct tg_sock_row row;
	uint64_t cursor = 0;

	(void)h;
	if (t->o->json) {
		tables_socks_add(&t->json, s, queue, TABLE_ROWS_MAX, keep, t->o);
		return;
	}
	while (tg_table_socks(s, &cursor, &row)) {
		if (keep(t->o, &row) && t->shown++ < TABLE_ROWS_MAX) {
			row_print(t->f, t->o, s, queue, &row);
		}
	}
}

static int ss_start(struct job *j, int argc, char **argv)
{
	struct ss o = {0};
	struct ss_table table = {.o = &o};
	struct show_text t;
	int first, rc;

	options_default(&o.opt);
	rc = options_parse(argc, argv, &ss_spec, &o.opt, &o, &first);
	if (rc != OPTIONS_GO) {
		return rc;
	}
	o.queues = j->link->n_queues > 1;
	if (o.json && !o.queues) {
		return show_json(j, tables_socks_json(j->link->stack, TABLE_ROWS_MAX, keep, &o));
	}
	if (o.json) {
		link_each_queue(j->link, queue_print, &table);
		return show_json(j, table.json);
	}
	if (!show_begin(&t)) {
		return EXIT_FAILED;
	}
	if (!o.no_header) {
		fprintf(t.f, "%s%-10s %-8s %-8s %21s %21s %s\n",
			o.tcp + o.udp + o.raw != 1 ? "Netid " : "", "State", "Recv-Q", "Send-Q",
			"Local Address:Port", "Peer Address:Port", "Process");
	}
	table.f = t.f;
	link_each_queue(j->link, queue_print, &table);
	if (table.shown > TABLE_ROWS_MAX) {
		fprintf(t.f, "... %llu more\n", (unsigned long long)(table.shown - TABLE_ROWS_MAX));
	}
	return show_end(j, &t);
}

const struct job_verb ss_job = {.name = "ss", .start = ss_start};

int ss_main(int argc, char **argv)
{
	struct ss o = {0};

	options_default(&o.opt);
	return show_running(argc, argv, &ss_spec, &o.opt, &o);
}
