/* tapglass_sockets.h: the calls without messages. Each checks what only the system's side can check
 * (pointers, addresses), enters the host that the descriptor belongs to, and calls sock/. */
#define _GNU_SOURCE
#include "port/bsd_port.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <unistd.h>

int tg_host_socket(struct tg_host *h, int domain, int type, int protocol)
{
	struct bsd_host *bh = bsd_host_of(h);

	if (!bh)
		return -1;
	bsd_enter_host(bh);
	return (int)bsd_leave(bh, bsd_socket(&bh->b, domain, type, protocol));
}

int tg_socket(int domain, int type, int protocol)
{
	struct tg_host *h = tg_host_default();

	return h ? tg_host_socket(h, domain, type, protocol) : -1;
}

/* ---- Names ----------------------------------------------------------------------------------- */

int tg_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct bsd_host *bh = bsd_enter(fd);
	struct tg_addr a;
	bool none;
	int r;

	if (!bh)
		return -1;
	r = bsd_addr_in(addr, len, &a, &none);
	if (r == 0 && none)
		r = len < 16 ? -EINVAL : -EAFNOSUPPORT;
	/* As Linux: a raw socket looks at the address alone. */
	if (r == -EAFNOSUPPORT && bsd_file_at(&bh->b, fd)->type == SOCK_RAW)
		r = bsd_addr_raw(addr, &a);
	return (int)bsd_leave(bh, r < 0 ? r : bsd_bind(&bh->b, fd, &a));
}

int tg_listen(int fd, int backlog)
{
	struct bsd_host *bh = bsd_enter(fd);

	return bh ? (int)bsd_leave(bh, bsd_listen(&bh->b, fd, backlog)) : -1;
}

int tg_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	struct bsd_host *bh = bsd_enter(fd);
	struct tg_addr peer;
	int r;

	if (!bh)
		return -1;
	r = bsd_accept(&bh->b, fd, &peer, flags);
	if (r >= 0 && addr) {
		int e = bsd_addr_out(&peer, addr, len);

		if (e < 0) {
			bsd_close(&bh->b, r);
			r = e;
		}
	}
	return (int)bsd_leave(bh, r);
}

int tg_accept(int fd, struct sockaddr *addr, socklen_t *len)
{
	return tg_accept4(fd, addr, len, 0);
}

int tg_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct bsd_host *bh = bsd_enter(fd);
	struct tg_addr a;
	bool none;
	int r;

	if (!bh)
		return -1;
	r = bsd_addr_in(addr, len, &a, &none);
	return (int)bsd_leave(bh, r < 0 ? r : bsd_connect(&bh->b, fd, none ? NULL : &a));
}

static int name_of(int fd, struct sockaddr *addr, socklen_t *len,
	int (*ask)(struct bsd *b, int fd, struct tg_addr *a))
{
	struct bsd_host *bh = bsd_enter(fd);
	struct tg_addr a;
	int r;

	if (!bh)
		return -1;
	r = ask(&bh->b, fd, &a);
	return (int)bsd_leave(bh, r < 0 ? r : bsd_addr_out(&a, addr, len));
}

int tg_getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
	return name_of(fd, addr, len, bsd_getsockname);
}

int tg_getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
	return name_of(fd, addr, len, bsd_getpeername);
}

/* ---- Ends ------------------------------------------------------------------------------------ */

int tg_shutdown(int fd, int how)
{
	struct bsd_host *bh = bsd_enter(fd);

	return bh ? (int)bsd_leave(bh, bsd_shutdown(&bh->b, fd, how)) : -1;
}

int tg_close(int fd)
{
	struct bsd_host *bh = bsd_owner(fd);
	int r;

	if (!bh)
		return bsd_set_close(fd, &r) ? r : close(fd);
	bsd_enter_host(bh);
	return (int)bsd_leave(bh, bsd_close(&bh->b, fd));
}

int tg_dup(int fd)
{
	struct bsd_host *bh = bsd_owner(fd);
	int r;

	if (!bh)
		return bsd_set_dup(fd, &r) ? r : dup(fd);
	bsd_enter_host(bh);
	return (int)bsd_leave(bh, bsd_dup(&bh->b, fd));
}

/* ---- Options --------------------------------------------------------------------------------- */

int tg_getsockopt(int fd, int level, int name, void *val, socklen_t *len)
{
	struct bsd_host *bh = bsd_enter(fd);
	int r;

	if (!bh)
		return -1;
	r = !len || (!val && *len) ? -EFAULT : bsd_getsockopt(&bh->b, fd, level, name, val, len);
	return (int)bsd_leave(bh, r);
}

int tg_setsockopt(int fd, int level, int name, const void *val, socklen_t len)
{
	struct bsd_host *bh = bsd_enter(fd);
	int r;

	if (!bh)
		return -1;
	if (len > INT32_MAX)
		r = -EINVAL;
	else
		r = !val && len ? -EFAULT : bsd_setsockopt(&bh->b, fd, level, name, val, len);
	return (int)bsd_leave(bh, r);
}

int tg_fcntl(int fd, int cmd, ...)
{
	struct bsd_host *bh = bsd_owner(fd);
	va_list ap;
	long arg;

	va_start(ap, cmd);
	arg = va_arg(ap, long);
	va_end(ap);
	if (!bh)
		return fcntl(fd, cmd, arg);
	bsd_enter_host(bh);
	return (int)bsd_leave(bh, bsd_fcntl(&bh->b, fd, cmd, (int)arg));
}

int tg_ioctl(int fd, unsigned long request, ...)
{
	struct bsd_host *bh = bsd_owner(fd);
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (!bh)
		return ioctl(fd, request, arg);
	bsd_enter_host(bh);
	return (int)bsd_leave(bh, arg ? bsd_ioctl(&bh->b, fd, request, arg) : -EFAULT);
}
