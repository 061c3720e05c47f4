/* From a request to its answer (RFC 9110 9, 10.1.1, 13.2): methods, resources, conditions, and
 * whether the body is read, thrown away or refused. */
#define _GNU_SOURCE 1
#include "http_conn.h"

#include <string.h>

static const char continue_text[] = "HTTP/1.1 100 Continue\r\n\r\n";

/* What one piece of the log needs. */
static void access_report(
	struct http_conn *c, struct http_access *a, const struct http_reply *r, uint64_t now_ns)
{
	struct http_server *h = c->owner;

	if (h->cfg.access == NULL || !h->cfg.wants(h->cfg.arg, now_ns) ||
		tg_sock_peer_addr(h->s, c->conn.sock, &a->peer) < 0) {
		return;
	}
	a->status = r->status;
	a->length_bytes = r->length_bytes;
	h->cfg.access(h->cfg.arg, a, now_ns);
}

/* head: as far as it could be read, or NULL. */
static void request_report(struct http_conn *c, const char *head, uint64_t now_ns)
{
	const struct http_request *q = &c->req;
	struct http_access a = {0};

	if (head != NULL && q->target_bytes > 0) {
		a.method = head + q->method_start_bytes;
		a.method_bytes = q->method_bytes;
		a.target = head + q->target_start_bytes;
		a.target_bytes = q->target_bytes;
	}
	access_report(c, &a, &c->reply, now_ns);
}

/* ---- GET and HEAD ---------------------------------------------------------------------------- */

static void resource(struct http_server *h, struct http_reply *r)
{
	if (http_api(h, r)) {
		return;
	}
	if (h->www_fd >= 0) {
		http_file(h, h->path, r);
	} else {
		http_reply_status(r, 404);
	}
	if (r->status == 404 && http_path_is(h, "/")) {
		http_reply_memory(r, "text/html; charset=utf-8", h->page, h->page_bytes);
	}
}

/* [9110 15.4.5] the fields of the 200, without its content */
static void not_modified(struct http_reply *r)
{
	struct http_reply old = *r;

	http_reply_bare(r, 304);
	memcpy(r->etag, old.etag, sizeof r->etag);
	r->modified = old.modified;
	http_reply_free(&old);
}

/* [9110 13.2.1] only what would be a success is conditional */
static void conditions(
	struct http_server *h, const struct http_request *q, const char *head, struct http_reply *r)
{
	struct http_current there = {true, r->etag[0] != '\0' ? r->etag : NULL, r->modified};
	int rc = http_cond(q, head, &there, http_now_s(h));

	if (rc == 304) {
		not_modified(r);
	} else if (rc != 0) {
		http_reply_free(r);
		http_reply_status(r, rc);
	} else if (r->ranges) {
		http_partial(h, q, head, r);
	}
}

static void get(struct http_conn *c, const char *head, struct http_reply *r)
{
	struct http_server *h = c->owner;

	if (ws_path(h)) {
		ws_open(c, head, r);
		return;
	}
	resource(h, r);
	if (r->status == 200 && (c->req.present & ~(1u << HTTP_F_HOST)) != 0) {
		conditions(h, &c->req, head, r);
	}
}

/* ---- The other methods ----------------------------------------------------------------------- */

static bool stores(const struct http_server *h)
{
	return h->www_fd >= 0 && h->cfg.allow_put && !http_api_owns(h);
}

/* [9110 10.2.1] */
static const char *allowed(const struct http_server *h)
{
	if (http_path_is(h, "/echo")) {
		return "POST, OPTIONS";
	}
	return stores(h) ? "GET, HEAD, PUT, DELETE, OPTIONS" : "GET, HEAD, OPTIONS";
}

static void options(struct http_server *h, bool all, struct http_reply *r)
{
	http_reply_bare(r, 204);
	if (all) { /* [9110 9.3.7] "*": the server as a whole */
		r->allow = h->www_fd >= 0 && h->cfg.allow_put
				   ? "GET, HEAD, POST, PUT, DELETE, OPTIONS"
				   : "GET, HEAD, POST, OPTIONS";
	} else {
		r->allow = allowed(h);
	}
}

static void not_allowed(struct http_server *h, struct http_reply *r)
{
	http_reply_status(r, 405);
	r->allow = allowed(h); /* [9110 15.5.6] */
}

/* A request whose body goes somewhere. True: it is being read, the answer comes later. */
static bool receive(
	struct http_conn *c, enum http_sink sink, const char *head, struct http_reply *r)
{
	const struct http_request *q = &c->req;
	struct http_upload *u = NULL;
	int rc = 0;

	if (!q->has_length && !q->chunked) {
		rc = 411;
	} else if (q->content_length > HTTP_UPLOAD_MAX_BYTES) {
		rc = 413;
	} else if (sink == HTTP_SINK_FILE) {
		rc = http_put_begin(c->owner, c->owner->path, q, head, &u);
	}
	if (rc != 0) {
		http_reply_status(r, rc);
		return false;
	}
	c->in = (struct http_incoming){.sink = (uint8_t)sink, .chunked = q->chunked};
	c->in.minor = q->minor;
	c->in.left_bytes = q->content_length;
	c->in.upload = u;
	if (q->expects_continue && q->minor > 0 && (q->chunked || q->content_length > 0)) {
		http_text_start(c, continue_text, sizeof continue_text - 1); /* [9110 10.1.1] */
	}
	return true;
}

static bool by_method(struct http_conn *c, const char *head, struct http_reply *r)
{
	struct http_server *h = c->owner;
	bool get_here = !http_path_is(h, "/echo");
	int rc;

	switch ((enum http_method)c->req.method) {
	case HTTP_GET:
	case HTTP_HEAD:
		if (get_here) {
			get(c, head, r);
			return false;
		}
		break;
	case HTTP_POST:
		if (!get_here) {
			return receive(c, HTTP_SINK_ECHO, head, r);
		}
		break;
	case HTTP_PUT:
		if (stores(h)) {
			return receive(c, HTTP_SINK_FILE, head, r);
		}
		break;
	case HTTP_DELETE:
		if (stores(h)) {
			rc = http_delete(h, h->path, &c->req, head);
			(rc == 204 ? http_reply_bare : http_reply_status)(r, rc);
			return false;
		}
		break;
	case HTTP_OPTIONS: options(h, false, r); return false;
	case HTTP_NOT_ALLOWED:
	case HTTP_UNKNOWN: break;
	}
	not_allowed(h, r);
	return false;
}

/* ---- Requests -------------------------------------------------------------------------------- */

/* What to answer to a request whose head is complete. True: the answer comes after its body. */
static bool answer(struct http_conn *c, const char *head, struct http_reply *r)
{
	const struct http_request *q = &c->req;
	struct http_server *h = c->owner;
	const char *target = head + q->target_start_bytes;
	bool star = q->target_bytes == 1 && target[0] == '*';
	int path_bytes = http_path_decode(target, q->target_bytes, h->path, sizeof h->path);

	h->path_bytes = path_bytes > 0 ? (size_t)path_bytes : 0;
	c->close_after = !http_request_persists(q);
	if (q->expects_other && q->minor > 0) { /* [9110 10.1.1] */
		http_reply_status(r, 417);
	} else if (q->method == HTTP_UNKNOWN) {
		http_reply_status(r, 501);
	} else if (q->method == HTTP_OPTIONS && star) {
		options(h, true, r);
	} else if (path_bytes < 0) {
		http_reply_status(r, 400);
	} else if (q->content_length > HTTP_SKIP_MAX_BYTES && q->method != HTTP_PUT &&
		   q->method != HTTP_POST) {
		http_reply_status(r, 413);
	} else {
		return by_method(c, head, r);
	}
	return false;
}

/* The body of a request that has been answered already: thrown away if it is small. */
static void body_after(struct http_conn *c)
{
	const struct http_request *q = &c->req;

	if ((!q->chunked && q->content_length == 0) || c->close_after) {
		return;
	}
	if (c->ws != NULL || (q->expects_continue && q->minor > 0) ||
		q->content_length > HTTP_SKIP_MAX_BYTES) {
		c->close_after = true; /* the answer is final; the body may come or not */
		return;
	}
	c->in = (struct http_incoming){.sink = HTTP_SINK_SKIP, .chunked = q->chunked};
	c->in.left_bytes = q->content_length;
}

void http_request_end(struct http_conn *c, int status, const char *head, uint64_t now_ns)
{
	struct http_reply *r = &c->reply;
	bool later = false;

	if (status == HTTP_DONE) {
		later = answer(c, head, r);
		if (!later) {
			body_after(c);
		}
	} else {
		http_reply_status(r, status);
		c->close_after = true;
	}
	if (!later) {
		request_report(c, head, now_ns);
		http_reply_start(c, c->req.method != HTTP_HEAD, c->req.minor);
	}
	memset(&c->req, 0, sizeof c->req);
}

void http_reply_late(struct http_conn *c, struct http_reply *r, bool close, uint64_t now_ns)
{
	struct http_access a = {.method = "POST", .target = "/echo"};

	if (c->in.sink == HTTP_SINK_FILE) {
		a.method = "PUT";
		a.target = http_put_target(c->in.upload);
	}
	a.method_bytes = (uint32_t)strlen(a.method);
	a.target_bytes = (uint32_t)strlen(a.target);
	c->close_after = c->close_after || close;
	access_report(c, &a, r, now_ns);
	c->reply = *r;
	http_reply_start(c, true, c->in.minor);
}
