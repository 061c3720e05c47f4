/* The server of iperf3's protocol: one test at a time, of whoever comes first; others are told
 * ACCESS_DENIED. All TCP connections come to one port, and the cookie that each begins with tells
 * what it is. Bounded in connections that have said nothing yet, in the octets of what they say,
 * and in the time that each step may take. */
#define _GNU_SOURCE 1
#include "iperf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DOORS_MAX    64u
#define BACKLOG      256u
#define COOKIE_NS    (10 * NS_PER_S)
#define KEEPALIVE_NS (10 * NS_PER_S)
#define UDP_BUFFER   (4 << 20)
#define RULE         "-----------------------------------------------------------\n"

/* A connection that has not shown its cookie yet. */
struct door {
	struct iperf_ctl ctl; /* first: its socket's cookie points here */
	struct iperf_server *server;
	struct door *next; /* in the order in which they were accepted */
	struct tg_addr peer;
	uint64_t due_ns;
	bool heard, complete;
};

struct iperf_server {
	struct services *services;
	struct tg *s;
	struct svc_listener listener;
	struct svc_conn udp; /* takes the first datagram of each stream; socket 0: none */
	struct pool pool;
	struct door *doors;
	uint16_t port;
	const struct iperf_opt *opt;
	const struct iperf_sink *sink;
	struct iperf_test *test; /* NULL: none */
	unsigned n_tests;
	bool heard; /* one of the doors */
	bool udp_heard, announced;
	uint64_t due_ns;   /* nothing to do until then, unless something is heard */
	bool done, failed; /* one_off */
};

/* ---- Doors ----------------------------------------------------------------------------------- */

static void door_event(struct svc_conn *c, unsigned events, uint64_t now_ns)
{
	struct door *d = (struct door *)(void *)c;

	(void)events;
	(void)now_ns;
	d->heard = d->server->heard = true;
}

static struct svc_conn *door_get(void *arg)
{
	struct iperf_server *v = arg;
	struct door *d = pool_get(&v->pool);

	if (d == NULL) {
		return NULL;
	}
	d->server = v;
	d->ctl.s = v->s;
	d->ctl.conn.event = door_event;
	return &d->ctl.conn;
}

static void door_put(void *arg, struct svc_conn *c)
{
	struct iperf_server *v = arg;

	pool_put(&v->pool, c);
}

static void door_start(void *arg, struct svc_conn *c, uint64_t now_ns)
{
	struct iperf_server *v = arg;
	struct door *d = (struct door *)(void *)c, **at = &v->doors;

	tg_sock_peer_addr(v->s, c->sock, &d->peer);
	d->due_ns = now_ns + COOKIE_NS;
	d->heard = v->heard = true;
	while (*at != NULL) {
		at = &(*at)->next;
	}
	*at = d;
}

/* Its socket belongs to somebody else by now, or goes. */
static void door_remove(struct iperf_server *v, struct door *d, uint64_t now_ns)
{
	struct door **at = &v->doors;

	while (*at != d) {
		at = &(*at)->next;
	}
	*at = d->next;
	iperf_ctl_close(&d->ctl, now_ns);
	pool_put(&v->pool, d);
}

static void door_deny(struct iperf_server *v, struct door *d, uint64_t now_ns)
{
	iperf_ctl_state(&d->ctl, IPERF_ACCESS_DENIED, now_ns);
	door_remove(v, d, now_ns);
}

/* The socket is to be another record's. */
static void hand_over(
	struct iperf_server *v, struct svc_conn *from, struct svc_conn *to, uint64_t now_ns)
{
	to->sock = from->sock;
	from->sock = 0;
	tg_sock_setopt(v->s, to->sock, TG_TCP_USER_COOKIE, (int64_t)(uintptr_t)to, now_ns);
}

/* ---- A test begins --------------------------------------------------------------------------- */

static void test_begin(struct iperf_server *v, struct door *d, uint64_t now_ns)
{
	struct iperf_test *t = calloc(1, sizeof *t);
	char ip[16];

	if (t == NULL) {
		door_deny(v, d, now_ns);
		return;
	}
	iperf_test_init(t, v->s, v->opt, v->sink);
	t->server = true;
	memcpy(t->cookie, d->ctl.head, IPERF_COOKIE_BYTES - 1);
	t->peer = d->peer;
	hand_over(v, &d->ctl.conn, &t->ctl.conn, now_ns);
	door_remove(v, d, now_ns);
	tg_sock_setopt(v->s, t->ctl.conn.sock, TG_TCP_NODELAY, 1, now_ns);
	tg_sock_setopt(v->s, t->ctl.conn.sock, TG_TCP_KEEPIDLE, (int64_t)KEEPALIVE_NS, now_ns);
	tg_sock_setopt(v->s, t->ctl.conn.sock, TG_TCP_KEEPINTVL, (int64_t)KEEPALIVE_NS / 2, now_ns);
	tg_sock_setopt(v->s, t->ctl.conn.sock, TG_TCP_KEEPCNT, 4, now_ns);
	tg_sock_setopt(v->s, t->ctl.conn.sock, TG_SO_KEEPALIVE, 1, now_ns);
	v->test = t;
	iperf_say(t, "Accepted connection from %s, port %u\n", tg_ip_format(&t->peer.ip, ip),
		(unsigned)t->peer.port);
	iperf_test_step(t, IPERF_PARAM_EXCHANGE, now_ns);
	iperf_ctl_state(&t->ctl, IPERF_PARAM_EXCHANGE, now_ns);
}

static void all_streams(struct iperf_test *t, uint64_t now_ns)
{
	if (t->n_streams < iperf_streams_wanted(&t->p)) {
		return;
	}
	iperf_ctl_state(&t->ctl, IPERF_TEST_START, now_ns);
	iperf_ctl_state(&t->ctl, IPERF_TEST_RUNNING, now_ns);
	iperf_test_step(t, IPERF_TEST_RUNNING, now_ns);
	if (!iperf_test_start(t, now_ns)) {
		iperf_test_fail(t, IPERF_E_STREAM, now_ns, "out of memory");
	}
}

static void stream_take(struct iperf_server *v, struct svc_conn *from, uint64_t now_ns)
{
	struct iperf_test *t = v->test;
	struct iperf_stream *st = iperf_stream_new(t, IPERF_READY);

	if (st == NULL) {
		iperf_test_fail(t, IPERF_E_STREAM, now_ns, "out of memory");
		return;
	}
	hand_over(v, from, &st->conn, now_ns);
	iperf_stream_ready(st);
	if (iperf_stream_options(st, false, now_ns) < 0) {
		iperf_test_fail(
			t, IPERF_E_STREAM, now_ns, "stream %u: its options cannot be set", st->id);
		return;
	}
	all_streams(t, now_ns);
}

static bool same_host(const struct tg_addr *a, const struct tg_addr *b)
{
	return memcmp(&a->ip, &b->ip, sizeof a->ip) == 0;
}

static bool wants_stream(const struct iperf_test *t)
{
	return t != NULL && t->state == IPERF_CREATE_STREAMS && !t->failed && !t->p.udp;
}

/* The cookie is there. */
static void door_pass(struct iperf_server *v, struct door *d, uint64_t now_ns)
{
	struct iperf_test *t = v->test;

	if (t == NULL && !v->done) {
		test_begin(v, d, now_ns);
	} else if (wants_stream(t) && memcmp(d->ctl.head, t->cookie, IPERF_COOKIE_BYTES - 1) == 0) {
		stream_take(v, &d->ctl.conn, now_ns);
		door_remove(v, d, now_ns);
	} else {
		door_deny(v, d, now_ns);
	}
}

/* Streams have no names but the order in which they were opened: one waits for those of its host
 * that came before it. */
static uint64_t doors_round(struct iperf_server *v, uint64_t now_ns)
{
	uint64_t due = UINT64_MAX;
	bool blocked = false;

	for (struct door *d = v->doors, *next; d != NULL; d = next) {
		int rc = 1;

		next = d->next;
		if (!d->complete && d->heard) {
			d->heard = false;
			rc = iperf_ctl_read(&d->ctl, IPERF_COOKIE_BYTES, now_ns);
			d->complete = rc == 1;
		}
		if (!d->complete && ((rc != 1 && rc != -TG_EAGAIN) || now_ns >= d->due_ns)) {
			door_remove(v, d, now_ns);
			continue;
		}
		due = d->due_ns < due && !d->complete ? d->due_ns : due;
		if (wants_stream(v->test) && same_host(&d->peer, &v->test->peer)) {
			blocked = blocked || !d->complete;
			if (blocked) {
				continue;
			}
		}
		if (d->complete) {
			door_pass(v, d, now_ns);
		}
	}
	return due;
}

/* ---- Streams of datagrams -------------------------------------------------------------------- */

static void udp_event(struct svc_conn *c, unsigned events, uint64_t now_ns)
{
	struct iperf_server *v =
		(struct iperf_server *)(void *)((char *)c - offsetof(struct iperf_server, udp));

	(void)events;
	(void)now_ns;
	v->udp_heard = true;
}

static void udp_close(struct iperf_server *v, uint64_t now_ns)
{
	if (v->udp.sock != 0) {
		tg_sock_close(v->s, v->udp.sock, now_ns);
	}
	v->udp.sock = 0;
	v->udp_heard = false;
}

/* Each stream keeps the socket that its first datagram came to, the next one gets a new one. */
static int udp_open(struct iperf_server *v, uint64_t now_ns)
{
	struct tg_addr any = {.port = v->port};
	int rc;

	v->udp.event = udp_event;
	v->udp_heard = true;
	rc = tg_sock_open(v->s, TG_DGRAM, 0, (uint64_t)(uintptr_t)&v->udp, &v->udp.sock);
	if (rc < 0) {
		v->udp.sock = 0;
		return rc;
	}
	tg_sock_setopt(v->s, v->udp.sock, TG_SO_REUSEADDR, 1, now_ns);
	tg_sock_setopt(v->s, v->udp.sock, TG_SO_RCVBUF, UDP_BUFFER, now_ns);
	rc = tg_sock_bind(v->s, v->udp.sock, &any);
	if (rc < 0) {
		udp_close(v, now_ns);
	}
	return rc;
}

static bool known_stream(struct iperf_test *t, const struct tg_addr *peer)
{
	for (unsigned i = 0; i < t->n_streams; i++) {
		if (same_host(&t->streams[i]->peer, peer) &&
			t->streams[i]->peer.port == peer->port) {
			return true;
		}
	}
	return false;
}

static void udp_take(struct iperf_server *v, const struct tg_addr *peer, uint64_t now_ns)
{
	struct iperf_test *t = v->test;
	int rc = tg_sock_connect(v->s, v->udp.sock, peer, now_ns);
	tg_sock k = v->udp.sock;

	if (rc == 0) {
		tg_sock_send(v->s, k, IPERF_UDP_REPLY, 4, 0, now_ns);
		stream_take(v, &v->udp, now_ns);
	}
	if (rc == 0 && t->n_streams < iperf_streams_wanted(&t->p)) {
		rc = udp_open(v, now_ns);
	}
	if (rc < 0) {
		iperf_test_fail(
			t, IPERF_E_ACCEPT, now_ns, "cannot make a stream: %s", errno_text(rc));
	}
}

static void udp_round(struct iperf_server *v, uint64_t now_ns)
{
	struct iperf_test *t = v->test;
	struct tg_dgram d;
	uint8_t buf[8];
	int64_t n;

	while (v->udp.sock != 0 && v->udp_heard && !t->failed) {
		n = tg_sock_recvfrom(v->s, v->udp.sock, buf, sizeof buf, 0, &d, now_ns);
		if (n < 0) {
			v->udp_heard = false;
		} else if (n == 4 && d.bytes == 4 && same_host(&d.peer, &t->peer) &&
			   !known_stream(t, &d.peer)) {
			udp_take(v, &d.peer, now_ns);
		}
	}
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void test_over(struct iperf_server *v, uint64_t now_ns)
{
	struct iperf_test *t = v->test;

	iperf_test_tell(t);
	v->done = v->opt->one_off;
	v->failed = t->failed;
	udp_close(v, now_ns);
	iperf_test_free(t, now_ns);
	free(t);
	v->test = NULL;
	v->announced = false;
}

/* The port opens as soon as the client has been told to use it: nothing is read in between. */
static void udp_begin(struct iperf_server *v, uint64_t now_ns)
{
	struct iperf_test *t = v->test;
	int rc;

	if (t->state != IPERF_CREATE_STREAMS || !t->p.udp || t->n_streams > 0 || v->udp.sock != 0 ||
		t->failed) {
		return;
	}
	rc = udp_open(v, now_ns);
	if (rc < 0) {
		iperf_test_fail(t, IPERF_E_ACCEPT, now_ns, "cannot open UDP port %u: %s",
			(unsigned)v->port, errno_text(rc));
	}
}

static uint64_t test_round(struct iperf_server *v, uint64_t now_ns)
{
	struct iperf_test *t = v->test;
	uint64_t due = iperf_serve(t, now_ns), end;

	udp_begin(v, now_ns);
	udp_round(v, now_ns);
	end = iperf_test_round(t, now_ns);
	due = end < due ? end : due;
	end = iperf_test_patience(t, now_ns);
	due = end < due ? end : due;
	if (t->failed || t->over) {
		test_over(v, now_ns);
		return now_ns;
	}
	return due;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static void announce(struct iperf_server *v)
{
	char line[200];
	int n;

	v->announced = true;
	v->n_tests++;
	if (v->opt->json || v->opt->quiet) {
		return;
	}
	n = snprintf(line, sizeof line, RULE "Server listening on %u (test #%u)\n" RULE,
		(unsigned)v->port, v->n_tests);
	v->sink->line(v->sink->arg, line, (size_t)n, false);
}

struct iperf_server *iperf_server_start(struct services *services, uint16_t port,
	const struct iperf_opt *opt, const struct iperf_sink *sink, uint64_t now_ns, int *rc)
{
	struct iperf_server *v = calloc(1, sizeof *v);

	if (v == NULL) {
		*rc = -TG_ENOMEM;
		return NULL;
	}
	v->services = services;
	v->s = services->s;
	v->port = port;
	v->opt = opt;
	v->sink = sink;
	pool_init(&v->pool, sizeof(struct door), DOORS_MAX);
	v->listener.arg = v;
	v->listener.get = door_get;
	v->listener.put = door_put;
	v->listener.start = door_start;
	*rc = svc_listen(services, &v->listener, port, BACKLOG, now_ns);
	if (*rc < 0) {
		free(v);
		return NULL;
	}
	return v;
}

/* While data flow every round ends here: they are the streams' affair. */
static bool at_rest(const struct iperf_server *v, uint64_t now_ns)
{
	const struct iperf_test *t = v->test;

	return now_ns < v->due_ns && !v->heard && (v->udp.sock == 0 || !v->udp_heard) &&
	       (t == NULL ? v->announced || v->done
			  : t->state == IPERF_TEST_RUNNING && !t->heard && !t->failed);
}

uint64_t iperf_server_round(struct iperf_server *v, uint64_t now_ns)
{
	uint64_t due, t;

	if (v == NULL || at_rest(v, now_ns)) {
		return v == NULL ? UINT64_MAX : v->due_ns;
	}
	if (v->test == NULL && !v->announced && !v->done) {
		announce(v);
	}
	v->heard = false;
	due = doors_round(v, now_ns);
	t = v->test != NULL ? test_round(v, now_ns) : UINT64_MAX;
	v->due_ns = t < due ? t : due;
	return v->due_ns;
}

bool iperf_server_done(const struct iperf_server *v, bool *failed)
{
	*failed = v->failed;
	return v->done;
}

bool iperf_server_stop(struct iperf_server *v, uint64_t now_ns)
{
	struct iperf_test *t = v->test;

	if (t == NULL) {
		return false;
	}
	iperf_test_fail(t, IPERF_E_SERVER_TERM, now_ns, "interrupted: the server has terminated");
	test_over(v, now_ns);
	return true;
}

void iperf_server_free(struct iperf_server *v, uint64_t now_ns)
{
	if (v == NULL) {
		return;
	}
	if (v->test != NULL) {
		udp_close(v, now_ns);
		iperf_test_free(v->test, now_ns);
		free(v->test);
	}
	while (v->doors != NULL) {
		door_remove(v, v->doors, now_ns);
	}
	for (struct svc_listener **l = &v->services->listeners; *l != NULL; l = &(*l)->next) {
		if (*l == &v->listener) {
			*l = v->listener.next;
			break;
		}
	}
	tg_sock_close(v->s, v->listener.conn.sock, now_ns);
	pool_free(&v->pool);
	free(v);
}
