/* Instances of a link, and the queues of its TAP after the first. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "link_attempt.h"

#define SEED_APART UINT64_C(0x9e3779b97f4a7c15) /* between the seeds of queues */

void link_error(
	struct tg_host_error *e, int errnum, const char *what, const char *why, const char *fix)
{
	memset(e, 0, sizeof *e);
	e->errnum = errnum;
	snprintf(e->what, sizeof e->what, "%s", what);
	snprintf(e->why, sizeof e->why, "%s", why);
	snprintf(e->fix, sizeof e->fix, "%s", fix);
}

void link_share_key(struct attempt *t)
{
	const struct options *o = t->opt;

	if (o->has_seed) {
		seed_expand(o->seed ^ SEED_APART, t->share_key, sizeof t->share_key);
	} else {
		tg_host_random(t->share_key, sizeof t->share_key);
	}
}

/* ---- Instances ------------------------------------------------------------------------------- */

int link_instance(struct attempt *t, struct tg_host *h, const struct tg_host_app *app,
	uint64_t salt, unsigned queue, struct tg **out)
{
	struct tg_config c;
	int rc = tg_host_config(&c);

	if (rc < 0) {
		return rc;
	}
	c.tcp.cc = (uint8_t)t->opt->cc;
	c.tcp.pacing = t->opt->pacing;
	if (t->opt->has_seed) {
		seed_expand((t->opt->seed + queue * SEED_APART) * 4 + salt, c.seed, sizeof c.seed);
	}
	for (unsigned i = 0; i < t->opt->n_sysctls; i++) {
		options_sysctl(&c, t->opt->sysctl[i]);
	}
	if (t->opt->queues > 1) {
		c.share.index = (uint8_t)queue;
		c.share.count = (uint8_t)t->opt->queues;
		memcpy(c.share.key, t->share_key, sizeof c.share.key);
		c.ip.icmp_errors_per_sec = c.ip.icmp_errors_per_sec / t->opt->queues + 1;
	}
	return tg_host_add(h, &c, 0, app, out);
}

int link_configure(const struct link *l, struct tg *s, unsigned netif)
{
	struct tg_ip any = {{0}};
	uint64_t now = tg_host_now();
	int rc = tg_addr_add(s, netif, &l->stack_ip, l->prefix_len, now);

	/* the host's end is the way to everywhere else */
	return rc < 0 ? rc : tg_route_add(s, &any, 0, &l->host_ip, netif, 0, now);
}

/* ---- Queues ---------------------------------------------------------------------------------- */

/* "FILE.2": the journal of a queue after the first. */
static int queue_record(
	struct attempt *t, const struct link_queue *q, unsigned i, struct tg_host_error *err)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof path, "%s.%u", t->opt->record, i);

	if (n < 0 || n >= PATH_MAX) {
		link_error(err, ENAMETOOLONG, "cannot record", "the file's name is too long", "");
		return -ENAMETOOLONG;
	}
	return tg_host_record(q->host, q->stack, path, 0, err);
}

/* Queue i of the TAP: a host, an instance, the addresses of the first. */
static int queue_open(struct attempt *t, unsigned i, struct tg_host_error *err)
{
	struct link *l = t->link;
	struct link_queue *q = &l->queue[i];
	int rc;

	q->host = tg_host_new();
	rc = q->host == NULL
		     ? -ENOMEM
		     : link_instance(t, q->host, t->queue_apps != NULL ? &t->queue_apps[i] : NULL,
			       0, i, &q->stack);
	if (rc == 0 && t->opt->record != NULL) {
		rc = queue_record(t, q, i, err);
		t->no_record = rc < 0;
	}
	if (rc < 0) {
		return rc;
	}
	t->dev.queue = i;
	rc = tg_host_tap(q->host, q->stack, l->name, NULL, 0, &t->dev, err);
	return rc < 0 ? rc : link_configure(l, q->stack, (unsigned)rc);
}

int link_queues_open(struct attempt *t, struct tg_host_error *err)
{
	struct link *l = t->link;
	struct tg_host *hosts[TG_QUEUES_MAX] = {l->host};
	int rc = 0;

	l->queue[0] = (struct link_queue){l->host, l->stack};
	l->n_queues = 1;
	if (t->opt->queues <= 1) {
		return 0;
	}
	for (unsigned i = 1; rc >= 0 && i < t->opt->queues; i++) {
		l->n_queues = i + 1;
		rc = queue_open(t, i, err);
		hosts[i] = l->queue[i].host;
	}
	if (rc >= 0) {
		rc = tg_host_join(hosts, l->n_queues, !t->opt->learned);
	}
	t->no_queues = rc < 0;
	return rc;
}

struct each {
	void (*fn)(void *arg, unsigned queue, struct tg_host *h, struct tg *s);
	void *arg;
	unsigned queue;
	const struct link_queue *q;
};

static void each_call(void *arg)
{
	const struct each *e = arg;

	e->fn(e->arg, e->queue, e->q->host, e->q->stack);
}

void link_each_queue(const struct link *l,
	void (*fn)(void *arg, unsigned queue, struct tg_host *h, struct tg *s), void *arg)
{
	fn(arg, 0, l->host, l->stack);
	for (unsigned i = 1; i < l->n_queues; i++) {
		struct each e = {fn, arg, i, &l->queue[i]};

		tg_host_call(l->queue[i].host, each_call, &e);
	}
}
