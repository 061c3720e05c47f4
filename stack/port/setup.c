/* A TAP that stays when its maker has gone and that an ordinary user may attach to: made, given
 * away, addressed, brought up; and removed again. */
#define _GNU_SOURCE
#include "port/setup.h"
#include "port/error.h"
#include "port/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>

#define TUN_NODE "/dev/net/tun"

static int fail(const char *what, const char *name, struct tg_host_error *err)
{
	int errnum = errno;

	error_begin(err, errnum);
	ERROR_TEXT(err->what, "cannot %s TAP %s", what, name);
	if (errnum == EPERM || errnum == EACCES) {
		ERROR_TEXT(err->why, "this needs CAP_NET_ADMIN");
		ERROR_TEXT(err->fix, "run it with sudo");
	}
	return -errnum;
}

static int attach(const struct sys_ops *ops, const char *name)
{
	struct ifreq r;
	int fd = ops->open(TUN_NODE, O_RDWR | O_CLOEXEC), saved;

	if (fd < 0)
		return -1;
	memset(&r, 0, sizeof(r));
	memcpy(r.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
	r.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE);
	if (ops->ioctl(fd, TUNSETIFF, &r) == 0)
		return fd;
	saved = errno;
	ops->close(fd);
	errno = saved;
	return -1;
}

int setup_make(const struct sys_ops *ops, const char *name, unsigned uid, const struct tg_ip *ip,
	unsigned prefix_len, struct tg_host_error *err)
{
	struct tap_request q = {
		.name = name, .host_ip = tg_ip4_value(ip), .prefix_len = prefix_len};
	struct tg_tap_info info;
	struct tap t;
	int fd, result;

	if (ops->tap_info(name, &info)) {
		errno = EEXIST;
		result = fail("make", name, err);
		ERROR_TEXT(err->why, "there is an interface %s already", name);
		ERROR_TEXT(
			err->fix, "sudo tapglass setup --undo, or choose a name with --tap NAME");
		return result;
	}
	fd = attach(ops, name);
	if (fd < 0)
		return fail("make", name, err);
	/* These requests take their argument by value. */
	if (ops->ioctl(fd, TUNSETOWNER, (void *)(uintptr_t)uid) < 0 ||
		ops->ioctl(fd, TUNSETPERSIST, (void *)(uintptr_t)1) < 0) {
		result = fail("give away", name, err);
		ops->close(fd);
		return result;
	}
	ops->close(fd);
	result =
		tap_open(&t, &q, ops, err); /* attached once more, it is addressed and brought up */
	if (result < 0) {
		struct tg_host_error ignored;

		setup_remove(ops, name, &ignored);
		return result;
	}
	ops->close(t.fd);
	return 0;
}

int setup_remove(const struct sys_ops *ops, const char *name, struct tg_host_error *err)
{
	struct tg_tap_info info;
	char holder[96];
	int fd, result = 0;

	if (!ops->tap_info(name, &info) || !info.is_tap) {
		errno = ENODEV;
		result = fail("remove", name, err);
		ERROR_TEXT(err->why, "there is no TAP of that name");
		return result;
	}
	if (info.queues > 0) {
		errno = EBUSY;
		result = fail("remove", name, err);
		if (ops->tap_holder(name, holder, sizeof(holder)))
			ERROR_TEXT(err->why, "a process is attached to it: %s", holder);
		else
			ERROR_TEXT(err->why, "a process is attached to it");
		ERROR_TEXT(err->fix, "stop it first");
		return result;
	}
	fd = attach(ops, name);
	if (fd < 0 || ops->ioctl(fd, TUNSETPERSIST, (void *)(uintptr_t)0) < 0)
		result = fail("remove", name, err);
	if (fd >= 0)
		ops->close(fd); /* and with it the TAP is gone */
	return result;
}

int tg_host_setup(const char *name, unsigned uid, const struct tg_ip *ip, unsigned prefix_len,
	struct tg_host_error *err)
{
	memset(err, 0, sizeof(*err));
	return setup_make(&sys_ops_default, name, uid, ip, prefix_len, err);
}

int tg_host_setup_undo(const char *name, struct tg_host_error *err)
{
	memset(err, 0, sizeof(*err));
	return setup_remove(&sys_ops_default, name, err);
}

bool tg_host_tap_info(const char *name, struct tg_tap_info *out)
{
	return sys_ops_default.tap_info(name, out);
}
