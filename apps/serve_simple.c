/* Echo (RFC 862), discard (RFC 863), character generator (RFC 864), on TCP and UDP. TCP in place:
 * what came is sent or thrown away where it lies, so that echoed bytes are copied once and
 * discarded ones never. What is not read stays in the receive queue and closes the peer's window.
 * Every loop ends because buffers are bounded and nothing arrives while it runs. */
#define _GNU_SOURCE 1
#include "serve_simple.h"

#include <stdlib.h>
#include <string.h>

#define SIMPLE_CONNS_MAX     1000000u
#define SIMPLE_BACKLOG       4096u
#define SIMPLE_SPANS         16u
#define CHARGEN_LINE_BYTES   74u
#define CHARGEN_LINES        95u
#define CHARGEN_PERIOD_BYTES (CHARGEN_LINE_BYTES * CHARGEN_LINES)
#define CHARGEN_TABLE_BYTES  (CHARGEN_PERIOD_BYTES * 16u)
#define CHARGEN_WANT_BYTES   (1u << 30) /* whatever there is room for */
#define CHARGEN_DGRAM_MAX    512u
#define DGRAM_MAX            65536u

struct simple_conn {
	struct svc_conn conn;
	struct simple_services *owner;
	uint32_t pattern_pos; /* chargen: bytes into the period */
};

/* A datagram socket of a service. */
struct simple_dgram {
	struct svc_conn conn;
	struct simple_services *owner;
};

struct simple_services {
	struct tg *s;
	struct pool conns;
	struct svc_listener echo, discard, chargen;
	struct simple_dgram udp_echo, udp_discard, udp_chargen;
	uint64_t random; /* lengths of chargen's datagrams */
	uint8_t pattern[CHARGEN_TABLE_BYTES + CHARGEN_PERIOD_BYTES];
	uint8_t dgram[DGRAM_MAX];
};

static void conn_end(struct simple_conn *c, uint64_t now_ns)
{
	struct simple_services *m = c->owner;

	tg_sock_close(m->s, c->conn.sock, now_ns);
	pool_put(&m->conns, c);
}

/* ---- Echo ------------------------------------------------------------------------------------ */

/* Sends what waits from where it lies, as far as there is room: bytes, 0 at the end of the stream,
 * or an error. */
static int64_t echo_batch(struct tg *s, tg_sock k, uint64_t now_ns)
{
	struct tg_span in[SIMPLE_SPANS];
	int n_in = tg_sock_peek(s, k, in, SIMPLE_SPANS), rc;
	int64_t n = n_in;
	size_t sent = 0;

	for (int i = 0; i < n_in; i++) {
		n = tg_sock_send(s, k, in[i].base, in[i].len, 0, now_ns);
		if (n < 0) {
			break;
		}
		sent += (size_t)n;
		if ((size_t)n < in[i].len) {
			break;
		}
	}
	if (sent == 0) {
		return n;
	}
	rc = tg_sock_consume(s, k, sent, now_ns);
	return rc < 0 ? rc : (int64_t)sent;
}

static void echo_event(struct svc_conn *base, unsigned events, uint64_t now_ns)
{
	struct simple_conn *c = (struct simple_conn *)(void *)base;
	int64_t n;

	(void)events;
	do {
		n = echo_batch(c->owner->s, c->conn.sock, now_ns);
	} while (n > 0);
	if (n != -TG_EAGAIN) {
		conn_end(c, now_ns); /* the rest is still delivered, then our FIN */
	}
}

/* ---- Discard --------------------------------------------------------------------------------- */

/* Throws away what can be read: 0 at the end of the stream, -TG_EAGAIN or an error. */
static int64_t discard_input(struct tg *s, tg_sock k, uint64_t now_ns)
{
	int64_t n;

	while ((n = svc_readable(s, k)) > 0) {
		int rc = tg_sock_consume(s, k, (size_t)n, now_ns);

		if (rc < 0) {
			return rc;
		}
	}
	return n;
}

static void discard_event(struct svc_conn *base, unsigned events, uint64_t now_ns)
{
	struct simple_conn *c = (struct simple_conn *)(void *)base;

	(void)events;
	if (discard_input(c->owner->s, c->conn.sock, now_ns) != -TG_EAGAIN) {
		conn_end(c, now_ns);
	}
}

/* ---- Chargen --------------------------------------------------------------------------------- */

/* [864] lines of 72 of the 95 printing characters, each line starting one character later */
static void pattern_fill(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t at = i % CHARGEN_PERIOD_BYTES;
		size_t line = at / CHARGEN_LINE_BYTES, column = at % CHARGEN_LINE_BYTES;

		if (column == CHARGEN_LINE_BYTES - 2) {
			p[i] = '\r';
		} else if (column == CHARGEN_LINE_BYTES - 1) {
			p[i] = '\n';
		} else {
			p[i] = (uint8_t)(' ' + (line + column) % CHARGEN_LINES);
		}
	}
}

static void pattern_copy(struct simple_conn *c, uint8_t *to, size_t n)
{
	while (n > 0) {
		size_t part = n < CHARGEN_TABLE_BYTES ? n : CHARGEN_TABLE_BYTES;

		memcpy(to, c->owner->pattern + c->pattern_pos, part);
		c->pattern_pos = (uint32_t)((c->pattern_pos + part) % CHARGEN_PERIOD_BYTES);
		to += part;
		n -= part;
	}
}

static int chargen_output(struct simple_conn *c, uint64_t now_ns)
{
	struct tg *s = c->owner->s;
	struct tg_mspan out[2];
	int n;

	while ((n = tg_sock_reserve(s, c->conn.sock, CHARGEN_WANT_BYTES, out)) > 0) {
		size_t sum = 0;
		int rc;

		for (int i = 0; i < n; i++) {
			pattern_copy(c, out[i].base, out[i].len);
			sum += out[i].len;
		}
		rc = tg_sock_commit(s, c->conn.sock, sum, 0, now_ns);
		if (rc < 0) {
			return rc;
		}
	}
	return n == 0 ? -TG_EAGAIN : n;
}

static void chargen_event(struct svc_conn *base, unsigned events, uint64_t now_ns)
{
	struct simple_conn *c = (struct simple_conn *)(void *)base;
	int64_t rc = -TG_EAGAIN;

	/* [864] what comes in is thrown away; a half-close does not stop the stream */
	if ((events & (TG_IN | TG_RDHUP)) != 0) {
		rc = discard_input(c->owner->s, c->conn.sock, now_ns);
	}
	if (rc == 0 || rc == -TG_EAGAIN) {
		rc = chargen_output(c, now_ns);
	}
	if (rc != -TG_EAGAIN) {
		conn_end(c, now_ns);
	}
}

/* ---- Datagrams ------------------------------------------------------------------------------- */

/* A service must not answer another one for ever, nor a broadcast. */
static bool answerable(const struct tg_dgram *d)
{
	static const uint16_t talkers[] = {0, PORT_ECHO, 13, 17, PORT_CHARGEN, 37};

	for (size_t i = 0; i < sizeof talkers / sizeof talkers[0]; i++) {
		if (d->peer.port == talkers[i]) {
			return false;
		}
	}
	return !d->broadcast;
}

static void dgram_reply(
	struct simple_dgram *u, struct tg_dgram *d, const void *data, size_t n, uint64_t now_ns)
{
	d->ttl = 0;
	d->tos = 0;
	if (answerable(d)) {
		/* no room in the send queue: the datagram is lost, which is what UDP promises */
		(void)tg_sock_sendto(u->owner->s, u->conn.sock, data, n, 0, d, now_ns);
	}
}

/* Next datagram into the common buffer: its length, or negative: there is none. */
static int64_t dgram_next(struct simple_dgram *u, struct tg_dgram *d, uint64_t now_ns)
{
	struct simple_services *m = u->owner;
	int64_t n = -TG_EAGAIN;

	/* an error that was reported is cleared by reading it, and datagrams may wait behind it */
	for (int tries = 0; tries < 4; tries++) {
		n = tg_sock_recvfrom(m->s, u->conn.sock, m->dgram, sizeof m->dgram, 0, d, now_ns);
		if (n >= 0 || n == -TG_EAGAIN) {
			break;
		}
	}
	return n;
}

static void udp_echo_event(struct svc_conn *base, unsigned events, uint64_t now_ns)
{
	struct simple_dgram *u = (struct simple_dgram *)(void *)base;
	struct tg_dgram d;
	int64_t n;

	(void)events;
	while ((n = dgram_next(u, &d, now_ns)) >= 0) {
		dgram_reply(u, &d, u->owner->dgram, (size_t)n, now_ns);
	}
}

static void udp_discard_event(struct svc_conn *base, unsigned events, uint64_t now_ns)
{
	struct simple_dgram *u = (struct simple_dgram *)(void *)base;
	struct tg_dgram d;

	(void)events;
	while (dgram_next(u, &d, now_ns) >= 0) {
	}
}

/* [864] one datagram of 0 to 512 characters for each that comes in */
static void udp_chargen_event(struct svc_conn *base, unsigned events, uint64_t now_ns)
{
	struct simple_dgram *u = (struct simple_dgram *)(void *)base;
	struct simple_services *m = u->owner;
	struct tg_dgram d;

	(void)events;
	while (dgram_next(u, &d, now_ns) >= 0) {
		m->random =
			m->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		dgram_reply(u, &d, m->pattern, (size_t)(m->random >> 33) % (CHARGEN_DGRAM_MAX + 1),
			now_ns);
	}
}

/* ---- Starting -------------------------------------------------------------------------------- */

static struct svc_conn *conn_get(
	struct simple_services *m, void (*event)(struct svc_conn *, unsigned, uint64_t))
{
	struct simple_conn *c = pool_get(&m->conns);

	if (c == NULL) {
		return NULL;
	}
	c->owner = m;
	c->conn.event = event;
	return &c->conn;
}

static struct svc_conn *echo_get(void *arg)
{
	return conn_get(arg, echo_event);
}

static struct svc_conn *discard_get(void *arg)
{
	return conn_get(arg, discard_event);
}

static struct svc_conn *chargen_get(void *arg)
{
	return conn_get(arg, chargen_event);
}

static void conn_put(void *arg, struct svc_conn *c)
{
	struct simple_services *m = arg;

	pool_put(&m->conns, c);
}

static void conn_start(void *arg, struct svc_conn *c, uint64_t now_ns)
{
	struct simple_services *m = arg;

	tg_sock_setopt(m->s, c->sock, TG_TCP_NODELAY, 1, now_ns);
	tg_sock_setopt(m->s, c->sock, TG_SO_KEEPALIVE, 1, now_ns);
	c->event(c, TG_IN | TG_OUT, now_ns);
}

static int stream_start(struct simple_services *m, struct services *v, struct svc_listener *l,
	uint16_t port, struct svc_conn *(*get)(void *), uint64_t now_ns)
{
	l->arg = m;
	l->get = get;
	l->put = conn_put;
	l->start = conn_start;
	return svc_listen(v, l, port, SIMPLE_BACKLOG, now_ns);
}

static int dgram_start(struct simple_services *m, struct simple_dgram *u, uint16_t port,
	void (*event)(struct svc_conn *, unsigned, uint64_t))
{
	struct tg_addr any = {.port = port};
	int rc;

	u->owner = m;
	u->conn.event = event;
	rc = tg_sock_open(m->s, TG_DGRAM, 0, (uint64_t)(uintptr_t)&u->conn, &u->conn.sock);
	return rc < 0 ? rc : tg_sock_bind(m->s, u->conn.sock, &any);
}

struct simple_services *simple_start(struct services *v, uint64_t now_ns, int *rc)
{
	struct simple_services *m = calloc(1, sizeof *m);
	int sum = 0;

	if (m == NULL) {
		*rc = -TG_ENOMEM;
		return NULL;
	}
	m->s = v->s;
	pool_init(&m->conns, sizeof(struct simple_conn), SIMPLE_CONNS_MAX);
	pattern_fill(m->pattern, sizeof m->pattern);
	sum = stream_start(m, v, &m->echo, PORT_ECHO, echo_get, now_ns);
	sum = sum < 0 ? sum : stream_start(m, v, &m->discard, PORT_DISCARD, discard_get, now_ns);
	sum = sum < 0 ? sum : stream_start(m, v, &m->chargen, PORT_CHARGEN, chargen_get, now_ns);
	sum = sum < 0 ? sum : dgram_start(m, &m->udp_echo, PORT_ECHO, udp_echo_event);
	sum = sum < 0 ? sum : dgram_start(m, &m->udp_discard, PORT_DISCARD, udp_discard_event);
	sum = sum < 0 ? sum : dgram_start(m, &m->udp_chargen, PORT_CHARGEN, udp_chargen_event);
	sum = sum < 0 ? sum
		      : tg_sock_setopt(m->s, m->chargen.conn.sock, TG_TCP_NOTSENT_LOWAT,
				SVC_NOTSENT_BYTES, now_ns);
	*rc = sum;
	return m;
}

void simple_free(struct simple_services *m)
{
	if (m != NULL) {
		pool_free(&m->conns);
		free(m);
	}
}
