/* Many packet scripts at once: a pool of threads, results in the order of the files. */
#ifndef APPS_DRILL_JOBS_H
#define APPS_DRILL_JOBS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "tapglass_drill.h"

#define DRILL_SCRIPT_BYTES (1u << 20) /* longer files are refused */

/* One script. */
struct drill_job {
	char *path; /* the job's */
	bool done;
	enum tg_drill_verdict verdict;
	int error;                 /* errno: the file could not be read; EFBIG: it is too long */
	struct tg_drill_result *r; /* the job's; NULL: it passed and said nothing */
	char *source;              /* the line in r, a copy; NULL: none */
};

struct drill_pool {
	struct tg_drill_options opt; /* without memory and name */
	struct drill_job *job;
	size_t n_jobs, next, awaited;
	bool stop; /* no further jobs are begun */
	bool no_memory;
	pthread_mutex_t lock;
	pthread_cond_t finished;
};

/* Adds a script; false: no memory. */
bool drill_pool_add(struct drill_pool *p, const char *path);
/* Runs the scripts in n threads. `each` is called for every job in order, by the caller's thread;
 * when it returns false, the jobs behind are not looked at any more. False: the threads or their
 * memory could not be had. */
bool drill_pool_run(struct drill_pool *p, unsigned n,
	bool (*each)(void *ctx, const struct drill_job *job), void *ctx);
void drill_pool_free(struct drill_pool *p);

#endif
