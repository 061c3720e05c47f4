/* A user and network namespace for this process alone, in which it may make interfaces without any
 * privilege outside; and giving all privileges up once that is done. The namespaces have no name:
 * they end with their last process. */
#define _GNU_SOURCE
#include "port/private.h"
#include "port/error.h"

#include <errno.h>
#include <linux/capability.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_USERNS   "/proc/sys/user/max_user_namespaces"
#define CLONE_SYSCTL "/proc/sys/kernel/unprivileged_userns_clone" /* Debian's */
#define APPARMOR     "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"

/* ---- What went wrong ------------------------------------------------------------------------- */

/* The number in a file of /proc/sys; -1: there is none. */
static long sysctl_number(const struct sys_ops *ops, const char *path)
{
	char text[32];

	return ops->read_file(path, text, sizeof(text)) ? strtol(text, NULL, 10) : -1;
}

static int fail_unshare(const struct sys_ops *ops, int errnum, struct tg_host_error *e)
{
	error_begin(e, errnum);
	ERROR_TEXT(e->what, "cannot make a user and network namespace");
	switch (errnum) {
	case ENOSPC:
	case EUSERS:
		if (sysctl_number(ops, MAX_USERNS) == 0)
			ERROR_TEXT(e->why,
				"user namespaces are switched off (user.max_user_namespaces=0)");
		else
			ERROR_TEXT(e->why, "there are as many user namespaces already as "
					   "user.max_user_namespaces allows");
		ERROR_TEXT(e->fix, "sudo sysctl user.max_user_namespaces=10000");
		break;
	case EPERM:
		if (sysctl_number(ops, CLONE_SYSCTL) == 0) {
			ERROR_TEXT(e->why, "user namespaces are switched off for users "
					   "(kernel.unprivileged_userns_clone=0)");
			ERROR_TEXT(e->fix, "sudo sysctl kernel.unprivileged_userns_clone=1");
			break;
		}
		ERROR_TEXT(
			e->why, "user namespaces are forbidden here, by the container as a rule");
		ERROR_TEXT(e->fix,
			"docker run --cap-add NET_ADMIN --device /dev/net/tun, or run it outside");
		break;
	default: break;
	}
	return -errnum;
}

static int fail_map(
	const struct sys_ops *ops, const char *path, int errnum, struct tg_host_error *e)
{
	error_begin(e, errnum);
	ERROR_TEXT(e->what, "cannot write %s", path);
	if ((errnum == EPERM || errnum == EACCES) && sysctl_number(ops, APPARMOR) == 1) {
		ERROR_TEXT(e->why, "AppArmor restricts user namespaces here "
				   "(kernel.apparmor_restrict_unprivileged_userns=1)");
		ERROR_TEXT(e->fix, "sudo tapglass setup --apparmor, or sudo sysctl "
				   "kernel.apparmor_restrict_unprivileged_userns=0");
	}
	return -errnum;
}

/* ---- Entering -------------------------------------------------------------------------------- */

static int write_maps(
	const struct sys_ops *ops, unsigned uid, unsigned gid, struct tg_host_error *err)
{
	const char *path[3] = {"/proc/self/setgroups", "/proc/self/uid_map", "/proc/self/gid_map"};
	char text[3][32] = {"deny"};

	snprintf(text[1], sizeof(text[1]), "0 %u 1", uid);
	snprintf(text[2], sizeof(text[2]), "0 %u 1", gid);
	for (int i = 0; i < 3; i++) {
		if (ops->write_file(path[i], text[i]) < 0 && !(i == 0 && errno == ENOENT))
			return fail_map(ops, path[i], errno, err);
	}
	return 0;
}

static int bring_lo_up(const struct sys_ops *ops, struct tg_host_error *err)
{
	struct ifreq r;
	int fd = ops->socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), done = -1, saved;

	memset(&r, 0, sizeof(r));
	memcpy(r.ifr_name, "lo", 3);
	r.ifr_flags = IFF_UP;
	if (fd >= 0)
		done = ops->ioctl(fd, SIOCSIFFLAGS, &r);
	saved = errno;
	if (fd >= 0)
		ops->close(fd);
	if (done == 0)
		return 0;
	/* Where AppArmor lets the namespace be made, it then denies the capabilities in it. */
	fail_map(ops, "", saved, err);
	ERROR_TEXT(err->what, "cannot bring up lo in the new namespace");
	return -saved;
}

int private_enter(const struct sys_ops *ops, unsigned uid, unsigned gid, struct tg_host_error *err)
{
	int result;

	if (ops->unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return fail_unshare(ops, errno, err);
	result = write_maps(ops, uid, gid, err);
	if (result < 0)
		return result;
	/* No router solicitations and reports among the frames. That they cannot be kept away is no
	 * error. */
	ops->write_file("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
	ops->write_file("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
	return bring_lo_up(ops, err);
}

/* In a child, so that what fails halfway leaves this process as it was. */
static int private_try(unsigned uid, unsigned gid, struct tg_host_error *err)
{
	int result = -EIO, pipe_fd[2];
	pid_t child;
	ssize_t n;

	if (pipe(pipe_fd) < 0 || (child = fork()) < 0) {
		error_begin(err, errno);
		ERROR_TEXT(err->what, "cannot try to make a namespace");
		return -err->errnum;
	}
	if (child == 0) {
		close(pipe_fd[0]);
		memset(err, 0, sizeof(*err));
		result = private_enter(&sys_ops_default, uid, gid, err);
		_exit(result == 0 || write(pipe_fd[1], err, sizeof(*err)) != sizeof(*err) ? 0 : 1);
	}
	close(pipe_fd[1]);
	do
		n = read(pipe_fd[0], err, sizeof(*err));
	while (n < 0 && errno == EINTR);
	close(pipe_fd[0]);
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	return n == (ssize_t)sizeof(*err) ? -err->errnum : 0;
}

int tg_host_private(struct tg_host_error *err)
{
	unsigned uid = (unsigned)geteuid(), gid = (unsigned)getegid();
	int result;

	memset(err, 0, sizeof(*err));
	sys_remember_node("/dev/net/tun");
	result = private_try(uid, gid, err);
	return result < 0 ? result : private_enter(&sys_ops_default, uid, gid, err);
}

/* ---- Privileges ------------------------------------------------------------------------------ */

int tg_host_drop_privileges(void)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}};

	/* Without CAP_SETPCAP this is refused; no_new_privs does the same then. */
	for (unsigned long cap = 0; cap < 64; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0ul, 0ul, 0ul);
	prctl(PR_CAP_AMBIENT, (unsigned long)PR_CAP_AMBIENT_CLEAR_ALL, 0ul, 0ul, 0ul);
	if (syscall(SYS_capset, &h, none) < 0)
		return -errno;
	return prctl(PR_SET_NO_NEW_PRIVS, 1ul, 0ul, 0ul, 0ul) < 0 ? -errno : 0;
}
