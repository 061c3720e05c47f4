/* Services on the core's event interface: accepting, and dispatching events to records. */
#define _GNU_SOURCE 1
#include "service.h"

#include <string.h>

#define SVC_RETRY_NS   (100 * NS_PER_MS)
#define SVC_PEEK_SPANS 16u

/* True: the accept queue is empty. */
static bool accept_one(struct svc_listener *l, uint64_t now_ns)
{
	struct svc_conn *c = l->get(l->arg);
	int rc;

	if (c == NULL) {
		l->retry = true;
		l->all->retries = true;
		return true;
	}
	rc = tg_sock_accept(l->s, l->conn.sock, (uint64_t)(uintptr_t)c, &c->sock, now_ns);
	if (rc < 0) {
		c->sock = 0;
		l->put(l->arg, c);
		l->retry = rc == -TG_ENOMEM || rc == -TG_EMFILE;
		l->all->retries |= l->retry;
		return l->retry || rc == -TG_EAGAIN || rc == -TG_EBADF || rc == -TG_EINVAL;
	}
	if (l->start != NULL) {
		l->start(l->arg, c, now_ns);
	}
	return false;
}

static void listener_event(struct svc_conn *c, unsigned events, uint64_t now_ns)
{
	struct svc_listener *l = (struct svc_listener *)(void *)c;

	(void)events;
	l->retry = false;
	while (!accept_one(l, now_ns)) {
	}
}

int svc_listen(struct services *v, struct svc_listener *l, uint16_t port, uint32_t backlog,
	uint64_t now_ns)
{
	struct tg_addr any = {.port = port};
	int rc;

	l->s = v->s;
	l->all = v;
	l->conn.event = listener_event;
	rc = tg_sock_open(v->s, TG_STREAM, 0, (uint64_t)(uintptr_t)&l->conn, &l->conn.sock);
	if (rc < 0) {
		return rc;
	}
	/* connections of an earlier one that linger in TIME-WAIT are no hindrance */
	tg_sock_setopt(v->s, l->conn.sock, TG_SO_REUSEADDR, 1, now_ns);
	rc = tg_sock_bind(v->s, l->conn.sock, &any);
	if (rc == 0) {
		rc = tg_sock_listen(v->s, l->conn.sock, backlog, now_ns);
	}
	if (rc < 0) {
		tg_sock_close(v->s, l->conn.sock, now_ns);
		return rc;
	}
	l->next = v->listeners;
	v->listeners = l;
	return 0;
}

void svc_event(const struct tg_event *e, uint64_t now_ns)
{
	struct svc_conn *c = (struct svc_conn *)(uintptr_t)e->cookie;

	/* records outlive their sockets: an event that was queued before the close is recognized */
	if (c != NULL && c->sock == e->sock && c->event != NULL) {
		c->event(c, e->events, now_ns);
	}
}

uint64_t svc_round(struct services *v, uint64_t now_ns)
{
	uint64_t due = UINT64_MAX;

	if (!v->retries) {
		return due;
	}
	v->retries = false;
	for (struct svc_listener *l = v->listeners; l != NULL; l = l->next) {
		if (l->retry) {
			listener_event(&l->conn, TG_IN, now_ns);
		}
		if (l->retry) {
			v->retries = true;
			due = now_ns + SVC_RETRY_NS;
		}
	}
	return due;
}

int64_t svc_readable(struct tg *s, tg_sock k)
{
	struct tg_span spans[SVC_PEEK_SPANS];
	int n = tg_sock_peek(s, k, spans, SVC_PEEK_SPANS);
	int64_t sum = 0;

	for (int i = 0; i < n; i++) {
		sum += spans[i].len;
	}
	return n < 0 ? n : sum;
}
