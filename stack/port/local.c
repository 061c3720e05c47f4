/* A listener on 127.0.0.1 in the network namespace of now: made before that is left, it goes on
 * accepting connections from there. */
#define _GNU_SOURCE
#include "port/local.h"
#include "port/error.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#define LOCAL_BACKLOG 64

/* A listening descriptor, or -errno. */
static int try_port(const struct sys_ops *ops, uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	int fd = ops->socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1, saved;

	if (fd < 0)
		return -errno;
	a.sin_port = htons(port);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	/* Past TIME-WAIT; another listener is refused all the same. */
	ops->setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (ops->bind(fd, (const struct sockaddr *)&a, sizeof(a)) == 0 &&
		ops->listen(fd, LOCAL_BACKLOG) == 0)
		return fd;
	saved = errno;
	ops->close(fd);
	return -saved;
}

static void say_taken(const struct sys_ops *ops, uint16_t port, int errnum, struct tg_host_error *e)
{
	char holder[96];

	error_begin(e, errnum);
	if (errnum != EADDRINUSE) {
		ERROR_TEXT(e->what, "cannot listen on 127.0.0.1:%u", (unsigned)port);
		return;
	}
	if (!ops->port_holder(port, holder, sizeof(holder)))
		ERROR_TEXT(holder, "another user's process");
	ERROR_TEXT(e->what, "127.0.0.1:%u is taken by %s", (unsigned)port, holder);
	e->why[0] = 0;
}

int local_listen(const struct sys_ops *ops, uint16_t first, unsigned tries, uint16_t *port,
	struct tg_host_error *err)
{
	int fd = -EADDRINUSE;

	memset(err, 0, sizeof(*err));
	for (unsigned i = 0; i < tries && first + i <= 65535; i++) {
		*port = (uint16_t)(first + i);
		fd = try_port(ops, *port);
		if (fd >= 0)
			break;
		if (i == 0)
			say_taken(ops, first, -fd, err);
		if (fd != -EADDRINUSE && fd != -EACCES)
			break;
	}
	if (fd >= 0 && err->errnum)
		ERROR_TEXT(err->meanwhile, "using %u", (unsigned)*port);
	if (fd < 0)
		ERROR_TEXT(err->fix, "choose a port with --relay PORT");
	return fd;
}

int tg_host_listen_local(uint16_t first, unsigned tries, uint16_t *port, struct tg_host_error *err)
{
	return local_listen(&sys_ops_default, first, tries, port, err);
}
