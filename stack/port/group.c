/* Hosts that share a TAP, each with a queue, an instance and a thread of its own. A frame that came
 * by the wrong queue crosses by a ring for each ordered pair of hosts; nobody waits for anybody, a
 * full ring means a dropped frame. Who sleeps is woken by an eventfd, which costs a system call
 * only then: putting and then looking whether the other sleeps, here, and saying that one sleeps
 * and then looking whether there is anything, there, cannot both miss. */
#define _GNU_SOURCE
#include "port/group.h"
#include "core/core.h"
#include "port/host.h"
#include "port/ring.h"
#include "port/steer.h"

#include <errno.h>
#include <signal.h>
#include <stdalign.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define RING_BYTES  (2u << 20) /* 32 of the largest frames */
#define TAKE_FRAMES 64u        /* from one ring before anything else runs */

struct group_end {
	alignas(64) atomic_bool asleep;
	int wake_fd;
	struct ring *from[TG_QUEUES_MAX]; /* NULL: itself */
};

struct host_group {
	atomic_uint users;
	unsigned n;
	bool steered;
	struct group_end end[TG_QUEUES_MAX];
};

/* ---- Making and ending ----------------------------------------------------------------------- */

static void group_free(struct host_group *g)
{
	for (unsigned i = 0; i < g->n; i++) {
		if (g->end[i].wake_fd >= 0)
			close(g->end[i].wake_fd);
		for (unsigned k = 0; k < g->n; k++)
			ring_free(g->end[i].from[k]);
	}
	free(g);
}

static struct host_group *group_new(unsigned n)
{
	struct host_group *g = aligned_alloc(64, sizeof(*g));
	bool ok = true;

	if (!g)
		return NULL;
	memset(g, 0, sizeof(*g));
	g->n = n;
	for (unsigned i = 0; i < n; i++)
		g->end[i].wake_fd = -1;
	for (unsigned i = 0; i < n && ok; i++) {
		g->end[i].wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		ok = g->end[i].wake_fd >= 0;
		for (unsigned k = 0; k < n && ok; k++) {
			g->end[i].from[k] = k == i ? NULL : ring_new(RING_BYTES);
			ok = k == i || g->end[i].from[k];
		}
	}
	if (ok)
		return g;
	group_free(g);
	return NULL;
}

int tg_host_join(struct tg_host *const *h, unsigned n, bool steer)
{
	struct host_group *g;

	if (n < 1 || n > TG_QUEUES_MAX)
		return -EINVAL;
	for (unsigned i = 0; i < n; i++)
		if (h[i]->group || h[i]->threaded || !h[i]->taps || h[i]->taps->next)
			return -EINVAL;
	g = group_new(n);
	if (!g)
		return -ENOMEM;
	atomic_store(&g->users, n);
	for (unsigned i = 0; i < n; i++) {
		h[i]->group = g;
		h[i]->queue = i;
	}
	if (steer)
		g->steered = steer_on(h[0]->taps->tap.fd, &h[0]->taps->inst->s->cfg) == 0;
	else
		steer_off(h[0]->taps->tap.fd);
	return 0;
}

bool tg_host_steered(const struct tg_host *h)
{
	return h->group && h->group->steered;
}

void group_leave(struct tg_host *h)
{
	/* A TAP that stays is not to keep what was this group's. */
	if (h->group && h->group->steered && h->queue == 0 && h->taps->tap.fd >= 0)
		steer_off(h->taps->tap.fd);
	if (h->group && atomic_fetch_sub(&h->group->users, 1) == 1)
		group_free(h->group);
	h->group = NULL;
}

/* ---- Frames ---------------------------------------------------------------------------------- */

static void wake(struct group_end *e)
{
	static const uint64_t one = 1;
	ssize_t n = write(e->wake_fd, &one, sizeof(one));

	(void)n; /* a full counter is as good as one more */
}

static bool put(struct tg_host *h, unsigned to, const struct tg_pkt *p)
{
	const struct ring_frame f = {.bytes = p->len,
		.gso_size = p->gso_size,
		.gso = p->gso,
		.csum = p->csum,
		.passed = p->passed};
	struct group_end *e = &h->group->end[to];

	if (!ring_put(e->from[h->queue], &f, p->data))
		return false;
	if (atomic_load(&e->asleep) && atomic_exchange(&e->asleep, false))
		wake(e);
	return true;
}

bool group_pass(struct tg_host *h, unsigned to, const struct tg_pkt *p)
{
	bool ok = h->group != NULL;

	if (!ok || to != TG_PASS_ALL)
		return ok && to < h->group->n && to != h->queue && put(h, to, p);
	for (unsigned i = 0; i < h->group->n; i++)
		if (i != h->queue)
			ok &= put(h, i, p);
	return ok;
}

static void take_one(struct tg_host *h, struct ring *r, const struct ring_frame *f)
{
	struct tap_link *l = h->taps;
	struct tg *s = l->inst->s;
	struct tg_pkt *p = tg_pkt_alloc(s, f->bytes);

	ring_take(r, f, p ? tg_pkt_block(p) : NULL);
	if (!p) {
		l->lost++;
		return;
	}
	p->len = f->bytes;
	p->gso = f->gso;
	p->gso_size = f->gso_size;
	p->csum = f->csum;
	p->passed = f->passed;
	tap_link_input(l, p);
}

bool group_receive(struct tg_host *h)
{
	struct group_end *e = h->group ? &h->group->end[h->queue] : NULL;
	struct ring_frame f;
	bool any = false;

	for (unsigned i = 0; e && i < h->group->n; i++) {
		struct ring *r = e->from[i];

		for (unsigned n = 0; r && n < TAKE_FRAMES && ring_peek(r, &f); n++) {
			take_one(h, r, &f);
			any = true;
		}
	}
	if (any)
		tap_link_input_end(h->taps);
	return any;
}

/* ---- Sleeping -------------------------------------------------------------------------------- */

bool group_sleeps(struct tg_host *h)
{
	struct group_end *e = h->group ? &h->group->end[h->queue] : NULL;

	if (!e)
		return true;
	atomic_store(&e->asleep, true);
	for (unsigned i = 0; i < h->group->n; i++) {
		if (e->from[i] && !ring_is_empty(e->from[i])) {
			atomic_store(&e->asleep, false);
			return false;
		}
	}
	return true;
}

void group_wakes(struct tg_host *h)
{
	if (h->group)
		atomic_store(&h->group->end[h->queue].asleep, false);
}

void group_woken(struct tg_host *h)
{
	uint64_t count;

	if (read(group_wake_fd(h), &count, sizeof(count)) < 0)
		count = 0; /* it was nothing after all */
}

int group_wake_fd(const struct tg_host *h)
{
	return h->group ? h->group->end[h->queue].wake_fd : -1;
}

/* ---- Threads --------------------------------------------------------------------------------- */

void group_run_call(struct tg_host *h)
{
	struct host_call *c;

	if (!atomic_load_explicit(&h->call, memory_order_relaxed))
		return;
	c = atomic_exchange(&h->call, NULL);
	if (c) {
		c->fn(c->arg);
		sem_post(&c->done);
	}
}

void tg_host_call(struct tg_host *h, void (*fn)(void *arg), void *arg)
{
	struct host_call c = {.fn = fn, .arg = arg};

	if (!h->spawned) {
		fn(arg);
		return;
	}
	sem_init(&c.done, 0, 0);
	atomic_store(&h->call, &c);
	wake(&h->group->end[h->queue]);
	while (sem_wait(&c.done) < 0 && errno == EINTR) {
	}
	sem_destroy(&c.done);
}

static void *run(void *arg)
{
	struct tg_host *h = arg;

	h->result = tg_host_run(h, h->busy_ns);
	/* A loop that failed still answers. */
	while (h->result < 0 && !atomic_load(&h->stopping)) {
		struct pollfd p = {.fd = group_wake_fd(h), .events = POLLIN};
		uint64_t count;

		if (poll(&p, 1, -1) > 0 && read(p.fd, &count, sizeof(count)) > 0)
			group_run_call(h);
	}
	group_run_call(h);
	return NULL;
}

int tg_host_spawn(struct tg_host *h, uint64_t busy_ns)
{
	sigset_t all, old;
	int r;

	if (!h->group || h->spawned)
		return -EINVAL;
	h->busy_ns = busy_ns;
	sigfillset(&all); /* signals are the program's */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = -pthread_create(&h->thread, NULL, run, h);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	h->spawned = r == 0;
	return r;
}

int tg_host_reap(struct tg_host *h)
{
	if (!h->spawned)
		return 0;
	tg_host_stop(h);
	wake(&h->group->end[h->queue]);
	pthread_join(h->thread, NULL);
	h->spawned = false;
	return h->result;
}
