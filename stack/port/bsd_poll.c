/* tapglass_sockets.h: tg_poll and tg_select over stack sockets and the kernel's descriptors
 * together. A call that has to sleep hangs an eventfd of its own on each stack socket
 * and sleeps in the kernel's poll on that and on the kernel's descriptors. */
#define _GNU_SOURCE
#include "port/bsd_port.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

struct poll_item {
	struct bsd_host *bh; /* NULL: the kernel's */
	struct bsd_file *f;  /* held */
	struct bsd_wait_link link;
};

struct poll_call {
	struct pollfd *p;
	nfds_t n, n_real;
	struct poll_item *item;
	struct pollfd *real; /* [0] the waiter's, then the kernel's */
	nfds_t *real_at;     /* whose place each has */
	struct bsd_waiter w;
};

static int poll_open(struct poll_call *c, struct pollfd *p, nfds_t n)
{
	*c = (struct poll_call){.p = p, .n = n, .w = {.wake_fd = -1}};
	c->item = calloc(n + 1, sizeof(*c->item));
	c->real = calloc(n + 1, sizeof(*c->real));
	c->real_at = calloc(n + 1, sizeof(*c->real_at));
	if (!c->item || !c->real || !c->real_at)
		return -ENOMEM;
	for (nfds_t i = 0; i < n; i++) {
		struct poll_item *x = &c->item[i];
		int err;

		x->bh = p[i].fd >= 0 ? bsd_owner(p[i].fd) : NULL;
		if (!x->bh) {
			c->real[++c->n_real] = (struct pollfd){p[i].fd, p[i].events, 0};
			c->real_at[c->n_real] = i;
			continue;
		}
		bsd_enter_host(x->bh);
		x->f = bsd_get_any(&x->bh->b, p[i].fd, &err);
		pthread_mutex_unlock(&x->bh->h->lock);
	}
	return 0;
}

static void poll_close(struct poll_call *c)
{
	for (nfds_t i = 0; c->item && i < c->n; i++) {
		struct poll_item *x = &c->item[i];

		if (!x->f)
			continue;
		bsd_enter_host(x->bh);
		bsd_unlink_waiter(&x->link);
		bsd_put(&x->bh->b, x->f);
		bsd_leave(x->bh, 0);
	}
	if (c->w.wake_fd >= 0)
		close(c->w.wake_fd);
	free(c->item);
	free(c->real);
	free(c->real_at);
}

/* Looks at the stack sockets, hanging the waiter on them if it has a descriptor. */
static int look(struct poll_call *c)
{
	int count = 0;

	for (nfds_t i = 0; i < c->n; i++) {
		struct poll_item *x = &c->item[i];

		if (!x->bh)
			continue;
		c->p[i].revents = POLLNVAL;
		if (x->f) {
			bsd_enter_host(x->bh);
			if (c->w.wake_fd >= 0 && !x->link.at)
				bsd_link_waiter(x->bh, &x->link, x->f, &c->w);
			c->p[i].revents = bsd_poll_bits(&x->bh->b, x->f, c->p[i].events);
			pthread_mutex_unlock(&x->bh->h->lock);
		}
		count += c->p[i].revents != 0;
	}
	return count;
}

/* The waiter may be woken by any of several hosts: its mark is cleared under all their locks. */
static void rearm(struct poll_call *c)
{
	uint64_t n;

	for (nfds_t i = 0; i < c->n; i++) {
		struct poll_item *x = &c->item[i];

		if (!x->f)
			continue;
		bsd_enter_host(x->bh);
		bsd_unlink_waiter(&x->link);
		pthread_mutex_unlock(&x->bh->h->lock);
	}
	if (read(c->w.wake_fd, &n, sizeof(n)) < 0)
		n = 0; /* it was the kernel's descriptors that woke us */
	c->w.woken = false;
}

/* A set that rings may have nothing any more. */
static void look_at_set(struct pollfd *p)
{
	struct pollfd again = {p->fd, p->events, 0};

	if (p->revents & POLLIN && bsd_set_look(p->fd) && poll(&again, 1, 0) >= 0)
		p->revents = again.revents;
}

static int ask_kernel(struct poll_call *c, uint64_t deadline_ns, const sigset_t *mask)
{
	uint64_t now = tg_host_now();
	uint64_t left = deadline_ns == NEVER_NS ? 0 : deadline_ns > now ? deadline_ns - now : 0;
	struct timespec t = {(time_t)(left / NS_PER_SEC), (long)(left % NS_PER_SEC)};
	int count = 0, r;

	c->real[0] = (struct pollfd){c->w.wake_fd, POLLIN, 0};
	r = ppoll(c->real, c->n_real + 1, deadline_ns == NEVER_NS ? NULL : &t, mask);
	if (r < 0)
		return -errno;
	for (nfds_t i = 1; i <= c->n_real; i++)
		look_at_set(&c->real[i]);
	for (nfds_t i = 1; i <= c->n_real; i++) {
		c->p[c->real_at[i]].revents = c->real[i].revents;
		count += c->real[i].revents != 0;
	}
	return count;
}

static int poll_until(struct poll_call *c, uint64_t deadline_ns)
{
	bool slept_out = deadline_ns == 0;
	int count, real;

	for (;;) {
		count = look(c);
		real = ask_kernel(c, count || slept_out ? 0 : deadline_ns, NULL);
		if (real < 0)
			return real;
		if (count + real || slept_out)
			return count + real;
		if (c->w.wake_fd < 0) {
			/* Not reached: the first round has no waiter and does not sleep. */
			return 0;
		}
		slept_out = tg_host_now() >= deadline_ns;
		rearm(c);
	}
}

static int poll_all(struct pollfd *p, nfds_t n, uint64_t timeout_ns)
{
	struct poll_call c;
	int r = poll_open(&c, p, n);

	if (r == 0)
		r = look(&c);
	if (r >= 0) {
		int real = ask_kernel(&c, 0, NULL);

		r = real < 0 ? real : r + real;
	}
	if (r == 0 && timeout_ns) {
		c.w.wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		r = c.w.wake_fd < 0 ? -errno
				    : poll_until(&c, sat_add_u64(tg_host_now(), timeout_ns));
	}
	poll_close(&c);
	return r < 0 ? bsd_fail(-r) : r;
}

int tg_poll(struct pollfd *p, nfds_t n, int timeout_ms)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && n > limit.rlim_cur)
		return bsd_fail(EINVAL);
	if (!p && n)
		return bsd_fail(EFAULT);
	return poll_all(
		p, n, timeout_ms < 0 ? NEVER_NS : (uint64_t)(unsigned)timeout_ms * NS_PER_MS);
}

/* ---- select ---------------------------------------------------------------------------------- */

#define SELECT_IN  (POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR)
#define SELECT_OUT (POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR)

static bool is_set(int fd, const fd_set *s)
{
	return s && FD_ISSET(fd, s);
}

static nfds_t select_open(
	struct pollfd *p, int n, const fd_set *rd, const fd_set *wr, const fd_set *ex)
{
	nfds_t count = 0;

	for (int fd = 0; fd < n; fd++) {
		int events = (is_set(fd, rd) ? POLLIN | POLLRDNORM | POLLRDBAND : 0) |
			     (is_set(fd, wr) ? POLLOUT | POLLWRNORM | POLLWRBAND : 0) |
			     (is_set(fd, ex) ? POLLPRI : 0);

		if (events)
			p[count++] = (struct pollfd){fd, (short)events, 0};
	}
	return count;
}

/* Leaves in s what was asked for and has come; returns how many. */
static int select_close(const struct pollfd *p, nfds_t n, fd_set *s, int asked, int bits)
{
	fd_set out;
	int count = 0;

	if (!s)
		return 0;
	FD_ZERO(&out);
	for (nfds_t i = 0; i < n; i++) {
		if (!(p[i].events & asked) || !(p[i].revents & bits))
			continue;
		FD_SET(p[i].fd, &out);
		count++;
	}
	*s = out;
	return count;
}

int tg_select(int n, fd_set *rd, fd_set *wr, fd_set *ex, struct timeval *timeout)
{
	struct pollfd p[FD_SETSIZE];
	uint64_t wait_ns = NEVER_NS, began = tg_host_now(), took;
	nfds_t count;

	if (n < 0 || (timeout && (timeout->tv_sec < 0 || timeout->tv_usec < 0)))
		return bsd_fail(EINVAL);
	if (timeout)
		wait_ns = (uint64_t)timeout->tv_sec * NS_PER_SEC +
			  (uint64_t)timeout->tv_usec * NS_PER_US;
	count = select_open(p, n < FD_SETSIZE ? n : FD_SETSIZE, rd, wr, ex);
	if (poll_all(p, count, wait_ns) < 0)
		return -1;
	for (nfds_t i = 0; i < count; i++)
		if (p[i].revents & POLLNVAL)
			return bsd_fail(EBADF);
	took = tg_host_now() - began;
	if (timeout) { /* as Linux: what is left of it */
		uint64_t left = took < wait_ns ? wait_ns - took : 0;

		timeout->tv_sec = (time_t)(left / NS_PER_SEC);
		timeout->tv_usec = (suseconds_t)(left % NS_PER_SEC / NS_PER_US);
	}
	return select_close(p, count, rd, POLLIN, SELECT_IN) +
	       select_close(p, count, wr, POLLOUT, SELECT_OUT) +
	       select_close(p, count, ex, POLLPRI, POLLPRI);
}
