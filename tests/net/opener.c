/* opener TAP QUEUES how CONNECTIONS BYTES IDLE_S: active OPENs from every one of several instances
 * that share an address (192.0.2.2) on the queues of a TAP, to the echo server of the kernel at
 * 192.0.2.1 port 7007; each byte that comes back is checked, then again after a pause. how: "steer"
 * or "learn". Prints "N connections, X frames passed on"; exit status 1 if anything was wrong. */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tapglass_host.h"

#define PORT     7007
#define SECOND   UINT64_C(1000000000)
#define PATIENCE (40 * SECOND)
#define CHUNK    8192u

struct conn {
	tg_sock k;
	uint64_t sent, got; /* bytes */
	uint8_t number;
};

struct queue {
	struct tg_host *h;
	struct tg *s;
	struct conn *c;
	unsigned index, n;
	uint64_t goal; /* bytes a connection sends and wants back */
	atomic_uint done;
	const char *wrong; /* NULL: nothing is */
	uint64_t passed_on;
};

static struct queue queue[TG_QUEUES_MAX];
static unsigned n_queues;

static uint8_t byte_at(const struct conn *c, uint64_t i)
{
	return (uint8_t)(c->number + i * 7 + i / 251);
}

static void go_on(struct queue *q, struct conn *c, uint64_t now_ns)
{
	uint8_t b[CHUNK];
	int64_t n = 1;

	while (c->sent < q->goal && n > 0) {
		size_t want = q->goal - c->sent < CHUNK ? (size_t)(q->goal - c->sent) : CHUNK;

		for (size_t i = 0; i < want; i++)
			b[i] = byte_at(c, c->sent + i);
		n = tg_sock_send(q->s, c->k, b, want, 0, now_ns);
		c->sent += n > 0 ? (uint64_t)n : 0;
		if (n < 0 && n != -TG_EAGAIN && n != -TG_ENOTCONN)
			q->wrong = "a send failed";
	}
	while ((n = tg_sock_recv(q->s, c->k, b, sizeof(b), 0, now_ns)) > 0) {
		bool last = c->got < q->goal && c->got + (uint64_t)n >= q->goal;

		for (int64_t i = 0; i < n; i++)
			if (b[i] != byte_at(c, c->got++))
				q->wrong = "another byte came back";
		if (last)
			atomic_fetch_add(&q->done, 1);
	}
	if (n == 0 || (n != -TG_EAGAIN && n != -TG_ENOTCONN))
		q->wrong = "a connection ended early";
}

static void on_event(void *arg, struct tg *s, const struct tg_event *e, uint64_t now_ns)
{
	struct queue *q = arg;

	(void)s;
	go_on(q, &q->c[e->cookie], now_ns);
}

static void open_all(void *arg)
{
	struct queue *q = arg;
	struct tg_addr to = {tg_ip4(192, 0, 2, 1), PORT}, from;
	uint64_t now = tg_host_now();

	for (unsigned i = 0; i < q->n; i++) {
		struct conn *c = &q->c[i];

		c->number = (uint8_t)(q->index * 50 + i);
		if (tg_sock_open(q->s, TG_STREAM, 0, i, &c->k) < 0 ||
			tg_sock_connect(q->s, c->k, &to, now) != -TG_EINPROGRESS ||
			tg_sock_local_addr(q->s, c->k, &from) < 0)
			q->wrong = "a connection cannot be opened";
		else if (from.port % n_queues != q->index)
			q->wrong = "a port of another instance";
	}
}

static void send_more(void *arg)
{
	struct queue *q = arg;

	atomic_store(&q->done, 0);
	q->goal *= 2;
	for (unsigned i = 0; i < q->n; i++)
		go_on(q, &q->c[i], tg_host_now());
}

static void look(void *arg)
{
	struct queue *q = arg;
	const struct tg_counters *c = tg_counters(q->s);

	q->passed_on = c->frames_passed_on;
	if (c->discards[TG_DROP_PASS_QUEUE_FULL] > 0)
		q->wrong = "a ring was full";
	for (unsigned i = 0; i < q->n; i++)
		tg_sock_abort(q->s, q->c[i].k, tg_host_now());
}

static bool queue_start(struct queue *q, const char *tap, unsigned index, unsigned n)
{
	const struct tg_host_app app = {.arg = q, .event = on_event};
	struct tg_ip us = tg_ip4(192, 0, 2, 2), host = tg_ip4(192, 0, 2, 1);
	struct tg_link_options o;
	struct tg_host_error err;
	struct tg_config c;
	int netif;

	q->index = index;
	q->n = n;
	q->c = calloc(n, sizeof(*q->c));
	q->h = tg_host_new();
	if (!q->h || !q->c || tg_host_config(&c) < 0)
		return false;
	c.share.index = (uint8_t)index;
	c.share.count = (uint8_t)n_queues;
	memset(c.share.key, 0x5a, sizeof(c.share.key));
	tg_link_options_default(&o);
	o.queue = index;
	o.queues = n_queues;
	if (tg_host_add(q->h, &c, 0, &app, &q->s) < 0)
		return false;
	netif = tg_host_tap(q->h, q->s, tap, index == 0 ? &host : NULL, 24, &o, &err);
	if (netif < 0)
		tg_host_print_error(&err);
	return netif >= 0 && tg_addr_add(q->s, (unsigned)netif, &us, 24, tg_host_now()) == 0;
}

/* Until every connection has got back what it sent, or something is wrong. */
static bool wait_for_all(void)
{
	uint64_t end = tg_host_now() + PATIENCE;

	while (tg_host_now() < end) {
		unsigned open = 0;

		for (unsigned i = 0; i < n_queues; i++)
			open += atomic_load(&queue[i].done) < queue[i].n;
		if (open == 0)
			return true;
		usleep(2000);
	}
	fprintf(stderr, "opener: not all came back in time\n");
	return false;
}

static bool run(const char *tap, bool steer, unsigned n, uint64_t bytes, unsigned idle_s)
{
	struct tg_host *hosts[TG_QUEUES_MAX];
	bool ok = true;

	for (unsigned i = 0; ok && i < n_queues; i++) {
		queue[i].goal = bytes;
		ok = queue_start(&queue[i], tap, i, n);
		hosts[i] = queue[i].h;
	}
	ok = ok && tg_host_join(hosts, n_queues, steer) == 0;
	if (!ok) {
		fprintf(stderr, "opener: cannot start\n");
		return false;
	}
	for (unsigned i = 0; i < n_queues; i++)
		if (tg_host_spawn(hosts[i], 0) < 0)
			return false;
	for (unsigned i = 0; i < n_queues; i++)
		tg_host_call(hosts[i], open_all, &queue[i]);
	ok = wait_for_all();
	if (ok && idle_s > 0) {
		sleep(idle_s);
		for (unsigned i = 0; i < n_queues; i++)
			tg_host_call(hosts[i], send_more, &queue[i]);
		ok = wait_for_all();
	}
	return ok;
}

int main(int argc, char **argv)
{
	uint64_t passed_on = 0;
	unsigned n;
	bool ok;

	if (argc != 7 || (n_queues = (unsigned)atoi(argv[2])) < 1 || n_queues > TG_QUEUES_MAX) {
		fprintf(stderr, "usage: opener TAP QUEUES steer|learn CONNECTIONS BYTES IDLE_S\n");
		return 2;
	}
	n = (unsigned)atoi(argv[4]);
	ok = run(argv[1], strcmp(argv[3], "steer") == 0, n, strtoull(argv[5], NULL, 10),
		(unsigned)atoi(argv[6]));
	for (unsigned i = 0; i < n_queues && queue[i].h; i++) {
		tg_host_call(queue[i].h, look, &queue[i]);
		tg_host_reap(queue[i].h);
		passed_on += queue[i].passed_on;
		if (queue[i].wrong) {
			fprintf(stderr, "opener: queue %u: %s\n", i, queue[i].wrong);
			ok = false;
		}
	}
	for (unsigned i = 0; i < n_queues; i++) {
		tg_host_free(queue[i].h);
		free(queue[i].c);
	}
	printf("%u connections, %llu frames passed on\n", n * n_queues,
		(unsigned long long)passed_on);
	return ok ? 0 : 1;
}
