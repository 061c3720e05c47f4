/* BSD sockets over the core interface: descriptors, the blocking calls, poll. Options are in
 * bsd_opt.c. The rules of 9293 are the core's; here is only what POSIX and Linux add around them.
 */
#include "sock/bsd.h"

void bsd_init(struct bsd *b, struct tg *s, struct bsd_file *files, int n_files, int first_fd)
{
	*b = (struct bsd){.s = s, .files = files, .n_files = n_files, .first_fd = first_fd};
	memset(files, 0, (size_t)n_files * sizeof(*files));
}

static struct bsd_file *file_of(const struct bsd *b, int fd)
{
	struct bsd_file *f;

	if (fd < b->first_fd || fd - b->first_fd >= b->n_files)
		return NULL;
	f = &b->files[fd - b->first_fd];
	return f->sock ? f : NULL;
}

tg_sock bsd_sock(const struct bsd *b, int fd)
{
	const struct bsd_file *f = file_of(b, fd);

	return f ? f->sock : 0;
}

bool bsd_any_ready(const struct tg *s, const struct bsd_want *w, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (tg_sock_ready(s, w[i].sock) & w[i].events)
			return true;
	return false;
}

static uint64_t now_of(const struct bsd *b)
{
	return b->now ? b->now(b->ctx) : 0;
}

/* POSIX: the lowest number that is free. -TG_EMFILE. */
static int lowest_free(const struct bsd *b)
{
	for (int i = 0; i < b->n_files; i++)
		if (!b->files[i].sock)
			return i;
	return -TG_EMFILE;
}

/* Waits until the socket has one of the events; false: give up with -TG_EAGAIN. */
static bool wait_for(struct bsd *b, const struct bsd_file *f, unsigned events, bool dontwait,
	uint64_t deadline_ns)
{
	struct bsd_want w = {f->sock, events | TG_ERR | TG_HUP};

	if (dontwait || f->nonblock || !b->wait)
		return false;
	return b->wait(b->ctx, &w, 1, deadline_ns);
}

static uint64_t deadline_of(const struct bsd *b, uint64_t timeout_ns)
{
	return timeout_ns ? sat_add_u64(now_of(b), timeout_ns) : NEVER_NS;
}

/* ---- Making and naming ----------------------------------------------------------------------- */

int bsd_socket(struct bsd *b, int domain, int type, int protocol)
{
	const int flags = BSD_SOCK_NONBLOCK | BSD_SOCK_CLOEXEC;
	int kind = type & ~flags;
	int i, r;
	tg_sock k;

	if (domain != BSD_AF_INET)
		return -TG_EAFNOSUPPORT;
	if (kind != BSD_SOCK_STREAM && kind != BSD_SOCK_DGRAM && kind != BSD_SOCK_RAW)
		return -TG_EINVAL;
	i = lowest_free(b);
	if (i < 0)
		return i;
	r = tg_sock_open(b->s, (enum tg_type)kind, protocol, 0, &k);
	if (r < 0)
		return r;
	b->files[i] = (struct bsd_file){
		.sock = k, .type = (uint8_t)kind, .nonblock = (type & BSD_SOCK_NONBLOCK) != 0};
	return b->first_fd + i;
}

int bsd_bind(struct bsd *b, int fd, const struct tg_addr *a)
{
	struct bsd_file *f = file_of(b, fd);

	return f ? tg_sock_bind(b->s, f->sock, a) : -TG_EBADF;
}

int bsd_listen(struct bsd *b, int fd, int backlog)
{
	struct bsd_file *f = file_of(b, fd);

	if (!f)
		return -TG_EBADF;
	/* As Linux: a negative backlog means the largest, and 0 still lets one through. */
	return tg_sock_listen(b->s, f->sock,
		backlog < 0 ? 4096
		: backlog   ? (uint32_t)backlog
			    : 1,
		now_of(b));
}

int bsd_accept(struct bsd *b, int fd, struct tg_addr *peer, int flags)
{
	struct bsd_file *f = file_of(b, fd);
	uint64_t deadline;
	tg_sock k;
	int i, r;

	if (!f)
		return -TG_EBADF;
	if (flags & ~(BSD_SOCK_NONBLOCK | BSD_SOCK_CLOEXEC))
		return -TG_EINVAL;
	if (f->type != TG_STREAM)
		return -TG_EOPNOTSUPP;
	i = lowest_free(b);
	if (i < 0)
		return i;
	deadline = deadline_of(b, f->rcv_timeout_ns);
	while ((r = tg_sock_accept(b->s, f->sock, 0, &k, now_of(b))) == -TG_EAGAIN)
		if (!wait_for(b, f, TG_IN, false, deadline))
			return r;
	if (r < 0)
		return r;
	i = lowest_free(b); /* others may have been at work meanwhile */
	if (i < 0) {
		tg_sock_abort(b->s, k, now_of(b));
		return i;
	}
	b->files[i] = (struct bsd_file){
		.sock = k, .type = TG_STREAM, .nonblock = (flags & BSD_SOCK_NONBLOCK) != 0};
	if (peer && tg_sock_peer_addr(b->s, k, peer) < 0)
		*peer = (struct tg_addr){0};
	return b->first_fd + i;
}

/* The outcome of a connect that has come to an end, told once. */
static int connect_outcome(struct bsd *b, struct bsd_file *f)
{
	int64_t error = 0;

	f->connecting = false;
	tg_sock_getopt(b->s, f->sock, TG_SO_ERROR, &error);
	return -(int)error;
}

int bsd_connect(struct bsd *b, int fd, const struct tg_addr *a)
{
	struct bsd_file *f = file_of(b, fd);
	uint64_t deadline;
	int r;

	if (!f)
		return -TG_EBADF;
	/* As Linux: the first call after the outcome is known tells it. */
	if (f->connecting && tg_sock_ready(b->s, f->sock) & (TG_OUT | TG_ERR | TG_HUP))
		return connect_outcome(b, f);
	r = tg_sock_connect(b->s, f->sock, a, now_of(b));
	if (r == -TG_EINPROGRESS)
		f->connecting = true;
	else if (r != -TG_EALREADY || f->nonblock)
		return r;
	deadline = deadline_of(b, f->snd_timeout_ns);
	while (!(tg_sock_ready(b->s, f->sock) & (TG_OUT | TG_ERR | TG_HUP)))
		if (!wait_for(b, f, TG_OUT, false, deadline))
			return r;
	return connect_outcome(b, f);
}

int bsd_shutdown(struct bsd *b, int fd, int how)
{
	struct bsd_file *f = file_of(b, fd);

	return f ? tg_sock_shutdown(b->s, f->sock, how, now_of(b)) : -TG_EBADF;
}

int bsd_close(struct bsd *b, int fd)
{
	struct bsd_file *f = file_of(b, fd);
	tg_sock k;

	if (!f)
		return -TG_EBADF;
	k = f->sock;
	*f = (struct bsd_file){0};
	return tg_sock_close(b->s, k, now_of(b));
}

int bsd_getsockname(struct bsd *b, int fd, struct tg_addr *a)
{
	struct bsd_file *f = file_of(b, fd);

	return f ? tg_sock_local_addr(b->s, f->sock, a) : -TG_EBADF;
}

int bsd_getpeername(struct bsd *b, int fd, struct tg_addr *a)
{
	struct bsd_file *f = file_of(b, fd);

	return f ? tg_sock_peer_addr(b->s, f->sock, a) : -TG_EBADF;
}

/* ---- Moving bytes ---------------------------------------------------------------------------- */

static unsigned core_flags(int flags)
{
	unsigned out = 0;

	if (flags & BSD_MSG_OOB)
		out |= TG_MSG_OOB;
	if (flags & BSD_MSG_PEEK)
		out |= TG_MSG_PEEK;
	if (flags & BSD_MSG_TRUNC)
		out |= TG_MSG_TRUNC;
	if (flags & BSD_MSG_MORE)
		out |= TG_MSG_MORE;
	return out;
}

/* Streams: everything, unless it may not block or an error comes in between. */
static int64_t send_stream(
	struct bsd *b, struct bsd_file *f, const uint8_t *data, size_t n, int flags)
{
	uint64_t deadline = deadline_of(b, f->snd_timeout_ns);
	size_t done = 0;
	int64_t r;

	do {
		r = tg_sock_send(
			b->s, f->sock, data + done, n - done, core_flags(flags), now_of(b));
		if (r > 0)
			done += (size_t)r;
		if (done == n && r >= 0)
			break;
		if (r < 0 && r != -TG_EAGAIN)
			break;
	} while (wait_for(b, f, TG_OUT, (flags & BSD_MSG_DONTWAIT) != 0, deadline));
	return done || r >= 0 ? (int64_t)done : r;
}

static int64_t send_dgram(struct bsd *b, struct bsd_file *f, const void *data, size_t n, int flags,
	const struct tg_addr *to)
{
	uint64_t deadline = deadline_of(b, f->snd_timeout_ns);
	struct tg_dgram d = {0};
	int64_t r;

	if (to)
		d.peer = *to;
	for (;;) {
		r = to ? tg_sock_sendto(b->s, f->sock, data, n, core_flags(flags), &d, now_of(b))
		       : tg_sock_send(b->s, f->sock, data, n, core_flags(flags), now_of(b));
		if (r != -TG_EAGAIN)
			return r;
		if (!wait_for(b, f, TG_OUT, (flags & BSD_MSG_DONTWAIT) != 0, deadline))
			return r;
	}
}

int64_t bsd_sendto(
	struct bsd *b, int fd, const void *data, size_t n, int flags, const struct tg_addr *to)
{
	struct bsd_file *f = file_of(b, fd);

	if (!f)
		return -TG_EBADF;
	/* As Linux: the address of a connected stream is not looked at. */
	if (f->type == TG_STREAM)
		return send_stream(b, f, data, n, flags);
	return send_dgram(b, f, data, n, flags, to);
}

/* MSG_WAITALL goes on until n bytes, the end or an error; others take what there is. */
static int64_t recv_stream(struct bsd *b, struct bsd_file *f, uint8_t *data, size_t n, int flags)
{
	bool all = (flags & BSD_MSG_WAITALL) != 0 && !(flags & BSD_MSG_PEEK);
	uint64_t deadline = deadline_of(b, f->rcv_timeout_ns);
	size_t done = 0;
	int64_t r;

	do {
		r = tg_sock_recv(
			b->s, f->sock, data + done, n - done, core_flags(flags), now_of(b));
		if (r > 0)
			done += (size_t)r;
		if (r == 0 || (r < 0 && r != -TG_EAGAIN))
			break;
		if (done == n || (done && !all))
			break;
	} while (wait_for(b, f, TG_IN | TG_RDHUP, (flags & BSD_MSG_DONTWAIT) != 0, deadline));
	return done ? (int64_t)done : r;
}

static int64_t recv_dgram(
	struct bsd *b, struct bsd_file *f, void *data, size_t n, int flags, struct tg_addr *from)
{
	uint64_t deadline = deadline_of(b, f->rcv_timeout_ns);
	struct tg_dgram d = {0};
	int64_t r;

	while ((r = tg_sock_recvfrom(b->s, f->sock, data, n, core_flags(flags), &d, now_of(b))) ==
		-TG_EAGAIN)
		if (!wait_for(b, f, TG_IN, (flags & BSD_MSG_DONTWAIT) != 0, deadline))
			return r;
	if (r >= 0 && from)
		*from = d.peer;
	return r;
}

int64_t bsd_recvfrom(struct bsd *b, int fd, void *data, size_t n, int flags, struct tg_addr *from)
{
	struct bsd_file *f = file_of(b, fd);

	if (!f)
		return -TG_EBADF;
	if (f->type != TG_STREAM)
		return recv_dgram(b, f, data, n, flags, from);
	/* As Linux: a stream gives no address. */
	if (from)
		*from = (struct tg_addr){0};
	return recv_stream(b, f, data, n, flags);
}

int64_t bsd_send(struct bsd *b, int fd, const void *data, size_t n, int flags)
{
	return bsd_sendto(b, fd, data, n, flags, NULL);
}

int64_t bsd_recv(struct bsd *b, int fd, void *data, size_t n, int flags)
{
	return bsd_recvfrom(b, fd, data, n, flags, NULL);
}

int64_t bsd_read(struct bsd *b, int fd, void *data, size_t n)
{
	return bsd_recvfrom(b, fd, data, n, 0, NULL);
}

int64_t bsd_write(struct bsd *b, int fd, const void *data, size_t n)
{
	return bsd_sendto(b, fd, data, n, 0, NULL);
}

/* ---- poll ------------------------------------------------------------------------------------ */

static int16_t poll_bits(unsigned ready, int16_t asked)
{
	int bits = 0;

	if (ready & TG_IN)
		bits |= BSD_POLLIN | BSD_POLLRDNORM;
	if (ready & TG_PRI)
		bits |= BSD_POLLPRI | BSD_POLLRDBAND;
	if (ready & TG_OUT)
		bits |= BSD_POLLOUT | BSD_POLLWRNORM | BSD_POLLWRBAND;
	if (ready & TG_RDHUP)
		bits |= BSD_POLLRDHUP;
	bits &= asked;
	/* These come unasked. */
	if (ready & TG_ERR)
		bits |= BSD_POLLERR;
	if (ready & TG_HUP)
		bits |= BSD_POLLHUP;
	return (int16_t)bits;
}

static unsigned poll_events(int16_t asked)
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
static int poll_look(struct bsd *b, struct bsd_pollfd *p, unsigned n)
{
	int count = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct bsd_file *f = file_of(b, p[i].fd);

		if (p[i].fd < 0)
			p[i].revents = 0;
		else if (!f)
			p[i].revents = BSD_POLLNVAL;
		else
			p[i].revents = poll_bits(tg_sock_ready(b->s, f->sock), p[i].events);
		count += p[i].revents != 0;
	}
	return count;
}

int bsd_poll(struct bsd *b, struct bsd_pollfd *p, unsigned n, int timeout_ms)
{
	struct bsd_want w[BSD_POLL_MAX];
	uint64_t deadline = NEVER_NS;
	unsigned wants = 0;
	int count;

	if (n > BSD_POLL_MAX)
		return -TG_EINVAL;
	if (timeout_ms >= 0)
		deadline = sat_add_u64(now_of(b), (unsigned)timeout_ms * NS_PER_MS);
	count = poll_look(b, p, n);
	if (count || timeout_ms == 0 || !b->wait)
		return count;
	for (unsigned i = 0; i < n; i++)
		if (bsd_sock(b, p[i].fd))
			w[wants++] =
				(struct bsd_want){bsd_sock(b, p[i].fd), poll_events(p[i].events)};
	while (!count && b->wait(b->ctx, w, wants, deadline))
		count = poll_look(b, p, n);
	return count ? count : poll_look(b, p, n);
}
