/* The bytes of a capture on their way to its file: see capture_buf.h. A pipe or terminal is opened
 * a second time through /proc, because O_NONBLOCK belongs to the open file and would leak to
 * whoever else has it. Left out: files that block, such as those of a network that has gone. */
#define _GNU_SOURCE
#include "port/capture_buf.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILE_BYTES   (256u << 10) /* of the ring: holds any block */
#define STREAM_BYTES (1u << 20)   /* so far may a reader stay behind */
/* A pipe that says it is writable takes so many bytes without waiting. */
#define PIPE_BYTES 4096u

int capture_buf_open(struct capture_buf *b, int fd, bool own_fd)
{
	struct stat st;
	char path[40];
	int again;

	memset(b, 0, sizeof(*b));
	b->fd = fd;
	b->own_fd = own_fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	b->is_socket = S_ISSOCK(st.st_mode);
	b->stream = b->is_socket || S_ISFIFO(st.st_mode) || isatty(fd) == 1;
	b->cap_bytes = b->stream ? STREAM_BYTES : FILE_BYTES;
	b->ring = malloc(b->cap_bytes);
	if (!b->ring)
		return -ENOMEM;
	if (!b->stream || b->is_socket)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	b->may_block = again < 0;
	if (again < 0)
		return 0;
	if (own_fd)
		close(fd);
	b->fd = again;
	b->own_fd = true;
	return 0;
}

static bool would_block(const struct capture_buf *b)
{
	struct pollfd p = {.fd = b->fd, .events = POLLOUT};

	return b->may_block && (poll(&p, 1, 0) != 1 || !(p.revents & (POLLOUT | POLLERR)));
}

/* One write; its result. */
static ssize_t write_some(const struct capture_buf *b)
{
	size_t n = (size_t)(b->head - b->tail), at = (size_t)b->tail & (b->cap_bytes - 1);
	size_t first = b->cap_bytes - at;
	struct iovec v[2];
	struct msghdr m = {.msg_iov = v, .msg_iovlen = 2};

	if (b->may_block && n > PIPE_BYTES)
		n = PIPE_BYTES;
	first = first < n ? first : n;
	v[0] = (struct iovec){b->ring + at, first};
	v[1] = (struct iovec){b->ring, n - first};
	return b->is_socket ? sendmsg(b->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) : writev(b->fd, v, 2);
}

size_t capture_buf_flush(struct capture_buf *b)
{
	while (b->head != b->tail && !b->error) {
		ssize_t n;

		if (would_block(b))
			break;
		n = write_some(b);
		if (n >= 0)
			b->tail += (uint64_t)n;
		else if (errno == EAGAIN && b->stream)
			break;
		else if (errno != EINTR)
			b->error = errno;
	}
	if (b->error)
		b->tail = b->head;
	return (size_t)(b->head - b->tail);
}

bool capture_buf_has_room(struct capture_buf *b, size_t n)
{
	if (b->error)
		return false;
	if (n > b->cap_bytes - (size_t)(b->head - b->tail))
		capture_buf_flush(b);
	return !b->error && n <= b->cap_bytes - (size_t)(b->head - b->tail);
}

void capture_buf_put(struct capture_buf *b, const void *data, size_t n)
{
	size_t at = (size_t)b->head & (b->cap_bytes - 1), first = b->cap_bytes - at;

	if (n == 0)
		return;
	first = first < n ? first : n;
	memcpy(b->ring + at, data, first);
	memcpy(b->ring, (const uint8_t *)data + first, n - first);
	b->head += n;
}

void capture_buf_patch32(struct capture_buf *b, uint64_t at, uint32_t v)
{
	memcpy(b->ring + ((size_t)at & (b->cap_bytes - 1)), &v, sizeof(v));
}

void capture_buf_close(struct capture_buf *b)
{
	if (b->fd >= 0 && b->own_fd && close(b->fd) < 0 && !b->error)
		b->error = errno;
	b->fd = -1;
	b->tail = b->head;
	free(b->ring);
	b->ring = NULL;
}
