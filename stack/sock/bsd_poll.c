/* Readiness of BSD sockets: poll, and queues of readiness after Linux's epoll.
 *
 * A queue keeps the watches of which it knows that something rose; waiting looks at those alone, so
 * that a round costs what is ready and not what is watched. Memory comes from the instance.
 *
 * Left out: watching a queue by a queue. */
#include "core/core.h"
#include "sock/bsd.h"

/* ---- poll ------------------------------------------------------------------------------------ */

/* Bits of poll for readiness, as Linux gives them: bands are for datagrams. */
static unsigned bits_of(unsigned ready, bool stream)
{
	unsigned bits = 0;

	if (ready & TG_IN)
		bits |= BSD_POLLIN | BSD_POLLRDNORM;
	if (ready & TG_PRI)
		bits |= BSD_POLLPRI;
	if (ready & TG_OUT)
		bits |= BSD_POLLOUT | BSD_POLLWRNORM | (stream ? 0u : BSD_POLLWRBAND);
	if (ready & TG_RDHUP)
		bits |= BSD_POLLRDHUP;
	if (ready & TG_ERR)
		bits |= BSD_POLLERR;
	if (ready & TG_HUP)
		bits |= BSD_POLLHUP;
	return bits;
}

/* These come unasked. */
#define UNASKED (BSD_POLLERR | BSD_POLLHUP)

/* As Linux: a connection that was refused is at its end until connect() has told so. */
static unsigned ready_of(const struct bsd *b, const struct bsd_file *f)
{
	unsigned ready = tg_sock_ready(b->s, f->sock);

	if (f->connecting && ready & TG_HUP)
		ready |= TG_IN | TG_RDHUP;
	return ready;
}

int16_t bsd_poll_bits(const struct bsd *b, const struct bsd_file *f, int16_t asked)
{
	unsigned bits;

	if (f->ep)
		bits = bsd_epoll_ready(b, f->ep) ? BSD_POLLIN | BSD_POLLRDNORM : 0;
	else
		bits = bits_of(ready_of(b, f), f->type == TG_STREAM);
	return (int16_t)(bits & ((unsigned)(uint16_t)asked | UNASKED));
}

unsigned bsd_poll_events(int16_t asked)
{
	unsigned ev = TG_ERR | TG_HUP;

	if (asked & (BSD_POLLIN | BSD_POLLRDNORM))
		ev |= TG_IN;
	if (asked & (BSD_POLLPRI | BSD_POLLRDBAND))
		ev |= TG_PRI;
	if (asked & (BSD_POLLOUT | BSD_POLLWRNORM | BSD_POLLWRBAND))
		ev |= TG_OUT;
	if (asked & BSD_POLLRDHUP)
		ev |= TG_RDHUP;
	return ev;
}

/* Fills in revents; returns how many are not 0. */
static int poll_look(
	const struct bsd *b, struct bsd_pollfd *p, struct bsd_file *const *files, unsigned n)
{
	int count = 0;

	for (unsigned i = 0; i < n; i++) {
		if (p[i].fd < 0)
			p[i].revents = 0;
		else if (!files[i])
			p[i].revents = BSD_POLLNVAL;
		else
			p[i].revents = bsd_poll_bits(b, files[i], p[i].events);
		count += p[i].revents != 0;
	}
	return count;
}

int bsd_poll(struct bsd *b, struct bsd_pollfd *p, unsigned n, int timeout_ms)
{
	struct bsd_file *files[BSD_POLL_MAX];
	struct bsd_want w[BSD_POLL_MAX];
	uint64_t deadline = NEVER_NS;
	unsigned wants = 0;
	int count, err;

	if (n > BSD_POLL_MAX)
		return -TG_EINVAL;
	if (timeout_ms >= 0)
		deadline = sat_add_u64(bsd_now(b), (unsigned)timeout_ms * NS_PER_MS);
	for (unsigned i = 0; i < n; i++) {
		files[i] = p[i].fd < 0 ? NULL : bsd_get_any(b, p[i].fd, &err);
		if (files[i])
			w[wants++] = (struct bsd_want){files[i], bsd_poll_events(p[i].events), 0};
	}
	count = poll_look(b, p, files, n);
	while (!count && timeout_ms != 0 && b->wait && b->wait(b->ctx, w, wants, deadline))
		count = poll_look(b, p, files, n);
	if (!count)
		count = poll_look(b, p, files, n);
	for (unsigned i = 0; i < n; i++)
		if (files[i])
			bsd_put(b, files[i]);
	return count;
}

/* ---- epoll ----------------------------------------------------------------------------------- */

/* One socket watched by one set. */
struct bsd_watch {
	struct bsd_watch *next_of_file; /* the file's other watches */
	struct list item;               /* on bsd_epoll.all */
	struct list ready;              /* on bsd_epoll.ready, or alone */
	struct bsd_epoll *ep;
	struct bsd_file *file;
	int fd; /* under which it was added */
	struct bsd_epoll_event ev;
	bool off; /* BSD_EPOLLONESHOT has told once */
};

struct bsd_epoll {
	struct list all, ready;
	struct bsd_file *file; /* the set's own open file */
};

int bsd_epoll_create(struct bsd *b)
{
	struct bsd_epoll *ep = core_alloc(b->s, sizeof(*ep));
	struct bsd_file *f;
	int fd;

	if (!ep)
		return -TG_ENOMEM;
	f = bsd_new(b, &fd);
	if (!f) {
		core_free(b->s, ep, sizeof(*ep));
		return fd;
	}
	list_init(&ep->all);
	list_init(&ep->ready);
	ep->file = f;
	f->ep = ep;
	return fd;
}

static uint32_t bits_now(const struct bsd *b, const struct bsd_watch *w)
{
	unsigned bits;

	if (w->off)
		return 0;
	bits = bits_of(ready_of(b, w->file), w->file->type == TG_STREAM);
	return bits & (w->ev.events | UNASKED);
}

bool bsd_epoll_ready(const struct bsd *b, const struct bsd_epoll *ep)
{
	list_for_each (l, &ep->ready)
		if (bits_now(b, list_entry(l, struct bsd_watch, ready)))
			return true;
	return false;
}

/* Puts w among those to look at if there is something to tell. */
static void watch_look(struct bsd *b, struct bsd_watch *w)
{
	if (!bits_now(b, w) || !list_empty(&w->ready))
		return;
	list_push_back(&w->ep->ready, &w->ready);
	if (b->epoll_rose)
		b->epoll_rose(b->ctx, w->ep->file);
}

/* As Linux: what may be read wakes who watches for that, what may be written likewise; anything
 * else wakes all. */
static uint32_t wakes_whom(unsigned events)
{
	uint32_t bits = 0;

	if (events & ~(unsigned)(TG_IN | TG_PRI | TG_OUT))
		return UINT32_MAX;
	if (events & (TG_IN | TG_PRI))
		bits |= BSD_POLLIN | BSD_POLLPRI | BSD_POLLRDNORM | BSD_POLLRDBAND;
	if (events & TG_OUT)
		bits |= BSD_POLLOUT | BSD_POLLWRNORM | BSD_POLLWRBAND;
	return bits;
}

void bsd_epoll_notify(struct bsd *b, struct bsd_file *f, unsigned events)
{
	uint32_t whom = wakes_whom(events);

	for (struct bsd_watch *w = f->watches; w; w = w->next_of_file)
		if (w->ev.events & whom)
			watch_look(b, w);
}

static void watch_free(struct bsd *b, struct bsd_watch *w)
{
	struct bsd_watch **at = &w->file->watches;

	while (*at != w)
		at = &(*at)->next_of_file;
	*at = w->next_of_file;
	list_del(&w->item);
	list_del(&w->ready);
	core_free(b->s, w, sizeof(*w));
}

void bsd_epoll_forget(struct bsd *b, struct bsd_file *f)
{
	struct list *l;

	while (f->watches)
		watch_free(b, f->watches);
	if (!f->ep || f->refs)
		return;
	while ((l = f->ep->all.next) != &f->ep->all)
		watch_free(b, list_entry(l, struct bsd_watch, item));
	core_free(b->s, f->ep, sizeof(*f->ep));
	f->ep = NULL;
}

static struct bsd_watch *watch_find(const struct bsd_epoll *ep, struct bsd_file *f, int fd)
{
	for (struct bsd_watch *w = f->watches; w; w = w->next_of_file)
		if (w->ep == ep && w->fd == fd)
			return w;
	return NULL;
}

static void watch_begin(struct bsd *b, struct bsd_watch *w)
{
	if (w->ev.events & BSD_EPOLLET)
		tg_sock_setopt(b->s, w->file->sock, TG_SO_EVENT_EACH, 1, bsd_now(b));
	watch_look(b, w);
}

static int watch_add(struct bsd *b, struct bsd_epoll *ep, struct bsd_file *f, int fd,
	const struct bsd_epoll_event *ev)
{
	struct bsd_watch *w = core_alloc(b->s, sizeof(*w));

	if (!w)
		return -TG_ENOMEM;
	memset(w, 0, sizeof(*w));
	w->ep = ep;
	w->file = f;
	w->fd = fd;
	w->ev = *ev;
	list_init(&w->ready);
	list_init(&w->item);
	list_push_back(&ep->all, &w->item);
	w->next_of_file = f->watches;
	f->watches = w;
	watch_begin(b, w);
	return 0;
}

static int watch_change(struct bsd *b, struct bsd_epoll *ep, struct bsd_file *f, int op, int fd,
	const struct bsd_epoll_event *ev)
{
	struct bsd_watch *w = watch_find(ep, f, fd);

	switch (op) {
	case BSD_EPOLL_CTL_ADD: return w ? -TG_EEXIST : watch_add(b, ep, f, fd, ev);
	case BSD_EPOLL_CTL_DEL:
		if (!w)
			return -TG_ENOENT;
		watch_free(b, w);
		return 0;
	case BSD_EPOLL_CTL_MOD:
		if (!w)
			return -TG_ENOENT;
		w->ev = *ev;
		w->off = false;
		watch_begin(b, w);
		return 0;
	default: return -TG_EINVAL;
	}
}

int bsd_epoll_ctl(struct bsd *b, int epfd, int op, int fd, const struct bsd_epoll_event *ev)
{
	struct bsd_file *set, *f;
	int r;

	set = bsd_get_any(b, epfd, &r);
	if (!set)
		return r;
	f = bsd_get_any(b, fd, &r);
	if (!f) {
		bsd_put(b, set);
		return r;
	}
	r = !set->ep || f->ep ? -TG_EINVAL : watch_change(b, set->ep, f, op, fd, ev);
	bsd_put(b, f);
	bsd_put(b, set);
	return r;
}

/* Takes up to max of what is ready; what is watched by level stays among it, behind the others. */
static int epoll_take(struct bsd *b, struct bsd_epoll *ep, struct bsd_epoll_event *out, int max)
{
	struct list again, *l;
	int n = 0;

	list_init(&again);
	while (n < max && (l = list_pop_front(&ep->ready))) {
		struct bsd_watch *w = list_entry(l, struct bsd_watch, ready);
		uint32_t bits = bits_now(b, w);

		if (!bits)
			continue;
		out[n++] = (struct bsd_epoll_event){bits, w->ev.data};
		if (w->ev.events & BSD_EPOLLONESHOT)
			w->off = true;
		else if (!(w->ev.events & BSD_EPOLLET))
			list_push_back(&again, &w->ready);
	}
	while ((l = list_pop_front(&again)))
		list_push_back(&ep->ready, l);
	return n;
}

int bsd_epoll_wait(struct bsd *b, int epfd, struct bsd_epoll_event *out, int max, int timeout_ms)
{
	uint64_t deadline = NEVER_NS;
	int r, n = 0;
	struct bsd_file *f;

	if (max <= 0)
		return -TG_EINVAL;
	f = bsd_get_any(b, epfd, &r);
	if (!f)
		return r;
	if (!f->ep) {
		bsd_put(b, f);
		return -TG_EINVAL;
	}
	if (timeout_ms >= 0)
		deadline = sat_add_u64(bsd_now(b), (unsigned)timeout_ms * NS_PER_MS);
	for (;;) {
		struct bsd_want w = {f, TG_IN, 0};

		n = epoll_take(b, f->ep, out, max);
		if (n || timeout_ms == 0 || !b->wait || !b->wait(b->ctx, &w, 1, deadline))
			break;
	}
	if (!n)
		n = epoll_take(b, f->ep, out, max);
	bsd_put(b, f);
	return n;
}
