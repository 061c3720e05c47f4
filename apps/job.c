/* A verb at work on an instance: its output, and its place in the loop. */
#define _GNU_SOURCE 1
#include "job.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct job_verb *const verbs[] = {&ping_job, &curl_job, &nc_job, &iperf3_job, &ss_job,
	&arp_job, &route_job, &stat_job, &cap_job};

const struct job_verb *job_verb_find(const char *name)
{
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
		if (strcmp(verbs[i]->name, name) == 0) {
			return verbs[i];
		}
	}
	return NULL;
}

int job_open(struct job *j, const struct job_verb *v, const struct link *l, const struct job_io *io,
	int argc, char **argv)
{
	int rc;

	memset(j, 0, sizeof *j);
	j->verb = v;
	j->link = l;
	j->start_ns = tg_host_now();
	j->io = io;
	out_open(&j->out, io->fd[1]);
	out_open(&j->err, io->fd[2]);
	rc = v->start(j, argc, argv);
	if (rc != JOB_GOES_ON) {
		job_finish(j, rc);
	}
	return rc;
}

/* Passes on as much of the text as there is room for. */
static void text_move(struct job *j)
{
	while (j->text_at < j->text_bytes) {
		size_t left = j->text_bytes - j->text_at;
		size_t room = OUT_BUFFER_BYTES - j->out.len_bytes;

		left = left < room ? left : room;
		if (left == 0 || !out_line(&j->out, j->text + j->text_at, left)) {
			return;
		}
		j->text_at += left;
		if (out_flush(&j->out)) {
			return;
		}
	}
}

static void on_writable(void *arg, int fd, short revents)
{
	(void)arg;
	(void)fd;
	(void)revents; /* the round that follows writes */
}

static void watch(struct job *j, unsigned which, bool more)
{
	struct out *o = which == 0 ? &j->out : &j->err;

	if (more != j->watching[which]) {
		tg_host_watch(j->link->host, o->fd, more ? POLLOUT : 0, on_writable, j);
		j->watching[which] = more;
	}
}

uint64_t job_round(struct job *j, uint64_t now_ns)
{
	uint64_t due = UINT64_MAX;
	bool more;

	if (!j->finished && j->verb->round != NULL) {
		due = j->verb->round(j, now_ns);
	}
	out_flush(&j->out);
	text_move(j);
	more = out_flush(&j->out);
	if (j->out.dead && !j->finished) {
		/* nobody reads it any more */
		job_finish(j, j->lost_status != 0 ? j->lost_status : EXIT_FAILED);
	}
	watch(j, 0, more);
	watch(j, 1, out_flush(&j->err));
	return j->finished ? UINT64_MAX : due;
}

bool job_over(const struct job *j)
{
	return j->finished && (j->err.dead || j->err.len_bytes == 0) &&
	       (j->out.dead || (j->out.len_bytes == 0 && j->text_at == j->text_bytes));
}

void job_stop(struct job *j)
{
	if (j->finished) {
		return;
	}
	if (j->verb->stop != NULL) {
		j->verb->stop(j);
	} else {
		job_finish(j, EXIT_FAILED);
	}
}

void job_close(struct job *j)
{
	watch(j, 0, false);
	watch(j, 1, false);
	if (j->verb->end != NULL) {
		j->verb->end(j);
	}
	out_close(&j->out, 0);
	out_close(&j->err, 0);
	free(j->text);
	memset(j, 0, sizeof *j);
}

static void vprint(struct out *o, const char *format, va_list ap)
	__attribute__((format(printf, 2, 0)));
static void vprint(struct out *o, const char *format, va_list ap)
{
	char line[512];
	int n = vsnprintf(line, sizeof line, format, ap);

	if (n > 0) {
		out_line(o, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
	}
}

void job_print(struct job *j, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vprint(&j->out, format, ap);
	va_end(ap);
}

void job_error(struct job *j, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vprint(&j->err, format, ap);
	va_end(ap);
}

void job_text(struct job *j, char *text, size_t bytes)
{
	free(j->text);
	j->text = text;
	j->text_bytes = bytes;
	j->text_at = 0;
}

void job_finish(struct job *j, int status)
{
	if (!j->finished) {
		j->finished = true;
		j->status = status;
	}
}
