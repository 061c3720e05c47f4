/* Finding out in /proc who holds what: a TAP by the "iff:" line of fdinfo, a listening port by the
 * socket's inode. Shows the caller's own processes, or all of them to root. */
#define _GNU_SOURCE
#include "port/sys.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool sys_read_file(const char *path, char *out, size_t cap)
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

/* Is the entry `fd` of process pid what is looked for? */
typedef bool match_fn(const char *pid, const char *fd, const void *arg);

static bool is_tap(const char *pid, const char *fd, const void *arg)
{
	char path[600], text[1024], line[64];

	snprintf(path, sizeof(path), "/proc/%s/fdinfo/%s", pid, fd);
	snprintf(line, sizeof(line), "iff:\t%s\n", (const char *)arg);
	return sys_read_file(path, text, sizeof(text)) && strstr(text, line);
}

static bool is_socket(const char *pid, const char *fd, const void *arg)
{
	char path[600], target[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%s/fd/%s", pid, fd);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = 0;
	return strcmp(target, arg) == 0;
}

static bool process_holds(const char *pid, match_fn *match, const void *arg)
{
	char path[300];
	struct dirent *d;
	DIR *dir;
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	dir = opendir(path);
	if (!dir)
		return false;
	while (!found && (d = readdir(dir)) != NULL)
		found = d->d_name[0] != '.' && match(pid, d->d_name, arg);
	closedir(dir);
	return found;
}

/* Writes "pid 4242 (curl)" of the first process of which some descriptor matches. */
static bool find_holder(match_fn *match, const void *arg, char *out, size_t cap)
{
	DIR *proc = opendir("/proc");
	struct dirent *d;
	bool found = false;

	while (proc && !found && (d = readdir(proc)) != NULL) {
		char path[300], comm[64];

		if (d->d_name[0] < '1' || d->d_name[0] > '9' ||
			!process_holds(d->d_name, match, arg))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", d->d_name);
		if (!sys_read_file(path, comm, sizeof(comm)))
			continue;
		comm[strcspn(comm, "\n")] = 0;
		snprintf(out, cap, "pid %s (%s)", d->d_name, comm);
		found = true;
	}
	if (proc)
		closedir(proc);
	return found;
}

bool sys_tap_holder(const char *name, char *out, size_t cap)
{
	return find_holder(is_tap, name, out, cap);
}

bool sys_port_holder(uint16_t port, char *out, size_t cap)
{
	FILE *f = fopen("/proc/net/tcp", "re");
	char line[256], target[64] = "";

	while (f && !target[0] && fgets(line, sizeof(line), f)) {
		unsigned local, state;
		unsigned long inode;

		/* 0A: LISTEN */
		if (sscanf(line, " %*u: %*8x:%4x %*8x:%*4x %2x %*s %*s %*s %*s %*s %lu", &local,
			    &state, &inode) == 3 &&
			local == port && state == 10)
			snprintf(target, sizeof(target), "socket:[%lu]", inode);
	}
	if (f)
		fclose(f);
	return target[0] && find_holder(is_socket, target, out, cap);
}
