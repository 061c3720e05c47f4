/* BSD sockets over the core interface: the calls that move bytes, and when they block. */
#include "ip/ip.h"
#include "sock/bsd.h"

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
	if (flags & BSD_MSG_ERRQUEUE)
		out |= TG_MSG_ERRQUEUE;
	return out;
}

static size_t iov_bytes(const struct bsd_msg *m)
{
	size_t n = 0;

	for (unsigned i = 0; i < m->n_iov; i++)
		n += m->iov[i].len;
	return n;
}

/* The piece that begins `done` bytes into the message. */
static struct bsd_iov iov_at(const struct bsd_msg *m, size_t done)
{
	for (unsigned i = 0; i < m->n_iov; i++) {
		if (done < m->iov[i].len)
			return (struct bsd_iov){
				(uint8_t *)m->iov[i].base + done, m->iov[i].len - done};
		done -= m->iov[i].len;
	}
	return (struct bsd_iov){NULL, 0};
}

/* ---- Sending --------------------------------------------------------------------------------- */

/* Streams: everything, unless it may not block or an error comes in between. */
static int64_t send_stream(struct bsd *b, struct bsd_file *f, const struct bsd_msg *m, int flags)
{
	uint64_t deadline = bsd_deadline(b, f->snd_timeout_ns);
	bool dontwait = (flags & BSD_MSG_DONTWAIT) != 0;
	size_t done = 0, total = iov_bytes(m);
	int64_t r;

	for (;;) {
		struct bsd_iov v = iov_at(m, done);
		int fl = flags | (v.len < total - done ? BSD_MSG_MORE : 0);

		/* The urgent octet is the message's last one. */
		if (v.len < total - done)
			fl &= ~BSD_MSG_OOB;
		r = tg_sock_send(b->s, f->sock, v.base, v.len, core_flags(fl), bsd_now(b));
		if (r > 0)
			done += (size_t)r;
		if ((done == total && r >= 0) || (r < 0 && r != -TG_EAGAIN))
			break;
		if (r == -TG_EAGAIN && !bsd_wait_for(b, f, TG_OUT, dontwait, deadline))
			break;
	}
	if (done)
		return (int64_t)done;
	/* As Linux: who never had a connection is told the same as who lost it. */
	return r == -TG_ENOTCONN ? -TG_EPIPE : r;
}

static int64_t send_dgram(struct bsd *b, struct bsd_file *f, const struct bsd_msg *m, int flags)
{
	uint64_t deadline = bsd_deadline(b, f->snd_timeout_ns);
	struct bsd_iov v = m->n_iov ? m->iov[0] : (struct bsd_iov){NULL, 0};
	struct tg_dgram to = m->info;
	int64_t r;

	if (m->n_iov > 1) {
		size_t done = 0;

		v = (struct bsd_iov){m->bounce, iov_bytes(m)};
		if (v.len > m->bounce_bytes)
			return -TG_EMSGSIZE;
		for (unsigned i = 0; i < m->n_iov; i++) {
			memcpy(m->bounce + done, m->iov[i].base, m->iov[i].len);
			done += m->iov[i].len;
		}
	}
	/* By loopback it goes in the name of the address that it would have had elsewhere. */
	if (tg_ip4_value(&to.local) == 0 && ip_is_multicast(&to.peer.ip) &&
		!ip_is_loopback(&f->mc_source))
		to.local = f->mc_source;
	/* As Linux: any address means this host. */
	if (m->has_addr && tg_ip4_value(&to.peer.ip) == 0)
		to.peer.ip = tg_ip4(127, 0, 0, 1);
	for (;;) {
		r = tg_sock_sendto(b->s, f->sock, v.base, v.len,
			core_flags(flags & (BSD_MSG_OOB | BSD_MSG_MORE)), &to, bsd_now(b));
		if (r != -TG_EAGAIN ||
			!bsd_wait_for(b, f, TG_OUT, (flags & BSD_MSG_DONTWAIT) != 0, deadline))
			return r;
	}
}

int64_t bsd_sendmsg(struct bsd *b, int fd, struct bsd_msg *m, int flags)
{
	int err;
	struct bsd_file *f = bsd_get(b, fd, &err);
	int64_t r;

	if (!f)
		return err;
	/* As Linux: the address of a connected stream is not looked at. */
	r = f->type == TG_STREAM ? send_stream(b, f, m, flags) : send_dgram(b, f, m, flags);
	bsd_put(b, f);
	return r;
}

int64_t bsd_sendto(
	struct bsd *b, int fd, const void *data, size_t n, int flags, const struct tg_addr *to)
{
	struct bsd_iov v = {(void *)(uintptr_t)data, n};
	struct bsd_msg m = {.iov = &v, .n_iov = 1, .has_addr = to != NULL};

	if (to)
		m.info.peer = *to;
	return bsd_sendmsg(b, fd, &m, flags);
}

/* ---- Receiving ------------------------------------------------------------------------------- */

static bool at_mark(struct bsd *b, const struct bsd_file *f)
{
	int64_t v = 0;

	return tg_sock_getopt(b->s, f->sock, TG_SO_ATMARK, &v) == 0 && v;
}

/* How many bytes a blocking receive waits for. */
static size_t recv_target(struct bsd *b, const struct bsd_file *f, size_t total, int flags)
{
	int64_t low = 1;

	if (flags & BSD_MSG_WAITALL)
		return total;
	tg_sock_getopt(b->s, f->sock, TG_SO_RCVLOWAT, &low);
	return (size_t)low < total ? (size_t)low : total;
}

/* Spreads n bytes of bounce over the pieces. */
static void scatter(const struct bsd_msg *m, size_t n)
{
	size_t done = 0;

	for (unsigned i = 0; i < m->n_iov && done < n; i++) {
		size_t part = n - done < m->iov[i].len ? n - done : m->iov[i].len;

		memcpy(m->iov[i].base, m->bounce + done, part);
		done += part;
	}
}

/* MSG_PEEK: what is there is looked at from its beginning again, until it is enough. */
static int64_t peek_stream(struct bsd *b, struct bsd_file *f, struct bsd_msg *m, int flags)
{
	uint64_t deadline = bsd_deadline(b, f->rcv_timeout_ns);
	size_t total = iov_bytes(m), target = recv_target(b, f, total, flags);
	struct bsd_iov v = m->n_iov ? m->iov[0] : (struct bsd_iov){NULL, 0};
	struct bsd_want w = {f, TG_IN | TG_RDHUP | TG_PRI | TG_ERR | TG_HUP, 0};
	int64_t r;

	if (m->n_iov > 1)
		v = (struct bsd_iov){m->bounce, total < m->bounce_bytes ? total : m->bounce_bytes};
	if (target > v.len)
		target = v.len;
	if (target > 1)
		tg_sock_setopt(b->s, f->sock, TG_SO_EVENT_EACH, 1, bsd_now(b));
	for (;;) {
		r = tg_sock_recv(b->s, f->sock, v.base, v.len, core_flags(flags), bsd_now(b));
		if ((r < 0 && r != -TG_EAGAIN) || r == 0 || r >= (int64_t)target)
			break;
		if (r > 0 && (tg_sock_ready(b->s, f->sock) & (w.events & ~(unsigned)TG_IN)))
			break; /* the end, an error or the mark is near: no more will come */
		w.beyond_bytes = r > 0 ? (uint32_t)r : 0;
		if (flags & BSD_MSG_DONTWAIT || f->nonblock || !b->wait ||
			!b->wait(b->ctx, &w, 1, deadline))
			break;
	}
	if (r > 0 && m->n_iov > 1)
		scatter(m, (size_t)r);
	return r;
}

static int64_t recv_stream(struct bsd *b, struct bsd_file *f, struct bsd_msg *m, int flags)
{
	uint64_t deadline = bsd_deadline(b, f->rcv_timeout_ns);
	bool dontwait = (flags & BSD_MSG_DONTWAIT) != 0;
	size_t done = 0, total = iov_bytes(m), target = recv_target(b, f, total, flags);
	int64_t r;

	if (flags & BSD_MSG_ERRQUEUE)
		return -TG_EAGAIN;
	if (flags & BSD_MSG_PEEK && !(flags & BSD_MSG_OOB))
		return peek_stream(b, f, m, flags);
	for (;;) {
		struct bsd_iov v = iov_at(m, done);

		r = tg_sock_recv(b->s, f->sock, v.base, v.len, core_flags(flags), bsd_now(b));
		if (r > 0)
			done += (size_t)r;
		if (flags & BSD_MSG_OOB) {
			if (r > 0)
				m->flags |= BSD_MSG_OOB;
			break; /* as Linux: urgent data are never waited for */
		}
		if (r == 0 || (r < 0 && r != -TG_EAGAIN) || done == total)
			break;
		if (r > 0 && (size_t)r == v.len && !at_mark(b, f))
			continue; /* the next piece */
		if (done && (done >= target || at_mark(b, f)))
			break;
		if (!bsd_wait_for(b, f, TG_IN | TG_RDHUP, dontwait, deadline))
			break;
	}
	return done ? (int64_t)done : r;
}

static int64_t recv_dgram(struct bsd *b, struct bsd_file *f, struct bsd_msg *m, int flags)
{
	uint64_t deadline = bsd_deadline(b, f->rcv_timeout_ns);
	bool dontwait = (flags & (BSD_MSG_DONTWAIT | BSD_MSG_ERRQUEUE)) != 0;
	struct bsd_iov v = m->n_iov ? m->iov[0] : (struct bsd_iov){NULL, 0};
	size_t room = iov_bytes(m);
	int64_t r;

	if (m->n_iov > 1)
		v = (struct bsd_iov){m->bounce, room < m->bounce_bytes ? room : m->bounce_bytes};
	if (f->type == TG_RAW && flags & BSD_MSG_OOB)
		return -TG_EOPNOTSUPP;
	flags &= BSD_MSG_PEEK | BSD_MSG_TRUNC | BSD_MSG_ERRQUEUE;
	for (;;) {
		r = tg_sock_recvfrom(
			b->s, f->sock, v.base, v.len, core_flags(flags), &m->info, bsd_now(b));
		if (r != -TG_EAGAIN || !bsd_wait_for(b, f, TG_IN, dontwait, deadline))
			break;
	}
	if (r < 0)
		return r;
	/* The end of a socket whose receiving half is shut has no address. As Linux: only who may
	 * wait is told of it. */
	m->has_addr = m->info.peer.port || tg_ip4_value(&m->info.peer.ip);
	if (!m->has_addr && (dontwait || f->nonblock))
		return -TG_EAGAIN;
	if (m->info.bytes > room)
		m->flags |= BSD_MSG_TRUNC;
	if (flags & BSD_MSG_ERRQUEUE)
		m->flags |= BSD_MSG_ERRQUEUE;
	if (m->n_iov > 1)
		scatter(m, (uint64_t)r < room ? (size_t)r : room);
	return r;
}

int64_t bsd_recvmsg(struct bsd *b, int fd, struct bsd_msg *m, int flags)
{
	int err;
	struct bsd_file *f = bsd_get(b, fd, &err);
	int64_t r;

	if (!f)
		return err;
	m->flags = 0;
	m->has_addr = false; /* as Linux: a stream gives no address */
	m->pktinfo = f->recv_pktinfo;
	m->ttl = f->recv_ttl;
	m->tos = f->recv_tos;
	memset(&m->info, 0, sizeof(m->info));
	r = f->type == TG_STREAM ? recv_stream(b, f, m, flags) : recv_dgram(b, f, m, flags);
	bsd_put(b, f);
	return r;
}

int64_t bsd_recvfrom(struct bsd *b, int fd, void *data, size_t n, int flags, struct tg_addr *from)
{
	struct bsd_iov v = {data, n};
	struct bsd_msg m = {.iov = &v, .n_iov = 1};
	int64_t r = bsd_recvmsg(b, fd, &m, flags);

	if (from && m.has_addr)
		*from = m.info.peer;
	else if (from)
		*from = (struct tg_addr){0};
	return r;
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
