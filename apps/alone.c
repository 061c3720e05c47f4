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

#define FAREWELL_NS      NS_PER_S
#define FAREWELL_STEP_NS (10 * NS_PER_MS)

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

/* Does a connection still have something to tell its peer? */
static bool unsaid(const struct tg *s)
{
	struct tg_sock_row row;
	uint64_t cursor = 0;

	while (tg_table_socks(s, &cursor, &row)) {
		if (row.type == TG_STREAM && row.state != TG_CLOSED && row.state != TG_LISTEN &&
			row.state != TG_TIME_WAIT && row.state != TG_FIN_WAIT_2) {
			return true;
		}
	}
	return false;
}

/* The link ends with the verb: what its sockets left behind is delivered first, within reason. */
static void farewell(struct alone *a)
{
	uint64_t now = tg_host_now(), end = now + FAREWELL_NS;

	do {
		if (tg_host_round(a->link.host, FAREWELL_STEP_NS) < 0) {
			return;
		}
		now = tg_host_now();
	} while (now < end && (unsaid(a->link.stack) || tg_next_deadline(a->link.stack) <= now));
}

static int alone_run(const struct job_verb *v, const struct options *o, const struct job_io *io,
	int argc, char **argv)
{
	struct job_io own = *io;
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
		own.alone = true;
		rc = job_open(&a->job, v, &a->link, &own, argc, argv);
		rc = rc == JOB_GOES_ON || !job_over(&a->job) ? alone_loop(a, o->busy_ns) : rc;
		job_close(&a->job);
		farewell(a);
	}
	closed = link_close(&a->link, o);
	free(a);
	return rc != EXIT_OK ? rc : closed;
}

int verb_run(const struct job_verb *v, const struct options *o, const struct job_io *io, int argc,
	char **argv)
{
	static const struct job_io standard = {
		.fd = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}, .n_fds = 3};
	struct tg_host_error err;
	int fd = o->own_link ? -1 : control_connect(o->name, &err);

	io = io != NULL ? io : &standard;
	return fd >= 0 ? control_run(fd, io, argc, argv) : alone_run(v, o, io, argc, argv);
}
