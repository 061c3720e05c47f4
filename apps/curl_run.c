/* The connection of `tapglass curl`: the request goes out while the response comes in. RFC 9112 6.3
 * (where a body ends), 7.1 (chunks, by http_chunk.c), 9.6; RFC 9110 10.1.1 (100-continue). */
#define _GNU_SOURCE 1
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "curl.h"

#define RETRY_NS    (10 * NS_PER_MS)
#define CONTINUE_NS NS_PER_S   /* [9110 10.1.1] not indefinitely: so long for a 100 */
#define ROUND_MAX   (4u << 20) /* bytes in a round: others want their turn */
#define RESERVE_MAX 65536u

/* ---- Ends ------------------------------------------------------------------------------------ */

static void finish(struct curl *c, int status)
{
	char *text;
	size_t n;

	in_watch(&c->in, c->job->link->host, false);
	c->phase = CURL_OVER;
	c->end_ns = tg_host_now();
	if (c->opt.write_out != NULL) {
		text = curl_write_out(c, status, &n);
		if (text != NULL) {
			job_text(c->job, text, n);
		}
	}
	job_finish(c->job, status);
}

void curl_fail(struct curl *c, int status, const char *format, ...)
{
	char text[200];
	va_list ap;

	if (c->phase == CURL_OVER) {
		return;
	}
	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	if (!c->opt.silent || c->opt.show_error) {
		job_error(c->job, "tapglass: curl: (%d) %s\n", status, text);
	}
	finish(c, status);
}

static bool again(struct curl *c, int64_t result)
{
	c->retry = c->retry || result == -TG_ENOMEM;
	return result == -TG_EAGAIN || result == -TG_ENOMEM;
}

/* -v: lines of a head, each with a mark before it. */
static void tell(struct curl *c, const char *mark, const char *p, size_t n)
{
	while (c->opt.verbose && n > 0) {
		const char *end = memchr(p, '\n', n);
		size_t line = end != NULL ? (size_t)(end - p) : n;
		size_t text = line > 0 && p[line - 1] == '\r' ? line - 1 : line;

		job_error(c->job, "%s %.*s\n", mark, (int)(text < 480 ? text : 480), p);
		p += line;
		n -= line;
		if (n > 0) {
			p++;
			n--;
		}
	}
}

/* ---- Sending --------------------------------------------------------------------------------- */

/* What is left of a send that failed is not tried; what the server has said is still read. */
static void send_error(struct curl *c, int64_t result)
{
	if (!again(c, result)) {
		c->send_failed = true;
	}
}

/* Up to n bytes; how many went. */
static size_t send_some(struct curl *c, const char *p, size_t n, uint64_t now_ns)
{
	int64_t k = n > 0 ? tg_sock_send(c->s, c->sock, p, n, 0, now_ns) : 0;

	if (k < 0) {
		send_error(c, k);
		return 0;
	}
	return (size_t)k;
}

/* Reads a piece of the upload into c->chunk, framed; false: none now, or no more. */
static bool chunk_read(struct curl *c)
{
	char *data = c->chunk + 8; /* "8000\r\n" before it */
	int64_t n = in_read(&c->in, data, CURL_CHUNK_BYTES);
	char size[9];
	int w;

	if (n == -TG_EAGAIN) {
		return false;
	}
	if (n < 0) {
		curl_fail(c, CURL_E_READ, "cannot read what is to be sent: %s", errno_text(n));
		return false;
	}
	w = snprintf(size, sizeof size, "%" PRIx64 "\r\n", (uint64_t)n);
	c->chunk_at = 8 - (size_t)w;
	memcpy(c->chunk + c->chunk_at, size, (size_t)w);
	memcpy(data + n, "\r\n", 2);
	c->chunk_bytes = (size_t)w + (size_t)n + 2;
	c->up_bytes += (uint64_t)n;
	return true;
}

static void upload_chunked(struct curl *c, uint64_t now_ns)
{
	size_t n;

	while (!c->upload_done && !c->send_failed) {
		if (c->chunk_bytes == 0 && !chunk_read(c)) {
			return;
		}
		n = send_some(c, c->chunk + c->chunk_at, c->chunk_bytes, now_ns);
		c->chunk_at += n;
		c->chunk_bytes -= n;
		if (c->chunk_bytes > 0) {
			return;
		}
		c->upload_done = c->in.ended; /* the chunk of length 0 went out */
	}
}

/* A file whose length was promised, straight into the send buffer. */
static void upload_counted(struct curl *c, uint64_t now_ns)
{
	struct tg_mspan span[2];
	size_t moved = 0, want;
	int64_t n;
	int rc;

	while (c->upload_bytes > 0 && moved < ROUND_MAX) {
		want = c->upload_bytes < RESERVE_MAX ? (size_t)c->upload_bytes : RESERVE_MAX;
		rc = tg_sock_reserve(c->s, c->sock, want, span);
		if (rc <= 0) {
			send_error(c, rc == 0 ? -TG_EAGAIN : rc);
			return;
		}
		want = span[0].len < want ? span[0].len : want;
		n = in_read(&c->in, span[0].base, want);
		if (n <= 0) {
			curl_fail(c, CURL_E_READ,
				"the file to be sent ends %" PRIu64 " bytes before its length",
				c->upload_bytes);
			return;
		}
		tg_sock_commit(c->s, c->sock, (size_t)n, 0, now_ns);
		c->upload_bytes -= (uint64_t)n;
		c->up_bytes += (uint64_t)n;
		moved += (size_t)n;
	}
	c->upload_done = c->upload_bytes == 0;
	c->more = c->more || !c->upload_done;
}

static void send_round(struct curl *c, uint64_t now_ns)
{
	bool head_out = c->sent_bytes >= c->request_head_bytes;

	if (c->send_failed) {
		return;
	}
	c->sent_bytes +=
		send_some(c, c->request + c->sent_bytes, c->request_bytes - c->sent_bytes, now_ns);
	if (c->sent_bytes > c->request_head_bytes && !c->has_upload) {
		c->up_bytes = c->sent_bytes - c->request_head_bytes;
	}
	if (!head_out && c->sent_bytes >= c->request_head_bytes) {
		c->patience_ns = now_ns + CONTINUE_NS;
	}
	if (!c->has_upload || c->no_body || c->sent_bytes < c->request_bytes || c->upload_done) {
		return;
	}
	c->upload_go = c->upload_go || now_ns >= c->patience_ns;
	if (c->upload_go && c->upload_chunked) {
		upload_chunked(c, now_ns);
	} else if (c->upload_go) {
		upload_counted(c, now_ns);
	}
	/* a pipe may wake us when there is room to send what it has */
	if (c->phase != CURL_OVER) {
		in_watch(&c->in, c->job->link->host,
			c->upload_go && c->upload_chunked && !c->send_failed && !c->in.ended &&
				c->chunk_bytes == 0);
	}
}

/* ---- Receiving ------------------------------------------------------------------------------- */

static struct out *sink(struct curl *c)
{
	return c->has_file ? &c->file : &c->job->out;
}

static void on_writable(void *arg, int fd, short revents)
{
	(void)arg;
	(void)fd;
	(void)revents; /* the round that follows writes */
}

/* Writes what the file takes now; true: something is left. */
static bool file_flush(struct curl *c)
{
	bool more = c->has_file && out_flush(&c->file);

	if (c->has_file && c->file.dead) {
		curl_fail(c, CURL_E_WRITE, "cannot write %s",
			c->opt.output != NULL ? c->opt.output : "the file");
		more = false;
	}
	if (more != c->file_watched) {
		tg_host_watch(c->job->link->host, c->file.fd, more ? POLLOUT : 0, on_writable, c);
		c->file_watched = more;
	}
	return more;
}

static void complete(struct curl *c)
{
	c->phase = CURL_FLUSHING;
	if (!file_flush(c) && c->phase == CURL_FLUSHING) {
		finish(c, c->status);
	}
}

/* What the file held before goes when there is something to take its place. */
static void file_begin(struct curl *c)
{
	if (c->has_file && !c->file_begun && ftruncate(c->file.fd, 0) < 0 && c->opt.verbose) {
		job_error(c->job, "* the output is no regular file\n");
	}
	c->file_begun = true;
}

static bool is_redirect(unsigned status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* The head of a response is complete. */
static void head_done(struct curl *c)
{
	struct curl_head *h = &c->head;
	const struct curl_opt *o = &c->opt;

	tell(c, "<", h->text, h->bytes);
	c->head_bytes += h->bytes;
	c->http_code = h->status;
	if (h->status == 100) {
		c->upload_go = true;
	}
	if (o->fail && h->status >= 400) {
		curl_fail(c, CURL_E_HTTP, "the server answered with error %u", h->status);
		return;
	}
	file_begin(c);
	if (o->include || o->head) {
		out_line(sink(c), h->text, h->bytes);
	}
	if (o->location && h->to_bytes > 0 && is_redirect(h->status)) {
		c->redirect = true; /* what else is in the response is of no use */
		return;
	}
	if (h->status / 100 == 1 &&
		h->status != 101) { /* [9110 15.2] there is another one to come */
		memset(h, 0, sizeof *h);
		return;
	}
	if (h->status >= 400 && c->has_upload && !c->upload_done) {
		c->send_failed = true; /* it does not want the rest */
		in_watch(&c->in, c->job->link->host, false);
	}
	c->framing = curl_head_framing(h, strcmp(curl_method(c), "HEAD") == 0);
	c->left_bytes = h->length;
	c->phase = CURL_BODY;
	if (c->framing == CURL_NONE || (c->framing == CURL_LENGTH && c->left_bytes == 0)) {
		complete(c);
	}
}

static void head_bytes_in(struct curl *c, const struct tg_span *span, uint64_t now_ns)
{
	size_t taken;
	int rc;

	/* -i, -I: it has to fit into what is to be written */
	if (OUT_BUFFER_BYTES - sink(c)->len_bytes < CURL_HEAD_MAX_BYTES && c->head.bytes == 0) {
		out_flush(sink(c));
	}
	c->first_ns = c->first_ns != 0 ? c->first_ns : now_ns;
	rc = curl_head_take(&c->head, span->base, span->len, &taken);
	tg_sock_consume(c->s, c->sock, taken, now_ns);
	if (rc == CURL_HEAD_BAD && !c->head.has_status) {
		curl_fail(c, CURL_E_PROTOCOL, "what came is not HTTP/1.x");
	} else if (rc == CURL_HEAD_BAD) {
		curl_fail(c, CURL_E_REPLY, "the head of the response is malformed");
	} else if (rc == CURL_HEAD_LONG) {
		curl_fail(c, CURL_E_REPLY,
			"the head of the response is longer than %u bytes, "
			"or has more than %u fields",
			CURL_HEAD_MAX_BYTES, CURL_FIELDS_MAX);
	} else if (rc == CURL_HEAD_DONE) {
		head_done(c);
	}
}

/* Takes of the body what there is room for; how many bytes. */
static size_t body_bytes_in(struct curl *c, const char *p, size_t n, size_t room)
{
	const char *data = p;
	size_t bytes;

	n = n < room ? n : room;
	if (c->framing == CURL_LENGTH && n > c->left_bytes) {
		n = (size_t)c->left_bytes;
	}
	bytes = n;
	if (c->framing == CURL_CHUNKED) {
		n = http_chunk_take(&c->chunks, p, n, &data, &bytes);
	}
	if (bytes > 0) {
		out_line(sink(c), data, bytes);
	}
	c->down_bytes += bytes;
	c->left_bytes -= c->framing == CURL_LENGTH ? bytes : 0;
	return n;
}

static void body_span_in(struct curl *c, const struct tg_span *span, size_t room, uint64_t now_ns)
{
	size_t n = body_bytes_in(c, span->base, span->len, room);

	tg_sock_consume(c->s, c->sock, n, now_ns);
	if (c->chunks.status != 0) {
		curl_fail(c, CURL_E_RECV, "the chunks of the body are malformed");
	} else if (c->chunks.done || (c->framing == CURL_LENGTH && c->left_bytes == 0)) {
		complete(c);
	}
}

static void ended(struct curl *c)
{
	if (c->phase == CURL_BODY && c->framing == CURL_UNTIL_CLOSE) {
		complete(c);
	} else if (c->phase == CURL_BODY && c->framing == CURL_LENGTH) {
		curl_fail(c, CURL_E_PARTIAL,
			"the connection ended with %" PRIu64 " bytes still to come", c->left_bytes);
	} else if (c->phase == CURL_BODY) {
		curl_fail(c, CURL_E_PARTIAL, "the connection ended before the last chunk");
	} else if (c->head.bytes == 0 && c->http_code == 0) {
		curl_fail(c, CURL_E_EMPTY, "the server gave no answer");
	} else {
		curl_fail(c, CURL_E_RECV, "the connection ended within the head of the response");
	}
}

static void receive_round(struct curl *c, uint64_t now_ns)
{
	struct tg_span span;
	uint64_t before = c->down_bytes;
	size_t room;
	int n;

	while ((c->phase == CURL_HEADING || c->phase == CURL_BODY) && !c->redirect) {
		if (c->down_bytes - before >= ROUND_MAX) {
			c->more = true;
			return;
		}
		/* the head of a response may be written, too, and is as long as the buffer */
		room = OUT_BUFFER_BYTES - sink(c)->len_bytes;
		if (room < OUT_BUFFER_BYTES / 2 || c->phase == CURL_HEADING) {
			if (c->has_file) {
				file_flush(c);
			} else {
				out_flush(&c->job->out);
			}
			room = OUT_BUFFER_BYTES - sink(c)->len_bytes;
		}
		if (room == 0 || (c->phase == CURL_HEADING && room < OUT_BUFFER_BYTES) ||
			c->phase == CURL_OVER) {
			return;
		}
		n = tg_sock_peek(c->s, c->sock, &span, 1);
		if (n < 0 && again(c, n)) {
			return;
		}
		if (n < 0) {
			curl_fail(c, c->send_failed ? CURL_E_SEND : CURL_E_RECV,
				"the connection was lost: %s", errno_text(n));
		} else if (n == 0) {
			ended(c);
		} else if (c->phase == CURL_HEADING) {
			head_bytes_in(c, &span, now_ns);
		} else {
			body_span_in(c, &span, room, now_ns);
		}
	}
}

/* ---- In the loop ----------------------------------------------------------------------------- */

static void connect_try(struct curl *c, uint64_t now_ns)
{
	int64_t err = 0;
	char where[24];

	if ((tg_sock_ready(c->s, c->sock) & (TG_OUT | TG_ERR | TG_HUP)) == 0) {
		return;
	}
	tg_sock_getopt(c->s, c->sock, TG_SO_ERROR, &err);
	format_addr(&c->opt.addr, where);
	if (err != 0) {
		curl_fail(c, err == TG_ETIMEDOUT ? CURL_E_TIMEOUT : CURL_E_CONNECT,
			"cannot connect to %s: %s", where, errno_text(-err));
		return;
	}
	c->connected_ns = now_ns;
	c->phase = CURL_HEADING;
	tg_sock_local_addr(c->s, c->sock, &c->local);
	tell(c, "* Connected to", where, strlen(where));
	tell(c, ">", c->request, c->request_head_bytes);
}

static void curl_connect(struct curl *c, uint64_t now_ns)
{
	char where[24];
	int rc = tg_sock_open(c->s, TG_STREAM, 0, 0, &c->sock);

	if (rc < 0) {
		c->sock = 0;
		curl_fail(c, CURL_E_CONNECT, "cannot open a socket: %s", errno_text(rc));
		return;
	}
	tg_sock_setopt(c->s, c->sock, TG_TCP_NODELAY, 1, now_ns);
	rc = tg_sock_connect(c->s, c->sock, &c->opt.addr, now_ns);
	if (rc < 0 && rc != -TG_EINPROGRESS) {
		curl_fail(c, CURL_E_CONNECT, "cannot connect to %s: %s",
			format_addr(&c->opt.addr, where), errno_text(rc));
	}
}

/* [9110 15.4] what was a POST becomes a GET, as with browsers, unless 307 or 308 say otherwise; the
 * body of what stays a PUT or POST is sent again from its beginning. */
static bool body_again(struct curl *c)
{
	const char *method = curl_method(c);
	unsigned status = c->head.status;

	if (strcmp(method, "HEAD") != 0 &&
		(status == 303 || (status <= 302 && strcmp(method, "POST") == 0))) {
		c->no_body = true;
	}
	if (c->no_body || !c->has_upload) {
		return true;
	}
	if (c->upload_chunked || lseek(c->in.fd, c->upload_at, SEEK_SET) < 0) {
		curl_fail(c, CURL_E_REWIND, "what was sent cannot be sent again");
		return false;
	}
	c->upload_bytes = c->upload_all_bytes;
	c->in.ended = false;
	return true;
}

/* [9110 15.4] the request again, to where the response leads. */
static void redirect_follow(struct curl *c, uint64_t now_ns)
{
	struct curl_opt *o = &c->opt;
	struct curl_head *h = &c->head;
	char why[200], *url;
	int rc;

	c->redirect = false;
	if (c->n_redirs++ == o->max_redirs) {
		curl_fail(
			c, CURL_E_REDIRECTS, "more than %u redirections", (unsigned)o->max_redirs);
		return;
	}
	url = curl_url_join(o, h->text + h->to_at, h->to_bytes);
	if (url == NULL || !body_again(c)) {
		free(url);
		curl_fail(c, CURL_E_RECV, "out of memory");
		return;
	}
	free(c->url);
	o->url = c->url = url;
	rc = curl_url_parse(o, why);
	if (rc != 0) {
		curl_fail(c, rc, "%s", why);
		return;
	}
	tg_sock_close(c->s, c->sock, now_ns);
	c->sock = 0;
	free(c->request);
	c->request = NULL;
	c->sent_bytes = c->chunk_bytes = 0;
	c->send_failed = false;
	c->upload_done = c->no_body || c->upload_bytes == 0;
	memset(h, 0, sizeof *h);
	memset(&c->chunks, 0, sizeof c->chunks);
	if (!curl_request_make(c)) {
		curl_fail(c, CURL_E_RECV, "out of memory");
		return;
	}
	c->phase = CURL_CONNECTING;
	curl_connect(c, now_ns);
}

static uint64_t limits(struct curl *c, uint64_t now_ns)
{
	const struct curl_opt *o = &c->opt;
	uint64_t due = o->max_ns != 0 ? c->start_ns + o->max_ns : UINT64_MAX;

	if (c->phase == CURL_CONNECTING && o->connect_ns != 0 &&
		c->start_ns + o->connect_ns < due) {
		due = c->start_ns + o->connect_ns;
	}
	if (now_ns >= due) {
		curl_fail(c, CURL_E_TIMEOUT,
			"timed out after %" PRIu64 " ms with %" PRIu64 " bytes received",
			(now_ns - c->start_ns) / NS_PER_MS, c->down_bytes);
		return UINT64_MAX;
	}
	if (c->has_upload && !c->upload_go && c->patience_ns > now_ns && c->patience_ns < due) {
		due = c->patience_ns;
	}
	return c->retry && now_ns + RETRY_NS < due ? now_ns + RETRY_NS : due;
}

uint64_t curl_round(struct job *j, uint64_t now_ns)
{
	struct curl *c = j->state;

	c->retry = c->more = false;
	if (c->phase == CURL_CONNECTING) {
		connect_try(c, now_ns);
	}
	if (c->phase == CURL_HEADING || c->phase == CURL_BODY) {
		send_round(c, now_ns);
	}
	if (c->phase == CURL_HEADING || c->phase == CURL_BODY) {
		receive_round(c, now_ns);
	}
	if (c->redirect && c->phase == CURL_HEADING) {
		redirect_follow(c, now_ns);
		c->more = true;
	}
	if (c->phase == CURL_FLUSHING) {
		complete(c);
	}
	if (c->phase == CURL_OVER) {
		return UINT64_MAX;
	}
	return c->more ? now_ns : limits(c, now_ns);
}

void curl_begin(struct curl *c, uint64_t now_ns)
{
	c->start_ns = now_ns;
	curl_connect(c, now_ns);
}
