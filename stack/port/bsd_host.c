/* The BSD interface's hosts: reserved descriptors, the lock, blocking, the default host. The rules
 * of sockets are in sock/bsd*.c, which run under the host's lock and block through the hook here:
 * it sends what the call has caused, then sleeps on a condition until an event of the socket.
 *
 * Reserved descriptors are duplicates of one opened with O_PATH: the kernel refuses whatever is
 * tried with them (EBADF). */
#define _GNU_SOURCE
#include "port/bsd_port.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static _Atomic(struct bsd_host *) owners[BSD_FDS_MAX];
static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;
static struct tg_host *default_host;

/* ---- Entering and leaving -------------------------------------------------------------------- */

int bsd_fail(int error)
{
	errno = error;
	return -1;
}

struct bsd_host *bsd_owner(int fd)
{
	return fd >= 0 && fd < BSD_FDS_MAX ? atomic_load(&owners[fd]) : NULL;
}

void bsd_enter_host(struct bsd_host *bh)
{
	pthread_mutex_lock(&bh->h->lock);
}

struct bsd_host *bsd_enter(int fd)
{
	struct bsd_host *bh = bsd_owner(fd);

	if (!bh) {
		/* fcntl says EBADF itself */
		if (fcntl(fd, F_GETFD) >= 0)
			errno = fcntl(fd, F_GETFL) & O_PATH ? EBADF : ENOTSOCK;
		return NULL;
	}
	bsd_enter_host(bh);
	return bh;
}

int64_t bsd_leave(struct bsd_host *bh, int64_t r)
{
	host_serve_call(bh->h, bh->inst);
	pthread_mutex_unlock(&bh->h->lock);
	return r < 0 ? bsd_fail((int)-r) : r;
}

/* ---- Waiting --------------------------------------------------------------------------------- */

void bsd_link_waiter(struct bsd_host *bh, struct bsd_wait_link *l, const struct bsd_file *f,
	struct bsd_waiter *w)
{
	struct bsd_wait_link **head = &bh->waiting[f - bh->b.files];

	l->w = w;
	l->next = *head;
	l->at = head;
	if (l->next)
		l->next->at = &l->next;
	*head = l;
}

void bsd_unlink_waiter(struct bsd_wait_link *l)
{
	if (!l->at)
		return;
	*l->at = l->next;
	if (l->next)
		l->next->at = l->at;
	l->at = NULL;
}

static void wake(struct bsd_host *bh, const struct bsd_file *f)
{
	static const uint64_t one = 1;
	struct bsd_wait_link *l = bh->waiting[f - bh->b.files];

	for (; l; l = l->next) {
		if (l->w->woken)
			continue;
		l->w->woken = true;
		if (l->w->wake_fd < 0)
			pthread_cond_signal(&l->w->cond);
		else if (write(l->w->wake_fd, &one, sizeof(one)) < 0)
			l->w->woken = false; /* cannot be: the counter is not full */
	}
}

static bool take_event(struct bsd_host *bh, const struct tg_event *e)
{
	struct bsd_file *f = bsd_event(&bh->b, e);

	if (f)
		wake(bh, f);
	return (e->cookie & BSD_COOKIE) != 0;
}

static void epoll_rose(void *ctx, struct bsd_file *ep)
{
	wake(ctx, ep);
}

static bool sleep_until(struct bsd_host *bh, struct bsd_waiter *w, uint64_t deadline_ns)
{
	struct timespec t = {.tv_sec = (time_t)(deadline_ns / NS_PER_SEC),
		.tv_nsec = (long)(deadline_ns % NS_PER_SEC)};
	int r = 0;

	while (!w->woken && r == 0) {
		if (deadline_ns == NEVER_NS)
			r = pthread_cond_wait(&w->cond, &bh->h->lock);
		else
			r = pthread_cond_timedwait(&w->cond, &bh->h->lock, &t);
	}
	return w->woken;
}

static bool wait_hook(void *ctx, const struct bsd_want *want, unsigned n, uint64_t deadline_ns)
{
	struct bsd_host *bh = ctx;
	struct bsd_wait_link link[BSD_POLL_MAX];
	struct bsd_waiter w = {.wake_fd = -1};
	pthread_condattr_t attr;
	bool woken;

	host_serve_call(bh->h, bh->inst);
	if (bsd_any_ready(&bh->b, want, n))
		return true;
	if (tg_host_now() >= deadline_ns)
		return false;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w.cond, &attr);
	pthread_condattr_destroy(&attr);
	for (unsigned i = 0; i < n; i++)
		bsd_link_waiter(bh, &link[i], want[i].file, &w);
	woken = sleep_until(bh, &w, deadline_ns);
	for (unsigned i = 0; i < n; i++)
		bsd_unlink_waiter(&link[i]);
	pthread_cond_destroy(&w.cond);
	return woken || bsd_any_ready(&bh->b, want, n);
}

/* ---- Descriptors ----------------------------------------------------------------------------- */

static int new_fd(void *ctx)
{
	struct bsd_host *bh = ctx;
	int fd = fcntl(bh->reserve_fd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (fd >= BSD_FDS_MAX) {
		close(fd);
		return -EMFILE;
	}
	atomic_store(&owners[fd], bh);
	return fd;
}

static void free_fd(void *ctx, int fd)
{
	(void)ctx;
	atomic_store(&owners[fd], NULL);
	close(fd);
}

static uint64_t now_hook(void *ctx)
{
	(void)ctx;
	return tg_host_now();
}

/* ---- Hosts ----------------------------------------------------------------------------------- */

static void free_host(struct bsd_host *bh)
{
	if (bh->b.files && bh->waiting)
		bsd_sets_forget(bh);
	for (int fd = 0; bh->b.files && fd < BSD_FDS_MAX; fd++)
		if (atomic_load(&owners[fd]) == bh)
			free_fd(bh, fd);
	if (bh->reserve_fd >= 0)
		close(bh->reserve_fd);
	host_unmap(bh->b.files, BSD_FDS_MAX * sizeof(*bh->b.files));
	host_unmap(bh->waiting, BSD_FDS_MAX * sizeof(struct bsd_wait_link *));
	free(bh);
}

static struct bsd_host *make_host(struct tg_host *h)
{
	struct bsd_host *bh = calloc(1, sizeof(*bh));

	if (!bh)
		return NULL;
	bh->h = h;
	bh->inst = h->insts;
	/* Fresh pages are zero: an empty set. */
	bh->b.files = host_map(BSD_FDS_MAX * sizeof(*bh->b.files));
	bh->waiting = host_map(BSD_FDS_MAX * sizeof(struct bsd_wait_link *));
	bh->reserve_fd = open("/dev/null", O_PATH | O_CLOEXEC);
	if (!bh->b.files || !bh->waiting || bh->reserve_fd < 0) {
		free_host(bh);
		return NULL;
	}
	bh->b.s = bh->inst->s;
	bh->b.n_files = BSD_FDS_MAX;
	bh->b.ctx = bh;
	bh->b.now = now_hook;
	bh->b.wait = wait_hook;
	bh->b.new_fd = new_fd;
	bh->b.free_fd = free_fd;
	bh->b.epoll_rose = epoll_rose;
	return bh;
}

struct tg *tg_host_instance(struct tg_host *h)
{
	struct tg_config c;
	struct tg *s;
	int r;

	if (h->insts)
		return h->insts->s;
	r = tg_host_config(&c);
	if (r == 0)
		r = tg_host_add(h, &c, 0, NULL, &s);
	if (r == 0)
		return s;
	errno = -r;
	return NULL;
}

struct bsd_host *bsd_host_of(struct tg_host *h)
{
	struct bsd_host *bh = NULL;
	int r = 0;

	pthread_mutex_lock(&making);
	if (!tg_host_instance(h)) {
		pthread_mutex_unlock(&making);
		return NULL;
	}
	pthread_mutex_lock(&h->lock);
	bh = h->insts->bsd;
	if (!bh) {
		bh = make_host(h);
		if (bh) {
			h->insts->bsd_event = take_event;
			h->insts->bsd_free = free_host;
			h->insts->bsd = bh;
		} else {
			r = -ENOMEM;
		}
	}
	pthread_mutex_unlock(&h->lock);
	if (r == 0)
		r = tg_host_start_thread(h);
	pthread_mutex_unlock(&making);
	if (r < 0)
		errno = -r;
	return r < 0 ? NULL : bh;
}

/* ---- The default host ------------------------------------------------------------------------ */

static int bad_link(const char *text)
{
	struct tg_host_error e = {.errnum = EINVAL};

	snprintf(e.what, sizeof(e.what), "TAPGLASS_LINK=%s is not understood", text);
	snprintf(e.fix, sizeof(e.fix), "TAPGLASS_LINK=TAP,ADDRESS/PREFIX[,GATEWAY]");
	tg_host_print_error(&e);
	return -EINVAL;
}

/* TAP,ADDRESS/PREFIX[,GATEWAY] */
static int attach(struct tg_host *h, struct tg *s, const char *text)
{
	static const struct tg_ip any;
	char name[64], ip[64], gw[64];
	struct tg_host_error err = {0};
	struct tg_link_options o;
	struct tg_ip addr, gateway;
	unsigned prefix;
	int n = sscanf(text, "%63[^,],%63[0-9.]/%u,%63[0-9.]", name, ip, &prefix, gw);
	int netif, r;

	if (n < 3 || prefix > 32 || !tg_ip_parse(ip, &addr) ||
		(n > 3 && !tg_ip_parse(gw, &gateway)))
		return bad_link(text);
	tg_link_options_default(&o);
	netif = tg_host_tap(h, s, name, &any, 0, &o, &err);
	if (netif < 0) {
		tg_host_print_error(&err);
		return netif;
	}
	r = tg_addr_add(s, (unsigned)netif, &addr, prefix, tg_host_now());
	if (r == 0 && n > 3)
		r = tg_route_add(s, &any, 0, &gateway, (unsigned)netif, 0, tg_host_now());
	return r;
}

struct tg_host *tg_host_default(void)
{
	const char *link = getenv("TAPGLASS_LINK");
	struct tg_host *h;
	struct tg *s;
	int r = 0;

	pthread_mutex_lock(&making);
	h = default_host;
	if (!h) {
		h = tg_host_new();
		s = h ? tg_host_instance(h) : NULL;
		r = s ? 0 : -ENOMEM;
		if (s && link && *link)
			r = attach(h, s, link);
		if (r < 0 && h) {
			tg_host_free(h);
			h = NULL;
		}
		default_host = h;
	}
	pthread_mutex_unlock(&making);
	if (r < 0)
		errno = -r;
	return h;
}
