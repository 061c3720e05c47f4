/* What people are told when a TAP cannot be had, and that nothing is left open: the system calls of
 * opening are replaced, one of them fails. And the virtio header: what is not believed. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "port/tap.h"
#include "port/tap_vnet.h"
#include "sim_support.h"

/* What the pretended kernel does. */
static struct {
	int open_errno;     /* of /dev/net/tun */
	unsigned long fail; /* this request fails */
	int fail_errno;
	bool exists, up, has_address;
	bool no_vnet;    /* refuses IFF_VNET_HDR */
	unsigned grants; /* offloads that TUNSETOFFLOAD takes */
	long owner;
	unsigned queues;   /* of several, attached */
	bool wants_queues; /* refuses without IFF_MULTI_QUEUE */
	bool one_queue;    /* refuses with it */
	const char *holder;
	uint32_t big_bytes; /* of a packet that it takes as one */
	int rtnl_errno;
	unsigned node_mode, node_uid;
	/* What it saw. */
	int n_open;
	unsigned offloads;
	short flags;
	int mtu;
	unsigned n_rtnl;
	bool address_set, netmask_set, set_up, multi_queue;
} k;

static int fake_open(const char *path, int flags)
{
	(void)flags;
	ck_assert_str_eq(path, "/dev/net/tun");
	if (k.open_errno) {
		errno = k.open_errno;
		return -1;
	}
	k.n_open++;
	return 1000;
}
static int fake_close(int fd)
{
	ck_assert(fd == 1000 || fd == 1001);
	k.n_open--;
	return 0;
}
static int fake_socket(int domain, int type, int protocol)
{
	(void)domain;
	(void)type;
	(void)protocol;
	k.n_open++;
	return 1001;
}
static int fail_with(int errnum)
{
	errno = errnum;
	return -1;
}

static int fake_tun(unsigned long request, void *arg)
{
	struct ifreq *r = arg;

	if (request == TUNSETOFFLOAD) {
		unsigned ask = (unsigned)(uintptr_t)arg;

		if (ask & ~k.grants)
			return fail_with(EINVAL);
		k.offloads = ask;
		return 0;
	}
	if (request != TUNSETIFF)
		return 0;
	if (k.no_vnet && r->ifr_flags & IFF_VNET_HDR)
		return fail_with(EINVAL);
	if (k.wants_queues && !(r->ifr_flags & IFF_MULTI_QUEUE))
		return fail_with(EINVAL);
	if (k.one_queue && r->ifr_flags & IFF_MULTI_QUEUE)
		return fail_with(EINVAL);
	k.flags = r->ifr_flags;
	return 0;
}

static int fake_ioctl(int fd, unsigned long request, void *arg)
{
	struct ifreq *r = arg;

	if (request == k.fail)
		return fail_with(k.fail_errno);
	if (fd == 1000)
		return fake_tun(request, arg);
	ck_assert_int_eq(fd, 1001);
	switch (request) {
	case SIOCGIFINDEX: return k.exists ? 0 : fail_with(ENODEV);
	case SIOCGIFADDR: return k.has_address ? 0 : fail_with(EADDRNOTAVAIL);
	case SIOCSIFADDR: k.address_set = true; return 0;
	case SIOCSIFNETMASK: k.netmask_set = true; return 0;
	case SIOCGIFFLAGS: r->ifr_flags = k.up ? IFF_UP : 0; return 0;
	case SIOCSIFFLAGS: k.set_up = r->ifr_flags & IFF_UP; return 0;
	case SIOCSIFMTU: k.mtu = r->ifr_mtu; return 0;
	case SIOCGIFMTU: r->ifr_mtu = k.mtu; return 0;
	default: ck_abort_msg("unexpected ioctl %lx", request);
	}
	return -1;
}
static int fake_node_mode(const char *path, unsigned *mode, unsigned *uid)
{
	(void)path;
	*mode = k.node_mode;
	*uid = k.node_uid;
	return k.node_mode ? 0 : -1;
}
static bool fake_info(const char *name, struct tg_tap_info *out)
{
	(void)name;
	memset(out, 0, sizeof(*out));
	out->is_tap = true;
	out->owner = k.owner;
	out->queues = k.queues;
	out->big_bytes = k.big_bytes;
	return k.exists || k.flags; /* since TUNSETIFF */
}
static int fake_rtnl(const void *request, size_t bytes)
{
	(void)request;
	(void)bytes;
	k.n_rtnl++;
	return k.rtnl_errno ? fail_with(k.rtnl_errno) : 0;
}
static bool fake_holder(const char *name, char *out, size_t cap)
{
	(void)name;
	if (!k.holder)
		return false;
	ck_assert(strlen(k.holder) < cap);
	strcpy(out, k.holder);
	return true;
}

static const struct sys_ops ops = {
	.open = fake_open,
	.close = fake_close,
	.ioctl = fake_ioctl,
	.socket = fake_socket,
	.node_mode = fake_node_mode,
	.tap_info = fake_info,
	.rtnl = fake_rtnl,
	.tap_holder = fake_holder,
};

static struct tap tap;
static struct tg_host_error err;

static unsigned queue, queues; /* asked for */
static bool big;

static void reset(void)
{
	memset(&k, 0, sizeof(k));
	queue = queues = 0;
	big = false;
	k.mtu = 1500;
	k.owner = -1;
	k.grants = ~0u;
	memset(&err, 'x', sizeof(err));
}

static int open_tap(bool plain)
{
	struct tap_request q = {.name = "tg0",
		.plain = plain,
		.big = big,
		.prefix_len = 24,
		.queue = queue,
		.queues = queues};

	q.host_ip = 0xc0000201;
	return tap_open(&tap, &q, &ops, &err);
}

/* Opening fails with errnum and says this; nothing stays open. */
static void fails(int errnum, const char *what, const char *why, const char *fix)
{
	ck_assert_int_eq(open_tap(false), -errnum);
	ck_assert_int_eq(err.errnum, errnum);
	ck_assert_str_eq(err.what, what);
	ck_assert_str_eq(err.why, why);
	ck_assert_str_eq(err.fix, fix);
	ck_assert_str_eq(err.meanwhile, "");
	ck_assert_int_eq(k.n_open, 0);
	ck_assert_int_eq(tap.fd, -1);
}

START_TEST (node_missing) {
	reset();
	k.open_errno = ENOENT;
	fails(ENOENT, "cannot open /dev/net/tun",
		"the tun module or node is missing (usual in containers)",
		"sudo modprobe tun / docker run --device /dev/net/tun");
}
END_TEST

START_TEST (module_missing) {
	reset();
	k.open_errno = ENODEV;
	fails(ENODEV, "cannot open /dev/net/tun",
		"the node is there, but the kernel has no tun module for it",
		"sudo modprobe tun; after a kernel upgrade: reboot");
}
END_TEST

START_TEST (node_forbidden) {
	reset();
	k.open_errno = EACCES;
	k.node_mode = 0600;
	fails(EACCES, "cannot open /dev/net/tun",
		"/dev/net/tun is mode 0600, owner root (udev usually makes it 0666)",
		"sudo chmod 666 /dev/net/tun");
	k.node_uid = 7;
	fails(EACCES, "cannot open /dev/net/tun",
		"/dev/net/tun is mode 0600, owner uid 7 (udev usually makes it 0666)",
		"sudo chmod 666 /dev/net/tun");
	k.node_mode = 0;
	fails(EACCES, "cannot open /dev/net/tun", "Permission denied",
		"sudo chmod 666 /dev/net/tun");
}
END_TEST

START_TEST (attach_forbidden) {
	reset();
	k.fail = TUNSETIFF;
	k.fail_errno = EPERM;
	fails(EPERM, "cannot make TAP tg0",
		"there is no tap \"tg0\", and making it needs CAP_NET_ADMIN",
		"sudo tapglass setup, or drop --link tap:tg0");
	k.exists = true;
	k.owner = 0;
	fails(EPERM, "cannot attach to TAP tg0", "tap \"tg0\" belongs to uid 0",
		"sudo tapglass setup, or drop --link tap:tg0");
	k.owner = -1;
	fails(EPERM, "cannot attach to TAP tg0",
		"tap \"tg0\" belongs to nobody, so it needs CAP_NET_ADMIN",
		"sudo tapglass setup, or drop --link tap:tg0");
}
END_TEST

START_TEST (attached_elsewhere) {
	reset();
	k.exists = true;
	k.fail = TUNSETIFF;
	k.fail_errno = EBUSY;
	fails(EBUSY, "cannot attach to TAP tg0", "another process is attached to tg0",
		"tapglass --name two, or stop it");
	k.holder = "pid 4242 (tapglass)";
	fails(EBUSY, "cannot attach to TAP tg0",
		"another process is attached to tg0: pid 4242 (tapglass)",
		"tapglass --name two, or stop it");
}
END_TEST

/* Several queues: one after the other, of a TAP that has none so far, or is made. */
START_TEST (queues_of_our_own) {
	reset();
	queues = 2;
	ck_assert_int_eq(open_tap(false), 0);
	ck_assert(k.flags & IFF_MULTI_QUEUE);
	ck_assert(tap.made);
	k.n_open = 0;
	k.exists = k.wants_queues = true;
	k.queues = queue = 1;
	ck_assert_int_eq(open_tap(false), 0);
	ck_assert(k.flags & IFF_MULTI_QUEUE);
	ck_assert(!tap.made);
	k.n_open = 0;
	k.queues = 2; /* somebody came in between */
	fails(EBUSY, "cannot attach to TAP tg0", "another process is attached to tg0",
		"tapglass --name two, or stop it");
	queue = 0;
	fails(EBUSY, "cannot attach to TAP tg0", "another process is attached to tg0",
		"tapglass --name two, or stop it");
	reset();
	queues = 2;
	k.exists = k.one_queue = true;
	fails(EINVAL, "cannot attach to TAP tg0", "the tap \"tg0\" was made for one queue, not 2",
		"without --queues, or delete it (sudo ip link del tg0) and sudo tapglass setup");
}
END_TEST

/* A TAP of several queues would take a second process, and give it half of the flows. */
START_TEST (several_queues) {
	reset();
	k.exists = k.wants_queues = true;
	ck_assert_int_eq(open_tap(false), 0);
	ck_assert(k.flags & IFF_MULTI_QUEUE && k.flags & IFF_VNET_HDR);
	reset();
	k.exists = k.wants_queues = true;
	k.queues = 1;
	k.holder = "pid 4242 (tapglass)";
	fails(EBUSY, "cannot attach to TAP tg0",
		"another process is attached to tg0: pid 4242 (tapglass)",
		"tapglass --name two, or stop it");
}
END_TEST

START_TEST (no_tap_at_all) {
	reset();
	k.exists = true;
	k.fail = TUNSETIFF;
	k.fail_errno = EINVAL;
	fails(EINVAL, "cannot attach to TAP tg0", "the interface tg0 exists and is no TAP",
		"choose another name: --link tap:NAME");
}
END_TEST

START_TEST (impossible_names) {
	struct tap_request q = {.name = "a-name-that-is-too-long"};

	reset();
	ck_assert_int_eq(tap_open(&tap, &q, &ops, &err), -EINVAL);
	ck_assert_str_eq(err.why, "a name has 1 to 15 characters");
	q.name = "";
	ck_assert_int_eq(tap_open(&tap, &q, &ops, &err), -EINVAL);
	ck_assert_int_eq(k.n_open, 0);
}
END_TEST

static const struct {
	unsigned long request;
	const char *what;
} steps[] = {
	{SIOCSIFADDR, "cannot give an address to TAP tg0"},
	{SIOCSIFNETMASK, "cannot set the netmask of TAP tg0"},
	{SIOCSIFFLAGS, "cannot bring up TAP tg0"},
	{SIOCGIFMTU, "cannot read the MTU of TAP tg0"},
};

START_TEST (configuring_fails) {
	reset();
	k.fail = steps[_i].request;
	k.fail_errno = EPERM;
	fails(EPERM, steps[_i].what, "Operation not permitted", "");
}
END_TEST

START_TEST (made_and_configured) {
	struct tap_request q = {.name = "tg0", .mtu = 1400, .host_ip = 1, .prefix_len = 24};

	reset();
	ck_assert_int_eq(tap_open(&tap, &q, &ops, &err), 0);
	ck_assert(k.address_set && k.netmask_set && k.set_up && tap.made && tap.vnet);
	ck_assert_uint_eq(tap.mtu, 1400);
	ck_assert_int_eq(k.n_open, 1); /* the device alone */
	ck_assert_uint_eq(tap.caps, TG_CAP_CSUM | TG_CAP_TSO4 | TG_CAP_USO4);
	ck_assert_str_eq(tap_offloads(&tap), "TSO, USO, checksum offload");
}
END_TEST

/* Somebody prepared it for us: address and state stay as they are. */
START_TEST (existing_tap_is_left_alone) {
	reset();
	k.exists = k.up = k.has_address = true;
	k.fail = SIOCSIFADDR;
	k.fail_errno = EPERM;
	ck_assert_int_eq(open_tap(false), 0);
	ck_assert(!k.address_set && !k.set_up && !tap.made);
	k.has_address = false; /* none, and we may not: not our business */
	ck_assert_int_eq(open_tap(false), 0);
	k.fail = 0; /* none, and we may */
	ck_assert_int_eq(open_tap(false), 0);
	ck_assert(k.address_set && k.netmask_set);
}
END_TEST

START_TEST (offloads_fall_back) {
	reset();
	k.grants = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
	ck_assert_int_eq(open_tap(false), 0);
	ck_assert_uint_eq(tap.caps, TG_CAP_CSUM | TG_CAP_TSO4);
	ck_assert_uint_eq(k.offloads, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO_ECN);
	ck_assert_str_eq(tap_offloads(&tap), "TSO, checksum offload");
	k.grants = TUN_F_CSUM;
	ck_assert_int_eq(open_tap(false), 0);
	ck_assert_str_eq(tap_offloads(&tap), "checksum offload");
	k.grants = 0;
	ck_assert_int_eq(open_tap(false), 0);
	ck_assert_uint_eq(tap.caps, 0);
	ck_assert(tap.vnet);
	k.no_vnet = true;
	ck_assert_int_eq(open_tap(false), 0);
	ck_assert(!tap.vnet && !(k.flags & IFF_VNET_HDR));
	ck_assert_str_eq(tap_offloads(&tap), "no offloads");
	reset();
	ck_assert_int_eq(open_tap(true), 0);
	ck_assert(!tap.vnet && tap.caps == 0 && !(k.flags & IFF_VNET_HDR));
}
END_TEST

/* Frames beyond 64 KB: the kernel has to know of them; a TAP of ours is told that it may if that is
 * wanted, another is left as it is. */
START_TEST (big_frames_are_negotiated) {
	static const struct {
		uint32_t known;
		bool exists, wanted;
		int refuses;
		bool told, granted;
	} v[] = {{0, false, true, 0, false, false}, {65536, false, true, 0, true, true},
		{65536, false, false, 0, false, false}, {65536, false, true, EPERM, true, false},
		{65536, true, true, 0, false, false},
		{TG_BIG_BYTES - 1, true, true, 0, false, false},
		{TG_BIG_BYTES, true, false, 0, false, true}};

	reset();
	k.big_bytes = v[_i].known;
	k.exists = v[_i].exists;
	big = v[_i].wanted;
	k.rtnl_errno = v[_i].refuses;
	ck_assert_int_eq(open_tap(false), 0);
	ck_assert(k.n_rtnl == v[_i].told && !(tap.caps & TG_CAP_BIG4) == !v[_i].granted);
	ck_assert_str_eq(tap_offloads(&tap), v[_i].granted ? "TSO to 192 KB, USO, checksum offload"
							   : "TSO, USO, checksum offload");
	k.grants = TUN_F_CSUM; /* worth nothing without TSO */
	k.n_rtnl = 0;
	ck_assert_int_eq(open_tap(false), 0);
	ck_assert(k.n_rtnl == 0 && tap.caps == TG_CAP_CSUM);
}
END_TEST

/* ---- The virtio header ----------------------------------------------------------------------- */

START_TEST (header_is_believed_if_it_fits) {
	uint8_t frame[2000];
	uint32_t n = sim_frame(frame, TG_LINK_ETHERNET, IP_PROTO_TCP, 1000, 0, NULL);
	struct virtio_net_hdr v = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34};
	struct tg_pkt m;

	v.csum_offset = 16;
	tap_meta_of_vnet(&m, &v, frame, n);
	ck_assert(m.csum == TG_CSUM_PARTIAL && m.gso == TG_GSO_NONE && m.gso_size == 0);
	v.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	v.gso_size = 500;
	tap_meta_of_vnet(&m, &v, frame, n);
	ck_assert(m.csum == TG_CSUM_PARTIAL && m.gso == TG_GSO_TCP4 && m.gso_size == 500);
	v.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4; /* but it is TCP */
	tap_meta_of_vnet(&m, &v, frame, n);
	ck_assert(m.gso == TG_GSO_NONE && m.gso_size == 0);
	v.gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
	tap_meta_of_vnet(&m, &v, frame, n);
	ck_assert(m.gso == TG_GSO_NONE && m.gso_size == 0);
	v.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	v.gso_size = 0;
	tap_meta_of_vnet(&m, &v, frame, n);
	ck_assert(m.gso == TG_GSO_NONE);
	v.gso_size = 500;
	v.csum_start = 0xffff; /* outside the frame: nothing is believed */
	tap_meta_of_vnet(&m, &v, frame, n);
	ck_assert(m.csum == TG_CSUM_UNKNOWN && m.gso == TG_GSO_NONE);
	memset(&v, 0, sizeof(v));
	v.flags = VIRTIO_NET_HDR_F_DATA_VALID;
	tap_meta_of_vnet(&m, &v, frame, n);
	ck_assert(m.csum == TG_CSUM_VALID);
	v.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	v.gso_size = 1;
	for (uint32_t len = 0; len < 40; len++) { /* too short for its headers */
		tap_meta_of_vnet(&m, &v, frame, len);
		ck_assert(m.gso == TG_GSO_NONE || len >= 34);
	}
}
END_TEST

START_TEST (header_of_a_frame) {
	struct tg_frame f = {.bytes = 9000, .hdr_bytes = 42, .gso = TG_GSO_UDP4, .gso_size = 1400};
	struct virtio_net_hdr v;

	f.csum_partial = true;
	f.csum_start = 34;
	f.csum_offset = 6;
	tap_vnet_of_frame(&v, &f);
	ck_assert_uint_eq(v.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	ck_assert_uint_eq(v.gso_type, VIRTIO_NET_HDR_GSO_UDP_L4);
	ck_assert(v.hdr_len == 42 && v.gso_size == 1400);
	ck_assert(v.csum_start == 34 && v.csum_offset == 6);
	memset(&f, 0, sizeof(f));
	tap_vnet_of_frame(&v, &f);
	ck_assert(!v.flags && !v.gso_type && !v.gso_size && !v.csum_start);
}
END_TEST

/* [3168 6.1.2] CWR in a super-frame: the device has to know that the first segment alone keeps it.
 */
START_TEST (header_of_a_frame_with_cwr) {
	uint8_t head[54] = {0};
	struct tg_frame f = {.bytes = 9000,
		.hdr_bytes = 54,
		.gso = TG_GSO_TCP4,
		.gso_size = 1448,
		.csum_partial = true,
		.csum_start = 34,
		.csum_offset = 16,
		.n_spans = 1};
	struct virtio_net_hdr v;

	f.span[0] = (struct tg_span){head, sizeof(head)};
	head[34 + 13] = 0x10;
	tap_vnet_of_frame(&v, &f);
	ck_assert_uint_eq(v.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	head[34 + 13] = 0x90;
	tap_vnet_of_frame(&v, &f);
	ck_assert_uint_eq(v.gso_type, VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN);
}
END_TEST

static Suite *tap_error_suite(void)
{
	Suite *s = suite_create("tap_error");
	TCase *t = tcase_create("tap_error");

	tcase_add_test(t, node_missing);
	tcase_add_test(t, module_missing);
	tcase_add_test(t, node_forbidden);
	tcase_add_test(t, attach_forbidden);
	tcase_add_test(t, attached_elsewhere);
	tcase_add_test(t, several_queues);
	tcase_add_test(t, queues_of_our_own);
	tcase_add_test(t, no_tap_at_all);
	tcase_add_test(t, impossible_names);
	tcase_add_loop_test(t, configuring_fails, 0, (int)ARRAY_LEN(steps));
	tcase_add_test(t, made_and_configured);
	tcase_add_test(t, existing_tap_is_left_alone);
	tcase_add_test(t, offloads_fall_back);
	tcase_add_loop_test(t, big_frames_are_negotiated, 0, 7);
	tcase_add_test(t, header_is_believed_if_it_fits);
	tcase_add_test(t, header_of_a_frame);
	tcase_add_test(t, header_of_a_frame_with_cwr);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(tap_error_suite)
