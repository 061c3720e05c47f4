/* The event loop. A round: wait, read a batch from every link, then let each instance's application
 * have its events, step the instance, and write what is due. The application goes first, so that
 * what it sends and consumes at once is in the same segments as the acknowledgments. */
#define _GNU_SOURCE
#include "core/core.h"
#include "port/busy.h"
#include "port/host.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* Reading so many frames takes long enough for the time to be asked again. */
#define LONG_BATCH_FRAMES 8u
/* After so many reads in a row that found nothing, who waits for this processor may have it: it may
 * be the one whose frames are waited for. */
#define BUSY_YIELD 8u
/* Turns of one instance between two looks at the links, and octets after which there is no other:
 * what has been acknowledged meanwhile is room that is still in the cache. */
#define SERVE_TURNS 4
#define SERVE_BYTES (512u << 10)
/* The slow reader of a capture is offered more so often. */
#define CAPTURE_RETRY_NS (10 * NS_PER_MS)

/* ---- Watched descriptors --------------------------------------------------------------------- */

int tg_host_watch(
	struct tg_host *h, int fd, short events, void (*fn)(void *, int, short), void *arg)
{
	struct watch *w = NULL;

	for (size_t i = 0; i < h->n_watches; i++) {
		if (h->watches[i].fd == fd && h->watches[i].fn)
			w = &h->watches[i];
	}
	if (!events || !fn) {
		if (!w)
			return -ENOENT;
		w->fn = NULL; /* its place is reused when the list is next built */
		h->watches_changed = true;
		return 0;
	}
	if (!w) {
		if (h->n_watches == h->cap_watches) {
			size_t cap = h->cap_watches ? h->cap_watches * 2 : 8;
			struct watch *more = realloc(h->watches, cap * sizeof(*more));

			if (!more)
				return -ENOMEM;
			h->watches = more;
			h->cap_watches = cap;
		}
		w = &h->watches[h->n_watches++];
	}
	*w = (struct watch){.fd = fd, .events = events, .fn = fn, .arg = arg};
	h->watches_changed = true;
	return 0;
}

/* Returns whether anything was called. */
static bool run_watches(struct tg_host *h)
{
	bool any = false;

	if (!h->watches_ready)
		return false;
	h->watches_ready = false;
	/* fn may add and remove watches, and so move the array. */
	for (size_t i = 0; i < h->n_watches; i++) {
		struct watch w = h->watches[i];

		h->watches[i].revents = 0;
		if (!w.fn || !w.revents)
			continue;
		w.fn(w.arg, w.fd, w.revents);
		any = true;
		h->called_ns = h->polled_ns;
	}
	return any;
}

/* ---- Waiting --------------------------------------------------------------------------------- */

/* Those that are left, from h->pfd[at] on. */
static void build_watches(struct tg_host *h, size_t at)
{
	size_t kept = 0;

	for (size_t i = 0; i < h->n_watches; i++) {
		if (h->watches[i].fn)
			h->watches[kept++] = h->watches[i];
	}
	h->n_watches = kept;
	for (size_t i = 0; i < kept; i++)
		h->pfd[at + i] = (struct pollfd){h->watches[i].fd, h->watches[i].events, 0};
	h->watches_at = at;
	h->watches_changed = false;
}

/* Fills h->pfd; returns the number, or -ENOMEM. */
static int build_pollfds(struct tg_host *h)
{
	size_t n = 1, most;

	for (struct tap_link *l = h->taps; l; l = l->next)
		n++;
	most = n + h->n_watches + 2;
	if (most > h->cap_pfd) {
		struct pollfd *more = realloc(h->pfd, most * sizeof(*more));

		if (!more)
			return -ENOMEM;
		h->pfd = more;
		h->cap_pfd = most;
	}
	if (h->watches_changed || h->watches_at != n)
		build_watches(h, n);
	n = 0;
	h->pfd[n++] = (struct pollfd){.fd = h->stop_fd, .events = POLLIN};
	for (struct tap_link *l = h->taps; l; l = l->next) {
		short events = (short)(POLLIN | (l->busy ? POLLOUT : 0));

		l->out_polled = l->busy;
		h->pfd[n++] = (struct pollfd){.fd = l->tap.fd, .events = events};
	}
	n += h->n_watches;
	if (h->threaded)
		h->pfd[n++] = (struct pollfd){.fd = h->timer_fd, .events = POLLIN};
	if (h->group)
		h->pfd[n++] = (struct pollfd){.fd = group_wake_fd(h), .events = POLLIN};
	return (int)n;
}

/* Of `ready` descriptors. */
static void take_poll_results(struct tg_host *h, int ready)
{
	size_t n = 1;

	for (struct tap_link *l = h->taps; l; l = l->next) {
		short r = h->pfd[n++].revents;

		ready -= r != 0;
		if (r & POLLIN)
			l->readable = true;
		else if (r & (POLLERR | POLLHUP | POLLNVAL))
			tap_lost(&l->tap, ENODEV);
		if (l->busy && (r & (POLLOUT | POLLERR | POLLHUP | POLLNVAL))) {
			l->busy = false;
			l->inst->writable = true;
		}
	}
	if (ready <= 0)
		return;
	for (size_t i = 0; i < h->n_watches; i++)
		h->watches[i].revents = h->pfd[n++].revents;
	h->watches_ready = true;
	if (h->group && h->pfd[n + h->threaded].revents & POLLIN)
		group_woken(h);
}

static void arm(struct tg_host *h, uint64_t at_ns)
{
	/* 0 would disarm it. */
	uint64_t t = at_ns == NEVER_NS ? 0 : max_u64(at_ns, 1);
	struct itimerspec its = {.it_value = {.tv_sec = (time_t)(t / NS_PER_SEC),
					 .tv_nsec = (long)(t % NS_PER_SEC)}};

	h->armed_ns = max_u64(at_ns, 1);
	timerfd_settime(h->timer_fd, TFD_TIMER_ABSTIME, &its, NULL);
}

/* Sleeps without the lock. */
static int sleep_unlocked(struct tg_host *h, int n, uint64_t timeout_ns)
{
	static const struct timespec none;
	uint64_t count;
	int r, error;

	if (timeout_ns)
		arm(h, timeout_ns == NEVER_NS ? NEVER_NS : sat_add_u64(tg_host_now(), timeout_ns));
	pthread_mutex_unlock(&h->lock);
	r = ppoll(h->pfd, (nfds_t)n, timeout_ns ? NULL : &none, NULL);
	error = errno;
	pthread_mutex_lock(&h->lock);
	h->armed_ns = 0;
	if (read(h->timer_fd, &count, sizeof(count)) < 0)
		count = 0; /* it was something else */
	errno = error;
	return r;
}

static int wait_for_work(struct tg_host *h, uint64_t timeout_ns)
{
	struct timespec t;
	int n = build_pollfds(h);

	if (n < 0)
		return n;
	h->stats.polls++;
	h->stats.sleeps += timeout_ns > 0;
	if (timeout_ns && !group_sleeps(h))
		timeout_ns = 0;
	t.tv_sec = (time_t)(timeout_ns / NS_PER_SEC);
	t.tv_nsec = (long)(timeout_ns % NS_PER_SEC);
	if (h->threaded)
		n = sleep_unlocked(h, n, timeout_ns);
	else
		n = ppoll(h->pfd, (nfds_t)n, timeout_ns == NEVER_NS ? NULL : &t, NULL);
	if (timeout_ns) {
		int saved = errno;

		group_wakes(h);
		errno = saved;
	}
	h->polled_ns = tg_host_now(); /* leaves errno alone */
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (n > 0)
		take_poll_results(h, n);
	return 0;
}

/* ---- One instance ---------------------------------------------------------------------------- */

static bool run_events(struct host_inst *i, uint64_t now_ns)
{
	struct tg_event e;
	bool any = false;

	while (tg_event(i->s, &e)) {
		any = true;
		if (i->bsd && i->bsd_event(i->bsd, &e))
			continue;
		if (i->app.event)
			i->app.event(i->app.arg, i->s, &e, now_ns);
	}
	return any;
}

static void run_traces(struct host_inst *i)
{
	struct tg_trace t;

	if (!i->app.trace)
		return;
	while (tg_trace_next(i->s, &i->trace_cursor, &t, NULL))
		i->app.trace(i->app.arg, i->s, &t);
	for (uint32_t n = 0; n < i->n_notes; n++)
		i->app.trace(i->app.arg, i->s, &i->note[n]);
	i->n_notes = 0;
}

static void set_now(struct tg_host *h, uint64_t now_ns)
{
	h->now_ns = now_ns;
	for (struct wire_link *l = h->wires; l; l = l->next)
		wire_set_now(l->wire, h->now_ns);
}

/* Events to the application, then a step, as long as the one makes work for the other. */
static bool serve(struct tg_host *h, struct host_inst *i)
{
	const uint64_t *sent = &i->s->counters.bytes_out, before = *sent;
	bool any = run_events(i, h->now_ns), stepped = false;

	for (int turn = 0; turn < SERVE_TURNS && *sent - before < SERVE_BYTES; turn++) {
		if (i->writable || tg_next_deadline(i->s) <= h->now_ns) {
			i->writable = false;
			tg_step(i->s, h->now_ns);
			stepped = true;
		}
		run_traces(i);
		if (!run_events(i, h->now_ns))
			break;
		any = true;
	}
	if (i->record)
		host_record_look(i);
	if (i->app.round) {
		i->wish_ns = i->app.round(i->app.arg, i->s, h->now_ns);
		run_traces(i);
	}
	return any || stepped;
}

bool host_serve_at(struct tg_host *h, struct host_inst *i, uint64_t now_ns)
{
	uint64_t host_ns = h->now_ns;
	bool any;

	h->now_ns = now_ns;
	any = serve(h, i);
	h->now_ns = host_ns;
	return any;
}

/* ---- Rounds ---------------------------------------------------------------------------------- */

/* What has come by the links. Returns whether there was anything; *most: frames of one link. */
static bool receive(struct tg_host *h, uint32_t *most)
{
	bool any = false;
	uint32_t n;

	*most = 0;
	for (struct tap_link *l = h->taps; l; l = l->next) {
		n = tap_link_receive(l, h->now_ns);
		*most = max_u32(*most, n);
		any |= n > 0;
	}
	for (struct wire_link *l = h->wires; l; l = l->next) {
		any |= wire_run(l->wire, h->now_ns) > 0;
		for (unsigned e = 0; e < 2; e++)
			l->inst[e]->writable |= wire_take_writable(l->wire, e);
	}
	return any;
}

/* Everything that can be done now. Before due_ns there is nothing unless a frame has come. Returns
 * whether that was anything. */
static bool pass(struct tg_host *h, uint64_t now_ns, uint64_t due_ns)
{
	bool any = false;
	uint32_t most;

	group_run_call(h);
	set_now(h, h->group ? tg_host_now() : now_ns);
	any |= group_receive(h);
	any |= receive(h, &most);
	h->stats.rounds++;
	h->was_short = most < LONG_BATCH_FRAMES;
	if (!any && h->now_ns < due_ns) {
		h->stats.rounds_idle++;
		return false;
	}
	if (!h->was_short)
		set_now(h, tg_host_now());
	for (struct host_inst *i = h->insts; i; i = i->next)
		any |= !i->gate && serve(h, i);
	for (struct tap_link *l = h->taps; l; l = l->next)
		any |= tap_link_flush(l, h->now_ns);
	h->stats.rounds_idle += !any;
	return any;
}

/* The earliest time at which something is to be done, 0: at once. */
static uint64_t next_deadline(const struct tg_host *h)
{
	uint64_t t = NEVER_NS;

	for (const struct host_inst *i = h->insts; i; i = i->next)
		if (!i->gate)
			t = min_u64(
				t, i->writable ? 0 : min_u64(i->wish_ns, tg_next_deadline(i->s)));
	for (const struct tap_link *l = h->taps; l; l = l->next)
		t = min_u64(t, l->readable ? 0 : tap_link_deadline(l));
	for (const struct wire_link *l = h->wires; l; l = l->next)
		t = min_u64(t, wire_next_deadline(l->wire));
	return t;
}

/* True: a reader has not taken all. */
static bool flush_captures(struct tg_host *h)
{
	bool left = false;

	for (struct tap_link *l = h->taps; l; l = l->next) {
		if (l->hub)
			left |= hub_flush(l->hub);
	}
	for (struct wire_link *l = h->wires; l; l = l->next) {
		for (unsigned e = 0; e < 2; e++) {
			if (l->hub[e])
				left |= hub_flush(l->hub[e]);
		}
	}
	return left;
}

/* Waits for at most timeout_ns, then does everything that can be done; *any (may be NULL) tells
 * whether that was anything. */
static int round_once(struct tg_host *h, uint64_t timeout_ns, bool *any)
{
	/* a short round has taken less than what poll(2) is late */
	uint64_t now = h->was_short ? h->now_ns : tg_host_now(), deadline = next_deadline(h);
	uint64_t wait = deadline <= now ? 0 : deadline == NEVER_NS ? NEVER_NS : deadline - now;
	int result;
	bool worked;

	wait = min_u64(wait, timeout_ns);
	if (wait && flush_captures(h))
		wait = min_u64(wait, CAPTURE_RETRY_NS);
	result = wait_for_work(h, wait);
	if (result < 0)
		return result;
	worked = pass(h, run_watches(h) ? tg_host_now() : h->polled_ns, 0);
	if (any)
		*any = worked;
	return 0;
}

int tg_host_round(struct tg_host *h, uint64_t timeout_ns)
{
	h->was_short = false; /* who knows what the caller did since */
	return round_once(h, timeout_ns, NULL);
}

/* A round without asking for readiness: reading tells. The next frame is not to wait for a look at
 * everything else, which no event calls for: *due_ns is when something does, 0: not known. */
static bool round_busy(struct tg_host *h, uint64_t *due_ns)
{
	uint64_t now_ns = tg_host_now();
	bool any;

	for (struct tap_link *l = h->taps; l; l = l->next)
		l->readable = l->tap.fd >= 0;
	any = pass(h, now_ns, *due_ns);
	/* what other threads call for is no deadline */
	if (any || now_ns >= *due_ns)
		*due_ns = h->group ? 0 : next_deadline(h);
	return any;
}

int tg_host_run(struct tg_host *h, uint64_t busy_ns)
{
	struct busy b;
	unsigned vain = 0;
	uint64_t count, due_ns = 0;
	int result = 0;

	h->was_short = false;
	busy_init(&b, busy_ns, tg_host_now());
	while (result == 0 && !atomic_load(&h->stopping)) {
		bool any = false, sleep = busy_is_over(&b, h->now_ns);

		if (sleep || busy_looks(h->polled_ns, h->called_ns, h->now_ns)) {
			result = round_once(h, sleep ? NEVER_NS : 0, &any);
			due_ns = 0;
			if (sleep)
				busy_woken(&b, h->polled_ns, any);
		} else {
			any = round_busy(h, &due_ns);
			vain = any ? 0 : vain + 1;
			if (vain >= BUSY_YIELD)
				sched_yield();
		}
		if (any && !sleep)
			busy_hit(&b, h->now_ns);
	}
	/* The request is spent: the host may be run again. */
	if (atomic_exchange(&h->stopping, false) && read(h->stop_fd, &count, sizeof(count)) < 0)
		result = errno == EAGAIN ? result : -errno;
	flush_captures(h);
	return result;
}

void tg_host_stop(struct tg_host *h)
{
	static const uint64_t one = 1;
	int saved = errno;
	ssize_t n;

	atomic_store(&h->stopping, true);
	/* A full counter is as good as one more. */
	n = write(h->stop_fd, &one, sizeof(one));
	(void)n;
	errno = saved;
}

/* ---- A thread of its own --------------------------------------------------------------------- */

#define CALL_TURNS 32 /* more than this of one call's consequences is left to the loop */

void host_serve_call(struct tg_host *h, struct host_inst *i)
{
	uint64_t deadline;
	bool now_busy = false;

	set_now(h, tg_host_now());
	for (int turn = 0; turn < CALL_TURNS; turn++) {
		serve(h, i);
		if (tg_next_deadline(i->s) > h->now_ns)
			break;
	}
	if (!h->armed_ns)
		return; /* the loop is awake, and looks before it sleeps */
	for (struct tap_link *l = h->taps; l; l = l->next)
		now_busy |= l->busy && !l->out_polled;
	deadline = now_busy ? 1 : next_deadline(h);
	if (deadline < h->armed_ns)
		arm(h, deadline);
}

static void *thread_main(void *arg)
{
	struct tg_host *h = arg;

	pthread_mutex_lock(&h->lock);
	tg_host_run(h, 0);
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

int tg_host_start_thread(struct tg_host *h)
{
	sigset_t all, old;
	int r = 0;

	pthread_mutex_lock(&h->lock);
	if (h->threaded) {
		pthread_mutex_unlock(&h->lock);
		return 0;
	}
	if (h->timer_fd < 0)
		h->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (h->timer_fd < 0) {
		r = -errno;
		pthread_mutex_unlock(&h->lock);
		return r;
	}
	h->threaded = true;
	/* Signals are the program's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = -pthread_create(&h->thread, NULL, thread_main, h);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r < 0)
		h->threaded = false;
	pthread_mutex_unlock(&h->lock);
	return r;
}

void tg_host_stop_thread(struct tg_host *h)
{
	pthread_mutex_lock(&h->lock);
	if (!h->threaded) {
		pthread_mutex_unlock(&h->lock);
		return;
	}
	tg_host_stop(h);
	pthread_mutex_unlock(&h->lock);
	pthread_join(h->thread, NULL);
	h->threaded = false;
}

void tg_host_lock(struct tg_host *h)
{
	pthread_mutex_lock(&h->lock);
}

void tg_host_unlock(struct tg_host *h)
{
	for (struct host_inst *i = h->insts; h->threaded && i; i = i->next)
		host_serve_call(h, i);
	pthread_mutex_unlock(&h->lock);
}
