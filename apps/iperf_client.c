/* The client of iperf3's protocol: opens the control connection, says what is to be done, opens the
 * streams one after the other (their order is their name), ends the test, exchanges results. Each
 * thing that the server says is taken only when it is its turn. */
#define _GNU_SOURCE 1
#include "iperf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEEPALIVE_NS (10 * NS_PER_S)
#define TAIL_NS      (20 * NS_PER_MS)

struct iperf_client {
	struct iperf_test t;
	struct iperf_client_opt opt;
	bool connected, finished;
	uint64_t due_ns; /* nothing to do until then, unless something is heard */
	unsigned opened; /* streams */
};

/* ---- Opening --------------------------------------------------------------------------------- */

/* 36 characters that nobody guesses, and a NUL. */
static void cookie_make(char cookie[IPERF_COOKIE_BYTES])
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
	uint8_t random[IPERF_COOKIE_BYTES - 1];

	if (tg_host_random(random, sizeof random) < 0) {
		seed_expand(tg_host_now(), random, sizeof random);
	}
	for (unsigned i = 0; i < sizeof random; i++) {
		cookie[i] = letters[random[i] % 32];
	}
	cookie[IPERF_COOKIE_BYTES - 1] = '\0';
}

static void cannot_connect(struct iperf_client *c, int64_t result, uint64_t now_ns)
{
	char where[24];

	iperf_test_fail(&c->t, 0, now_ns, "unable to connect to %s: %s",
		format_addr(&c->opt.server, where), errno_text(result));
}

static void ctl_open(struct iperf_client *c, uint64_t now_ns)
{
	struct iperf_test *t = &c->t;
	int rc = tg_sock_open(
		t->s, TG_STREAM, 0, (uint64_t)(uintptr_t)&t->ctl.conn, &t->ctl.conn.sock);

	if (rc < 0) {
		t->ctl.conn.sock = 0;
		cannot_connect(c, rc, now_ns);
		return;
	}
	tg_sock_setopt(t->s, t->ctl.conn.sock, TG_TCP_NODELAY, 1, now_ns);
	tg_sock_setopt(t->s, t->ctl.conn.sock, TG_TCP_KEEPIDLE, (int64_t)KEEPALIVE_NS, now_ns);
	tg_sock_setopt(t->s, t->ctl.conn.sock, TG_TCP_KEEPINTVL, (int64_t)KEEPALIVE_NS / 2, now_ns);
	tg_sock_setopt(t->s, t->ctl.conn.sock, TG_TCP_KEEPCNT, 4, now_ns);
	tg_sock_setopt(t->s, t->ctl.conn.sock, TG_SO_KEEPALIVE, 1, now_ns);
	rc = tg_sock_connect(t->s, t->ctl.conn.sock, &c->opt.server, now_ns);
	if (rc < 0 && rc != -TG_EINPROGRESS) {
		cannot_connect(c, rc, now_ns);
	}
}

static void connected(struct iperf_client *c, uint64_t now_ns)
{
	struct iperf_test *t = &c->t;
	struct tg_tcp_info info;
	int64_t error = 0;

	if ((tg_sock_ready(t->s, t->ctl.conn.sock) & (TG_OUT | TG_ERR | TG_HUP)) == 0) {
		return;
	}
	tg_sock_getopt(t->s, t->ctl.conn.sock, TG_SO_ERROR, &error);
	if (error != 0) {
		cannot_connect(c, -error, now_ns);
		return;
	}
	c->connected = true;
	if (t->p.block_bytes == 0) { /* datagrams that fill a packet: its headers are as long as
					TCP's, or shorter */
		bool has = tg_tcp_status(t->s, t->ctl.conn.sock, &info) == 0 && info.mss_snd >= 16;

		t->p.block_bytes =
			has && info.mss_snd <= IPERF_UDP_BLOCK_MAX ? info.mss_snd : IPERF_UDP_BLOCK;
	}
	iperf_ctl_send(&t->ctl, t->cookie, IPERF_COOKIE_BYTES, now_ns);
	iperf_test_step(t, IPERF_START, now_ns);
}

/* ---- The protocol ---------------------------------------------------------------------------- */

static void send_params(struct iperf_test *t, uint64_t now_ns)
{
	char *text = iperf_params_write(&t->p);

	if (text == NULL || !iperf_ctl_send_json(&t->ctl, text, now_ns)) {
		iperf_test_fail(t, 0, now_ns, "out of memory");
	}
	free(text);
}

/* The next stream, when the one before is open. */
static void open_streams(struct iperf_client *c, uint64_t now_ns)
{
	struct iperf_test *t = &c->t;

	while (!t->failed) {
		struct iperf_stream *st = t->n_streams > 0 ? t->streams[t->n_streams - 1] : NULL;
		int rc;

		if (st != NULL && st->phase != IPERF_READY) {
			iperf_stream_event(&st->conn, 0, now_ns);
			if (st->phase != IPERF_READY) {
				return;
			}
		}
		if (t->n_streams == iperf_streams_wanted(&t->p)) {
			return;
		}
		st = iperf_stream_new(t, IPERF_CONNECTING);
		rc = st != NULL ? iperf_stream_connect(st, &c->opt.server, now_ns) : -TG_ENOMEM;
		if (rc < 0) {
			iperf_test_fail(t, 0, now_ns, "cannot open stream %u: %s", t->n_streams,
				errno_text(rc));
		}
	}
}

static void send_results(struct iperf_test *t, uint64_t now_ns)
{
	char *text = NULL;

	iperf_test_stop(t, now_ns);
	if (iperf_test_results(t)) {
		text = iperf_results_write(t->mine);
	}
	if (text == NULL || !iperf_ctl_send_json(&t->ctl, text, now_ns)) {
		iperf_test_fail(t, 0, now_ns, "out of memory");
	}
	free(text);
}

static void take_results(struct iperf_client *c, uint64_t now_ns)
{
	struct iperf_test *t = &c->t;
	char why[128];

	t->theirs = calloc(1, sizeof *t->theirs);
	if (t->theirs == NULL ||
		!iperf_results_read(t->ctl.json, t->ctl.json_bytes, t->theirs, why)) {
		iperf_test_fail(t, 0, now_ns, "from the server: %s",
			t->theirs == NULL ? "out of memory" : why);
	}
}

/* Of datagrams: if the server is content with the last stream, then its answer was lost. */
static bool all_open(const struct iperf_test *t)
{
	const struct iperf_stream *last;

	if (t->n_streams < iperf_streams_wanted(&t->p)) {
		return false;
	}
	last = t->streams[t->n_streams - 1];
	return last->phase == IPERF_READY || (t->p.udp && last->phase == IPERF_GREETING);
}

/* Is this what comes next? */
static bool in_turn(const struct iperf_client *c, enum iperf_state said)
{
	const struct iperf_test *t = &c->t;

	switch ((unsigned)said) {
	case IPERF_PARAM_EXCHANGE: return t->state == IPERF_START;
	case IPERF_CREATE_STREAMS: return t->state == IPERF_PARAM_EXCHANGE;
	case IPERF_TEST_START: return t->state == IPERF_CREATE_STREAMS && all_open(t);
	case IPERF_TEST_RUNNING: return t->state == IPERF_TEST_START;
	case IPERF_EXCHANGE_RESULTS:
		return t->state == IPERF_TEST_END || t->state == IPERF_TEST_RUNNING;
	case IPERF_DISPLAY_RESULTS: return t->state == IPERF_EXCHANGE_RESULTS && t->theirs != NULL;
	default: return false;
	}
}

static void take_error(struct iperf_test *t, const uint8_t *numbers, uint64_t now_ns)
{
	unsigned error = (unsigned)numbers[2] << 8 | numbers[3];
	const char *text = iperf_error_text(error);

	if (text != NULL) {
		iperf_test_fail(t, 0, now_ns, "the server says: %s", text);
	} else {
		iperf_test_fail(t, 0, now_ns, "the server reports its error %u", error);
	}
}

static void take_state(struct iperf_client *c, enum iperf_state said, uint64_t now_ns)
{
	struct iperf_test *t = &c->t;

	if (said == IPERF_ACCESS_DENIED) {
		iperf_test_fail(t, 0, now_ns, "the server is busy running a test; try again later");
		return;
	}
	if (said == IPERF_SERVER_TERMINATE) {
		iperf_test_fail(t, 0, now_ns, "the server has terminated");
		return;
	}
	if (said == IPERF_SERVER_ERROR) {
		t->state = said;
		return;
	}
	if (!in_turn(c, said)) {
		iperf_test_fail(
			t, 0, now_ns, "the server said %u, which was not its turn", (unsigned)said);
		return;
	}
	iperf_test_step(t, said, now_ns);
	if (said == IPERF_PARAM_EXCHANGE) {
		send_params(t, now_ns);
	} else if (said == IPERF_TEST_START) {
		iperf_stream_ready(t->streams[t->n_streams - 1]);
	} else if (said == IPERF_TEST_RUNNING && !iperf_test_start(t, now_ns)) {
		iperf_test_fail(t, 0, now_ns, "out of memory");
	} else if (said == IPERF_EXCHANGE_RESULTS) {
		send_results(t, now_ns);
	} else if (said == IPERF_DISPLAY_RESULTS) {
		iperf_report_end(t);
		iperf_ctl_state(&t->ctl, IPERF_DONE, now_ns);
		t->over = true;
	}
}

static void ctl_broken(struct iperf_test *t, int rc, uint64_t now_ns)
{
	if (rc == -TG_EMSGSIZE) {
		iperf_test_fail(t, 0, now_ns, "the server announced too long a message");
	} else if (rc == 0) {
		iperf_test_fail(t, 0, now_ns, "the server has closed the control connection");
	} else {
		iperf_test_fail(t, 0, now_ns, "control connection: %s", errno_text(rc));
	}
}

static void ctl_round(struct iperf_client *c, uint64_t now_ns)
{
	struct iperf_test *t = &c->t;
	uint32_t max = t->p.get_output ? IPERF_OUTPUT_MAX : IPERF_RESULTS_MAX;
	int rc = 1;

	iperf_ctl_flush(&t->ctl, now_ns);
	while (rc == 1 && !t->failed && !t->over) {
		if (t->state == IPERF_EXCHANGE_RESULTS && t->theirs == NULL) {
			rc = iperf_ctl_read_json(&t->ctl, max, now_ns);
			if (rc == 1) {
				take_results(c, now_ns);
			}
		} else if (t->state == IPERF_SERVER_ERROR) {
			rc = iperf_ctl_read(&t->ctl, 8, now_ns);
			if (rc != -TG_EAGAIN) {
				take_error(t, t->ctl.head, now_ns);
			}
		} else {
			if (t->state == IPERF_CREATE_STREAMS) {
				open_streams(c, now_ns);
			}
			rc = t->failed ? -TG_EAGAIN : iperf_ctl_read(&t->ctl, 1, now_ns);
			if (rc == 1) {
				take_state(c, (enum iperf_state)t->ctl.head[0], now_ns);
			}
		}
	}
	if (rc != 1 && rc != -TG_EAGAIN && !t->failed) {
		ctl_broken(t, rc, now_ns);
	}
}

/* ---- Life ------------------------------------------------------------------------------------ */

struct iperf_client *iperf_client_start(struct tg *s, const struct iperf_client_opt *o,
	const struct iperf_opt *opt, const struct iperf_sink *sink, uint64_t now_ns)
{
	struct iperf_client *c = calloc(1, sizeof *c);
	char ip[16];

	if (c == NULL) {
		return NULL;
	}
	iperf_test_init(&c->t, s, opt, sink);
	c->opt = *o;
	c->t.p = o->p;
	c->t.peer = o->server;
	cookie_make(c->t.cookie);
	iperf_say(&c->t, "Connecting to host %s, port %u\n", tg_ip_format(&o->server.ip, ip),
		(unsigned)o->server.port);
	if (o->p.reverse) {
		iperf_say(&c->t, "Reverse mode, remote host %s is sending\n", ip);
	}
	c->t.step_ns = o->connect_ns != 0 ? now_ns + o->connect_ns : UINT64_MAX;
	ctl_open(c, now_ns);
	return c;
}

/* Connecting: TCP gives up, or we do. */
static uint64_t connect_round(struct iperf_client *c, uint64_t now_ns)
{
	connected(c, now_ns);
	if (!c->connected && !c->t.failed && now_ns >= c->t.step_ns) {
		cannot_connect(c, -TG_ETIMEDOUT, now_ns);
	}
	return c->t.step_ns;
}

/* Of a known number of octets all are to arrive, and the time that takes belongs to the test. */
static bool unacknowledged(const struct iperf_test *t)
{
	int64_t n;

	for (unsigned i = 0; !t->p.udp && t->p.time_s == 0 && i < t->n_streams; i++) {
		const struct iperf_stream *st = t->streams[i];

		if (st->sender && tg_sock_getopt(t->s, st->conn.sock, TG_SO_OUTQ, &n) == 0 &&
			n > 0) {
			return true;
		}
	}
	return false;
}

/* A server that hears of the end while the last octets of few wait to be read does not read them.
 */
static uint64_t end_say(struct iperf_test *t, uint64_t now_ns)
{
	if (now_ns < t->tail_ns) {
		return t->tail_ns;
	}
	iperf_test_step(t, IPERF_TEST_END, now_ns);
	iperf_ctl_state(&t->ctl, IPERF_TEST_END, now_ns);
	return UINT64_MAX;
}

/* The time is over, or all is sent. When to look again. */
static uint64_t end_round(struct iperf_client *c, uint64_t now_ns)
{
	struct iperf_test *t = &c->t;
	const struct iperf_params *p = &t->p;

	if (t->state != IPERF_TEST_RUNNING || t->failed) {
		return UINT64_MAX;
	}
	if (t->counting && iperf_test_complete(t, now_ns)) {
		if (unacknowledged(t)) {
			return now_ns + NS_PER_MS;
		}
		iperf_test_stop(t, now_ns);
		t->tail_ns = p->time_s == 0 && !p->reverse ? now_ns + TAIL_NS : now_ns;
	}
	if (!t->counting) {
		return end_say(t, now_ns);
	}
	if (p->time_s != 0) {
		return t->omitting ? UINT64_MAX : t->start_ns + p->time_s * NS_PER_S;
	}
	return p->udp ? now_ns + NS_PER_S / 10 : UINT64_MAX; /* what is lost does not wake us */
}

static uint64_t min_of(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t iperf_client_round(struct iperf_client *c, uint64_t now_ns)
{
	struct iperf_test *t = &c->t;
	uint64_t due;

	if (c->finished) {
		return UINT64_MAX;
	}
	if (now_ns < c->due_ns && t->state == IPERF_TEST_RUNNING && t->p.time_s != 0 && !t->heard &&
		!t->failed) {
		return c->due_ns; /* while data flow every round ends here */
	}
	if (!c->connected && !t->failed) {
		due = connect_round(c, now_ns);
		if (!c->connected && !t->failed) {
			return due;
		}
	}
	if (!t->failed && (t->heard || t->state == IPERF_CREATE_STREAMS)) {
		t->heard = false;
		ctl_round(c, now_ns);
	}
	due = iperf_test_round(t, now_ns);
	due = min_of(due, end_round(c, now_ns));
	due = min_of(due, iperf_test_patience(t, now_ns));
	if (t->state == IPERF_CREATE_STREAMS && t->p.udp) {
		due = min_of(due, now_ns + NS_PER_S / 10);
	}
	if (t->failed || t->over) {
		iperf_test_tell(t);
		if (!t->failed) {
			iperf_say(t, "\niperf Done.\n");
		}
		c->finished = true;
		return UINT64_MAX;
	}
	c->due_ns = due;
	return due;
}

bool iperf_client_done(const struct iperf_client *c, bool *failed)
{
	*failed = c->t.failed;
	return c->finished;
}

void iperf_client_stop(struct iperf_client *c, uint64_t now_ns)
{
	iperf_test_fail(&c->t, 0, now_ns, "interrupted: the client has terminated");
	iperf_client_round(c, now_ns);
}

void iperf_client_free(struct iperf_client *c, uint64_t now_ns)
{
	if (c != NULL) {
		iperf_test_free(&c->t, now_ns);
		free(c);
	}
}
