/* The table of system calls as the kernel has them. */
#define _GNU_SOURCE
#include "port/sys.h"

#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

static int sys_open(const char *path, int flags)
{
	return open(path, flags);
}

static int sys_ioctl(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg);
}

static int sys_bind(int fd, const struct sockaddr *a, socklen_t bytes)
{
	return bind(fd, a, bytes);
}

static int sys_write_file(const char *path, const char *text)
{
	size_t n = strlen(text);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t done;

	if (fd < 0)
		return -1;
	done = write(fd, text, n);
	if (close(fd) < 0)
		return -1;
	return done == (ssize_t)n ? 0 : -1;
}

/* What a file looked like before its owner became somebody unknown. */
static struct {
	const char *path;
	unsigned mode, uid;
} remembered;

static int sys_node_mode(const char *path, unsigned *mode, unsigned *uid)
{
	struct stat st;

	if (remembered.path && strcmp(remembered.path, path) == 0) {
		*mode = remembered.mode;
		*uid = remembered.uid;
		return 0;
	}
	if (stat(path, &st) < 0)
		return -1;
	*mode = (unsigned)st.st_mode & 07777u;
	*uid = (unsigned)st.st_uid;
	return 0;
}

void sys_remember_node(const char *path)
{
	if (sys_node_mode(path, &remembered.mode, &remembered.uid) == 0)
		remembered.path = path;
}

const struct sys_ops sys_ops_default = {
	.open = sys_open,
	.close = close,
	.ioctl = sys_ioctl,
	.socket = socket,
	.setsockopt = setsockopt,
	.bind = sys_bind,
	.listen = listen,
	.unshare = unshare,
	.rtnl = sys_rtnl,
	.write_file = sys_write_file,
	.read_file = sys_read_file,
	.node_mode = sys_node_mode,
	.tap_info = sys_tap_info,
	.tap_holder = sys_tap_holder,
	.port_holder = sys_port_holder,
};
