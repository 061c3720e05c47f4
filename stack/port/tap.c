/* Opening a TAP: attached to or made with IFF_VNET_HDR and as many offloads as the kernel grants,
 * given its address and brought up, by ioctl alone. Every failure is told with its cause and cure.
 */
#define _GNU_SOURCE
#include "port/tap.h"
#include "port/error.h"
#include "port/netlink.h"
#include "port/tap_vnet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Newer than some headers that we build with. The kernel grants the two together or not at all. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

#define TUN_NODE "/dev/net/tun"

_Static_assert(TAP_NAME_BYTES == IFNAMSIZ, "TAP_NAME_BYTES");
_Static_assert(sizeof(struct virtio_net_hdr) == 10, "virtio header");

/* What tap_open works with. */
struct opening {
	struct tap *t;
	const struct tap_request *q;
	const struct sys_ops *ops;
	struct tg_host_error *err;
	int sock; /* for interface ioctls */
	bool existed;
};

/* ---- What went wrong ------------------------------------------------------------------------- */

static int fail_generic(struct opening *o, int errnum, const char *what)
{
	error_begin(o->err, errnum);
	ERROR_TEXT(o->err->what, "cannot %s TAP %s", what, o->q->name);
	return -errnum;
}

static int fail_node(struct opening *o, int errnum)
{
	struct tg_host_error *e = o->err;
	unsigned mode = 0, uid = 0;

	error_begin(e, errnum);
	ERROR_TEXT(e->what, "cannot open " TUN_NODE);
	switch (errnum) {
	case ENOENT:
		ERROR_TEXT(e->why, "the tun module or node is missing (usual in containers)");
		ERROR_TEXT(e->fix, "sudo modprobe tun / docker run --device " TUN_NODE);
		break;
	case ENODEV:
	case ENXIO:
		ERROR_TEXT(e->why, "the node is there, but the kernel has no tun module for it");
		ERROR_TEXT(e->fix, "sudo modprobe tun; after a kernel upgrade: reboot");
		break;
	case EACCES:
	case EPERM:
		if (o->ops->node_mode(TUN_NODE, &mode, &uid) == 0 && uid == 0)
			ERROR_TEXT(e->why,
				TUN_NODE " is mode %04o, owner root (udev usually makes it 0666)",
				mode);
		else if (mode)
			ERROR_TEXT(e->why,
				TUN_NODE " is mode %04o, owner uid %u (udev usually makes it 0666)",
				mode, uid);
		ERROR_TEXT(e->fix, "sudo chmod 666 " TUN_NODE);
		break;
	default: break;
	}
	return -errnum;
}

static int fail_attach(struct opening *o, int errnum)
{
	struct tg_host_error *e = o->err;
	const char *name = o->q->name;
	char holder[96];
	struct tg_tap_info info;

	error_begin(e, errnum);
	ERROR_TEXT(e->what, "cannot %s TAP %s", o->existed ? "attach to" : "make", name);
	switch (errnum) {
	case EPERM:
		if (o->existed && o->ops->tap_info(name, &info) && info.owner >= 0)
			ERROR_TEXT(e->why, "tap \"%s\" belongs to uid %lld", name,
				(long long)info.owner);
		else if (o->existed)
			ERROR_TEXT(e->why,
				"tap \"%s\" belongs to nobody, so it needs CAP_NET_ADMIN", name);
		else
			ERROR_TEXT(e->why,
				"there is no tap \"%s\", and making it needs CAP_NET_ADMIN", name);
		ERROR_TEXT(e->fix, "sudo tapglass setup, or drop --link tap:%s", name);
		break;
	case EBUSY:
		if (o->ops->tap_holder(name, holder, sizeof(holder)))
			ERROR_TEXT(e->why, "another process is attached to %s: %s", name, holder);
		else
			ERROR_TEXT(e->why, "another process is attached to %s", name);
		ERROR_TEXT(e->fix, "tapglass --name two, or stop it");
		break;
	case EINVAL:
		if (o->q->queues > 1 && o->ops->tap_info(name, &info) && info.is_tap &&
			!info.multi_queue) {
			ERROR_TEXT(e->why, "the tap \"%s\" was made for one queue, not %u", name,
				o->q->queues);
			ERROR_TEXT(e->fix,
				"without --queues, or delete it (sudo ip link del %s) and "
				"sudo tapglass setup",
				name);
			break;
		}
		ERROR_TEXT(e->why,
			o->existed ? "the interface %s exists and is no TAP"
				   : "the kernel does not take \"%s\" for a name",
			name);
		ERROR_TEXT(e->fix, "choose another name: --link tap:NAME");
		break;
	default: break;
	}
	return -errnum;
}

/* ---- Interface ioctls ------------------------------------------------------------------------ */

static struct ifreq request_for(const struct opening *o)
{
	struct ifreq r;

	memset(&r, 0, sizeof(r));
	memcpy(r.ifr_name, o->t->name, IFNAMSIZ);
	return r;
}

static int set_address(struct opening *o, unsigned long request, uint32_t ip)
{
	struct ifreq r = request_for(o);
	struct sockaddr_in a;

	memset(&a, 0, sizeof(a));
	a.sin_family = AF_INET;
	a.sin_addr.s_addr = htonl(ip);
	memcpy(&r.ifr_addr, &a, sizeof(a));
	return o->ops->ioctl(o->sock, request, &r);
}

static bool has_address(struct opening *o)
{
	struct ifreq r = request_for(o);

	r.ifr_addr.sa_family = AF_INET;
	return o->ops->ioctl(o->sock, SIOCGIFADDR, &r) == 0 || errno != EADDRNOTAVAIL;
}

static int set_up(struct opening *o)
{
	struct ifreq r = request_for(o);

	if (o->ops->ioctl(o->sock, SIOCGIFFLAGS, &r) < 0)
		return -1;
	if (r.ifr_flags & IFF_UP)
		return 0;
	r.ifr_flags = (short)(r.ifr_flags | IFF_UP);
	return o->ops->ioctl(o->sock, SIOCSIFFLAGS, &r);
}

static int set_mtu(struct opening *o)
{
	struct ifreq r = request_for(o);

	r.ifr_mtu = (int)o->q->mtu;
	return o->ops->ioctl(o->sock, SIOCSIFMTU, &r);
}

/* A step that may be refused on a TAP somebody else prepared: then it stays as it is. */
static bool refused_for_good(const struct opening *o, int result)
{
	return result < 0 && !(o->existed && (errno == EPERM || errno == EACCES));
}

static int configure(struct opening *o)
{
	const struct tap_request *q = o->q;
	uint32_t mask = q->prefix_len ? (uint32_t)(0xffffffffull << (32 - q->prefix_len)) : 0;
	struct ifreq r;

	if (q->mtu && refused_for_good(o, set_mtu(o)))
		return fail_generic(o, errno, "set the MTU of");
	if (q->host_ip && !has_address(o)) {
		int done = set_address(o, SIOCSIFADDR, q->host_ip);

		if (refused_for_good(o, done))
			return fail_generic(o, errno, "give an address to");
		if (done == 0 && set_address(o, SIOCSIFNETMASK, mask) < 0)
			return fail_generic(o, errno, "set the netmask of");
	}
	if (refused_for_good(o, set_up(o)))
		return fail_generic(o, errno, "bring up");
	r = request_for(o);
	if (o->ops->ioctl(o->sock, SIOCGIFMTU, &r) < 0)
		return fail_generic(o, errno, "read the MTU of");
	o->t->mtu = (uint32_t)r.ifr_mtu;
	return 0;
}

/* ---- Attaching ------------------------------------------------------------------------------- */

static int attach(struct opening *o, bool vnet)
{
	struct ifreq r = request_for(o);
	struct tg_tap_info info;
	unsigned flags = IFF_TAP | IFF_NO_PI | (vnet ? (unsigned)IFF_VNET_HDR : 0u);
	bool several = o->q->queues > 1;

	if (several)
		flags |= IFF_MULTI_QUEUE;
	/* The kernel lets several processes attach to such a TAP, and deals the flows out among
	 * them. */
	if (several && o->existed && o->ops->tap_info(o->q->name, &info) &&
		info.queues != o->q->queue) {
		errno = EBUSY;
		return -1;
	}

	r.ifr_flags = (short)flags;
	if (o->ops->ioctl(o->t->fd, TUNSETIFF, &r) < 0) {
		/* A TAP made for several queues wants to hear of them; one will do. */
		if (errno != EINVAL || !o->existed || several)
			return -1;
		/* It would let several processes attach, and deal the flows out among them. */
		if (o->ops->tap_info(o->q->name, &info) && info.queues > 0) {
			errno = EBUSY;
			return -1;
		}
		r = request_for(o);
		r.ifr_flags = (short)(flags | IFF_MULTI_QUEUE);
		if (o->ops->ioctl(o->t->fd, TUNSETIFF, &r) < 0)
			return -1;
	}
	memcpy(o->t->name, r.ifr_name, IFNAMSIZ); /* "tap%d" has become a number */
	o->t->name[IFNAMSIZ - 1] = 0;
	o->t->vnet = vnet;
	return 0;
}

/* Asks for offloads, the most first. What the kernel hands over is what it lets us send. */
static void negotiate(struct opening *o)
{
	static const struct {
		unsigned ask;
		uint32_t caps;
	} step[] = {
		{TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO_ECN | TUN_F_USO4 | TUN_F_USO6,
			TG_CAP_CSUM | TG_CAP_TSO4 | TG_CAP_USO4},
		{TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO_ECN, TG_CAP_CSUM | TG_CAP_TSO4},
		{TUN_F_CSUM, TG_CAP_CSUM},
		{0, 0},
	};
	int hdr_bytes = (int)sizeof(struct virtio_net_hdr);

	o->t->caps = 0;
	if (!o->t->vnet) {
		o->ops->ioctl(o->t->fd, TUNSETOFFLOAD, NULL);
		return;
	}
	o->ops->ioctl(o->t->fd, TUNSETVNETHDRSZ, &hdr_bytes);
	for (size_t i = 0; i < sizeof(step) / sizeof(step[0]); i++) {
		/* This request takes its argument by value. */
		if (o->ops->ioctl(o->t->fd, TUNSETOFFLOAD, (void *)(uintptr_t)step[i].ask) == 0) {
			o->t->caps = step[i].caps;
			return;
		}
	}
}

/* Packets beyond 64 KB go out if the host takes them (Linux 6.3). To a TAP that we make it is told
 * that it may, if that is wanted; of another that is up to whoever made it. */
static void negotiate_big(struct opening *o)
{
	struct tg_tap_info info;

	if (!(o->t->caps & TG_CAP_TSO4) || !o->ops->tap_info(o->t->name, &info) || !info.big_bytes)
		return;
	if (info.big_bytes >= TG_BIG_BYTES ||
		(o->q->big && o->t->made && netlink_set_big(o->ops, o->t->name, TG_BIG_BYTES) == 0))
		o->t->caps |= TG_CAP_BIG4;
}

static int open_steps(struct opening *o)
{
	struct ifreq r = request_for(o);
	int result;

	o->sock = o->ops->socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (o->sock < 0)
		return fail_generic(o, errno, "ask the kernel about");
	o->existed = o->ops->ioctl(o->sock, SIOCGIFINDEX, &r) == 0;
	o->t->fd = o->ops->open(TUN_NODE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (o->t->fd < 0)
		return fail_node(o, errno);
	result = attach(o, !o->q->plain);
	if (result < 0 && errno == EINVAL && !o->q->plain)
		result = attach(o, false); /* a kernel without IFF_VNET_HDR */
	if (result < 0)
		return fail_attach(o, errno);
	o->t->made = !o->existed && o->q->queue == 0;
	negotiate(o);
	negotiate_big(o);
	return configure(o);
}

int tap_open(struct tap *t, const struct tap_request *q, const struct sys_ops *ops,
	struct tg_host_error *err)
{
	struct opening o = {.t = t, .q = q, .ops = ops, .err = err, .sock = -1};
	size_t n = strlen(q->name);
	int result;

	memset(t, 0, sizeof(*t));
	t->fd = -1;
	if (n == 0 || n >= IFNAMSIZ) {
		result = fail_generic(&o, EINVAL, "use");
		ERROR_TEXT(err->why, "a name has 1 to %d characters", IFNAMSIZ - 1);
		return result;
	}
	memcpy(t->name, q->name, n + 1);
	result = open_steps(&o);
	if (o.sock >= 0)
		ops->close(o.sock);
	if (result < 0 && t->fd >= 0) {
		ops->close(t->fd);
		t->fd = -1;
	}
	return result;
}

void tap_close(struct tap *t)
{
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}

const char *tap_offloads(const struct tap *t)
{
	if (t->caps & TG_CAP_USO4 && t->caps & TG_CAP_BIG4)
		return "TSO to 192 KB, USO, checksum offload";
	if (t->caps & TG_CAP_USO4)
		return "TSO, USO, checksum offload";
	if (t->caps & TG_CAP_TSO4)
		return "TSO, checksum offload";
	if (t->caps & TG_CAP_CSUM)
		return "checksum offload";
	return "no offloads";
}
