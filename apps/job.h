/* A verb at work on an instance: in the process that runs the instance, with the standard
 * descriptors of whoever asked for it, or in a process of its own with a link of its own. It never
 * makes the loop wait: what its reader does not take is held back. */
#ifndef TAPGLASS_APPS_JOB_H
#define TAPGLASS_APPS_JOB_H

#include "link.h"
#include "out.h"

#define JOB_GOES_ON (-1) /* instead of an exit status */
#define JOB_FDS_MAX 5u

/* What a job has to work with besides the link. */
struct job_io {
	int fd[JOB_FDS_MAX]; /* standard input, output and error of whoever asked, then files */
	unsigned n_fds;      /* 3 at least */
	bool takes_input;    /* the verb reads standard input */
	bool alone;          /* the link is the verb's own: it ends when the verb does */
};

struct job;

struct job_verb {
	const char *name;
	/* Begins, argv[0] being the verb; argv stays until the end. JOB_GOES_ON, or after job_text
	 * the exit status. */
	int (*start)(struct job *j, int argc, char **argv);
	/* The rest may be NULL. After every round; returns when to be called again, ns. */
	uint64_t (*round)(struct job *j, uint64_t now_ns);
	/* Whoever asked wants it to end (Ctrl-C): job_finish soon. */
	void (*stop)(struct job *j);
	/* Gives back what start took; also of a job that never finished. */
	void (*end)(struct job *j);
};

struct job {
	const struct job_verb *verb;
	const struct link *link;
	uint64_t start_ns;
	const struct job_io *io;
	void *state;     /* the verb's */
	int lost_status; /* exit status if nobody takes the output; 0: EXIT_FAILED */
	bool finished;
	int status;
	/* private */
	struct out out, err;
	char *text; /* still to be written; owned */
	size_t text_bytes, text_at;
	bool watching[2]; /* out, err */
};

/* io: stays until job_close; its descriptors are the caller's to close. JOB_GOES_ON, or what start
 * returned. */
int job_open(struct job *j, const struct job_verb *v, const struct link *l, const struct job_io *io,
	int argc, char **argv);
/* After every round. Returns when to be called again, ns. */
uint64_t job_round(struct job *j, uint64_t now_ns);
/* It has finished, and its output is written (or nobody reads it). */
bool job_over(const struct job *j);
void job_stop(struct job *j);
void job_close(struct job *j);

/* For verbs. One line, or nothing at all if there is no room. */
void job_print(struct job *j, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same to standard error. */
void job_error(struct job *j, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A text of any length, allocated, taken over; once in a job. */
void job_text(struct job *j, char *text, size_t bytes);
void job_finish(struct job *j, int status);

/* Every verb that works on a running instance; NULL: not one. */
const struct job_verb *job_verb_find(const char *name);

extern const struct job_verb ping_job, curl_job, nc_job, iperf3_job, ss_job, arp_job, route_job,
	stat_job, cap_job;

#endif
