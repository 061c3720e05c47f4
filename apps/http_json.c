/* The stack's tables and counters as JSON: /api/sockets, /api/arp, /api/route, /api/stat. */
#define _GNU_SOURCE 1
#include "http_conn.h"

#include <stdlib.h>
#include <string.h>
#include <json-c/json.h>

#define ROWS_MAX 4096u /* in one answer; the rest is counted */

static void add(struct json_object *o, const char *name, struct json_object *v)
{
	json_object_object_add(o, name, v);
}

static void add_text(struct json_object *o, const char *name, const char *v)
{
	add(o, name, json_object_new_string(v));
}

static void add_number(struct json_object *o, const char *name, uint64_t v)
{
	add(o, name, json_object_new_uint64(v));
}

static void add_ip(struct json_object *o, const char *name, const struct tg_ip *ip)
{
	char text[16];

	add_text(o, name, tg_ip_format(ip, text));
}

/* {"total": N, "truncated": B, "NAME": [...]}; takes rows. */
static struct json_object *table(const char *name, struct json_object *rows, uint64_t total)
{
	struct json_object *o = json_object_new_object();

	add_number(o, "total", total);
	add(o, "truncated", json_object_new_boolean(total > ROWS_MAX));
	add(o, name, rows);
	return o;
}

/* ---- Sockets --------------------------------------------------------------------------------- */

static const char *sock_state(const struct tg_sock_row *row)
{
	if (row->type == TG_STREAM) {
		return tg_state_name((enum tg_state)row->state);
	}
	return row->state == TG_ESTABLISHED ? "CONNECTED" : "UNCONNECTED";
}

static const char *sock_type(const struct tg_sock_row *row)
{
	switch ((enum tg_type)row->type) {
	case TG_STREAM: return "tcp";
	case TG_DGRAM: return "udp";
	case TG_RAW: return "raw";
	}
	return "?";
}

static struct json_object *address(const struct tg_addr *a)
{
	struct json_object *o = json_object_new_object();

	add_ip(o, "address", &a->ip);
	add_number(o, "port", a->port);
	return o;
}

static struct json_object *sock_row(const struct tg_sock_row *row)
{
	struct json_object *o = json_object_new_object();

	add_text(o, "type", sock_type(row));
	add_text(o, "state", sock_state(row));
	add(o, "local", address(&row->local));
	add(o, "peer", address(&row->peer));
	add_number(o, "recv_q_bytes", row->recv_q_bytes);
	add_number(o, "send_q_bytes", row->send_q_bytes);
	add_number(o, "conn", row->conn);
	return o;
}

static struct json_object *sockets(const struct http_server *h)
{
	struct json_object *rows = json_object_new_array();
	struct tg_sock_row row;
	uint64_t cursor = 0, total = 0;

	while (tg_table_socks(h->s, &cursor, &row)) {
		if (total++ < ROWS_MAX) {
			json_object_array_add(rows, sock_row(&row));
		}
	}
	return table("sockets", rows, total);
}

/* ---- Neighbours and routes ------------------------------------------------------------------- */

static struct json_object *arp_row(const struct tg_arp_row *row)
{
	static const char *const names[] = {
		"FREE", "INCOMPLETE", "REACHABLE", "STALE", "PROBE", "FAILED"};
	struct json_object *o = json_object_new_object();
	char mac[18];

	add_ip(o, "address", &row->addr);
	if (row->state == TG_NEIGH_INCOMPLETE || row->state == TG_NEIGH_FAILED) {
		add(o, "mac", NULL);
	} else {
		add_text(o, "mac", format_mac(row->mac, mac));
	}
	add_text(o, "state", row->state < sizeof names / sizeof names[0] ? names[row->state] : "?");
	add_number(o, "netif", row->netif);
	add_number(o, "age_ms", row->age_ns / NS_PER_MS);
	return o;
}

static struct json_object *arp(const struct http_server *h)
{
	struct json_object *rows = json_object_new_array();
	struct tg_arp_row row;
	uint64_t cursor = 0, total = 0;

	while (tg_table_arp(h->s, &cursor, &row)) {
		if (total++ < ROWS_MAX) {
			json_object_array_add(rows, arp_row(&row));
		}
	}
	return table("neighbours", rows, total);
}

static struct json_object *route_row(const struct tg_route_row *row)
{
	struct json_object *o = json_object_new_object();
	struct tg_ip none = {{0}};

	add_ip(o, "destination", &row->dest);
	add_number(o, "prefix_len", row->prefix_len);
	if (tg_ip4_value(&row->gateway) == 0 || memcmp(&row->gateway, &none, sizeof none) == 0) {
		add(o, "gateway", NULL);
	} else {
		add_ip(o, "gateway", &row->gateway);
	}
	add_number(o, "netif", row->netif);
	add_number(o, "metric", row->metric);
	return o;
}

static struct json_object *routes(const struct http_server *h)
{
	struct json_object *rows = json_object_new_array();
	struct tg_route_row row;
	uint64_t cursor = 0, total = 0;

	while (tg_table_routes(h->s, &cursor, &row)) {
		if (total++ < ROWS_MAX) {
			json_object_array_add(rows, route_row(&row));
		}
	}
	return table("routes", rows, total);
}

/* ---- Counters -------------------------------------------------------------------------------- */

/* Those that are not zero. */
static struct json_object *reasons(const uint64_t counts[TG_DROP_COUNT])
{
	struct json_object *o = json_object_new_object();

	for (int i = 1; i < TG_DROP_COUNT; i++) {
		if (counts[i] > 0) {
			add_number(o, tg_drop_name((enum tg_drop)i), counts[i]);
		}
	}
	return o;
}

static struct json_object *stat(const struct http_server *h)
{
	struct json_object *o = json_object_new_object(), *counts = json_object_new_object(),
			   *memory = json_object_new_object();
	const struct tg_counters *c = tg_counters(h->s);
	struct tg_memory m;

	tg_memory_stats(h->s, &m);
#define X(name) add_number(counts, #name, c->name);
	TG_COUNTER_LIST(X)
#undef X
	add_number(memory, "reserved_bytes", m.reserved_bytes);
	add_number(memory, "budget_bytes", m.budget_bytes);
	add_number(memory, "in_use_bytes", m.in_use_bytes);
	add_number(memory, "page_bytes", m.page_bytes);
	add_number(memory, "failures", m.failures);
	add_number(o, "uptime_ms", (tg_host_now() - h->start_ns) / NS_PER_MS);
	add(o, "counters", counts);
	add(o, "drops", reasons(c->drops));
	add(o, "discards", reasons(c->discards));
	add(o, "memory", memory);
	return o;
}

bool http_json(struct http_server *h, const char *name, struct http_reply *r)
{
	static const struct {
		const char *name;
		struct json_object *(*make)(const struct http_server *h);
	} tables[] = {{"sockets", sockets}, {"arp", arp}, {"route", routes}, {"stat", stat}};
	struct json_object *top = NULL;
	const char *text;
	char *copy;
	size_t n = 0;

	for (size_t i = 0; i < sizeof tables / sizeof tables[0] && top == NULL; i++) {
		top = strcmp(name, tables[i].name) == 0 ? tables[i].make(h) : NULL;
	}
	if (top == NULL) {
		return false;
	}
	text = json_object_to_json_string_length(
		top, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE, &n);
	copy = text != NULL ? malloc(n + 1) : NULL;
	if (copy == NULL) {
		http_reply_status(r, 503);
	} else {
		memcpy(copy, text, n);
		copy[n] = '\n';
		http_reply_memory(r, "application/json", copy, n + 1);
		r->owned = copy;
	}
	json_object_put(top);
	return true;
}
