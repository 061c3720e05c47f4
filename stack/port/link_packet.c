/* Where /dev/net/tun cannot be opened: a veth pair in the private namespace, its one end the
 * kernel's with an address, its other end ours through a packet socket. With PACKET_VNET_HDR frames
 * carry the header that those of a TAP carry, so that large frames and unfinished checksums pass
 * both ways, and reading and writing are the TAP's (tap_io.c). Without it the kernel's end is told
 * to complete checksums itself. */
#define _GNU_SOURCE
#include "port/link_packet.h"
#include "port/error.h"
#include "port/host.h"
#include "port/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

#define BUFFER_BYTES (8 << 20)

struct opening {
	struct tap *t;
	const struct tap_request *q;
	const struct sys_ops *ops;
	struct tg_host_error *err;
	int sock; /* for interface ioctls */
};

static int fail(struct opening *o, const char *what)
{
	int errnum = errno;

	error_begin(o->err, errnum);
	ERROR_TEXT(o->err->what, "cannot %s", what);
	if (errnum == EOPNOTSUPP || errnum == EAFNOSUPPORT || errnum == EPROTONOSUPPORT)
		ERROR_TEXT(o->err->why, "this kernel lacks veth or packet sockets");
	return -errnum;
}

static struct ifreq request_for(const char *name)
{
	struct ifreq r;

	memset(&r, 0, sizeof(r));
	memcpy(r.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
	return r;
}

static int set_ip(struct opening *o, unsigned long request, uint32_t ip)
{
	struct ifreq r = request_for(o->q->name);
	struct sockaddr_in a;

	memset(&a, 0, sizeof(a));
	a.sin_family = AF_INET;
	a.sin_addr.s_addr = htonl(ip);
	memcpy(&r.ifr_addr, &a, sizeof(a));
	return o->ops->ioctl(o->sock, request, &r);
}

static int set_flags(struct opening *o, const char *name, int flags)
{
	struct ifreq r = request_for(name);

	r.ifr_flags = (short)flags;
	return o->ops->ioctl(o->sock, SIOCSIFFLAGS, &r);
}

static int set_mtu(struct opening *o, const char *name)
{
	struct ifreq r = request_for(name);

	if (!o->q->mtu)
		return 0;
	r.ifr_mtu = (int)o->q->mtu;
	return o->ops->ioctl(o->sock, SIOCSIFMTU, &r);
}

/* The kernel's end completes checksums, and so cuts large segments, before it hands frames over. */
static int checksums_on(struct opening *o)
{
	struct ethtool_value off = {.cmd = ETHTOOL_STXCSUM, .data = 0};
	struct ifreq r = request_for(o->q->name);

	r.ifr_data = (char *)&off;
	return o->ops->ioctl(o->sock, SIOCETHTOOL, &r);
}

static int make_pair(struct opening *o)
{
	const struct tap_request *q = o->q;
	uint32_t mask = q->prefix_len ? (uint32_t)(0xffffffffull << (32 - q->prefix_len)) : 0;

	if (netlink_make_veth(o->ops, q->name, PACKET_STACK_END) < 0)
		return fail(o, "make a veth pair");
	if (set_mtu(o, q->name) < 0 || set_mtu(o, PACKET_STACK_END) < 0)
		return fail(o, "set the MTU of the veth pair");
	if (q->host_ip &&
		(set_ip(o, SIOCSIFADDR, q->host_ip) < 0 || set_ip(o, SIOCSIFNETMASK, mask) < 0))
		return fail(o, "give an address to the veth pair");
	/* The kernel stays out of our end: no ARP there, and its address is not the stack's. */
	if (set_flags(o, PACKET_STACK_END, IFF_UP | IFF_NOARP | IFF_PROMISC) < 0 ||
		set_flags(o, q->name, IFF_UP) < 0)
		return fail(o, "bring up the veth pair");
	return 0;
}

static int bind_socket(struct opening *o)
{
	const struct sys_ops *ops = o->ops;
	struct ifreq r = request_for(PACKET_STACK_END);
	struct sockaddr_ll a = {.sll_family = AF_PACKET};
	struct tap *t = o->t;
	int one = 1, bytes = BUFFER_BYTES;

	t->fd = ops->socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (t->fd < 0)
		return fail(o, "make a packet socket");
	t->vnet = !o->q->plain &&
		  ops->setsockopt(t->fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) == 0;
	t->caps = t->vnet ? TG_CAP_CSUM | TG_CAP_TSO4 : 0;
	if (!t->vnet && checksums_on(o) < 0)
		return fail(o, "switch checksum offload off");
	/* What we send is not to come back. */
	if (ops->setsockopt(t->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) < 0)
		return fail(o, "ignore outgoing frames (Linux 4.20 and newer can)");
	/* As much as the limits allow; FORCE is for the first user namespace only. */
	if (ops->setsockopt(t->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		ops->setsockopt(t->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (ops->setsockopt(t->fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) < 0)
		ops->setsockopt(t->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	if (ops->ioctl(o->sock, SIOCGIFINDEX, &r) < 0)
		return fail(o, "find the veth pair");
	a.sll_protocol = htons(ETH_P_ALL);
	a.sll_ifindex = r.ifr_ifindex;
	if (ops->bind(t->fd, (const struct sockaddr *)&a, sizeof(a)) < 0)
		return fail(o, "bind the packet socket");
	if (ops->ioctl(o->sock, SIOCGIFMTU, &r) < 0)
		return fail(o, "read the MTU of the veth pair");
	t->mtu = (uint32_t)r.ifr_mtu;
	return 0;
}

int packet_open(struct tap *t, const struct tap_request *q, const struct sys_ops *ops,
	struct tg_host_error *err)
{
	struct opening o = {.t = t, .q = q, .ops = ops, .err = err};
	int result;

	memset(t, 0, sizeof(*t));
	t->fd = -1;
	t->packet = t->made = true;
	memcpy(t->name, q->name, strnlen(q->name, sizeof(t->name) - 1));
	o.sock = ops->socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (o.sock < 0)
		return fail(&o, "make a socket");
	result = make_pair(&o);
	if (result == 0)
		result = bind_socket(&o);
	ops->close(o.sock);
	if (result < 0 && t->fd >= 0) {
		ops->close(t->fd);
		t->fd = -1;
	}
	return result;
}

int tg_host_veth(struct tg_host *h, struct tg *s, const char *name, const struct tg_ip *host_ip,
	unsigned prefix_len, const struct tg_link_options *o, struct tg_host_error *err)
{
	struct tap_request q = {
		.name = name,
		.plain = o->plain,
		.mtu = o->mtu,
		.host_ip = tg_ip4_value(host_ip),
		.prefix_len = prefix_len < 32 ? prefix_len : 32,
	};
	struct tap_link *l = tap_link_new(h, s);
	int result;

	error_begin(err, ENOMEM);
	ERROR_TEXT(err->what, "cannot use a veth pair");
	if (!l)
		return -ENOMEM;
	result = packet_open(&l->tap, &q, &sys_ops_default, err);
	if (result < 0) {
		tap_link_free(l);
		return result;
	}
	result = tap_link_start(l, o);
	if (result < 0) {
		error_begin(err, -result);
		ERROR_TEXT(err->what, "cannot use a veth pair");
		return result;
	}
	memset(err, 0, sizeof(*err));
	return result;
}
