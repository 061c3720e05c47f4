/* What the HTTP server makes up on the spot: the page that explains itself, and /bytes/N. */
#define _GNU_SOURCE 1
#include "http_conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_MAX (UINT64_C(1) << 40) /* 1 TiB */

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
	"curl --data-binary @FILE http://%s/echo          says what you say\n"
	"nc %s 7                                          echo: the same without HTTP\n"
	"nc %s 19                                         chargen: never stops talking\n"
	"nc %s 9                                          discard: never says anything</pre>\n"
	"<h2>What is here</h2>\n"
	"<ul><li><a href=\"/bytes/1000\"><code>/bytes/N</code></a>: N bytes, byte i being i mod "
	"251</li>\n"
	"<li><a href=\"/api/sockets\"><code>/api/sockets</code></a>: every socket, half-open "
	"connection\n"
	"and TIME-WAIT entry as of now; <a href=\"/api/arp\"><code>/api/arp</code></a>,\n"
	"<a href=\"/api/route\"><code>/api/route</code></a>,\n"
	"<a href=\"/api/stat\"><code>/api/stat</code></a>: neighbours, routes, counters</li>\n"
	"<li><code>/echo</code>: what you POST to it comes back</li>\n"
	"<li><code>/ws/echo</code>, <code>/api/ws</code>: WebSockets; one echoes, the other\n"
	"tells what happens in the stack</li></ul>\n"
	"<p>Watch the terminal in which it runs: each change of state is a line there.</p>\n"
	"</body></html>\n";

bool http_page_make(struct http_server *h)
{
	const char *a = h->cfg.self;
	int n = asprintf(&h->page, page_format, a, a, a, a, a, a, a, a);

	if (n < 0) {
		h->page = NULL;
		return false;
	}
	h->page_bytes = (size_t)n;
	return true;
}

/* number: digits, as few as there are of a number up to BYTES_MAX, or leading zeros. */
static void put_etag(char etag[HTTP_ETAG_BYTES], const char *number)
{
	size_t n;

	while (number[0] == '0' && number[1] != '\0') {
		number++;
	}
	n = strlen(number);
	memcpy(etag, "\"bytes-", 7);
	memcpy(etag + 7, number, n);
	memcpy(etag + 7 + n, "\"", 2);
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
	http_reply_bare(r, 200);
	r->type = "application/octet-stream";
	r->body = HTTP_BODY_PATTERN;
	r->length_bytes = n;
	r->ranges = true;
	put_etag(r->etag, number);
}

bool http_api_owns(const struct http_server *h)
{
	return http_path_is(h, "/echo") || http_path_begins(h, "/api/") ||
	       http_path_begins(h, "/bytes/") || ws_path(h);
}

bool http_api(struct http_server *h, struct http_reply *r)
{
	if (http_path_begins(h, "/bytes/")) {
		bytes_reply(h->path + 7, r);
		return true;
	}
	if (http_path_begins(h, "/api/")) {
		if (!http_json(h, h->path + 5, r)) {
			http_reply_status(r, 404);
		}
		return true;
	}
	return false;
}
