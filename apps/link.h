/* Brings up the link that the options ask for: an instance on a TAP, or two instances on a virtual
 * wire. */
#ifndef TAPGLASS_APPS_LINK_H
#define TAPGLASS_APPS_LINK_H

#include "options.h"

enum link_where {
	LINK_HERE,       /* an interface of the network namespace that we were started in */
	LINK_IN_PRIVATE, /* one of a namespace of our own */
	LINK_IN_PROCESS, /* no interface: another instance */
};

/* One of several queues of the TAP: its thread's host, its instance. */
struct link_queue {
	struct tg_host *host;
	struct tg *stack;
};

struct link {
	struct tg_host *host;
	enum link_where where;
	struct tg *stack; /* our end: the second address of the network, or --addr */
	struct tg *peer;  /* sim: the other instance, the first address; a TAP: NULL, that is the
			     kernel */
	int netif, peer_netif;
	struct tg_capture *capture; /* NULL: none */
	struct tg_ip stack_ip, host_ip;
	unsigned prefix_len;
	uint32_t mtu;
	uint8_t mac[6];
	char name[16]; /* of the kernel's interface, or "sim" */
	bool made;     /* the TAP did not exist before */
	bool veth;     /* it is one of a pair, not a TAP */
	int relay_fd;  /* listens on 127.0.0.1, for the way through the kernel's TCP; -1: none */
	uint16_t relay_port;
	struct link_queue queue[TG_QUEUES_MAX]; /* the first is host and stack */
	unsigned n_queues;                      /* 1 without --queues */
};

/* app: what runs on the stack's instance. 0, or after a
 * message the exit status. *l is zero or to be closed in any case. */
int link_open(struct link *l, const struct options *o, const struct tg_host_app *app);
/* The same; peer_app: what runs on the other instance, should there be one. May be NULL. */
int link_open_with(struct link *l, const struct options *o, const struct tg_host_app *app,
	const struct tg_host_app *peer_app);

/* The same with o->queues of them; queue_apps[1] and so on: what runs on the others' instances.
 * Their threads are still to be started. */
int link_open_queues(struct link *l, const struct options *o, const struct tg_host_app *app,
	const struct tg_host_app *peer_app, const struct tg_host_app *queue_apps);
/* Calls fn for every queue's instance, each in its own thread, one after the other. From the thread
 * of the first. */
void link_each_queue(const struct link *l,
	void (*fn)(void *arg, unsigned queue, struct tg_host *h, struct tg *s), void *arg);

/* The ladder of --link auto, for those who want to know about each rung. */
enum link_rung { RUNG_OWN, RUNG_TAP, RUNG_PRIVATE, RUNG_VETH, RUNG_SIM, RUNG_COUNT };
const char *link_rung_text(enum link_rung r);
/* Climbs one rung, no other: 0, or -errno with err filled in. The process is what it costs: only
 * for a child. */
int link_try(enum link_rung r, const struct options *o, struct tg_host_error *err);

/* A failed write of the capture is reported: EXIT_OK or EXIT_FAILED. */
int link_close(struct link *l, const struct options *o);

#endif
