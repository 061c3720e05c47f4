/* Many packet scripts at once. Every thread has an instance's memory of its own, takes the next
 * file that nobody has, and leaves the result; the caller's thread hands results on in order. */
#define _GNU_SOURCE 1
#include "drill_jobs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define INSTANCE_BYTES (64u << 20)
#define JOBS_STEP      1024u

/* What a thread works with. */
struct worker {
	struct drill_pool *pool;
	struct tg_drill_options opt;
	struct tg_drill_result r;
	char *text;
};

static void *map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void unmap(void *p, size_t bytes)
{
	if (p) {
		munmap(p, bytes);
	}
}

/* ---- One script ------------------------------------------------------------------------------ */

/* Bytes of the file in w->text, or -1 with job->error set. */
static long read_file(struct worker *w, struct drill_job *job)
{
	FILE *f = fopen(job->path, "rb");
	size_t n;

	if (!f) {
		job->error = errno;
		return -1;
	}
	errno = 0;
	n = fread(w->text, 1, DRILL_SCRIPT_BYTES, f);
	if (ferror(f)) {
		job->error = errno ? errno : EIO;
	} else if (n == DRILL_SCRIPT_BYTES) {
		job->error = EFBIG;
	}
	fclose(f);
	return job->error ? -1 : (long)n;
}

/* What is to be told outlives the thread's buffers. */
static void keep(struct worker *w, struct drill_job *job)
{
	if (w->r.verdict == TG_DRILL_PASSED && !w->r.printed[0]) {
		return;
	}
	job->r = malloc(sizeof(*job->r));
	if (!job->r) {
		job->error = ENOMEM;
		return;
	}
	*job->r = w->r;
	if (w->r.source_bytes) {
		job->source = strndup(w->r.source, w->r.source_bytes);
	}
	job->r->source = job->source;
	job->r->source_bytes = job->source ? (uint32_t)strlen(job->source) : 0;
}

static void run(struct worker *w, struct drill_job *job)
{
	long n = read_file(w, job);

	if (n < 0) {
		return;
	}
	w->opt.name = job->path;
	job->verdict = tg_drill_run(&w->opt, w->text, (size_t)n, &w->r);
	keep(w, job);
	/* The next script's instance starts on zero pages. */
	madvise(w->opt.mem, w->opt.mem_bytes, MADV_DONTNEED);
}

/* ---- Threads --------------------------------------------------------------------------------- */

static struct drill_job *take(struct drill_pool *p)
{
	struct drill_job *job = NULL;

	pthread_mutex_lock(&p->lock);
	if (!p->stop && p->next < p->n_jobs) {
		job = &p->job[p->next++];
	}
	pthread_mutex_unlock(&p->lock);
	return job;
}

static void finish(struct drill_pool *p, struct drill_job *job)
{
	pthread_mutex_lock(&p->lock);
	if (job) {
		job->done = true;
	} else {
		p->no_memory = true;
	}
	if (!job || job == &p->job[p->awaited]) {
		pthread_cond_signal(&p->finished);
	}
	pthread_mutex_unlock(&p->lock);
}

static void *work(void *ctx)
{
	struct worker *w = ctx;
	struct drill_job *job;

	w->opt = w->pool->opt;
	w->opt.mem = map(w->opt.mem_bytes = INSTANCE_BYTES);
	w->opt.scratch = map(w->opt.scratch_bytes = TG_DRILL_SCRATCH_BYTES);
	w->text = map(DRILL_SCRIPT_BYTES);
	if (!w->opt.mem || !w->opt.scratch || !w->text) {
		finish(w->pool, NULL);
	} else {
		while ((job = take(w->pool)) != NULL) {
			run(w, job);
			finish(w->pool, job);
		}
	}
	unmap(w->text, DRILL_SCRIPT_BYTES);
	unmap(w->opt.scratch, TG_DRILL_SCRATCH_BYTES);
	unmap(w->opt.mem, INSTANCE_BYTES);
	return NULL;
}

/* Waits for job i; false: it will not come. */
static bool await(struct drill_pool *p, size_t i)
{
	bool good;

	pthread_mutex_lock(&p->lock);
	p->awaited = i;
	while (!p->job[i].done && !p->no_memory) {
		pthread_cond_wait(&p->finished, &p->lock);
	}
	good = p->job[i].done;
	pthread_mutex_unlock(&p->lock);
	return good;
}

static void stop(struct drill_pool *p)
{
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_mutex_unlock(&p->lock);
}

static bool hand_on(
	struct drill_pool *p, bool (*each)(void *ctx, const struct drill_job *job), void *ctx)
{
	for (size_t i = 0; i < p->n_jobs; i++) {
		if (!await(p, i)) {
			return false;
		}
		if (!each(ctx, &p->job[i])) {
			break;
		}
	}
	return true;
}

bool drill_pool_run(struct drill_pool *p, unsigned n,
	bool (*each)(void *ctx, const struct drill_job *job), void *ctx)
{
	struct worker *w;
	pthread_t *thread;
	unsigned started = 0;
	bool good = false;

	if (!p->n_jobs) {
		return true;
	}
	if (n > p->n_jobs) {
		n = (unsigned)p->n_jobs;
	}
	w = calloc(n, sizeof(*w));
	thread = calloc(n, sizeof(*thread));
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->finished, NULL);
	while (w && thread && started < n) {
		w[started].pool = p;
		if (pthread_create(&thread[started], NULL, work, &w[started]) != 0) {
			break;
		}
		started++;
	}
	if (started) {
		good = hand_on(p, each, ctx);
	}
	stop(p);
	for (unsigned i = 0; i < started; i++) {
		pthread_join(thread[i], NULL);
	}
	pthread_cond_destroy(&p->finished);
	pthread_mutex_destroy(&p->lock);
	free(thread);
	free(w);
	return good;
}

/* ---- Jobs ------------------------------------------------------------------------------------ */

bool drill_pool_add(struct drill_pool *p, const char *path)
{
	struct drill_job *more;

	if (p->n_jobs % JOBS_STEP == 0) {
		more = realloc(p->job, (p->n_jobs + JOBS_STEP) * sizeof(*more));
		if (!more) {
			return false;
		}
		p->job = more;
	}
	p->job[p->n_jobs] = (struct drill_job){.path = strdup(path)};
	return p->job[p->n_jobs].path && ++p->n_jobs;
}

void drill_pool_free(struct drill_pool *p)
{
	for (size_t i = 0; i < p->n_jobs; i++) {
		free(p->job[i].path);
		free(p->job[i].r);
		free(p->job[i].source);
	}
	free(p->job);
}
