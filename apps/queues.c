/* The queues after the first: see queues.h. */
#define _GNU_SOURCE 1
#include "queues.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_PATH_BYTES 4096

/* ---- In the loops ---------------------------------------------------------------------------- */

static void on_event(void *arg, struct tg *s, const struct tg_event *e, uint64_t now_ns)
{
	(void)arg;
	(void)s;
	svc_event(e, now_ns);
}

static uint64_t min_of(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t on_round(void *arg, struct tg *s, uint64_t now_ns)
{
	struct queue_worker *w = arg;
	uint64_t due;

	(void)s;
	if (!w->ready) {
		return UINT64_MAX;
	}
	due = min_of(svc_round(&w->services, now_ns), http_round(w->http, now_ns));
	return min_of(
		due, min_of(eventlog_round(&w->events, now_ns), livelog_round(&w->log, now_ns)));
}

static bool on_wants(void *arg, uint64_t now_ns)
{
	struct queue_worker *w = arg;

	return livelog_wants(&w->log, now_ns);
}

static void on_access(void *arg, const struct http_access *a, uint64_t now_ns)
{
	struct queue_worker *w = arg;

	livelog_http(&w->log, a, now_ns);
}

/* ---- Life ------------------------------------------------------------------------------------ */

int queue_workers_make(struct queue_workers *w, unsigned n)
{
	w->n = n;
	if (n <= 1) {
		return EXIT_OK;
	}
	w->w = calloc(n, sizeof *w->w);
	if (w->w == NULL) {
		return failure("out of memory");
	}
	for (unsigned i = 1; i < n; i++) {
		w->app[i] =
			(struct tg_host_app){.arg = &w->w[i], .event = on_event, .round = on_round};
	}
	return EXIT_OK;
}

int queue_workers_log(struct queue_workers *w, const char *file, bool all)
{
	char path[LOG_PATH_BYTES];

	for (unsigned i = 1; file != NULL && i < w->n; i++) {
		int n = snprintf(path, sizeof path, "%s.%u", file, i), rc = -1;

		if (n > 0 && n < LOG_PATH_BYTES) {
			rc = eventlog_open(&w->w[i].events, path, all);
		}
		if (rc < 0) {
			return usage_error("--log %s.%u: %s", file, i, strerror(-rc));
		}
	}
	w->log_file = file;
	return EXIT_OK;
}

static int worker_start(struct queue_worker *w, const struct link *l, unsigned queue,
	const struct options *o, const struct http_config *http, uint64_t start_ns)
{
	struct http_config c = *http;
	uint64_t now = tg_host_now();
	bool bad_www;
	int rc;

	w->services.s = l->queue[queue].stack;
	livelog_open(&w->log, o, w->services.s, &l->stack_ip, l->mac, start_ns);
	w->simple = simple_start(&w->services, now, &rc);
	if (rc < 0) {
		return rc;
	}
	c.arg = w;
	c.host = l->queue[queue].host;
	if (c.wants != NULL) {
		c.wants = on_wants;
		c.access = on_access;
	}
	w->http = http_start(&w->services, &c, now, &rc, &bad_www);
	if (w->http == NULL) {
		return rc;
	}
	w->ready = true;
	return 0;
}

int queue_workers_start(struct queue_workers *w, const struct link *l, const struct options *o,
	const struct http_config *http, uint64_t start_ns)
{
	struct eventlog_about about = {.instance = o->name};
	char self[16];
	int rc = 0;

	about.address = tg_ip_format(&l->stack_ip, self);
	for (unsigned i = 1; rc == 0 && i < w->n; i++) {
		rc = worker_start(&w->w[i], l, i, o, http, start_ns);
		if (rc == 0 && w->log_file != NULL) {
			eventlog_start(&w->w[i].events, l->queue[i].stack, &about, start_ns);
		}
	}
	for (unsigned i = 1; rc == 0 && i < w->n; i++) {
		rc = tg_host_spawn(l->queue[i].host, o->busy_ns);
	}
	return rc < 0 ? failure("cannot start a queue: %s", errno_text(rc)) : EXIT_OK;
}

void queue_workers_stop(struct queue_workers *w, const struct link *l)
{
	for (unsigned i = 1; w->w != NULL && i < w->n; i++) {
		int rc = l->queue[i].host != NULL ? tg_host_reap(l->queue[i].host) : 0;

		if (rc < 0) {
			say("the event loop of queue %u failed: %s", i, errno_text(rc));
		}
		w->w[i].log.on = false;
	}
}

void queue_workers_free(struct queue_workers *w)
{
	for (unsigned i = 1; w->w != NULL && i < w->n; i++) {
		http_free(w->w[i].http);
		simple_free(w->w[i].simple);
		if (w->w[i].ready) {
			livelog_close(&w->w[i].log);
		}
	}
	free(w->w);
	w->w = NULL;
}
