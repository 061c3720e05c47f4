/* The tables of an instance as JSON, and the words in which they are shown. */
#include "tables.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "util.h"

/* ---- Words ----------------------------------------------------------------------------------- */

const char *tables_why(const struct tg_tcp_info *i)
{
	uint32_t next = i->unsent_bytes < i->mss_snd ? i->unsent_bytes : i->mss_snd;

	if (i->unsent_bytes == 0) {
		return "app";
	}
	if (i->flight_bytes + next > i->cwnd_bytes) {
		return "cwnd";
	}
	if (i->snd_wnd < i->unacked_bytes || i->snd_wnd - i->unacked_bytes < next) {
		return "rwnd";
	}
	return i->unsent_bytes < i->mss_snd && i->unacked_bytes > 0 ? "nagle" : "none";
}

const char *tables_state(const struct tg_sock_row *row)
{
	static const char names[][12] = {
		[TG_CLOSED] = "UNCONN",
		[TG_LISTEN] = "LISTEN",
		[TG_SYN_SENT] = "SYN-SENT",
		[TG_SYN_RECEIVED] = "SYN-RECV",
		[TG_ESTABLISHED] = "ESTAB",
		[TG_FIN_WAIT_1] = "FIN-WAIT-1",
		[TG_FIN_WAIT_2] = "FIN-WAIT-2",
		[TG_CLOSE_WAIT] = "CLOSE-WAIT",
		[TG_CLOSING] = "CLOSING",
		[TG_LAST_ACK] = "LAST-ACK",
		[TG_TIME_WAIT] = "TIME-WAIT",
	};

	return row->state < sizeof names / sizeof names[0] ? names[row->state] : "?";
}

const char *tables_type(const struct tg_sock_row *row)
{
	return row->type == TG_STREAM ? "tcp" : row->type == TG_DGRAM ? "udp" : "raw";
}

const char *tables_timer(const struct tg_sock_row *row)
{
	static const char names[][12] = {
		"", "on", "persist", "keepalive", "timewait", "fin-wait-2", "defer", "delack"};

	return row->timer < sizeof names / sizeof names[0] ? names[row->timer] : "?";
}

const char *tables_neigh_state(uint8_t state)
{
	static const char names[][12] = {
		"FREE", "INCOMPLETE", "REACHABLE", "STALE", "PROBE", "FAILED"};

	return state < sizeof names / sizeof names[0] ? names[state] : "?";
}

const char *tables_ifname(const struct tg_host *h, const struct tg *s, unsigned netif, char buf[16])
{
	const char *name = h != NULL ? tg_host_link_name(h, s, (int)netif) : "";

	if (netif == 0) {
		return "lo";
	}
	if (name[0] != '\0') {
		return name;
	}
	snprintf(buf, 16, "netif%u", netif);
	return buf;
}

char *tables_mib_name(const char *name, char buf[40])
{
	size_t n = 0;
	bool start = true;

	for (; *name != '\0' && n < 39; name++) {
		if (*name == '_') {
			start = true;
			continue;
		}
		buf[n++] =
			(char)(start && *name >= 'a' && *name <= 'z' ? *name - 'a' + 'A' : *name);
		start = false;
	}
	buf[n] = '\0';
	return buf;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void add_int(struct json_object *o, const char *name, uint64_t v)
{
	json_object_object_add(o, name, json_object_new_int64((int64_t)v));
}

static void add_text(struct json_object *o, const char *name, const char *text)
{
	json_object_object_add(o, name, json_object_new_string(text));
}

static void add_ms(struct json_object *o, const char *name, uint64_t ns)
{
	double ms = (double)(ns / 1000) / 1000;
	char text[32];

	/* Not as the 0.045999999999999999 that a double is. */
	snprintf(text, sizeof text, "%.3f", ms);
	json_object_object_add(o, name, json_object_new_double_s(ms, text));
}

static struct json_object *addr_json(const struct tg_addr *a)
{
	struct json_object *o = json_object_new_object();
	char ip[16];

	add_text(o, "address", tg_ip_format(&a->ip, ip));
	add_int(o, "port", a->port);
	return o;
}

static struct json_object *info_json(const struct tg_tcp_info *i)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "ts", json_object_new_boolean(i->ts));
	json_object_object_add(o, "sack", json_object_new_boolean(i->sack));
	json_object_object_add(o, "wscale", json_object_new_boolean(i->wscale));
	add_int(o, "snd_wscale", i->snd_wscale);
	add_int(o, "rcv_wscale", i->rcv_wscale);
	add_ms(o, "rto_ms", i->rto_ns);
	add_ms(o, "rtt_ms", i->srtt_ns);
	add_ms(o, "rttvar_ms", i->rttvar_ns);
	add_ms(o, "minrtt_ms", i->min_rtt_ns);
	add_int(o, "mss", i->mss_snd);
	add_int(o, "pmtu", i->pmtu);
	add_int(o, "rcvmss", i->mss_rcv);
	add_int(o, "cwnd_bytes", i->cwnd_bytes);
	add_int(o, "ssthresh_bytes", i->ssthresh_bytes);
	add_int(o, "flight_bytes", i->flight_bytes);
	add_int(o, "snd_wnd", i->snd_wnd);
	add_int(o, "rcv_wnd", i->rcv_wnd);
	add_int(o, "unsent_bytes", i->unsent_bytes);
	add_int(o, "unacked_bytes", i->unacked_bytes);
	add_int(o, "bytes_sent", i->bytes_sent);
	add_int(o, "bytes_acked", i->bytes_acked);
	add_int(o, "bytes_received", i->bytes_received);
	add_int(o, "bytes_retrans", i->bytes_retrans);
	add_int(o, "segs_out", i->segs_out);
	add_int(o, "segs_in", i->segs_in);
	add_int(o, "retrans", i->retransmits);
	add_int(o, "backoff", i->backoff);
	add_text(o, "why", tables_why(i));
	return o;
}

static struct json_object *sock_json(const struct tg *s, const struct tg_sock_row *row)
{
	struct json_object *o = json_object_new_object();
	struct tg_tcp_info info;

	add_text(o, "type", tables_type(row));
	add_text(o, "state", tables_state(row));
	json_object_object_add(o, "local", addr_json(&row->local));
	json_object_object_add(o, "peer", addr_json(&row->peer));
	add_int(o, "recv_q_bytes", row->recv_q_bytes);
	add_int(o, "send_q_bytes", row->send_q_bytes);
	add_int(o, "conn", row->conn);
	if (row->timer != TG_ROW_NO_TIMER) {
		uint64_t now = tg_host_now();

		add_text(o, "timer", tables_timer(row));
		add_ms(o, "timer_ms", row->timer_ns > now ? row->timer_ns - now : 0);
		add_int(o, "timer_count", row->timer_count);
	}
	if (row->type == TG_STREAM && row->sock != 0 && row->state != TG_LISTEN &&
		tg_tcp_status(s, row->sock, &info) == 0) {
		json_object_object_add(o, "tcp", info_json(&info));
	}
	return o;
}

/* Rows of s to `rows`, which had `total`. queue: NO_QUEUE or its number. Returns the new total. */
#define NO_QUEUE UINT_MAX
static uint64_t socks_rows(struct json_object *rows, uint64_t total, const struct tg *s,
	unsigned queue, uint64_t most, bool (*keep)(const void *arg, const struct tg_sock_row *row),
	const void *arg)
{
	struct tg_sock_row row;
	uint64_t cursor = 0;

	while (tg_table_socks(s, &cursor, &row)) {
		struct json_object *o;

		if (keep != NULL && !keep(arg, &row)) {
			continue;
		}
		if (total++ >= most) {
			continue;
		}
		o = sock_json(s, &row);
		if (queue != NO_QUEUE) {
			add_int(o, "queue", queue);
		}
		json_object_array_add(rows, o);
	}
	return total;
}

struct json_object *tables_socks_json(const struct tg *s, uint64_t most,
	bool (*keep)(const void *arg, const struct tg_sock_row *row), const void *arg)
{
	struct json_object *top = json_object_new_object(), *rows = json_object_new_array();
	uint64_t total = socks_rows(rows, 0, s, NO_QUEUE, most, keep, arg);

	add_int(top, "total", total);
	json_object_object_add(top, "truncated", json_object_new_boolean(total > most));
	json_object_object_add(top, "sockets", rows);
	return top;
}

void tables_socks_add(struct json_object **top, const struct tg *s, unsigned queue, uint64_t most,
	bool (*keep)(const void *arg, const struct tg_sock_row *row), const void *arg)
{
	struct json_object *rows, *total;
	uint64_t n;

	if (*top == NULL) {
		*top = json_object_new_object();
		add_int(*top, "total", 0);
		json_object_object_add(*top, "truncated", json_object_new_boolean(false));
		json_object_object_add(*top, "sockets", json_object_new_array());
	}
	json_object_object_get_ex(*top, "sockets", &rows);
	json_object_object_get_ex(*top, "total", &total);
	n = socks_rows(rows, (uint64_t)json_object_get_int64(total), s, queue, most, keep, arg);
	add_int(*top, "total", n);
	json_object_object_add(*top, "truncated", json_object_new_boolean(n > most));
}

struct json_object *tables_arp_json(const struct tg_host *h, const struct tg *s)
{
	struct json_object *rows = json_object_new_array(), *o;
	struct tg_arp_row row;
	uint64_t cursor = 0;
	char ip[16], mac[18], name[16];

	while (tg_table_arp(s, &cursor, &row)) {
		o = json_object_new_object();
		add_text(o, "address", tg_ip_format(&row.addr, ip));
		if (row.state != TG_NEIGH_INCOMPLETE && row.state != TG_NEIGH_FAILED) {
			add_text(o, "mac", format_mac(row.mac, mac));
		}
		add_text(o, "state", tables_neigh_state(row.state));
		add_text(o, "interface", tables_ifname(h, s, row.netif, name));
		add_ms(o, "age_ms", row.age_ns);
		json_object_array_add(rows, o);
	}
	return rows;
}

struct json_object *tables_route_json(const struct tg_host *h, const struct tg *s)
{
	static const struct tg_ip none;
	struct json_object *rows = json_object_new_array(), *o;
	struct tg_route_row row;
	uint64_t cursor = 0;
	char ip[16], name[16];

	while (tg_table_routes(s, &cursor, &row)) {
		o = json_object_new_object();
		add_text(o, "destination", tg_ip_format(&row.dest, ip));
		add_int(o, "prefix_len", row.prefix_len);
		if (memcmp(&row.gateway, &none, sizeof none) != 0) {
			add_text(o, "gateway", tg_ip_format(&row.gateway, ip));
		}
		add_text(o, "interface", tables_ifname(h, s, row.netif, name));
		add_int(o, "metric", row.metric);
		json_object_array_add(rows, o);
	}
	return rows;
}

static struct json_object *drops_json(const uint64_t *counts)
{
	struct json_object *o = json_object_new_object();

	for (int i = 1; i < TG_DROP_COUNT; i++) {
		if (counts[i] != 0) {
			add_int(o, tg_drop_name((enum tg_drop)i), counts[i]);
		}
	}
	return o;
}

static struct json_object *work_json(const struct tg_host *h, const struct tg *s, int netif)
{
	struct json_object *o = json_object_new_object();
	struct tg_link_stats l;
	struct tg_host_stats r;

	tg_host_link_stats(h, s, netif, &l);
	tg_host_loop_stats(h, &r);
	add_text(o, "link", tg_host_link_name(h, s, netif));
	add_int(o, "reads", l.reads);
	add_int(o, "reads_empty", l.reads_empty);
	add_int(o, "frames_in", l.frames_in);
	add_int(o, "bytes_in", l.bytes_in);
	add_int(o, "writes", l.writes);
	add_int(o, "writes_busy", l.writes_busy);
	add_int(o, "frames_out", l.frames_out);
	add_int(o, "bytes_out", l.bytes_out);
	add_int(o, "merged_frames", l.merged_frames);
	add_int(o, "merged_into", l.merged_into);
	add_int(o, "rounds", r.rounds);
	add_int(o, "rounds_idle", r.rounds_idle);
	add_int(o, "polls", r.polls);
	add_int(o, "sleeps", r.sleeps);
	return o;
}

void tables_counters_add(struct tg_counters *sum, const struct tg_counters *c)
{
#define X(name) sum->name += c->name;
	TG_COUNTER_LIST(X)
#undef X
	for (int i = 0; i < TG_DROP_COUNT; i++) {
		sum->drops[i] += c->drops[i];
		sum->discards[i] += c->discards[i];
	}
}

struct json_object *tables_counters_json(const struct tg_counters *c, bool all)
{
	struct json_object *top = json_object_new_object(), *o = json_object_new_object();
	char mib[40];

#define X(name)                                                                                    \
	if (all || c->name != 0)                                                                   \
		add_int(o, tables_mib_name(#name, mib), c->name);
	TG_COUNTER_LIST(X)
#undef X
	json_object_object_add(top, "counters", o);
	json_object_object_add(top, "drops", drops_json(c->drops));
	json_object_object_add(top, "discards", drops_json(c->discards));
	return top;
}

struct json_object *tables_stat_json(
	const struct tg_host *h, const struct tg *s, int netif, bool all)
{
	struct json_object *top = tables_counters_json(tg_counters(s), all), *o;
	struct tg_memory m;

	tg_memory_stats(s, &m);
	o = json_object_new_object();
	add_int(o, "in_use_bytes", m.in_use_bytes);
	add_int(o, "page_bytes", m.page_bytes);
	add_int(o, "budget_bytes", m.budget_bytes);
	add_int(o, "failures", m.failures);
	json_object_object_add(top, "memory", o);
	if (h != NULL) {
		json_object_object_add(top, "system", work_json(h, s, netif));
	}
	return top;
}
