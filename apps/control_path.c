/* Where control sockets are, and how one is taken: the directory is locked for that moment, so that
 * of two instances of a name one comes first, and what the other finds is either alive or stale. */
#define _GNU_SOURCE 1
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* A directory of ours? */
static bool own_dir(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid();
}

bool control_path(const char *name, char path[CONTROL_PATH_BYTES])
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	int n;

	if (runtime != NULL && runtime[0] == '/' && own_dir(runtime)) {
		n = snprintf(path, CONTROL_PATH_BYTES, "%s/tapglass/%s.sock", runtime, name);
		if (n > 0 && (unsigned)n < CONTROL_PATH_BYTES) {
			return true;
		}
	}
	n = snprintf(
		path, CONTROL_PATH_BYTES, "/tmp/tapglass-%u/%s.sock", (unsigned)geteuid(), name);
	return n > 0 && (unsigned)n < CONTROL_PATH_BYTES;
}

static void fail(struct tg_host_error *err, int errnum, const char *path, const char *why)
{
	memset(err, 0, sizeof *err);
	err->errnum = errnum;
	snprintf(err->what, sizeof err->what, "cannot make the control socket %s", path);
	snprintf(err->why, sizeof err->why, "%s", why);
}

/* The directory of the socket, made if need be, open and locked; -errno. */
static int dir_open(const char *dir, struct tg_host_error *err)
{
	struct stat st;
	int fd;

	/* Another one may remove it, being the last to leave, before it is locked. */
	for (int tries = 0; tries < 100; tries++) {
		if (mkdir(dir, 0700) < 0 && errno != EEXIST) {
			fail(err, errno, dir, strerror(errno));
			return -err->errnum;
		}
		fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 && errno == ENOENT) {
			continue;
		}
		if (fd < 0 || fstat(fd, &st) < 0 || flock(fd, LOCK_EX) < 0) {
			fail(err, errno, dir, strerror(errno));
		} else if (st.st_uid != geteuid() || (st.st_mode & 077) != 0) {
			fail(err, EPERM, dir, "the directory is not ours alone (mode 0700)");
			snprintf(err->fix, sizeof err->fix, "remove it, or set XDG_RUNTIME_DIR");
		} else if (fstat(fd, &st) == 0 && st.st_nlink == 0) {
			close(fd);
			continue;
		} else {
			return fd;
		}
		if (fd >= 0) {
			close(fd);
		}
		return -err->errnum;
	}
	fail(err, EAGAIN, dir, "it comes and goes");
	return -EAGAIN;
}

/* Is somebody there? */
static bool alive(const struct sockaddr_un *a)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool answers;

	if (fd < 0) {
		return true;
	}
	/* EAGAIN: the queue of connections is full */
	answers = connect(fd, (const struct sockaddr *)a, sizeof *a) == 0 || errno == EAGAIN;
	close(fd);
	return answers;
}

static int take(const struct sockaddr_un *a, struct tg_host_error *err)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	const char *name = strrchr(a->sun_path, '/') + 1;
	bool bound = false;

	if (fd >= 0 && alive(a)) {
		close(fd);
		fail(err, EADDRINUSE, a->sun_path, "");
		snprintf(err->what, sizeof err->what, "a stack named \"%.*s\" is running already",
			(int)strcspn(name, "."), name);
		snprintf(err->why, sizeof err->why, "it answers at %s", a->sun_path);
		snprintf(err->fix, sizeof err->fix, "tapglass --name two, or stop it");
		return -EADDRINUSE;
	}
	if (fd >= 0) {
		unlink(a->sun_path); /* stale */
		bound = bind(fd, (const struct sockaddr *)a, sizeof *a) == 0 &&
			chmod(a->sun_path, 0600) == 0 && listen(fd, 8) == 0;
	}
	if (!bound) {
		fail(err, errno, a->sun_path, strerror(errno));
		if (fd >= 0) {
			close(fd);
		}
		return -err->errnum;
	}
	return fd;
}

int control_listen(const char *path, struct tg_host_error *err)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	char dir[CONTROL_PATH_BYTES];
	int lock, fd;

	memcpy(a.sun_path, path, strlen(path) + 1);
	snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(path, '/') - path), path);
	lock = dir_open(dir, err);
	if (lock < 0) {
		return lock;
	}
	fd = take(&a, err);
	close(lock);
	return fd;
}

void control_unlink(const char *path)
{
	char dir[CONTROL_PATH_BYTES];

	unlink(path);
	snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(path, '/') - path), path);
	rmdir(dir); /* refused if others are there */
}

/* ---- Other users ----------------------------------------------------------------------------- */

/* The user in "/run/user/1000/tapglass/x.sock" or "/tmp/tapglass-1000/x.sock". */
static bool owner_of(const char *path, const char *name, unsigned *uid)
{
	char wanted[48];
	const char *base = strrchr(path, '/');
	int used = 0;

	snprintf(wanted, sizeof wanted, "/%s.sock", name);
	if (base == NULL || strcmp(base, wanted) != 0) {
		return false;
	}
	if (sscanf(path, "/tmp/tapglass-%u/%n", uid, &used) == 1 && used > 0) {
		return true;
	}
	return sscanf(path, "/run/user/%u/tapglass/%n", uid, &used) == 1 && used > 0;
}

bool control_other_owner(const char *table, const char *name, unsigned own_uid, unsigned *uid)
{
	FILE *f = fopen(table, "re");
	char line[512];
	bool found = false;

	while (f != NULL && !found && fgets(line, sizeof line, f) != NULL) {
		char *path = strchr(line, '/');
		unsigned flags;

		line[strcspn(line, "\n")] = '\0';
		/* Num RefCount Protocol Flags ...: those that listen */
		found = path != NULL && sscanf(line, "%*s %*s %*s %8x", &flags) == 1 &&
			(flags & 0x10000) != 0 && owner_of(path, name, uid) && *uid != own_uid;
	}
	if (f != NULL) {
		fclose(f);
	}
	return found;
}

void control_error_other(unsigned uid, struct tg_host_error *err)
{
	const struct passwd *p = getpwuid(uid);
	char user[40];

	memset(err, 0, sizeof *err);
	snprintf(user, sizeof user, "uid %u", uid);
	if (p != NULL) {
		snprintf(user, sizeof user, "%s", p->pw_name);
	}
	err->errnum = EPERM;
	snprintf(err->what, sizeof err->what, "the running stack belongs to %s", user);
	snprintf(err->why, sizeof err->why, "only its owner may look into it");
	if (p != NULL) {
		snprintf(err->fix, sizeof err->fix, "sudo -u %s, or start your own: tapglass up",
			user);
	} else {
		snprintf(err->fix, sizeof err->fix, "sudo -u '#%u', or start your own: tapglass up",
			uid);
	}
}
