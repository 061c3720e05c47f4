/* tapglass_sockets.h: tg_epoll. A set watches stack sockets, of any host, and the kernel's
 * descriptors alike. It is made of parts: a queue of sock/bsd_poll.c in each host that it watches
 * sockets of, an epoll of the kernel's for the rest, and an eventfd on which the queues ring. The
 * descriptor that the user has is one more epoll of the kernel's, over those two: so a set can be
 * watched in its turn, by another set, by tg_poll, or by the kernel.
 *
 * The eventfd may ring for what has been read in the meantime: waiting looks again, as does
 * tg_poll. Whoever watches a set by the kernel's own calls may find nothing to be had from it. */
#define _GNU_SOURCE
#include "port/bsd_port.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define BATCH 256

/* The queue in one host. */
struct part {
	struct part *next;
	struct bsd_host *bh;
	int fd; /* the queue's, which nobody is told of */
	struct bsd_waiter bell;
	struct bsd_wait_link link;
};

struct bsd_set {
	pthread_mutex_t lock; /* of parts; taken before a host's */
	struct part *parts;
	unsigned refs; /* descriptors and calls under way, under sets_lock */
	int kernel_fd, bell_fd;
	bool kernel_first; /* whose turn it is to be asked first */
};

static struct bsd_set *sets[BSD_FDS_MAX]; /* by the user's descriptor */
static pthread_mutex_t sets_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- Making and ending ----------------------------------------------------------------------- */

static void part_free(struct part *p)
{
	bsd_enter_host(p->bh);
	bsd_unlink_waiter(&p->link);
	bsd_close(&p->bh->b, p->fd);
	bsd_leave(p->bh, 0);
	free(p);
}

static void set_free(struct bsd_set *set)
{
	struct part *p;

	while ((p = set->parts)) {
		set->parts = p->next;
		part_free(p);
	}
	if (set->kernel_fd >= 0)
		close(set->kernel_fd);
	if (set->bell_fd >= 0)
		close(set->bell_fd);
	pthread_mutex_destroy(&set->lock);
	free(set);
}

static struct bsd_set *set_get(int fd)
{
	struct bsd_set *set = NULL;

	pthread_mutex_lock(&sets_lock);
	if (fd >= 0 && fd < BSD_FDS_MAX)
		set = sets[fd];
	if (set)
		set->refs++;
	pthread_mutex_unlock(&sets_lock);
	return set;
}

static void set_put(struct bsd_set *set)
{
	bool last;

	pthread_mutex_lock(&sets_lock);
	last = --set->refs == 0;
	pthread_mutex_unlock(&sets_lock);
	if (last)
		set_free(set);
}

/* fd, which is open, is from now on one of the set's. */
static int set_publish(struct bsd_set *set, int fd)
{
	if (fd < 0)
		return -1;
	if (fd >= BSD_FDS_MAX) {
		close(fd);
		return bsd_fail(EMFILE);
	}
	pthread_mutex_lock(&sets_lock);
	sets[fd] = set;
	set->refs++;
	pthread_mutex_unlock(&sets_lock);
	return fd;
}

static int watch_own(int outer, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN};

	return epoll_ctl(outer, EPOLL_CTL_ADD, fd, &ev);
}

int tg_epoll_create1(int flags)
{
	struct bsd_set *set;
	int outer, fd = -1;

	if (flags & ~EPOLL_CLOEXEC)
		return bsd_fail(EINVAL);
	set = calloc(1, sizeof(*set));
	if (!set)
		return bsd_fail(ENOMEM);
	pthread_mutex_init(&set->lock, NULL);
	set->refs = 1;
	set->kernel_fd = epoll_create1(EPOLL_CLOEXEC);
	set->bell_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	/* Like every descriptor of a socket, it does not survive exec. */
	outer = epoll_create1(EPOLL_CLOEXEC);
	if (set->kernel_fd >= 0 && set->bell_fd >= 0 && outer >= 0 &&
		watch_own(outer, set->kernel_fd) == 0 && watch_own(outer, set->bell_fd) == 0)
		fd = set_publish(set, outer);
	else if (outer >= 0)
		close(outer);
	set_put(set);
	return fd;
}

bool bsd_set_close(int fd, int *result)
{
	struct bsd_set *set = NULL;

	pthread_mutex_lock(&sets_lock);
	if (fd >= 0 && fd < BSD_FDS_MAX) {
		set = sets[fd];
		sets[fd] = NULL;
	}
	pthread_mutex_unlock(&sets_lock);
	if (!set)
		return false;
	*result = close(fd);
	set_put(set);
	return true;
}

bool bsd_set_dup(int fd, int *result)
{
	struct bsd_set *set = set_get(fd);

	if (!set)
		return false;
	*result = set_publish(set, fcntl(fd, F_DUPFD_CLOEXEC, 0));
	set_put(set);
	return true;
}

void bsd_sets_forget(struct bsd_host *bh)
{
	for (int fd = 0; fd < BSD_FDS_MAX; fd++) {
		struct bsd_set *set = set_get(fd);
		struct part **at, *p;

		if (!set)
			continue;
		pthread_mutex_lock(&set->lock);
		for (at = &set->parts; (p = *at) && p->bh != bh; at = &p->next)
			;
		if (p)
			*at = p->next;
		free(p); /* its queue ends with the host */
		pthread_mutex_unlock(&set->lock);
		set_put(set);
	}
}

/* ---- Watching -------------------------------------------------------------------------------- */

static void ring(const struct bsd_set *set)
{
	static const uint64_t one = 1;

	/* It fails only if it has rung very often already. */
	if (write(set->bell_fd, &one, sizeof(one)) < 0)
		return;
}

/* The queue in bh, made if there is none. NULL: *err. With the set's lock held. */
static struct part *part_in(struct bsd_set *set, struct bsd_host *bh, int *err)
{
	struct part *p = set->parts;
	const struct bsd_file *f;

	while (p && p->bh != bh)
		p = p->next;
	if (p)
		return p;
	*err = -ENOMEM;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	bsd_enter_host(bh);
	p->fd = *err = bsd_epoll_create(&bh->b);
	if (p->fd >= 0) {
		p->bh = bh;
		p->bell.wake_fd = set->bell_fd;
		f = bsd_file_at(&bh->b, p->fd);
		bsd_link_waiter(bh, &p->link, f, &p->bell);
	}
	bsd_leave(bh, 0);
	if (p->fd < 0) {
		free(p);
		return NULL;
	}
	p->next = set->parts;
	set->parts = p;
	return p;
}

static int watch_socket(
	struct bsd_set *set, struct bsd_host *bh, int op, int fd, const struct epoll_event *ev)
{
	struct bsd_epoll_event e = {0};
	struct part *p;
	int r;

	if (!ev && op != EPOLL_CTL_DEL)
		return -EFAULT;
	if (ev)
		e = (struct bsd_epoll_event){ev->events, ev->data.u64};
	pthread_mutex_lock(&set->lock);
	p = part_in(set, bh, &r);
	if (p) {
		bsd_enter_host(bh);
		r = bsd_epoll_ctl(&bh->b, p->fd, op, fd, &e);
		bsd_leave(bh, 0);
	}
	pthread_mutex_unlock(&set->lock);
	return r;
}

int tg_epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
	struct bsd_set *set = set_get(epfd);
	struct bsd_host *bh = bsd_owner(fd);
	int r;

	/* What is no set of ours, the kernel knows. */
	if (!set && bsd_owner(epfd))
		return bsd_fail(bh || fcntl(fd, F_GETFD) >= 0 ? EINVAL : EBADF);
	if (!set)
		return epoll_ctl(epfd, op, fd, ev);
	if (bh)
		r = watch_socket(set, bh, op, fd, ev);
	else if (fd == epfd)
		r = -EINVAL;
	else
		r = epoll_ctl(set->kernel_fd, op, fd, ev) < 0 ? -errno : 0;
	set_put(set);
	return r < 0 ? bsd_fail(-r) : 0;
}

/* ---- Waiting --------------------------------------------------------------------------------- */

/* Up to max events of one part; *left: there are more, or may be again. */
static int take_part(struct part *p, struct epoll_event *out, int max, bool *left)
{
	struct bsd_epoll_event e[BATCH];
	int n = 0;

	bsd_enter_host(p->bh);
	p->bell.woken = false;
	if (max > 0)
		n = bsd_epoll_wait(&p->bh->b, p->fd, e, max < BATCH ? max : BATCH, 0);
	*left |= bsd_epoll_ready(&p->bh->b, bsd_file_at(&p->bh->b, p->fd)->ep);
	bsd_leave(p->bh, 0);
	for (int i = 0; i < n; i++)
		out[i] = (struct epoll_event){.events = e[i].events, .data.u64 = e[i].data};
	return n < 0 ? 0 : n;
}

/* Asks every part. The bell rings on only if one of them has still something. */
static int take_sockets(struct bsd_set *set, struct epoll_event *out, int max)
{
	bool left = false;
	uint64_t rung;
	int n = 0;

	if (read(set->bell_fd, &rung, sizeof(rung)) < 0)
		rung = 0; /* has not rung */
	pthread_mutex_lock(&set->lock);
	for (struct part *p = set->parts; p; p = p->next)
		n += take_part(p, out ? out + n : NULL, max - n, &left);
	pthread_mutex_unlock(&set->lock);
	if (left)
		ring(set);
	return n;
}

static int take_kernel(const struct bsd_set *set, struct epoll_event *out, int max)
{
	int n = max > 0 ? epoll_wait(set->kernel_fd, out, max, 0) : 0;

	return n < 0 ? 0 : n;
}

static int take(struct bsd_set *set, struct epoll_event *out, int max)
{
	int n;

	set->kernel_first = !set->kernel_first;
	if (set->kernel_first) {
		n = take_kernel(set, out, max);
		return n + take_sockets(set, out + n, max - n);
	}
	n = take_sockets(set, out, max);
	return n + take_kernel(set, out + n, max - n);
}

/* Until something may be there. 0: time is up; 1; or a negative errno. */
static int sleep_on(const struct bsd_set *set, uint64_t deadline_ns)
{
	struct pollfd p[2] = {{set->bell_fd, POLLIN, 0}, {set->kernel_fd, POLLIN, 0}};
	uint64_t now = tg_host_now(), left = deadline_ns > now ? deadline_ns - now : 0;
	struct timespec t = {(time_t)(left / NS_PER_SEC), (long)(left % NS_PER_SEC)};
	int r = ppoll(p, 2, deadline_ns == NEVER_NS ? NULL : &t, NULL);

	return r < 0 ? -errno : r > 0;
}

static int wait_until(struct bsd_set *set, struct epoll_event *out, int max, int timeout_ms)
{
	uint64_t deadline = NEVER_NS;
	int n, r = 1;

	if (timeout_ms >= 0)
		deadline = sat_add_u64(tg_host_now(), (unsigned)timeout_ms * NS_PER_MS);
	for (;;) {
		n = take(set, out, max);
		if (n || r == 0 || timeout_ms == 0)
			return n;
		r = sleep_on(set, deadline);
		if (r < 0)
			return r;
	}
}

int tg_epoll_wait(int epfd, struct epoll_event *out, int max, int timeout_ms)
{
	struct bsd_set *set = set_get(epfd);
	int r;

	if (!set && bsd_owner(epfd))
		return bsd_fail(EINVAL);
	if (!set)
		return epoll_wait(epfd, out, max, timeout_ms);
	if (max <= 0) {
		set_put(set);
		return bsd_fail(EINVAL);
	}
	r = out ? wait_until(set, out, max, timeout_ms) : -EFAULT;
	set_put(set);
	return r < 0 ? bsd_fail(-r) : r;
}

bool bsd_set_look(int fd)
{
	struct bsd_set *set = set_get(fd);

	if (!set)
		return false;
	take_sockets(set, NULL, 0);
	set_put(set);
	return true;
}
