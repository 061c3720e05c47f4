/* tapglass_sockets.h: the calls that move bytes, and control messages in Linux's layouts. */
#define _GNU_SOURCE
#include "port/bsd_port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define PIECES_MAX   1024 /* of one message, as Linux */
#define BOUNCE_BYTES 65536u
#define PEEK_BYTES   (16u << 20) /* more than a stream ever holds unread */

/* ---- Plain ones ------------------------------------------------------------------------------ */

/* Where to, as the socket's type looks at it: a stream does not, a raw socket takes no bytes for no
 * address; AF_UNSPEC is none. */
static int take_address(struct bsd *b, int fd, const struct sockaddr *to, socklen_t len,
	struct tg_addr *a, bool *none)
{
	const struct bsd_file *f = bsd_file_at(b, fd);

	*none = true;
	if (!to)
		return 0;
	if (len > sizeof(struct sockaddr_storage))
		return -EINVAL;
	if (!f || f->type == SOCK_STREAM || (f->type == SOCK_RAW && !len))
		return 0;
	return bsd_addr_in(to, len, a, none);
}

/* The bytes to send cannot be read: as Linux, the socket's own reasons to refuse come first. */
static int64_t send_nothing(struct bsd *b, int fd, int flags, bool addressed)
{
	const struct bsd_file *f = bsd_file_at(b, fd);
	struct tg_addr peer;
	int64_t r = 0;

	if (f && (f->type == SOCK_STREAM ||
			 (!addressed && tg_sock_peer_addr(b->s, f->sock, &peer) < 0)))
		r = bsd_send(b, fd, "", 0, flags);
	return r < 0 ? r : -EFAULT;
}

ssize_t tg_sendto(
	int fd, const void *buf, size_t n, int flags, const struct sockaddr *to, socklen_t to_len)
{
	struct bsd_host *bh = bsd_enter(fd);
	struct tg_addr a;
	bool none;
	int r;

	if (!bh)
		return -1;
	r = take_address(&bh->b, fd, to, to_len, &a, &none);
	if (r < 0)
		return bsd_leave(bh, r);
	if (!buf && n)
		return bsd_leave(bh, send_nothing(&bh->b, fd, flags, !none));
	return bsd_leave(bh, bsd_sendto(&bh->b, fd, buf, n, flags, none ? NULL : &a));
}

/* There is nowhere to put what comes: as Linux, it comes all the same, and that of a datagram
 * socket is lost. */
static int64_t recv_nowhere(struct bsd *b, int fd, int flags)
{
	const struct bsd_file *f = bsd_file_at(b, fd);
	char byte;
	int64_t r = bsd_recv(b, fd, &byte, 1, flags | (f && f->type == SOCK_STREAM ? MSG_PEEK : 0));

	return r > 0 ? -EFAULT : r;
}

ssize_t tg_recvfrom(
	int fd, void *buf, size_t n, int flags, struct sockaddr *from, socklen_t *from_len)
{
	struct bsd_host *bh = bsd_enter(fd);
	struct bsd_iov v = {buf, n};
	struct bsd_msg m = {.iov = &v, .n_iov = 1};
	int64_t r;

	if (!bh)
		return -1;
	r = !buf && n ? recv_nowhere(&bh->b, fd, flags) : bsd_recvmsg(&bh->b, fd, &m, flags);
	if (r >= 0 && from && m.has_addr) {
		int e = bsd_addr_out(&m.info.peer, from, from_len);

		r = e < 0 ? e : r;
	} else if (r >= 0 && from && from_len) {
		*from_len = 0;
	}
	return bsd_leave(bh, r);
}

ssize_t tg_send(int fd, const void *buf, size_t n, int flags)
{
	return tg_sendto(fd, buf, n, flags, NULL, 0);
}

ssize_t tg_recv(int fd, void *buf, size_t n, int flags)
{
	return tg_recvfrom(fd, buf, n, flags, NULL, NULL);
}

ssize_t tg_read(int fd, void *buf, size_t n)
{
	return bsd_owner(fd) ? tg_recv(fd, buf, n, 0) : read(fd, buf, n);
}

ssize_t tg_write(int fd, const void *buf, size_t n)
{
	return bsd_owner(fd) ? tg_send(fd, buf, n, 0) : write(fd, buf, n);
}

ssize_t tg_readv(int fd, const struct iovec *v, int n)
{
	struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)v, .msg_iovlen = (size_t)n};

	if (!bsd_owner(fd))
		return readv(fd, v, n);
	return n < 0 || n > PIECES_MAX ? bsd_fail(EINVAL) : tg_recvmsg(fd, &m, 0);
}

ssize_t tg_writev(int fd, const struct iovec *v, int n)
{
	struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)v, .msg_iovlen = (size_t)n};

	if (!bsd_owner(fd))
		return writev(fd, v, n);
	return n < 0 || n > PIECES_MAX ? bsd_fail(EINVAL) : tg_sendmsg(fd, &m, 0);
}

/* ---- Messages -------------------------------------------------------------------------------- */

/* The pieces, and what several of a datagram are put together in, or are looked at in; *nowhere:
 * one of them has no place. 0 or a negative errno. */
static int open_msg(struct bsd_msg *m, const struct msghdr *h, int flags, bool *nowhere)
{
	size_t total = 0;

	*nowhere = false;
	memset(m, 0, sizeof(*m));
	if (!h)
		return -EFAULT;
	if (h->msg_iovlen > PIECES_MAX)
		return -EMSGSIZE;
	if (!h->msg_iov && h->msg_iovlen)
		return -EFAULT;
	m->n_iov = (unsigned)h->msg_iovlen;
	m->iov = calloc(m->n_iov ? m->n_iov : 1, sizeof(*m->iov));
	if (!m->iov)
		return -ENOMEM;
	for (unsigned i = 0; i < m->n_iov; i++) {
		m->iov[i] = (struct bsd_iov){h->msg_iov[i].iov_base, h->msg_iov[i].iov_len};
		*nowhere |= !m->iov[i].base && m->iov[i].len;
		if (m->iov[i].len > SSIZE_MAX - total)
			return -EINVAL;
		total += m->iov[i].len;
	}
	if (m->n_iov > 1) {
		m->bounce_bytes = BOUNCE_BYTES;
		if (flags & MSG_PEEK && total > BOUNCE_BYTES)
			m->bounce_bytes = total < PEEK_BYTES ? total : PEEK_BYTES;
		m->bounce = malloc(m->bounce_bytes);
	}
	return m->n_iov > 1 && !m->bounce ? -ENOMEM : 0;
}

static void close_msg(struct bsd_msg *m)
{
	free(m->iov);
	free(m->bounce);
}

static int take_number(const struct cmsghdr *c, uint8_t *out, int least)
{
	int v;

	if (c->cmsg_len == CMSG_LEN(1)) {
		v = *CMSG_DATA(c);
	} else if (c->cmsg_len == CMSG_LEN(sizeof(v))) {
		memcpy(&v, CMSG_DATA(c), sizeof(v));
	} else {
		return -EINVAL;
	}
	if (v < least || v > 255)
		return -EINVAL;
	*out = (uint8_t)v;
	return 0;
}

/* As Linux: 0 is one datagram, whatever the socket's option. */
static int take_segment(const struct cmsghdr *c, int32_t *segment)
{
	uint16_t bytes;

	if (c->cmsg_type != UDP_SEGMENT || c->cmsg_len != CMSG_LEN(sizeof(bytes)))
		return -EINVAL;
	memcpy(&bytes, CMSG_DATA(c), sizeof(bytes));
	*segment = bytes ? bytes : -1;
	return 0;
}

static int take_control(const struct cmsghdr *c, bool udp, struct tg_dgram *info)
{
	struct in_pktinfo pi;
	uint32_t ip;

	if (udp && c->cmsg_level == SOL_UDP)
		return take_segment(c, &info->segment);
	if (c->cmsg_level != IPPROTO_IP)
		return 0; /* somebody else's, as Linux */
	switch (c->cmsg_type) {
	case IP_TTL: return take_number(c, &info->ttl, 1);
	case IP_TOS: return take_number(c, &info->tos, 0);
	case IP_PKTINFO:
		if (c->cmsg_len != CMSG_LEN(sizeof(pi)))
			return -EINVAL;
		memcpy(&pi, CMSG_DATA(c), sizeof(pi));
		ip = ntohl(pi.ipi_spec_dst.s_addr);
		if (ip)
			info->local = tg_ip4_of(ip);
		if (pi.ipi_ifindex < 0 || pi.ipi_ifindex > UINT16_MAX)
			return -ENODEV;
		info->via = (uint16_t)pi.ipi_ifindex;
		return 0;
	default: return -EINVAL;
	}
}

static int take_controls(const struct msghdr *h, bool udp, struct tg_dgram *info)
{
	struct cmsghdr *c;
	int r = 0;

	if (!h->msg_control || !h->msg_controllen)
		return 0;
	for (c = CMSG_FIRSTHDR(h); c && r == 0; c = CMSG_NXTHDR((struct msghdr *)(uintptr_t)h, c))
		r = c->cmsg_len < sizeof(*c) ? -EINVAL : take_control(c, udp, info);
	return r;
}

int64_t bsd_send_msghdr(struct bsd *b, int fd, const struct msghdr *h, int flags)
{
	const struct bsd_file *f = bsd_file_at(b, fd);
	bool udp = f && f->type == SOCK_DGRAM, none = true, nowhere;
	struct bsd_msg m;
	int64_t r = open_msg(&m, h, 0, &nowhere);

	if (r == 0)
		r = take_address(b, fd, h->msg_name, h->msg_namelen, &m.info.peer, &none);
	m.has_addr = !none;
	if (r == 0 && take_controls(h, udp, &m.info) < 0) {
		r = send_nothing(b, fd, flags, !none);
		r = r == -EFAULT ? take_controls(h, udp, &m.info) : r;
	}
	if (r == 0)
		r = nowhere ? send_nothing(b, fd, flags, !none) : bsd_sendmsg(b, fd, &m, flags);
	close_msg(&m);
	return r;
}

ssize_t tg_sendmsg(int fd, const struct msghdr *h, int flags)
{
	struct bsd_host *bh = bsd_enter(fd);

	return bh ? bsd_leave(bh, bsd_send_msghdr(&bh->b, fd, h, flags)) : -1;
}

/* ---- Control messages received --------------------------------------------------------------- */

/* Appends one; what does not fit is cut and told by MSG_CTRUNC. */
static void put_control(
	struct msghdr *h, size_t *used, int level, int type, const void *data, size_t bytes)
{
	size_t room = h->msg_controllen - *used;
	struct cmsghdr c = {.cmsg_len = CMSG_LEN(bytes), .cmsg_level = level, .cmsg_type = type};
	uint8_t *at = (uint8_t *)h->msg_control + *used;

	if (!h->msg_control || room < sizeof(c)) {
		h->msg_flags |= MSG_CTRUNC;
		return;
	}
	if (room < c.cmsg_len) {
		h->msg_flags |= MSG_CTRUNC;
		c.cmsg_len = room;
	}
	memcpy(at, &c, sizeof(c));
	memcpy(at + CMSG_LEN(0), data, c.cmsg_len - CMSG_LEN(0));
	*used += CMSG_SPACE(bytes) < room ? CMSG_SPACE(bytes) : room;
}

static void put_error(struct msghdr *h, size_t *used, const struct tg_dgram *d)
{
	struct {
		struct sock_extended_err ee;
		struct sockaddr_in offender;
	} e;

	memset(&e, 0, sizeof(e));
	e.ee.ee_errno = (uint32_t)d->error;
	e.ee.ee_origin = SO_EE_ORIGIN_ICMP;
	e.ee.ee_type = d->icmp_type;
	e.ee.ee_code = d->icmp_code;
	e.ee.ee_info = d->mtu;
	e.offender.sin_family = AF_INET;
	e.offender.sin_addr.s_addr = htonl(tg_ip4_value(&d->offender));
	put_control(h, used, IPPROTO_IP, IP_RECVERR, &e, sizeof(e));
}

static void put_controls(struct msghdr *h, const struct bsd_msg *m, bool stream)
{
	struct in_pktinfo pi = {.ipi_ifindex = m->info.netif + 1};
	int ttl = m->info.ttl;
	size_t used = 0;

	if (m->info.segment)
		put_control(h, &used, SOL_UDP, UDP_GRO, &m->info.segment, sizeof(int));
	if (!stream && m->pktinfo) {
		pi.ipi_addr.s_addr = htonl(tg_ip4_value(&m->info.local));
		pi.ipi_spec_dst = pi.ipi_addr;
		put_control(h, &used, IPPROTO_IP, IP_PKTINFO, &pi, sizeof(pi));
	}
	if (!stream && m->ttl)
		put_control(h, &used, IPPROTO_IP, IP_TTL, &ttl, sizeof(ttl));
	if (!stream && m->tos)
		put_control(h, &used, IPPROTO_IP, IP_TOS, &m->info.tos, 1);
	if (m->flags & BSD_MSG_ERRQUEUE)
		put_error(h, &used, &m->info);
	h->msg_controllen = used;
}

int64_t bsd_recv_msghdr(struct bsd *b, int fd, struct msghdr *h, int flags)
{
	struct bsd_msg m;
	bool nowhere;
	int64_t r = open_msg(&m, h, flags, &nowhere);

	if (r == 0 && nowhere)
		r = recv_nowhere(b, fd, flags);
	else if (r == 0)
		r = bsd_recvmsg(b, fd, &m, flags);
	if (r >= 0) {
		h->msg_flags = (int)m.flags;
		put_controls(h, &m, !m.has_addr);
		if (h->msg_name && m.has_addr)
			bsd_addr_out(&m.info.peer, h->msg_name, &h->msg_namelen);
		else
			h->msg_namelen = 0;
	}
	close_msg(&m);
	return r;
}

ssize_t tg_recvmsg(int fd, struct msghdr *h, int flags)
{
	struct bsd_host *bh = bsd_enter(fd);

	return bh ? bsd_leave(bh, bsd_recv_msghdr(&bh->b, fd, h, flags)) : -1;
}

int tg_sendmmsg(int fd, struct mmsghdr *v, unsigned n, int flags)
{
	unsigned done = 0;

	if (!n)
		return bsd_owner(fd) ? 0 : (int)tg_send(fd, NULL, 0, 0);
	for (; done < n && done < PIECES_MAX; done++) {
		ssize_t r = tg_sendmsg(fd, v ? &v[done].msg_hdr : NULL, flags);

		if (r < 0)
			return done ? (int)done : -1;
		v[done].msg_len = (unsigned)r;
	}
	return (int)done;
}

/* What is left until the deadline; false: nothing. */
static bool time_left(uint64_t deadline_ns, struct timespec *left)
{
	uint64_t now = tg_host_now(), ns = deadline_ns > now ? deadline_ns - now : 0;

	*left = (struct timespec){(time_t)(ns / NS_PER_SEC), (long)(ns % NS_PER_SEC)};
	return ns > 0;
}

/* Messages until there are n, one fails, or the time is up, which is looked at after each one
 * alone, as on Linux. How many; *err: what ended it. */
static unsigned recv_many(struct bsd_host *bh, int fd, struct mmsghdr *v, unsigned n, int flags,
	struct timespec *timeout, int *err)
{
	uint64_t deadline = NEVER_NS;
	unsigned done = 0;

	if (timeout) /* as Linux: no time at all is over at once */
		deadline = timeout->tv_sec || timeout->tv_nsec
				   ? sat_add_u64(
					     tg_host_now(), (uint64_t)timeout->tv_sec * NS_PER_SEC +
								    (uint64_t)timeout->tv_nsec)
				   : 0;
	while (done < n) {
		int64_t r = bsd_recv_msghdr(&bh->b, fd, &v[done].msg_hdr, flags & ~MSG_WAITFORONE);

		if (r < 0) {
			*err = (int)r;
			break;
		}
		v[done].msg_len = (unsigned)r;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
		if (v[done++].msg_hdr.msg_flags & MSG_OOB)
			break;
		if (timeout && !time_left(deadline, timeout))
			break;
	}
	return done;
}

int tg_recvmmsg(int fd, struct mmsghdr *v, unsigned n, int flags, struct timespec *timeout)
{
	struct bsd_host *bh;
	unsigned done;
	int err = 0;

	if (timeout &&
		(timeout->tv_sec < 0 || timeout->tv_nsec < 0 || timeout->tv_nsec > 999999999))
		return bsd_fail(EINVAL);
	bh = bsd_enter(fd);
	if (!bh)
		return -1;
	if (!(flags & MSG_ERRQUEUE))
		err = bsd_take_error(&bh->b, fd);
	if (err < 0)
		return (int)bsd_leave(bh, err);
	if (!v && n)
		return (int)bsd_leave(bh, -EFAULT);
	done = recv_many(bh, fd, v, n, flags, timeout, &err);
	/* As Linux: what ended it behind the first one is told by the next call. */
	if (done && err < 0 && err != -EAGAIN)
		bsd_put_error(&bh->b, fd, -err);
	return (int)bsd_leave(bh, done ? (int64_t)done : err);
}
