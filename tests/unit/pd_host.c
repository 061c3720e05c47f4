/* What pd_host.h declares: loading, the clock's spin, the thread for calls that block. The order of
 * locks, sleeps and questions for the time is packetdrill's. */
#include "pd_host.h"

#include <dlfcn.h>
#include <errno.h>
#include <libgen.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SPIN_US  20  /* the last of each wait */
#define START_US 250 /* before the first event */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define DEEP 0 /* sanitizers refuse it */
#else
#define DEEP RTLD_DEEPBIND
#endif

/* ---- Loading --------------------------------------------------------------------------------- */

/* Beside the configuration's own things, or where those of release lie. */
static void *load(void)
{
	static const char *const up[] = {"/../..", "/../../.."};
	char exe[4096], path[4200];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	void *so = NULL;

	ck_assert_int_gt(n, 0);
	exe[n] = 0;
	dirname(exe);
	for (int i = 0; i < 2 && !so; i++) {
		snprintf(path, sizeof(path), "%s%s/libtapglass-packetdrill.so", exe, up[i]);
		so = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE | DEEP);
	}
	ck_assert_msg(so != NULL, "%s", dlerror());
	return so;
}

static long long live_us(struct pd_host *h)
{
	struct timeval tv;

	ck_assert_int_eq(h->ifc.gettimeofday(h->u, &tv, NULL), 0);
	return (long long)tv.tv_sec * 1000000 + tv.tv_usec;
}

static void *syscall_thread(void *arg);

void pd_open(struct pd_host *h, const char *flags)
{
	void (*init)(const char *text, struct packetdrill_interface *ifc);
	void *symbol;
	long long began;

	memset(h, 0, sizeof(*h));
	h->so = load();
	symbol = dlsym(h->so, "packetdrill_interface_init");
	ck_assert_msg(symbol != NULL, "%s", dlerror());
	memcpy(&init, &symbol, sizeof(init));
	init(flags, &h->ifc);
	h->u = h->ifc.userdata;
	pthread_mutex_init(&h->run, NULL);
	pthread_cond_init(&h->enqueued, NULL);
	pthread_cond_init(&h->dequeued, NULL);
	pthread_cond_init(&h->idle, NULL);
	pthread_mutex_lock(&h->run);
	ck_assert_int_eq(pthread_create(&h->thread, NULL, syscall_thread, h), 0);
	began = live_us(h);
	while (live_us(h) < began + START_US)
		;
	h->start_us = live_us(h);
}

int pd_keep(struct pd_host *h, int fd)
{
	ck_assert_uint_lt(h->n_fds, 32);
	if (fd >= 0)
		h->open_fd[h->n_fds++] = fd;
	return fd;
}

void pd_forget(struct pd_host *h, int fd)
{
	for (unsigned i = 0; i < h->n_fds; i++)
		if (h->open_fd[i] == fd)
			h->open_fd[i] = h->open_fd[--h->n_fds];
}

void pd_close(struct pd_host *h)
{
	h->quit = true;
	pthread_cond_signal(&h->enqueued);
	pthread_mutex_unlock(&h->run);
	/* packetdrill closes with the kernel's close what a script leaves open. A call that still
	 * sleeps is ended by free. */
	for (unsigned i = 0; i < h->n_fds; i++)
		ck_assert_int_eq(close(h->open_fd[i]), 0);
	h->ifc.free(h->u);
	pthread_join(h->thread, NULL);
	dlclose(h->so);
	pthread_cond_destroy(&h->enqueued);
	pthread_cond_destroy(&h->dequeued);
	pthread_cond_destroy(&h->idle);
	pthread_mutex_destroy(&h->run);
}

/* ---- Time ------------------------------------------------------------------------------------ */

long long pd_now_us(struct pd_host *h)
{
	return live_us(h) - h->start_us;
}

/* With the lock held. */
void pd_until(struct pd_host *h, long long us)
{
	for (;;) {
		long long left = us - pd_now_us(h);

		if (left <= 0)
			return;
		if (left > SPIN_US) {
			pthread_mutex_unlock(&h->run);
			h->ifc.usleep(h->u, (useconds_t)(left - SPIN_US));
			pthread_mutex_lock(&h->run);
		}
	}
}

/* ---- Calls that block ------------------------------------------------------------------------ */

static void *syscall_thread(void *arg)
{
	struct pd_host *h = arg;

	pthread_mutex_lock(&h->run);
	h->tid = (int)syscall(SYS_gettid);
	while (!h->quit) {
		if (h->state != PD_ENQUEUED) {
			pthread_cond_wait(&h->enqueued, &h->run);
			continue;
		}
		pd_until(h, h->call_us);
		h->state = PD_RUNNING;
		pthread_mutex_unlock(&h->run);
		pthread_cond_signal(&h->dequeued);
		errno = 0;
		h->result = h->call(h, h->arg);
		h->error = errno;
		if (!h->quit) /* else the adapter is gone */
			h->end_us = pd_now_us(h);
		pthread_mutex_lock(&h->run);
		h->state = PD_DONE;
		pthread_cond_signal(&h->idle);
	}
	pthread_mutex_unlock(&h->run);
	return NULL;
}

/* What /proc says of the thread. */
static bool asleep(const struct pd_host *h)
{
	char path[64], text[256], state = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", h->tid);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	if (fgets(text, sizeof(text), f))
		state = strrchr(text, ')')[2];
	fclose(f);
	return state == 'S';
}

void pd_block(struct pd_host *h, long long at_us, pd_call fn, void *arg)
{
	int seen = 0;

	ck_assert(h->state == PD_IDLE || h->state == PD_DONE);
	h->call = fn;
	h->arg = arg;
	h->call_us = at_us;
	h->state = PD_ENQUEUED;
	pthread_cond_signal(&h->enqueued);
	while (h->state == PD_ENQUEUED)
		pthread_cond_wait(&h->dequeued, &h->run);
	/* Under a debugger of memory a thread that could run may look asleep. */
	while (seen < 3 && h->state != PD_DONE) {
		pthread_mutex_unlock(&h->run);
		nanosleep(&(struct timespec){0, 300000}, NULL);
		seen = asleep(h) ? seen + 1 : 0;
		pthread_mutex_lock(&h->run);
	}
}

bool pd_await(struct pd_host *h)
{
	struct timespec t;
	int r = 0;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += 1;
	while (h->state != PD_DONE && r == 0)
		r = pthread_cond_timedwait(&h->idle, &h->run, &t);
	return h->state == PD_DONE;
}
