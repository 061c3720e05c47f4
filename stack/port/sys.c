/* The system calls behind opening a TAP, and what can be found out about one that refuses. */
#define _GNU_SOURCE
#include "port/tap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
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

static int sys_node_mode(const char *path, unsigned *mode, unsigned *uid)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -1;
	*mode = (unsigned)st.st_mode & 07777u;
	*uid = (unsigned)st.st_uid;
	return 0;
}

/* The whole of a small file as a string; false if there is none. */
static bool slurp(const char *path, char *out, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, out, cap - 1);
	close(fd);
	if (n < 0)
		return false;
	out[n] = 0;
	return true;
}

static long sys_tap_owner(const char *name)
{
	char path[64], text[32];

	snprintf(path, sizeof(path), "/sys/class/net/%s/owner", name);
	if (!slurp(path, text, sizeof(text)))
		return -1;
	return strtol(text, NULL, 10);
}

/* Does one of the process's descriptors have "iff: name" in its fdinfo? */
static bool process_holds(const char *pid, const char *name)
{
	char path[600], text[1024], line[64];
	struct dirent *d;
	DIR *dir;
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%s/fdinfo", pid);
	dir = opendir(path);
	if (!dir)
		return false;
	snprintf(line, sizeof(line), "iff:\t%s\n", name);
	while (!found && (d = readdir(dir)) != NULL) {
		snprintf(path, sizeof(path), "/proc/%s/fdinfo/%s", pid, d->d_name);
		found = slurp(path, text, sizeof(text)) && strstr(text, line);
	}
	closedir(dir);
	return found;
}

static bool sys_tap_holder(const char *name, char *out, size_t cap)
{
	DIR *proc = opendir("/proc");
	struct dirent *d;
	bool found = false;

	while (proc && !found && (d = readdir(proc)) != NULL) {
		char path[600], comm[64];

		if (d->d_name[0] < '1' || d->d_name[0] > '9' || !process_holds(d->d_name, name))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", d->d_name);
		if (!slurp(path, comm, sizeof(comm)))
			continue;
		comm[strcspn(comm, "\n")] = 0;
		snprintf(out, cap, "pid %s (%s)", d->d_name, comm);
		found = true;
	}
	if (proc)
		closedir(proc);
	return found;
}

const struct sys_ops sys_ops_default = {
	.open = sys_open,
	.close = close,
	.ioctl = sys_ioctl,
	.socket = socket,
	.node_mode = sys_node_mode,
	.tap_owner = sys_tap_owner,
	.tap_holder = sys_tap_holder,
};
