/* BSD sockets over the core interface: descriptors and open files, and the calls that make, name,
 * connect and end sockets. Bytes are moved in bsd_io.c, options are in bsd_opt.c, poll and epoll in
 * bsd_poll.c. The rules of RFC 9293 are the core's; here is only what POSIX and Linux add around
 * them.
 */
#include "sock/bsd.h"

#include "sock/sock_impl.h"
#include "tapglass_inspect.h"

void bsd_init(struct bsd *b, struct tg *s, struct bsd_file *files, int n_files, int first_fd)
{
	*b = (struct bsd){.s = s, .files = files, .n_files = n_files, .first_fd = first_fd};
	memset(files, 0, (size_t)n_files * sizeof(*files));
}

/* ---- Descriptors and open files -------------------------------------------------------------- */

/* The place of a descriptor that is in use, or NULL. */
static struct bsd_file *place_of(const struct bsd *b, int fd)
{
	struct bsd_file *p;

	if (fd < b->first_fd || fd - b->first_fd >= b->n_files)
		return NULL;
	p = &b->files[fd - b->first_fd];
	return p->open_at ? p : NULL;
}

struct bsd_file *bsd_file_at(const struct bsd *b, int fd)
{
	const struct bsd_file *p = place_of(b, fd);

	return p ? &b->files[p->open_at - 1] : NULL;
}

tg_sock bsd_sock(const struct bsd *b, int fd)
{
	const struct bsd_file *f = bsd_file_at(b, fd);

	return f ? f->sock : 0;
}

struct bsd_file *bsd_get_any(struct bsd *b, int fd, int *err)
{
	struct bsd_file *f = bsd_file_at(b, fd);

	*err = f ? 0 : -TG_EBADF;
	if (f)
		f->refs++;
	return f;
}

struct bsd_file *bsd_get(struct bsd *b, int fd, int *err)
{
	struct bsd_file *f = bsd_get_any(b, fd, err);

	if (f && f->ep) {
		bsd_put(b, f);
		*err = -TG_ENOTSOCK;
		return NULL;
	}
	return f;
}

void bsd_put(struct bsd *b, struct bsd_file *f)
{
	ASSERT(f->refs > 0);
	if (--f->refs)
		return;
	bsd_epoll_forget(b, f);
	if (f->sock)
		tg_sock_close(b->s, f->sock, bsd_now(b));
	f->sock = 0;
	f->ep = NULL;
}

/* POSIX: the lowest number that is free. */
static int lowest_free(const struct bsd *b)
{
	for (int i = 0; i < b->n_files; i++)
		if (!b->files[i].open_at)
			return b->first_fd + i;
	return -TG_EMFILE;
}

static int take_fd(struct bsd *b)
{
	return b->new_fd ? b->new_fd(b->ctx) : lowest_free(b);
}

static void give_fd_back(struct bsd *b, int fd)
{
	b->files[fd - b->first_fd].open_at = 0;
	if (b->free_fd)
		b->free_fd(b->ctx, fd);
}

/* A free place for an open file, from the descriptor's own on. */
static struct bsd_file *free_place(const struct bsd *b, int fd)
{
	int at = fd - b->first_fd;

	for (int i = 0; i < b->n_files; i++, at++) {
		if (at == b->n_files)
			at = 0;
		if (!b->files[at].refs)
			return &b->files[at];
	}
	return NULL;
}

static void point_fd(struct bsd *b, int fd, struct bsd_file *f)
{
	struct bsd_file *p = &b->files[fd - b->first_fd];

	p->open_at = (uint32_t)(f - b->files) + 1;
	p->cloexec = false;
	f->refs++;
	f->fds++;
}

struct bsd_file *bsd_new(struct bsd *b, int *fd)
{
	struct bsd_file *f, keep;

	*fd = take_fd(b);
	if (*fd < 0)
		return NULL;
	f = free_place(b, *fd);
	if (!f) {
		give_fd_back(b, *fd);
		*fd = -TG_EMFILE;
		return NULL;
	}
	keep = *f; /* the descriptor that has this place is another matter */
	*f = (struct bsd_file){.open_at = keep.open_at, .cloexec = keep.cloexec};
	point_fd(b, *fd, f);
	return f;
}

/* Takes a descriptor of bsd_new back: its file has got no socket. */
static int undo_new(struct bsd *b, struct bsd_file *f, int fd, int err)
{
	give_fd_back(b, fd);
	f->fds--;
	bsd_put(b, f);
	return err;
}

int bsd_dup(struct bsd *b, int fd)
{
	struct bsd_file *f = bsd_file_at(b, fd);
	int to;

	if (!f)
		return -TG_EBADF;
	to = take_fd(b);
	if (to >= 0)
		point_fd(b, to, f);
	return to;
}

struct bsd_file *bsd_event(struct bsd *b, const struct tg_event *e)
{
	uint64_t i = e->cookie & ~BSD_COOKIE;
	struct bsd_file *f;

	if (!(e->cookie & BSD_COOKIE) || i >= (uint64_t)b->n_files)
		return NULL;
	f = &b->files[i];
	if (!f->refs || f->sock != e->sock)
		return NULL;
	bsd_epoll_notify(b, f, e->events);
	return f;
}

static bool ready_for(const struct bsd *b, const struct bsd_want *w)
{
	unsigned got;
	int64_t inq = 0;

	if (w->file->ep)
		return bsd_epoll_ready(b, w->file->ep);
	got = tg_sock_ready(b->s, w->file->sock) & w->events;
	if (got != TG_IN || !w->beyond_bytes)
		return got != 0;
	return tg_sock_getopt(b->s, w->file->sock, TG_SO_INQ, &inq) < 0 || inq > w->beyond_bytes;
}

bool bsd_any_ready(const struct bsd *b, const struct bsd_want *w, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (ready_for(b, &w[i]))
			return true;
	return false;
}

int bsd_take_error(struct bsd *b, int fd)
{
	int r;
	struct bsd_file *f = bsd_get(b, fd, &r);

	if (!f)
		return r;
	r = sock_take_error(b->s, f->sock);
	bsd_put(b, f);
	return r;
}

void bsd_put_error(struct bsd *b, int fd, int error)
{
	sock_put_error(b->s, bsd_sock(b, fd), error);
}

bool bsd_wait_for(
	struct bsd *b, struct bsd_file *f, unsigned events, bool dontwait, uint64_t deadline_ns)
{
	struct bsd_want w = {f, events | TG_ERR | TG_HUP, 0};

	if (dontwait || f->nonblock || !b->wait)
		return false;
	return b->wait(b->ctx, &w, 1, deadline_ns);
}

/* ---- Making and naming ----------------------------------------------------------------------- */

int bsd_socket(struct bsd *b, int domain, int type, int protocol)
{
	const int flags = BSD_SOCK_NONBLOCK | BSD_SOCK_CLOEXEC;
	int kind = type & ~flags;
	struct bsd_file *f;
	int fd, r;

	if (domain != BSD_AF_INET)
		return -TG_EAFNOSUPPORT;
	if (kind < 0 || kind > 10)
		return -TG_EINVAL;
	if (kind != BSD_SOCK_STREAM && kind != BSD_SOCK_DGRAM && kind != BSD_SOCK_RAW)
		return -TG_ESOCKTNOSUPPORT;
	if (protocol < 0 || protocol >= BSD_IPPROTO_MAX)
		return -TG_EINVAL;
	if (protocol > 255)
		return -TG_EPROTONOSUPPORT;
	f = bsd_new(b, &fd);
	if (!f)
		return fd;
	r = tg_sock_open(b->s, (enum tg_type)kind, protocol, bsd_cookie(b, f), &f->sock);
	if (r < 0)
		return undo_new(b, f, fd, r);
	f->type = (uint8_t)kind;
	f->proto = (uint8_t)protocol;
	f->nonblock = (type & BSD_SOCK_NONBLOCK) != 0;
	b->files[fd - b->first_fd].cloexec = (type & BSD_SOCK_CLOEXEC) != 0;
	return fd;
}

int bsd_bind(struct bsd *b, int fd, const struct tg_addr *a)
{
	int r;
	struct bsd_file *f = bsd_get(b, fd, &r);

	if (!f)
		return r;
	r = tg_sock_bind(b->s, f->sock, a);
	bsd_put(b, f);
	return r;
}

int bsd_listen(struct bsd *b, int fd, int backlog)
{
	uint32_t n = backlog < 0 || backlog > BSD_SOMAXCONN ? BSD_SOMAXCONN : (uint32_t)backlog;
	int r;
	struct bsd_file *f = bsd_get(b, fd, &r);

	if (!f)
		return r;
	/* As Linux: a negative backlog means the largest, and 0 still lets one through. */
	r = f->connecting ? -TG_EINVAL : tg_sock_listen(b->s, f->sock, n ? n : 1, bsd_now(b));
	bsd_put(b, f);
	return r;
}

/* The next connection, in child. */
static int accept_into(struct bsd *b, struct bsd_file *f, struct bsd_file *child)
{
	uint64_t deadline = bsd_deadline(b, f->rcv_timeout_ns);
	int r;

	for (;;) {
		r = tg_sock_accept(b->s, f->sock, bsd_cookie(b, child), &child->sock, bsd_now(b));
		if (r != -TG_EAGAIN || !bsd_wait_for(b, f, TG_IN, false, deadline))
			return r;
	}
}

int bsd_accept(struct bsd *b, int fd, struct tg_addr *peer, int flags)
{
	struct bsd_file *f, *child;
	int r, to;

	if (flags & ~(BSD_SOCK_NONBLOCK | BSD_SOCK_CLOEXEC))
		return -TG_EINVAL;
	f = bsd_get(b, fd, &r);
	if (!f)
		return r;
	child = bsd_new(b, &to); /* as Linux: the number is taken before waiting */
	r = to;
	if (child && f->type != TG_STREAM)
		r = undo_new(b, child, to, -TG_EOPNOTSUPP);
	if (r < 0) {
		bsd_put(b, f);
		return r;
	}
	child->type = TG_STREAM;
	r = accept_into(b, f, child);
	bsd_put(b, f);
	if (r < 0)
		return undo_new(b, child, to, r);
	child->nonblock = (flags & BSD_SOCK_NONBLOCK) != 0;
	b->files[to - b->first_fd].cloexec = (flags & BSD_SOCK_CLOEXEC) != 0;
	if (peer && tg_sock_peer_addr(b->s, child->sock, peer) < 0)
		*peer = (struct tg_addr){0};
	return to;
}

int bsd_getsockname(struct bsd *b, int fd, struct tg_addr *a)
{
	int r;
	struct bsd_file *f = bsd_get(b, fd, &r);

	if (!f)
		return r;
	r = tg_sock_local_addr(b->s, f->sock, a);
	if (f->type == TG_RAW)
		a->port = f->proto; /* as Linux */
	bsd_put(b, f);
	return r;
}

int bsd_getpeername(struct bsd *b, int fd, struct tg_addr *a)
{
	struct tg_tcp_info info;
	int r;
	struct bsd_file *f = bsd_get(b, fd, &r);

	if (!f)
		return r;
	r = tg_sock_peer_addr(b->s, f->sock, a);
	/* As Linux: no peer before the handshake is done, nor after the end. */
	if (f->type == TG_STREAM && tg_tcp_status(b->s, f->sock, &info) == 0 &&
		(info.state == TG_CLOSED || info.state == TG_SYN_SENT))
		r = -TG_ENOTCONN;
	bsd_put(b, f);
	return r;
}

/* ---- Connecting ------------------------------------------------------------------------------ */

/* The outcome of a connect that has come to an end, told once. */
static int connect_outcome(struct bsd *b, struct bsd_file *f)
{
	struct tg_tcp_info info = {.state = TG_CLOSED};
	int64_t error = 0;

	f->connecting = false;
	tg_sock_getopt(b->s, f->sock, TG_SO_ERROR, &error);
	tg_tcp_status(b->s, f->sock, &info);
	/* As Linux: somebody else was told why. */
	if (!error && info.state == TG_CLOSED)
		return -TG_ECONNABORTED;
	return -(int)error;
}

static int connect_stream(struct bsd *b, struct bsd_file *f, const struct tg_addr *a)
{
	uint64_t deadline;
	int r;

	/* As Linux: the first call after the outcome is known tells it. */
	if (f->connecting && tg_sock_ready(b->s, f->sock) & (TG_OUT | TG_ERR | TG_HUP))
		return connect_outcome(b, f);
	r = tg_sock_connect(b->s, f->sock, a, bsd_now(b));
	if (r == -TG_EINPROGRESS)
		f->connecting = true;
	else if (r != -TG_EALREADY || f->nonblock)
		return r;
	deadline = bsd_deadline(b, f->snd_timeout_ns);
	while (!(tg_sock_ready(b->s, f->sock) & (TG_OUT | TG_ERR | TG_HUP)))
		if (!bsd_wait_for(b, f, TG_OUT, false, deadline))
			return r;
	/* Another thread may have been told the outcome. */
	return f->connecting ? connect_outcome(b, f) : -TG_EISCONN;
}

/* As Linux: a stream that is disconnected can be used again, with its options; the port stays if it
 * was asked for, which a fresh socket shows by binding to it again. */
static int dissolve_stream(struct bsd *b, struct bsd_file *f)
{
	static const enum tg_option kept[] = {TG_SO_REUSEADDR, TG_SO_REUSEPORT, TG_SO_KEEPALIVE,
		TG_SO_SNDBUF, TG_SO_RCVBUF, TG_SO_LINGER, TG_SO_RCVLOWAT, TG_SO_OOBINLINE,
		TG_TCP_NODELAY, TG_TCP_KEEPIDLE, TG_TCP_KEEPINTVL, TG_TCP_KEEPCNT,
		TG_TCP_USER_TIMEOUT, TG_TCP_NOTSENT_LOWAT, TG_IP_TTL, TG_IP_TOS, TG_SO_EVENT_EACH};
	tg_sock old = f->sock, k;
	int r = tg_sock_open(b->s, TG_STREAM, 0, bsd_cookie(b, f), &k);
	struct tg_addr local;
	int64_t v;

	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		if (tg_sock_getopt(b->s, old, kept[i], &v) == 0)
			tg_sock_setopt(b->s, k, kept[i], v, bsd_now(b));
	r = tg_sock_getopt(b->s, old, TG_SO_BOUND, &v);
	if (r == 0 && v)
		tg_sock_local_addr(b->s, old, &local);
	tg_sock_abort(b->s, old, bsd_now(b));
	f->sock = k;
	f->connecting = false;
	if (r == 0 && v)
		tg_sock_bind(b->s, k, &local);
	return 0;
}

static int connect_dgram(struct bsd *b, struct bsd_file *f, const struct tg_addr *a)
{
	struct tg_addr to = {0};

	if (a)
		to = *a;
	if (a && tg_ip4_value(&a->ip) == 0)
		to.ip = tg_ip4(127, 0, 0, 1); /* as Linux: any address means this host */
	return tg_sock_connect(b->s, f->sock, &to, bsd_now(b));
}

int bsd_connect(struct bsd *b, int fd, const struct tg_addr *a)
{
	int r;
	struct bsd_file *f = bsd_get(b, fd, &r);

	if (!f)
		return r;
	if (f->type != TG_STREAM)
		r = connect_dgram(b, f, a);
	else
		r = a ? connect_stream(b, f, a) : dissolve_stream(b, f);
	bsd_put(b, f);
	return r;
}

/* ---- Ending ---------------------------------------------------------------------------------- */

int bsd_shutdown(struct bsd *b, int fd, int how)
{
	int r;
	struct bsd_file *f = bsd_get(b, fd, &r);

	if (!f)
		return r;
	r = tg_sock_shutdown(b->s, f->sock, how, bsd_now(b));
	bsd_put(b, f);
	return r;
}

/* Is the FIN, and so everything before it, still to be acknowledged? */
static bool closing(const struct bsd *b, tg_sock k)
{
	struct tg_tcp_info i;

	return tg_tcp_status(b->s, k, &i) == 0 &&
	       (i.state == TG_FIN_WAIT_1 || i.state == TG_CLOSING || i.state == TG_LAST_ACK);
}

/* SO_LINGER with a time: waits until the peer has everything. */
static void linger(struct bsd *b, struct bsd_file *f)
{
	const uint64_t look_ns = 5 * NS_PER_MS; /* no event says that a FIN was acknowledged */
	int64_t v = -1, unread = 0;
	uint64_t deadline;

	if (f->type != TG_STREAM || !b->wait)
		return;
	tg_sock_getopt(b->s, f->sock, TG_SO_LINGER, &v);
	tg_sock_getopt(b->s, f->sock, TG_SO_INQ, &unread);
	if (v <= 0 || unread)
		return;
	deadline = sat_add_u64(bsd_now(b), (uint64_t)v);
	tg_sock_shutdown(b->s, f->sock, TG_SHUT_WR, bsd_now(b));
	while (closing(b, f->sock) && bsd_now(b) < deadline) {
		struct bsd_want w = {f, TG_ERR | TG_HUP, 0};
		uint64_t before = bsd_now(b);

		if (!b->wait(b->ctx, &w, 1, min_u64(deadline, sat_add_u64(before, look_ns))) &&
			bsd_now(b) == before)
			return; /* waiting is impossible */
	}
}

int bsd_close(struct bsd *b, int fd)
{
	int r;
	struct bsd_file *f = bsd_get_any(b, fd, &r);

	if (!f)
		return r;
	give_fd_back(b, fd);
	f->fds--;
	f->refs--;
	/* With the last descriptor it leaves the sets that watch it, as on Linux. */
	if (!f->fds)
		bsd_epoll_forget(b, f);
	if (f->refs == 1 && f->sock)
		linger(b, f);
	bsd_put(b, f);
	return 0;
}
