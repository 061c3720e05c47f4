/* What the HTTP server makes up on the spot: the page that explains itself, /bytes/N, and the
 * socket table as JSON at /api/sockets. */
#define _GNU_SOURCE 1
#include "http_conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <json-c/json.h>

#include "tapglass_inspect.h"

#define BYTES_MAX (UINT64_C(1) << 40) /* 1 TiB */
#define ROWS_MAX  4096u               /* in one answer; the rest is counted */

static const char page_format[] =
	"<!doctype html>\n"
	"<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Tapglass</title>\n"
	"<style>body{font:16px/1.5 system-ui,sans-serif;max-width:44em;margin:2em auto;padding:0 "
	"1em}"
	"code,pre{font-family:ui-monospace,monospace;background:#f2f2f2;padding:0 .2em}"
	"pre{padding:.6em}</style></head><body>\n"
	"<h1>This page came through Tapglass</h1>\n"
	"<p>Tapglass is a TCP/IP stack in one ordinary process. Every frame that brought you these "
	"bytes\n"
	"(Ethernet, ARP, IPv4, TCP) was read, decided upon and written by it, not by the kernel "
	"behind\n"
	"<code>%s</code>. There is none: that address is the process.</p>\n"
	"<h2>Try</h2>\n"
	"<pre>ping %s\n"
	"curl http://%s/bytes/1000000000 -o /dev/null     one GB, as fast as it goes\n"
	"curl http://%s/api/sockets                       the socket table, as JSON\n"
	"nc %s 7                                          echo: says what you say\n"
	"nc %s 19                                         chargen: never stops talking\n"
	"nc %s 9                                          discard: never says anything</pre>\n"
	"<h2>What is here</h2>\n"
	"<ul><li><a href=\"/bytes/1000\"><code>/bytes/N</code></a>: N bytes, byte i being i mod "
	"251</li>\n"
	"<li><a href=\"/api/sockets\"><code>/api/sockets</code></a>: every socket, half-open "
	"connection\n"
	"and TIME-WAIT entry as of now</li></ul>\n"
	"<p>Watch the terminal in which it runs: each change of state is a line there.</p>\n"
	"</body></html>\n";

bool http_page_make(struct http_server *h)
{
	const char *a = h->cfg.self;
	int n = asprintf(&h->page, page_format, a, a, a, a, a, a, a);

	if (n < 0) {
		h->page = NULL;
		return false;
	}
	h->page_bytes = (size_t)n;
	return true;
}

static void bytes_reply(const char *number, struct http_reply *r)
{
	uint64_t n;

	if (!parse_u64(number, 0, BYTES_MAX, &n)) {
		static const char text[] =
			"400 Bad Request: /bytes/N takes N from 0 to 1099511627776\n";

		http_reply_memory(r, "text/plain; charset=utf-8", text, sizeof text - 1);
		r->status = 400;
		return;
	}
	*r = (struct http_reply){.status = 200, .type = "application/octet-stream", .fd = -1};
	r->body = HTTP_BODY_PATTERN;
	r->length_bytes = n;
}

/* ---- /api/sockets ---------------------------------------------------------------------------- */

static const char *row_state(const struct tg_sock_row *row)
{
	if (row->type == TG_STREAM) {
		return tg_state_name((enum tg_state)row->state);
	}
	return row->state == TG_ESTABLISHED ? "CONNECTED" : "UNCONNECTED";
}

static const char *row_type(const struct tg_sock_row *row)
{
	switch ((enum tg_type)row->type) {
	case TG_STREAM: return "tcp";
	case TG_DGRAM: return "udp";
	case TG_RAW: return "raw";
	}
	return "?";
}

static struct json_object *address_json(const struct tg_addr *a)
{
	struct json_object *o = json_object_new_object();
	char ip[16];

	json_object_object_add(o, "address", json_object_new_string(tg_ip_format(&a->ip, ip)));
	json_object_object_add(o, "port", json_object_new_int(a->port));
	return o;
}

static struct json_object *row_json(const struct tg_sock_row *row)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "type", json_object_new_string(row_type(row)));
	json_object_object_add(o, "state", json_object_new_string(row_state(row)));
	json_object_object_add(o, "local", address_json(&row->local));
	json_object_object_add(o, "peer", address_json(&row->peer));
	json_object_object_add(o, "recv_q_bytes", json_object_new_int64(row->recv_q_bytes));
	json_object_object_add(o, "send_q_bytes", json_object_new_int64(row->send_q_bytes));
	json_object_object_add(o, "conn", json_object_new_int64(row->conn));
	return o;
}

static struct json_object *sockets_json(const struct tg *s)
{
	struct json_object *top = json_object_new_object(), *rows = json_object_new_array();
	struct tg_sock_row row;
	uint64_t cursor = 0, total = 0;

	while (tg_table_socks(s, &cursor, &row)) {
		if (total++ < ROWS_MAX) {
			json_object_array_add(rows, row_json(&row));
		}
	}
	json_object_object_add(top, "total", json_object_new_int64((int64_t)total));
	json_object_object_add(top, "truncated", json_object_new_boolean(total > ROWS_MAX));
	json_object_object_add(top, "sockets", rows);
	return top;
}

static void sockets_reply(const struct tg *s, struct http_reply *r)
{
	struct json_object *top = sockets_json(s);
	size_t n = 0;
	const char *text = json_object_to_json_string_length(
		top, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE, &n);
	char *copy = text != NULL ? malloc(n + 1) : NULL;

	if (copy == NULL) {
		http_reply_status(r, 503);
	} else {
		memcpy(copy, text, n);
		copy[n] = '\n';
		http_reply_memory(r, "application/json", copy, n + 1);
		r->owned = copy;
	}
	json_object_put(top);
}

bool http_api(struct http_server *h, const char *path, struct http_reply *r)
{
	if (strncmp(path, "/bytes/", 7) == 0) {
		bytes_reply(path + 7, r);
		return true;
	}
	if (strcmp(path, "/api/sockets") == 0) {
		sockets_reply(h->s, r);
		return true;
	}
	return false;
}
