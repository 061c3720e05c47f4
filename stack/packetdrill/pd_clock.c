/* The packetdrill adapter: virtual time, packets, waiting.
 *
 * Time moves by one microsecond with each question for it (packetdrill spins on that), in usleep,
 * and in netdev_receive, from one deadline of the instance to the next. At each stop the instance
 * comes to rest, who waits is woken, and time goes on when it is asleep again or has gone. */
#define _GNU_SOURCE
#include "packetdrill/pd.h"

#include "wire/ip4.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define STEPS_AT_ONCE 100000u /* more at one moment: the stack does not come to rest */
#define HOLD_MS       5000    /* real time: for a thread that does not behave as packetdrill's */
#define STOP_MS       5000    /* real time */

static bool on_main_thread(const struct pd *p)
{
	return pthread_equal(pthread_self(), p->main_thread) != 0;
}

static struct timespec real_deadline(uint32_t ms)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += (long)(ms % 1000) * (long)NS_PER_MS;
	if (t.tv_nsec >= (long)NS_PER_SEC) {
		t.tv_nsec -= (long)NS_PER_SEC;
		t.tv_sec++;
	}
	return t;
}

/* ---- Packets that leave the stack ------------------------------------------------------------ */

bool pd_transmit(void *dev, const struct tg_frame *f)
{
	struct pd *p = dev;
	struct pd_packet *k = NULL;
	uint32_t at = 0;

	ASSERT(f->gso == TG_GSO_NONE && !f->csum_partial);
	if (p->n_packets < PD_PACKETS)
		k = malloc(sizeof(*k) + f->bytes);
	if (!k) {
		p->busy = true;
		return false;
	}
	k->next = NULL;
	k->time_ns = p->now_ns;
	k->bytes = f->bytes;
	for (uint32_t i = 0; i < f->n_spans; i++) {
		memcpy(k->data + at, f->span[i].base, f->span[i].len);
		at += f->span[i].len;
	}
	*p->end = k;
	p->end = &k->next;
	p->n_packets++;
	return true;
}

static uint32_t take_packet(struct pd *p, uint8_t *buf, size_t room, uint64_t *time_ns)
{
	struct pd_packet *k = p->first;
	uint32_t n = k->bytes < room ? k->bytes : (uint32_t)room;

	memcpy(buf, k->data, n);
	*time_ns = k->time_ns;
	p->first = k->next;
	if (!p->first)
		p->end = &p->first;
	p->n_packets--;
	free(k);
	return n;
}

/* ---- At one moment --------------------------------------------------------------------------- */

static void wake(struct pd *p, struct pd_waiter *w)
{
	w->woken = true;
	p->running++;
	pthread_cond_signal(&w->cond);
}

/* Wakes whose time has come, or what it waits for. */
static void wake_all(struct pd *p)
{
	for (struct pd_waiter *w = p->waiters; w; w = w->next)
		if (!w->woken && (p->closing || p->now_ns >= w->deadline_ns ||
					 bsd_any_ready(&p->b, w->want, w->n)))
			wake(p, w);
}

/* Lets the instance come to rest at the present time. */
static void settle(struct pd *p)
{
	struct tg_event e;

	for (uint32_t i = 0;; i++) {
		ASSERT(i < STEPS_AT_ONCE);
		tg_step(p->s, p->now_ns);
		while (tg_event(p->s, &e))
			bsd_event(&p->b, &e);
		if (tg_next_deadline(p->s) > p->now_ns)
			break;
	}
	wake_all(p);
}

/* The main thread: until no call of another thread is on its way. */
static void hold(struct pd *p)
{
	struct timespec t;
	int r = 0;

	if (!on_main_thread(p) || (!p->running && !p->owes_end))
		return;
	t = real_deadline(HOLD_MS);
	while ((p->running || p->owes_end) && r == 0)
		r = pthread_cond_timedwait(&p->still, &p->lock, &t);
	if (r)
		p->owes_end = false; /* it does not ask */
}

/* ---- Time ------------------------------------------------------------------------------------ */

uint64_t pd_now(void *ctx)
{
	return ((const struct pd *)ctx)->now_ns;
}

/* When something happens by itself. */
static uint64_t next_moment(const struct pd *p)
{
	uint64_t t = tg_next_deadline(p->s);

	for (const struct pd_waiter *w = p->waiters; w; w = w->next)
		if (!w->woken)
			t = min_u64(t, w->deadline_ns);
	return t;
}

/* To the next moment, if that is not behind until_ns. */
static bool advance_once(struct pd *p, uint64_t until_ns)
{
	uint64_t t = next_moment(p);

	if (t > until_ns)
		return false;
	p->now_ns = max_u64(p->now_ns, t);
	settle(p);
	hold(p);
	return true;
}

static void advance(struct pd *p, uint64_t until_ns)
{
	hold(p);
	while (advance_once(p, until_ns))
		;
	p->now_ns = max_u64(p->now_ns, until_ns);
}

/* ---- Entering, waiting, leaving -------------------------------------------------------------- */

void pd_enter(struct pd *p)
{
	pthread_mutex_lock(&p->lock);
	if (on_main_thread(p)) {
		p->visits++;
		return;
	}
	p->inside++;
	p->running++;
	p->owes_end = false;
}

int64_t pd_leave(struct pd *p, int64_t r)
{
	if (p->s)
		settle(p);
	if (on_main_thread(p)) {
		hold(p);
	} else {
		p->inside--;
		p->running--;
		p->owes_end = true;
		p->ower = pthread_self();
		pthread_cond_broadcast(&p->still);
	}
	pthread_mutex_unlock(&p->lock);
	if (r < 0) {
		errno = (int)-r;
		return -1;
	}
	return r;
}

/* The main thread itself waits: nobody else moves time or packets. */
static bool wait_main(struct pd *p, const struct bsd_want *w, unsigned n, uint64_t deadline_ns)
{
	uint64_t until = min_u64(deadline_ns, sat_add_u64(p->now_ns, p->flags.patience_ns));

	while (!bsd_any_ready(&p->b, w, n))
		if (!advance_once(p, until)) {
			p->now_ns = max_u64(p->now_ns, until);
			return bsd_any_ready(&p->b, w, n);
		}
	return true;
}

/* Sleeps; the main thread wakes, or is not there any more. */
static void sleep_on(struct pd *p, struct pd_waiter *w)
{
	while (!w->woken) {
		uint64_t visits = p->visits;
		uint64_t until;
		struct timespec t;

		if (!p->flags.idle_ms) {
			pthread_cond_wait(&w->cond, &p->lock);
			continue;
		}
		t = real_deadline(p->flags.idle_ms);
		if (pthread_cond_timedwait(&w->cond, &p->lock, &t) != ETIMEDOUT ||
			visits != p->visits || w->woken)
			continue;
		until = sat_add_u64(p->now_ns, p->flags.patience_ns);
		while (!w->woken && advance_once(p, until))
			;
	}
}

static void unlink_waiter(struct pd *p, const struct pd_waiter *w)
{
	struct pd_waiter **at = &p->waiters;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
}

bool pd_wait(void *ctx, const struct bsd_want *want, unsigned n, uint64_t deadline_ns)
{
	struct pd *p = ctx;
	struct pd_waiter w = {.want = want, .n = n, .deadline_ns = deadline_ns};

	settle(p);
	if (bsd_any_ready(&p->b, want, n))
		return true;
	if (p->closing && deadline_ns != NEVER_NS)
		p->now_ns = max_u64(p->now_ns, deadline_ns); /* who counts time comes to an end */
	if (p->closing || p->now_ns >= deadline_ns)
		return false;
	if (on_main_thread(p))
		return wait_main(p, want, n, deadline_ns);
	pthread_cond_init(&w.cond, NULL);
	w.next = p->waiters;
	p->waiters = &w;
	p->running--;
	pthread_cond_broadcast(&p->still);
	sleep_on(p, &w);
	unlink_waiter(p, &w);
	pthread_cond_destroy(&w.cond);
	return !p->closing && bsd_any_ready(&p->b, want, n);
}

bool pd_stop(struct pd *p)
{
	struct timespec t = real_deadline(STOP_MS);
	int r = 0;

	p->closing = true;
	wake_all(p);
	while (p->inside && r == 0)
		r = pthread_cond_timedwait(&p->still, &p->lock, &t);
	return !p->inside;
}

/* ---- The table ------------------------------------------------------------------------------- */

/* Locks, for what is no call. */
static void visit(struct pd *p)
{
	pthread_mutex_lock(&p->lock);
	if (on_main_thread(p))
		p->visits++;
}

static int do_usleep(void *u, useconds_t us)
{
	struct pd *p = u;

	visit(p);
	if (p->s)
		advance(p, sat_add_u64(p->now_ns, us * NS_PER_US));
	else
		p->now_ns += us * NS_PER_US;
	pthread_mutex_unlock(&p->lock);
	return 0;
}

static int do_gettimeofday(void *u, struct timeval *tv, struct timezone *tz)
{
	struct pd *p = u;
	uint64_t now;

	visit(p);
	if (p->owes_end && pthread_equal(p->ower, pthread_self())) {
		p->owes_end = false; /* the end of its call: no time has passed */
		pthread_cond_broadcast(&p->still);
	} else if (p->s) {
		advance(p, p->now_ns + NS_PER_US);
	} else {
		p->now_ns += NS_PER_US;
	}
	now = p->now_ns;
	pthread_mutex_unlock(&p->lock);
	if (tv) {
		tv->tv_sec = (time_t)(now / NS_PER_SEC);
		tv->tv_usec = (suseconds_t)(now % NS_PER_SEC / NS_PER_US);
	}
	if (tz)
		*tz = (struct timezone){0, 0};
	return 0;
}

static int do_netdev_send(void *u, const void *buf, size_t bytes)
{
	struct pd *p = u;
	struct tg_pkt *k;

	visit(p);
	k = p->s && bytes && bytes <= IP4_MAX_BYTES ? tg_pkt_alloc(p->s, (uint32_t)bytes) : NULL;
	if (!k) {
		pthread_mutex_unlock(&p->lock);
		errno = !bytes || bytes > IP4_MAX_BYTES ? EMSGSIZE : ENOBUFS;
		return -1;
	}
	memcpy(k->data, buf, bytes);
	k->len = (uint32_t)bytes;
	tg_input(p->s, p->netif, k, p->now_ns);
	settle(p);
	hold(p);
	pthread_mutex_unlock(&p->lock);
	return 0;
}

static int do_netdev_receive(void *u, void *buf, size_t *bytes, long long *time_us)
{
	struct pd *p = u;
	uint64_t until, time_ns;

	visit(p);
	until = sat_add_u64(p->now_ns, p->flags.patience_ns);
	if (p->s)
		hold(p);
	while (!p->first && p->s && advance_once(p, until))
		;
	time_ns = p->now_ns;
	*bytes = p->first ? take_packet(p, buf, *bytes, &time_ns) : 0;
	*time_us = (long long)(time_ns / NS_PER_US);
	if (p->busy) {
		p->busy = false;
		settle(p);
		hold(p);
	}
	pthread_mutex_unlock(&p->lock);
	return 0;
}

void pd_clock_table(struct packetdrill_interface *ifc)
{
	ifc->netdev_send = do_netdev_send;
	ifc->netdev_receive = do_netdev_receive;
	ifc->usleep = do_usleep;
	ifc->gettimeofday = do_gettimeofday;
}
