/* Services on the core's event interface: listening sockets whose connections each have a record,
 * found through the socket's cookie, which is the record's address. */
#ifndef TAPGLASS_APPS_SERVICE_H
#define TAPGLASS_APPS_SERVICE_H

#include "tapglass_host.h"
#include "util.h"

/* What every record that a cookie points to begins with. */
struct svc_conn {
	/* Some of TG_IN ... rose. May give the record back to its pool. */
	void (*event)(struct svc_conn *c, unsigned events, uint64_t now_ns);
	tg_sock sock; /* 0: the record is not in use */
};

/* A listening socket. */
struct svc_listener {
	struct svc_conn conn;
	struct tg *s;
	struct services *all;
	struct svc_listener *next;
	bool retry; /* accepting failed for want of memory: the queue is to be looked at again */
	void *arg;
	/* A record for a new connection, its event function set; NULL: no more of them. */
	struct svc_conn *(*get)(void *arg);
	void (*put)(void *arg, struct svc_conn *c);
	/* The connection is there, c->sock set. Bytes may wait already. */
	void (*start)(void *arg, struct svc_conn *c, uint64_t now_ns);
};

/* TG_TCP_NOTSENT_LOWAT of what sends much: what waits to be sent is still in the cache when it
 * goes; how much is in flight is up to the congestion window. Four frames of the largest size. */
#define SVC_NOTSENT_BYTES 262144

/* All services of one instance. */
struct services {
	struct tg *s;
	struct svc_listener *listeners;
	bool retries; /* of a listener at least */
};

/* Starts to listen on a TCP port of any address. 0 or the library's error. */
int svc_listen(struct services *v, struct svc_listener *l, uint16_t port, uint32_t backlog,
	uint64_t now_ns);
/* For struct tg_host_app.event. */
void svc_event(const struct tg_event *e, uint64_t now_ns);
/* After every round: accepts again where that failed. Returns when to be called again, ns. */
uint64_t svc_round(struct services *v, uint64_t now_ns);
/* Bytes that can be read now; 0: end of stream; negative: -TG_EAGAIN or an error. */
int64_t svc_readable(struct tg *s, tg_sock k);

#endif
