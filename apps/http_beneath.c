/* Opening files below a directory and nowhere else: openat2(2), or component by component. */
#define _GNU_SOURCE 1
#include "http_beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define AGAIN_MAX 3

static void close_keeping_errno(int fd)
{
	int saved = errno;

	close(fd);
	errno = saved;
}

/* One component after the other, none of them a symbolic link. rel is taken apart. */
static int open_by_parts(int dir, char *rel, int flags)
{
	int at = openat(dir, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char *save = NULL, *part = strtok_r(rel, "/", &save);

	while (part != NULL && at >= 0) {
		char *next = strtok_r(NULL, "/", &save);
		int how = next != NULL ? O_PATH | O_DIRECTORY | O_CLOEXEC : flags;
		int fd = -1;

		if (strcmp(part, "..") == 0) {
			errno = EXDEV;
		} else {
			fd = openat(at, part, how | O_NOFOLLOW);
		}
		close_keeping_errno(at);
		at = fd;
		part = next;
	}
	return at;
}

static int open_parts(int dir, const char *rel, int flags)
{
	char *copy;
	int fd, saved;

	if (rel[0] == '/') {
		errno = EXDEV;
		return -1;
	}
	copy = strdup(strspn(rel, "/") == strlen(rel) ? "." : rel);
	if (copy == NULL) {
		return -1;
	}
	fd = open_by_parts(dir, copy, flags);
	saved = errno;
	free(copy);
	errno = saved;
	return fd;
}

int http_beneath_open(int dir, const char *rel, int flags, bool by_parts)
{
	struct open_how how = {
		.flags = (unsigned)flags, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
	long fd = -1;

	for (int i = 0; i < AGAIN_MAX && !by_parts; i++) {
		fd = syscall(SYS_openat2, dir, rel, &how, sizeof how);
		if (fd >= 0 || errno != EAGAIN) { /* a rename in between: once more */
			break;
		}
	}
	/* EPERM: how some containers' filters refuse a call that they do not know */
	if (by_parts || (fd < 0 && (errno == ENOSYS || errno == EPERM))) {
		return open_parts(dir, rel, flags);
	}
	return (int)fd;
}
