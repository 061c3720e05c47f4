/* Lines to a descriptor that never make the writer wait: see out.h. A pipe or terminal is opened a
 * second time through /proc/self/fd, because O_NONBLOCK belongs to the open file and would leak
 * into the shell. Regular files do not block for long and are written as they are. */
#define _GNU_SOURCE 1
#include "out.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void out_open(struct out *o, int fd)
{
	char path[40];
	struct stat st;
	int again;

	memset(o, 0, sizeof *o);
	o->fd = fd;
	if (fstat(fd, &st) != 0) {
		o->dead = true;
		return;
	}
	o->terminal = isatty(fd) == 1;
	o->is_socket = S_ISSOCK(st.st_mode);
	if (!S_ISFIFO(st.st_mode) && !o->terminal) {
		return;
	}
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	again = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	o->may_block = again < 0;
	if (again >= 0) {
		o->fd = again;
		o->own_fd = true;
	}
}

static bool would_block(const struct out *o)
{
	struct pollfd p = {.fd = o->fd, .events = POLLOUT};

	return o->may_block && (poll(&p, 1, 0) != 1 || (p.revents & POLLOUT) == 0);
}

/* One write of what is contiguous; false: the reader takes no more now, or never. */
static bool write_some(struct out *o)
{
	uint32_t n = OUT_BUFFER_BYTES - o->start_bytes;
	ssize_t k;

	n = n < o->len_bytes ? n : o->len_bytes;
	if (would_block(o)) {
		return false;
	}
	if (o->may_block && n > 512) {
		n = 512; /* within PIPE_BUF and what a writable terminal takes */
	}
	k = o->is_socket ? send(o->fd, o->buf + o->start_bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL)
			 : write(o->fd, o->buf + o->start_bytes, n);
	if (k < 0) {
		o->dead = errno != EAGAIN && errno != EINTR &&
			  !(o->patient && (errno == ENOSPC || errno == EDQUOT || errno == EIO));
		return false;
	}
	o->start_bytes = (o->start_bytes + (uint32_t)k) % OUT_BUFFER_BYTES;
	o->len_bytes -= (uint32_t)k;
	return true;
}

bool out_flush(struct out *o)
{
	while (o->len_bytes > 0 && !o->dead) {
		if (!write_some(o)) {
			break;
		}
	}
	return o->len_bytes > 0 && !o->dead;
}

bool out_line(struct out *o, const char *line, size_t n)
{
	uint32_t at, first;

	if (o->dead) {
		return false;
	}
	if (n > OUT_BUFFER_BYTES - o->len_bytes) {
		o->lost_lines++;
		return false;
	}
	at = (o->start_bytes + o->len_bytes) % OUT_BUFFER_BYTES;
	first = OUT_BUFFER_BYTES - at;
	first = first < n ? first : (uint32_t)n;
	memcpy(o->buf + at, line, first);
	memcpy(o->buf, line + first, n - first);
	o->len_bytes += (uint32_t)n;
	return true;
}

void out_close(struct out *o, int timeout_ms)
{
	struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};

	for (int waited = 0; out_flush(o) && waited < timeout_ms; waited += 10) {
		nanosleep(&pause, NULL);
	}
	if (o->own_fd) {
		close(o->fd);
	}
	o->dead = true;
}
