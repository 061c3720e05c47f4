/* What people are told when a private namespace, a veth pair, a port or a TAP that stays cannot be
 * had, and that nothing stays open: the system calls are replaced, one of them fails. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/base.h"
#include "port/link_packet.h"
#include "port/local.h"
#include "port/private.h"
#include "port/setup.h"
#include "unit.h"

static struct {
	int unshare_errno, write_errno, rtnl_errno, bind_errno, open_errno;
	const char *write_path; /* of which writing fails */
	const char *sysctl, *sysctl_text;
	unsigned long fail; /* this ioctl fails */
	int fail_errno, fail_option;
	unsigned taken; /* so many ports, from 8080 on */
	const char *holder;
	bool exists;
	unsigned queues;
	/* What it saw. */
	int n_open, flags;
	char written[512];
	unsigned owner;
	bool stays;
} k;
static struct tg_host_error err;

static int fail_with(int errnum)
{
	errno = errnum;
	return errnum ? -1 : 0;
}
static int fake_unshare(int flags)
{
	k.flags = flags;
	return fail_with(k.unshare_errno);
}
static int fake_write(const char *path, const char *text)
{
	size_t n = strlen(k.written);

	if (k.write_path && strcmp(path, k.write_path) == 0)
		return fail_with(k.write_errno);
	snprintf(k.written + n, sizeof(k.written) - n, "%s=%s;", strrchr(path, '/') + 1, text);
	return 0;
}
static bool fake_read(const char *path, char *out, size_t cap)
{
	if (!k.sysctl || strcmp(path, k.sysctl) != 0)
		return false;
	snprintf(out, cap, "%s\n", k.sysctl_text);
	return true;
}
static int fake_open(const char *path, int flags)
{
	(void)path;
	(void)flags;
	if (k.open_errno)
		return fail_with(k.open_errno);
	k.n_open++;
	return 1000;
}
static int fake_socket(int domain, int type, int protocol)
{
	(void)domain;
	(void)type;
	(void)protocol;
	k.n_open++;
	return 1001;
}
static int fake_close(int fd)
{
	ck_assert(fd == 1000 || fd == 1001);
	k.n_open--;
	return 0;
}
static int fake_ioctl(int fd, unsigned long request, void *arg)
{
	(void)fd;
	if (request == k.fail)
		return fail_with(k.fail_errno);
	if (request == TUNSETOWNER)
		k.owner = (unsigned)(uintptr_t)arg;
	if (request == TUNSETPERSIST)
		k.stays = arg != NULL;
	if (request == SIOCGIFINDEX && fd == 1001 && !k.exists && k.fail == TUNSETOWNER)
		return fail_with(ENODEV);
	if (request == SIOCGIFADDR)
		return fail_with(EADDRNOTAVAIL);
	if (request == SIOCGIFMTU)
		((struct ifreq *)arg)->ifr_mtu = 1500;
	return 0;
}
static int fake_setsockopt(int fd, int level, int name, const void *value, socklen_t bytes)
{
	(void)fd;
	(void)level;
	(void)value;
	(void)bytes;
	return name == k.fail_option ? fail_with(ENOPROTOOPT) : 0;
}
static int fake_bind(int fd, const struct sockaddr *a, socklen_t bytes)
{
	struct sockaddr_in in;

	(void)fd;
	if (a->sa_family != AF_INET)
		return fail_with(k.bind_errno);
	ck_assert_uint_eq(bytes, sizeof(in));
	memcpy(&in, a, sizeof(in));
	ck_assert_uint_eq(ntohl(in.sin_addr.s_addr), INADDR_LOOPBACK);
	return fail_with(ntohs(in.sin_port) < 8080 + k.taken ? EADDRINUSE : k.bind_errno);
}
static int fake_listen(int fd, int backlog)
{
	(void)fd;
	(void)backlog;
	return 0;
}
static int fake_rtnl(const void *request, size_t bytes)
{
	(void)request;
	ck_assert_uint_gt(bytes, 32);
	return fail_with(k.rtnl_errno);
}
static bool fake_info(const char *name, struct tg_tap_info *out)
{
	(void)name;
	memset(out, 0, sizeof(*out));
	out->is_tap = true;
	out->queues = k.queues;
	return k.exists;
}
static bool fake_holder(const char *name, char *out, size_t cap)
{
	(void)name;
	if (k.holder)
		snprintf(out, cap, "%s", k.holder);
	return k.holder != NULL;
}
static bool fake_port_holder(uint16_t port, char *out, size_t cap)
{
	ck_assert_uint_eq(port, 8080);
	return fake_holder("", out, cap);
}

static const struct sys_ops ops = {
	.open = fake_open,
	.close = fake_close,
	.ioctl = fake_ioctl,
	.socket = fake_socket,
	.setsockopt = fake_setsockopt,
	.bind = fake_bind,
	.listen = fake_listen,
	.unshare = fake_unshare,
	.rtnl = fake_rtnl,
	.write_file = fake_write,
	.read_file = fake_read,
	.tap_info = fake_info,
	.tap_holder = fake_holder,
	.port_holder = fake_port_holder,
};

static void reset(void)
{
	memset(&k, 0, sizeof(k));
	k.fail_option = -1;
	memset(&err, 'x', sizeof(err));
}

static void said(int errnum, const char *what, const char *why, const char *fix)
{
	ck_assert_int_eq(err.errnum, errnum);
	ck_assert_str_eq(err.what, what);
	ck_assert_str_eq(err.why, why);
	ck_assert_str_eq(err.fix, fix);
}

/* ---- The private namespace ------------------------------------------------------------------- */

static void private_fails(int errnum, const char *what, const char *why, const char *fix)
{
	ck_assert_int_eq(private_enter(&ops, 1000, 100, &err), -errnum);
	said(errnum, what, why, fix);
	ck_assert_int_eq(k.n_open, 0);
}

START_TEST (namespaces_switched_off) {
	static const char what[] = "cannot make a user and network namespace";

	reset();
	k.unshare_errno = ENOSPC;
	k.sysctl = "/proc/sys/user/max_user_namespaces";
	k.sysctl_text = "0";
	private_fails(ENOSPC, what, "user namespaces are switched off (user.max_user_namespaces=0)",
		"sudo sysctl user.max_user_namespaces=10000");
	k.sysctl_text = "100";
	private_fails(ENOSPC, what,
		"there are as many user namespaces already as user.max_user_namespaces allows",
		"sudo sysctl user.max_user_namespaces=10000");
	k.unshare_errno = EPERM;
	private_fails(EPERM, what, "user namespaces are forbidden here, by the container as a rule",
		"docker run --cap-add NET_ADMIN --device /dev/net/tun, or run it outside");
	k.sysctl = "/proc/sys/kernel/unprivileged_userns_clone";
	k.sysctl_text = "0";
	private_fails(EPERM, what,
		"user namespaces are switched off for users "
		"(kernel.unprivileged_userns_clone=0)",
		"sudo sysctl kernel.unprivileged_userns_clone=1");
	ck_assert_str_eq(k.written, "");
}
END_TEST

START_TEST (apparmor_restricts) {
	reset();
	k.write_path = "/proc/self/uid_map";
	k.write_errno = EPERM;
	private_fails(EPERM, "cannot write /proc/self/uid_map", "Operation not permitted", "");
	k.sysctl = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";
	k.sysctl_text = "1";
	private_fails(EPERM, "cannot write /proc/self/uid_map",
		"AppArmor restricts user namespaces here "
		"(kernel.apparmor_restrict_unprivileged_userns=1)",
		"sudo tapglass setup --apparmor, or sudo sysctl "
		"kernel.apparmor_restrict_unprivileged_userns=0");
	k.write_path = NULL; /* or it lets that pass, and then denies what the namespace is for */
	k.fail = SIOCSIFFLAGS;
	k.fail_errno = EPERM;
	private_fails(EPERM, "cannot bring up lo in the new namespace",
		"AppArmor restricts user namespaces here "
		"(kernel.apparmor_restrict_unprivileged_userns=1)",
		"sudo tapglass setup --apparmor, or sudo sysctl "
		"kernel.apparmor_restrict_unprivileged_userns=0");
}
END_TEST

START_TEST (namespace_made) {
	reset();
	ck_assert_int_eq(private_enter(&ops, 1000, 100, &err), 0);
	ck_assert_int_eq(k.flags, CLONE_NEWUSER | CLONE_NEWNET);
	ck_assert_str_eq(k.written, "setgroups=deny;uid_map=0 1000 1;gid_map=0 100 1;"
				    "disable_ipv6=1;disable_ipv6=1;");
	reset(); /* a kernel without IPv6, and an old one without setgroups */
	k.write_path = "/proc/self/setgroups";
	k.write_errno = ENOENT;
	ck_assert_int_eq(private_enter(&ops, 0, 0, &err), 0);
	k.write_path = "/proc/sys/net/ipv6/conf/all/disable_ipv6";
	ck_assert_int_eq(private_enter(&ops, 0, 0, &err), 0);
}
END_TEST

/* ---- The port on 127.0.0.1 ------------------------------------------------------------------- */

START_TEST (port_taken) {
	uint16_t port;

	reset();
	ck_assert_int_eq(local_listen(&ops, 8080, 20, &port, &err), 1001);
	ck_assert(port == 8080 && err.errnum == 0 && k.n_open == 1);
	reset();
	k.taken = 1;
	k.holder = "pid 812 (node)";
	ck_assert_int_eq(local_listen(&ops, 8080, 20, &port, &err), 1001);
	ck_assert(port == 8081 && k.n_open == 1);
	said(EADDRINUSE, "127.0.0.1:8080 is taken by pid 812 (node)", "", "");
	ck_assert_str_eq(err.meanwhile, "using 8081");
	reset();
	k.taken = 20;
	ck_assert_int_eq(local_listen(&ops, 8080, 20, &port, &err), -EADDRINUSE);
	said(EADDRINUSE, "127.0.0.1:8080 is taken by another user's process", "",
		"choose a port with --relay PORT");
	ck_assert_int_eq(k.n_open, 0);
	reset();
	k.bind_errno = ENOBUFS;
	ck_assert_int_eq(local_listen(&ops, 8080, 20, &port, &err), -ENOBUFS);
	said(ENOBUFS, "cannot listen on 127.0.0.1:8080", "No buffer space available",
		"choose a port with --relay PORT");
	ck_assert_int_eq(k.n_open, 0);
}
END_TEST

/* ---- The veth pair --------------------------------------------------------------------------- */

static int open_pair(struct tap *t, bool plain)
{
	struct tap_request q = {.name = "veth0", .plain = plain, .mtu = 1400, .host_ip = 1};

	q.prefix_len = 24;
	return packet_open(t, &q, &ops, &err);
}

static const struct {
	unsigned long request;
	const char *what;
} pair_steps[] = {
	{SIOCSIFMTU, "cannot set the MTU of the veth pair"},
	{SIOCSIFADDR, "cannot give an address to the veth pair"},
	{SIOCSIFFLAGS, "cannot bring up the veth pair"},
	{SIOCGIFINDEX, "cannot find the veth pair"},
	{SIOCGIFMTU, "cannot read the MTU of the veth pair"},
};

START_TEST (pair_fails) {
	struct tap t;

	reset();
	k.fail = pair_steps[_i].request;
	k.fail_errno = EPERM;
	ck_assert_int_eq(open_pair(&t, false), -EPERM);
	said(EPERM, pair_steps[_i].what, "Operation not permitted", "");
	ck_assert(k.n_open == 0 && t.fd == -1);
	reset();
	k.rtnl_errno = EOPNOTSUPP;
	ck_assert_int_eq(open_pair(&t, false), -EOPNOTSUPP);
	said(EOPNOTSUPP, "cannot make a veth pair", "this kernel lacks veth or packet sockets", "");
	ck_assert(k.n_open == 0 && t.fd == -1);
}
END_TEST

START_TEST (pair_falls_back) {
	struct tap t;

	reset();
	k.fail = SIOCETHTOOL; /* not asked for, with the header */
	ck_assert_int_eq(open_pair(&t, false), 0);
	ck_assert(t.vnet && t.packet && t.caps == (TG_CAP_CSUM | TG_CAP_TSO4) && t.mtu == 1500);
	ck_assert_int_eq(k.n_open, 1); /* the packet socket alone */
	reset();
	k.fail_option = 15; /* PACKET_VNET_HDR */
	ck_assert_int_eq(open_pair(&t, false), 0);
	ck_assert(!t.vnet && t.caps == 0);
	reset();
	k.fail = SIOCETHTOOL; /* without the header checksums must be complete */
	k.fail_errno = EPERM;
	ck_assert_int_eq(open_pair(&t, true), -EPERM);
	said(EPERM, "cannot switch checksum offload off", "Operation not permitted", "");
}
END_TEST

/* ---- A TAP that stays ------------------------------------------------------------------------ */

START_TEST (setup_and_undo) {
	struct tg_ip ip = tg_ip4(192, 0, 2, 1);

	reset();
	ck_assert_int_eq(setup_make(&ops, "tg0", 1000, &ip, 24, &err), 0);
	ck_assert(k.owner == 1000 && k.stays && k.n_open == 0);
	reset();
	k.open_errno = EACCES;
	ck_assert_int_eq(setup_make(&ops, "tg0", 1000, &ip, 24, &err), -EACCES);
	said(EACCES, "cannot make TAP tg0", "this needs CAP_NET_ADMIN", "run it with sudo");
	reset();
	k.fail = TUNSETOWNER;
	k.fail_errno = EPERM;
	ck_assert_int_eq(setup_make(&ops, "tg0", 1000, &ip, 24, &err), -EPERM);
	ck_assert(k.n_open == 0 && !k.stays);
	reset();
	k.exists = true;
	ck_assert_int_eq(setup_make(&ops, "tg0", 1000, &ip, 24, &err), -EEXIST);
	said(EEXIST, "cannot make TAP tg0", "there is an interface tg0 already",
		"sudo tapglass setup --undo, or choose a name with --tap NAME");
	k.stays = true;
	ck_assert_int_eq(setup_remove(&ops, "tg0", &err), 0);
	ck_assert(!k.stays && k.n_open == 0);
	k.queues = 1;
	k.holder = "pid 4242 (tapglass)";
	ck_assert_int_eq(setup_remove(&ops, "tg0", &err), -EBUSY);
	said(EBUSY, "cannot remove TAP tg0", "a process is attached to it: pid 4242 (tapglass)",
		"stop it first");
	k.exists = false;
	ck_assert_int_eq(setup_remove(&ops, "tg0", &err), -ENODEV);
	ck_assert_str_eq(err.why, "there is no TAP of that name");
}
END_TEST

static Suite *rootless_error_suite(void)
{
	Suite *s = suite_create("rootless_error");
	TCase *t = tcase_create("rootless_error");

	tcase_add_test(t, namespaces_switched_off);
	tcase_add_test(t, apparmor_restricts);
	tcase_add_test(t, namespace_made);
	tcase_add_test(t, port_taken);
	tcase_add_loop_test(t, pair_fails, 0, (int)ARRAY_LEN(pair_steps));
	tcase_add_test(t, pair_falls_back);
	tcase_add_test(t, setup_and_undo);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(rootless_error_suite)
