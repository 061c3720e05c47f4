/* The way in from 127.0.0.1. A connection is two ends, each a descriptor of the kernel's or a
 * socket of an instance, and a bounded buffer for each direction: an end is read only while there
 * is room, so that a slow reader slows the writer down. The end of a stream is passed on when the
 * buffer before it is empty, a reset at once. */
#define _GNU_SOURCE 1
#include "relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RELAY_BUFFER_BYTES 65536u
#define RELAY_RETRY_NS     (100 * NS_PER_MS)

struct relay_end {
	int fd;        /* of the kernel's; -1: sock */
	short watched; /* events that the loop looks for */
	struct tg *s;
	tg_sock sock;
	bool connecting; /* sock */
};

struct relay_half {
	uint32_t start_bytes, len_bytes;
	bool ended;  /* nothing more will be read */
	bool passed; /* and the other end was told */
	uint8_t buf[RELAY_BUFFER_BYTES];
};

struct relay_conn {
	struct relay_conn *next;
	struct relay *r;
	struct relay_end end[2];   /* 0: the accepted one, 1: towards the stack */
	struct relay_half half[2]; /* [i]: read from end[i] */
};

struct relay {
	struct link *link;
	uint16_t port;
	struct relay_conn *conns;
	uint32_t n_conns;
	bool listening;
	uint64_t retry_ns; /* accepting failed: not before then */
};

/* ---- Ends ------------------------------------------------------------------------------------ */

/* Bytes, 0 at the end of the stream, -EAGAIN, or another error: the connection is lost. */
static int64_t end_read(struct relay_end *e, void *buf, size_t n, uint64_t now_ns)
{
	ssize_t k;

	if (e->fd < 0) {
		return e->connecting ? -EAGAIN : tg_sock_recv(e->s, e->sock, buf, n, 0, now_ns);
	}
	k = recv(e->fd, buf, n, MSG_DONTWAIT);
	return k >= 0 ? k : errno == EINTR ? -EAGAIN : -errno;
}

static int64_t end_write(struct relay_end *e, const void *buf, size_t n, uint64_t now_ns)
{
	ssize_t k;

	if (e->fd < 0) {
		return e->connecting ? -EAGAIN : tg_sock_send(e->s, e->sock, buf, n, 0, now_ns);
	}
	k = send(e->fd, buf, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	return k >= 0 ? k : errno == EINTR ? -EAGAIN : -errno;
}

/* No more will be written. */
static void end_shut(struct relay_end *e, uint64_t now_ns)
{
	if (e->fd < 0) {
		tg_sock_shutdown(e->s, e->sock, TG_SHUT_WR, now_ns);
	} else {
		shutdown(e->fd, SHUT_WR);
	}
}

static void end_close(struct relay *r, struct relay_end *e, bool reset, uint64_t now_ns)
{
	struct linger at_once = {.l_onoff = 1};

	if (e->fd < 0) {
		if (e->sock != 0 && reset) {
			tg_sock_abort(e->s, e->sock, now_ns);
		} else if (e->sock != 0) {
			tg_sock_close(e->s, e->sock, now_ns);
		}
		e->sock = 0;
		return;
	}
	if (e->watched != 0) {
		tg_host_watch(r->link->host, e->fd, 0, NULL, NULL);
	}
	if (reset) {
		setsockopt(e->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	}
	close(e->fd);
	e->fd = -1;
}

/* ---- Connections ----------------------------------------------------------------------------- */

static void conn_free(struct relay_conn *c, bool reset, uint64_t now_ns)
{
	struct relay *r = c->r;
	struct relay_conn **at = &r->conns;

	end_close(r, &c->end[0], reset, now_ns);
	end_close(r, &c->end[1], reset, now_ns);
	while (*at != c) {
		at = &(*at)->next;
	}
	*at = c->next;
	r->n_conns--;
	free(c);
}

/* Reads into the free part that is contiguous. Positive: something was done; -EAGAIN: not now. */
static int half_fill(struct relay_conn *c, unsigned i, uint64_t now_ns)
{
	struct relay_half *h = &c->half[i];
	uint32_t at = (h->start_bytes + h->len_bytes) % RELAY_BUFFER_BYTES;
	uint32_t room = RELAY_BUFFER_BYTES - h->len_bytes;
	int64_t n;

	if (h->ended || room == 0) {
		return -EAGAIN;
	}
	room = room < RELAY_BUFFER_BYTES - at ? room : RELAY_BUFFER_BYTES - at;
	n = end_read(&c->end[i], h->buf + at, room, now_ns);
	if (n < 0) {
		return (int)n;
	}
	h->ended = n == 0;
	h->len_bytes += (uint32_t)n;
	return 1;
}

static int half_drain(struct relay_conn *c, unsigned i, uint64_t now_ns)
{
	struct relay_half *h = &c->half[i];
	uint32_t n = RELAY_BUFFER_BYTES - h->start_bytes;
	int64_t k;

	if (h->len_bytes == 0) {
		if (!h->ended || h->passed || c->end[!i].connecting) {
			return -EAGAIN;
		}
		h->passed = true;
		end_shut(&c->end[!i], now_ns);
		return 1;
	}
	n = n < h->len_bytes ? n : h->len_bytes;
	k = end_write(&c->end[!i], h->buf + h->start_bytes, n, now_ns);
	if (k < 0) {
		return (int)k;
	}
	h->start_bytes = (h->start_bytes + (uint32_t)k) % RELAY_BUFFER_BYTES;
	h->len_bytes -= (uint32_t)k;
	return 1;
}

/* Moves all that can be moved. False: a side was reset. */
static bool conn_move(struct relay_conn *c, uint64_t now_ns)
{
	bool any = true;

	while (any) {
		any = false;
		for (unsigned i = 0; i < 2; i++) {
			int filled = half_fill(c, i, now_ns);
			int drained =
				filled < 0 && filled != -EAGAIN ? filled : half_drain(c, i, now_ns);

			if (drained < 0 && drained != -EAGAIN) {
				return false;
			}
			any = any || filled > 0 || drained > 0;
		}
	}
	return true;
}

static void conn_run(struct relay_conn *c, uint64_t now_ns);

static void on_ready(void *arg, int fd, short revents)
{
	(void)fd;
	(void)revents;
	conn_run(arg, tg_host_now());
}

static void conn_watch(struct relay_conn *c)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct relay_half *in = &c->half[i], *out = &c->half[!i];
		struct relay_end *e = &c->end[i];
		int events = 0;

		if (e->fd < 0) {
			continue; /* an instance has events of its own */
		}
		events |= !in->ended && in->len_bytes < RELAY_BUFFER_BYTES ? POLLIN : 0;
		events |= out->len_bytes > 0 ? POLLOUT : 0;
		if (events != e->watched) {
			tg_host_watch(c->r->link->host, e->fd, (short)events, on_ready, c);
			e->watched = (short)events;
		}
	}
}

static void conn_run(struct relay_conn *c, uint64_t now_ns)
{
	if (!conn_move(c, now_ns)) {
		conn_free(c, true, now_ns);
	} else if (c->half[0].passed && c->half[1].passed) {
		conn_free(c, false, now_ns);
	} else {
		conn_watch(c);
	}
}

/* ---- Opening --------------------------------------------------------------------------------- */

/* Through the kernel, in the network namespace that we are in. */
static int connect_kernel(struct relay_conn *c)
{
	struct link *l = c->r->link;
	struct sockaddr_in a = {.sin_family = AF_INET};
	int one = 1;

	a.sin_port = htons(c->r->port);
	a.sin_addr.s_addr = htonl(tg_ip4_value(&l->stack_ip));
	c->end[1].fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->end[1].fd < 0) {
		return -errno;
	}
	setsockopt(c->end[1].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (connect(c->end[1].fd, (const struct sockaddr *)&a, sizeof a) < 0 &&
		errno != EINPROGRESS) {
		return -errno;
	}
	return 0;
}

/* Through the other instance. */
static int connect_peer(struct relay_conn *c, uint64_t now_ns)
{
	struct link *l = c->r->link;
	struct relay_end *e = &c->end[1];
	struct tg_addr to = {.ip = l->stack_ip, .port = c->r->port};
	int rc;

	e->s = l->peer;
	rc = tg_sock_open(e->s, TG_STREAM, 0, (uint64_t)(uintptr_t)c, &e->sock);
	if (rc < 0) {
		e->sock = 0;
		return rc;
	}
	tg_sock_setopt(e->s, e->sock, TG_TCP_NODELAY, 1, now_ns);
	e->connecting = true;
	rc = tg_sock_connect(e->s, e->sock, &to, now_ns);
	return rc == -TG_EINPROGRESS ? 0 : rc;
}

static void conn_open(struct relay *r, int fd, uint64_t now_ns)
{
	struct relay_conn *c = calloc(1, sizeof *c);
	int rc, one = 1;

	if (c == NULL) {
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	c->r = r;
	c->end[0].fd = fd;
	c->end[1].fd = -1;
	c->next = r->conns;
	r->conns = c;
	r->n_conns++;
	rc = r->link->peer != NULL ? connect_peer(c, now_ns) : connect_kernel(c);
	if (rc < 0) {
		conn_free(c, true, now_ns);
	} else {
		conn_watch(c);
	}
}

static void on_accept(void *arg, int fd, short revents)
{
	struct relay *r = arg;
	uint64_t now = tg_host_now();
	int k;

	(void)revents;
	while (r->n_conns < RELAY_CONNS_MAX) {
		k = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (k < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
				     errno == ENOMEM)) {
			r->retry_ns = now + RELAY_RETRY_NS;
		}
		if (k < 0) {
			return;
		}
		conn_open(r, k, now);
	}
}

uint64_t relay_round(struct relay *r, uint64_t now_ns)
{
	bool wants;

	if (r == NULL) {
		return UINT64_MAX;
	}
	/* Beyond the limit they wait in the kernel's queue. */
	wants = r->n_conns < RELAY_CONNS_MAX && now_ns >= r->retry_ns;
	if (wants != r->listening) {
		tg_host_watch(r->link->host, r->link->relay_fd, wants ? POLLIN : 0, on_accept, r);
		r->listening = wants;
	}
	return now_ns < r->retry_ns ? r->retry_ns : UINT64_MAX;
}

void relay_event(struct relay *r, const struct tg_event *e, uint64_t now_ns)
{
	struct relay_conn *c = r != NULL ? r->conns : NULL;

	/* looked up, as an event may come after the end of its connection */
	while (c != NULL && c->end[1].sock != e->sock) {
		c = c->next;
	}
	if (c == NULL) {
		return;
	}
	/* the event may be older than the call of tg_sock_connect: the level tells */
	if ((tg_sock_ready(c->end[1].s, e->sock) & (TG_OUT | TG_ERR | TG_HUP)) != 0) {
		c->end[1].connecting = false;
	}
	conn_run(c, now_ns);
}

struct relay *relay_start(struct link *l, uint16_t port)
{
	struct relay *r = calloc(1, sizeof *r);

	if (r == NULL) {
		return NULL;
	}
	r->link = l;
	r->port = port;
	relay_round(r, tg_host_now());
	return r;
}

void relay_free(struct relay *r)
{
	while (r != NULL && r->conns != NULL) {
		conn_free(r->conns, true, tg_host_now());
	}
	if (r != NULL && r->listening) {
		tg_host_watch(r->link->host, r->link->relay_fd, 0, NULL, NULL);
	}
	free(r);
}
