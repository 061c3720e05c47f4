/* `tapglass cap`: captures packets of the running stack as pcapng, to a file or, for another
 * program to read, to standard output. The stack waits for no reader: what one does not take in
 * time is left out and counted. Left out: filters (the reader has better ones). */
#define _GNU_SOURCE 1
#include "verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "job.h"

#define SNAP_MAX    65535u
#define LOOK_NS     (200 * NS_PER_MS) /* at whether the reader is still there */
#define DRAIN_NS    (10 * NS_PER_MS)
#define PATIENCE_NS NS_PER_S /* with a reader that takes nothing, at the end */

struct cap {
	struct options opt;
	const char *file;
	struct tg_capture_options what;

	struct job *job;
	int fd;
	struct tg_capture *capture;
	int failed;      /* to start, on a link */
	bool stream;     /* whoever reads may go */
	uint64_t end_ns; /* no packet follows; 0: they still do */
};

static const struct option_spec cap_options[] = {
	{NULL, 'w', 'w', "FILE", "write to a file (-: standard output, also without -w)"},
	{NULL, 'c', 'c', "COUNT", "end after so many packets"},
	{NULL, 's', 's', "SNAPLEN", "keep so many bytes of each packet, 1 to 65535 (all)"},
	{NULL, 0, 0, NULL, NULL},
};

static int cap_set(void *ctx, int value, const char *arg)
{
	struct cap *c = ctx;
	uint64_t n;

	switch (value) {
	case 'w': c->file = strcmp(arg, "-") == 0 ? NULL : arg; return 0;
	case 'c':
		return parse_u64(arg, 1, UINT64_MAX, &c->what.packets_max)
			       ? 0
			       : usage_error("-c %s: not a number from 1 up", arg);
	default:
		if (!parse_u64(arg, 1, SNAP_MAX, &n)) {
			return usage_error("-s %s: not 1 to 65535 bytes", arg);
		}
		c->what.snap_bytes = (uint32_t)n;
		return 0;
	}
}

const struct verb_spec cap_spec = {
	.usage = "cap [OPTION]...",
	.about = "Captures the packets of the running stack as pcapng until Ctrl-C: nanoseconds, "
		 "direction, and what\n"
		 "the stack made of each packet as its comment. With impairments there are two "
		 "interfaces, the link and\n"
		 "\"stack\" behind them, on which the same packet has the same id.",
	.example = "  tapglass cap -w run.pcapng\n"
		   "  tapglass cap | wireshark -k -i -\n"
		   "  tapglass cap -c 100 | tshark -r - -T fields -e frame.comment\n",
	.options = cap_options,
	.name_option = true,
	.set = cap_set,
};

/* ---- In the running stack -------------------------------------------------------------------- */

static void queue_start(void *arg, unsigned queue, struct tg_host *h, struct tg *s)
{
	struct cap *c = arg;
	int rc = c->failed < 0 ? 0 : tg_host_capture(h, s, c->job->link->netif, c->capture);

	(void)queue;
	c->failed = rc < 0 ? rc : c->failed;
}

static void queue_end(void *arg, unsigned queue, struct tg_host *h, struct tg *s)
{
	struct cap *c = arg;

	(void)queue;
	(void)s;
	tg_host_capture_end(h, c->capture);
}

static int capture_start(struct cap *c)
{
	const struct link *l = c->job->link;
	struct tg_host_error err;
	int rc;

	c->capture = tg_capture_open_fd(c->fd, &c->what, &err);
	if (c->capture == NULL) {
		job_error(c->job, "tapglass: cap: %s: %s\n", err.what, err.why);
		return EXIT_FAILED;
	}
	tg_capture_name(c->capture, &l->stack_ip, "stack");
	tg_capture_name(c->capture, &l->host_ip, "host");
	link_each_queue(l, queue_start, c);
	rc = c->failed;
	if (rc < 0) {
		job_error(c->job, "tapglass: cap: %s\n",
			rc == -EBUSY ? "too many captures at once" : errno_text(rc));
		return EXIT_FAILED;
	}
	tg_capture_flush(c->capture); /* its head tells that it has begun */
	return JOB_GOES_ON;
}

static int cap_start(struct job *j, int argc, char **argv)
{
	struct cap *c = calloc(1, sizeof *c);
	struct pollfd p;
	int first, rc;

	if (c == NULL) {
		return EXIT_FAILED;
	}
	j->state = c;
	c->job = j;
	options_default(&c->opt);
	rc = options_parse(argc, argv, &cap_spec, &c->opt, c, &first);
	if (rc != OPTIONS_GO) {
		return rc;
	}
	if (j->io->n_fds != 3u + (c->file != NULL)) {
		job_error(j, "tapglass: cap: the request was not understood\n");
		return EXIT_FAILED;
	}
	c->fd = j->io->fd[c->file != NULL ? 3 : 1];
	/* of a file, poll says nothing but yes */
	p = (struct pollfd){.fd = c->fd};
	c->stream = poll(&p, 1, 0) >= 0 && lseek(c->fd, 0, SEEK_CUR) < 0;
	return capture_start(c);
}

static bool reader_gone(const struct cap *c)
{
	struct pollfd p = {.fd = c->fd};

	return c->stream && poll(&p, 1, 0) == 1 &&
	       (p.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0;
}

static void capture_end(struct cap *c, uint64_t now_ns)
{
	if (c->end_ns == 0) {
		link_each_queue(c->job->link, queue_end, c);
		c->end_ns = now_ns;
	}
}

/* It is over: says so, and how. */
static void conclude(struct cap *c, int64_t left)
{
	struct tg_capture_counts n;

	tg_capture_counts(c->capture, &n);
	if (left < 0 && left != -EPIPE) {
		job_error(c->job, "tapglass: cap: cannot write: %s\n", errno_text(left));
	}
	job_error(c->job, "%" PRIu64 " packets captured\n%" PRIu64 " packets left out%s\n",
		n.packets, n.lost, n.lost > 0 ? ": the reader was too slow" : "");
	/* A reader that has seen enough is no failure. */
	job_finish(c->job, left < 0 && left != -EPIPE ? EXIT_FAILED : EXIT_OK);
}

static uint64_t cap_round(struct job *j, uint64_t now_ns)
{
	struct cap *c = j->state;
	struct tg_capture_counts n;
	int64_t left;

	tg_capture_counts(c->capture, &n);
	if (n.complete) {
		capture_end(c, now_ns);
	}
	left = reader_gone(c) ? -EPIPE : tg_capture_flush(c->capture);
	if (left < 0 || (c->end_ns != 0 && (left == 0 || now_ns >= c->end_ns + PATIENCE_NS))) {
		capture_end(c, now_ns);
		conclude(c, left);
	}
	return now_ns + (c->end_ns != 0 ? DRAIN_NS : LOOK_NS);
}

static void cap_stop(struct job *j)
{
	struct cap *c = j->state;

	capture_end(c, tg_host_now());
	if (tg_capture_flush(c->capture) <= 0) {
		conclude(c, tg_capture_flush(c->capture));
	}
}

static void cap_end(struct job *j)
{
	struct cap *c = j->state;

	if (c != NULL && c->capture != NULL) {
		link_each_queue(j->link, queue_end, c);
		tg_capture_close(c->capture);
	}
	free(c);
}

const struct job_verb cap_job = {"cap", cap_start, cap_round, cap_stop, cap_end};

/* ---- Whoever asks ---------------------------------------------------------------------------- */

static int cap_ask(struct cap *c, int argc, char **argv)
{
	struct job_io io = {.fd = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}, .n_fds = 3};
	struct tg_host_error err;
	int control, rc;

	if (c->file == NULL && isatty(STDOUT_FILENO) == 1) {
		return usage_error(
			"cap: a terminal cannot show it: -w FILE, or | wireshark -k -i -");
	}
	control = control_connect(c->opt.name, &err);
	if (control < 0) {
		tg_host_print_error(&err);
		return EXIT_FAILED;
	}
	if (c->file != NULL) {
		io.fd[3] = open(c->file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (io.fd[3] < 0) {
			rc = failure("cannot write %s: %s", c->file, errno_text(errno));
			close(control);
			return rc;
		}
		io.n_fds = 4;
	}
	rc = control_run(control, &io, argc, argv);
	if (io.n_fds == 4) {
		close(io.fd[3]);
	}
	return rc;
}

int cap_main(int argc, char **argv)
{
	struct cap c = {0};
	int first, rc;

	options_default(&c.opt);
	rc = options_parse(argc, argv, &cap_spec, &c.opt, &c, &first);
	return rc == OPTIONS_GO ? cap_ask(&c, argc, argv) : rc;
}
