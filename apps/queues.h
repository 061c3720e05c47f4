/* `up --queues N`: the queues after the first, each with an instance, its services and logs in a
 * thread of its own. What is said of the first one in up.c holds for each. */
#ifndef TAPGLASS_APPS_QUEUES_H
#define TAPGLASS_APPS_QUEUES_H

#include "eventlog.h"
#include "http_server.h"
#include "link.h"
#include "livelog.h"
#include "serve_simple.h"

struct queue_worker {
	bool ready;
	struct services services;
	struct simple_services *simple;
	struct http_server *http;
	struct livelog log;
	struct eventlog events;
};

struct queue_workers {
	unsigned n;             /* queues, the first included */
	struct queue_worker *w; /* [0] is not used */
	struct tg_host_app app[TG_QUEUES_MAX];
	struct http_config http;
	const char *log_file;
	bool log_all, quiet;
};

/* n: of queues. w->app is for link_open_queues then. 0, or after a message the exit status. */
int queue_workers_make(struct queue_workers *w, unsigned n);
/* Opens the others' event logs: FILE.1 and so on. */
int queue_workers_log(struct queue_workers *w, const char *file, bool all);
/* Services and threads. http: of the first queue, whose functions are not called. */
int queue_workers_start(struct queue_workers *w, const struct link *l, const struct options *o,
	const struct http_config *http, uint64_t start_ns);
/* Ends the threads, after which their instances may be looked at. */
void queue_workers_stop(struct queue_workers *w, const struct link *l);
/* After link_close. */
void queue_workers_free(struct queue_workers *w);

#endif
