/* Reading without waiting: see in.h. A pipe or terminal is opened a second time, as out.c does and
 * for the same reason; what cannot be is asked with poll before each read. */
#define _GNU_SOURCE 1
#include "in.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

void in_open(struct in *i, int fd)
{
	char path[40];
	struct stat st;
	int again;

	memset(i, 0, sizeof *i);
	i->fd = fd;
	if (fstat(fd, &st) != 0) {
		i->ended = true;
		return;
	}
	i->terminal = isatty(fd) == 1;
	i->is_socket = S_ISSOCK(st.st_mode);
	i->is_file = S_ISREG(st.st_mode);
	if (!S_ISFIFO(st.st_mode) && !i->terminal) {
		return;
	}
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	again = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (again >= 0) {
		i->fd = again;
		i->own_fd = true;
	}
}

int64_t in_read(struct in *i, void *buf, size_t n)
{
	struct pollfd p = {.fd = i->fd, .events = POLLIN};
	ssize_t k;

	if (i->ended) {
		return 0;
	}
	if (!i->own_fd && !i->is_socket && !i->is_file && poll(&p, 1, 0) != 1) {
		return -EAGAIN;
	}
	k = i->is_socket ? recv(i->fd, buf, n, MSG_DONTWAIT) : read(i->fd, buf, n);
	if (k < 0 && (errno == EAGAIN || errno == EINTR)) {
		return -EAGAIN;
	}
	i->ended = k <= 0;
	return k < 0 ? -errno : k;
}

static void on_readable(void *arg, int fd, short revents)
{
	(void)arg;
	(void)fd;
	(void)revents; /* the round that follows reads */
}

void in_watch(struct in *i, struct tg_host *h, bool wanted)
{
	if (wanted != i->watching) {
		tg_host_watch(h, i->fd, wanted ? POLLIN : 0, on_readable, i);
		i->watching = wanted;
	}
}

void in_close(struct in *i, struct tg_host *h)
{
	in_watch(i, h, false);
	if (i->own_fd) {
		close(i->fd);
	}
	i->own_fd = false;
	i->ended = true;
}
