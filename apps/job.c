/* A verb at work on an instance: its output, and its place in the loop. */
#define _GNU_SOURCE 1
#include "job.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct job_verb *const verbs[] = {&ping_job, &ss_job, &arp_job, &route_job, &stat_job};

const struct job_verb *job_verb_find(const char *name)
{
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
		if (strcmp(verbs[i]->name, name) == 0) {
			return verbs[i];
		}
	}
	return NULL;
}

int job_open(struct job *j, const struct job_verb *v, const struct link *l, const int *stdio,
	int argc, char **argv)
{
	int rc;

	memset(j, 0, sizeof *j);
	j->verb = v;
	j->link = l;
	j->start_ns = tg_host_now();
	j->stdio = stdio;
	out_open(&j->out, stdio[1]);
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
		job_finish(j, EXIT_FAILED); /* nobody reads it any more */
	}
	if (more != j->watching) {
		tg_host_watch(j->link->host, j->out.fd, more ? POLLOUT : 0, on_writable, j);
		j->watching = more;
	}
	return j->finished ? UINT64_MAX : due;
}

bool job_over(const struct job *j)
{
	return j->finished &&
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
	if (j->watching) {
		tg_host_watch(j->link->host, j->out.fd, 0, NULL, NULL);
	}
	if (j->verb->end != NULL) {
		j->verb->end(j);
	}
	out_close(&j->out, 0);
	free(j->text);
	memset(j, 0, sizeof *j);
}

void job_print(struct job *j, const char *format, ...)
{
	char line[512];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(line, sizeof line, format, ap);
	va_end(ap);
	if (n > 0) {
		out_line(&j->out, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
	}
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
