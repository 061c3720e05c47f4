/* The stack's tables and counters as JSON, in the form that the command line has them in, too:
 * /api/sockets, /api/arp, /api/route, /api/stat. */
#define _GNU_SOURCE 1
#include "http_conn.h"

#include <stdlib.h>
#include <string.h>

#include "tables.h"

#define ROWS_MAX 4096u /* in one answer; the rest is counted */

static struct json_object *sockets(const struct http_server *h)
{
	return tables_socks_json(h->s, ROWS_MAX, NULL, NULL);
}

static struct json_object *arp(const struct http_server *h)
{
	return tables_arp_json(h->cfg.host, h->s);
}

static struct json_object *routes(const struct http_server *h)
{
	return tables_route_json(h->cfg.host, h->s);
}

#define LINK_NETIF 1 /* 0 is the loopback interface */

static struct json_object *stat(const struct http_server *h)
{
	struct json_object *o = tables_stat_json(h->cfg.host, h->s, LINK_NETIF, true);

	json_object_object_add(
		o, "uptime_ms", json_object_new_uint64((tg_host_now() - h->start_ns) / NS_PER_MS));
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
