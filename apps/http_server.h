/* An HTTP/1.1 server (RFC 9110, RFC 9112) on the core's event interface: keep-alive and pipelining,
 * bodies in chunks, ranges, conditions; a page that explains itself, /bytes/N, /echo, the stack's
 * tables as JSON, static files and uploads, WebSockets (RFC 6455). */
#ifndef TAPGLASS_HTTP_SERVER_H
#define TAPGLASS_HTTP_SERVER_H

#include "service.h"
#include "tapglass_inspect.h"

/* One answered request, for logs. The texts are not terminated and valid during the call only. */
struct http_access {
	struct tg_addr peer;
	const char *method,
		*target; /* as the client wrote them, printable ASCII; NULL: unreadable */
	uint32_t method_bytes, target_bytes;
	int status;
	uint64_t length_bytes; /* of the body */
};

struct http_config {
	uint16_t port;
	const char *www;            /* directory of static files, or NULL */
	bool allow_put;             /* PUT and DELETE change what is in it */
	char self[16];              /* our address, for the page */
	const struct tg_host *host; /* for the names of links; NULL: numbers */
	void *arg;
	/* May be NULL. wants: asked first, so that a server under load does not prepare lines that
	 * nobody reads. */
	bool (*wants)(void *arg, uint64_t now_ns);
	void (*access)(void *arg, const struct http_access *a, uint64_t now_ns);
};

struct http_server;

/* NULL: *rc is the library's error, or with www -errno of opening that directory and *bad_www true.
 */
struct http_server *http_start(
	struct services *v, const struct http_config *c, uint64_t now_ns, int *rc, bool *bad_www);
/* After every round: timeouts, and connections that had used up their turn. When to be called
 * again, ns. */
uint64_t http_round(struct http_server *h, uint64_t now_ns);
/* A trace record that is not in the instance's own ring, for those who watch. */
void http_trace(struct http_server *h, const struct tg_trace *t);
void http_free(struct http_server *h);

#endif
