/* Verbs on the running instance, or on a link of their own. */
#define _GNU_SOURCE 1
#include "alone.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "service.h"

struct alone {
	struct link link;
	struct job job;
};

static struct tg_host *running;
static atomic_bool asked_to_stop;

static void on_signal(int number)
{
	(void)number;
	atomic_store(&asked_to_stop, true);
	tg_host_stop(running);
}

static void alone_event(void *arg, struct tg *s, const struct tg_event *e, uint64_t now_ns)
{
	(void)arg;
	(void)s;
	svc_event(e, now_ns);
}

static uint64_t alone_round(void *arg, struct tg *s, uint64_t now_ns)
{
	struct alone *a = arg;
	uint64_t due;

	(void)s;
	if (a->job.verb == NULL) {
		return UINT64_MAX;
	}
	due = job_round(&a->job, now_ns);
	if (job_over(&a->job)) {
		tg_host_stop(running);
	}
	return due;
}

/* Until the job is over; a signal asks it to end first. */
static int alone_loop(struct alone *a, uint64_t busy_ns)
{
	int rc = 0;

	while (rc >= 0 && !job_over(&a->job)) {
		rc = tg_host_run(a->link.host, busy_ns);
		if (atomic_exchange(&asked_to_stop, false)) {
			job_stop(&a->job);
		}
		job_round(&a->job, tg_host_now());
	}
	return rc < 0 ? failure("the event loop failed: %s", errno_text(rc)) : a->job.status;
}

static int alone_run(const struct job_verb *v, const struct options *o, int argc, char **argv)
{
	static const int stdio[3] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
	struct sigaction on = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
	struct alone *a = calloc(1, sizeof *a);
	struct tg_host_app app = {a, alone_event, NULL, alone_round};
	int rc, closed;

	if (a == NULL) {
		return failure("out of memory");
	}
	signal(SIGPIPE, SIG_IGN);
	rc = link_open(&a->link, o, &app);
	if (rc == EXIT_OK) {
		running = a->link.host;
		sigaction(SIGINT, &on, NULL);
		sigaction(SIGTERM, &on, NULL);
		rc = job_open(&a->job, v, &a->link, stdio, argc, argv);
		rc = rc == JOB_GOES_ON ? alone_loop(a, o->busy_ns) : rc;
		job_close(&a->job);
	}
	closed = link_close(&a->link, o);
	free(a);
	return rc != EXIT_OK ? rc : closed;
}

int verb_run(const struct job_verb *v, const struct options *o, int argc, char **argv)
{
	struct tg_host_error err;
	int fd = o->own_link ? -1 : control_connect(o->name, &err);

	return fd >= 0 ? control_run(fd, argc, argv) : alone_run(v, o, argc, argv);
}
