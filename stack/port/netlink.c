/* rtnetlink, as little of it as links need: making a veth pair (which no ioctl can), and asking
 * what a TAP is, also where /sys shows another network namespace than ours. */
#define _GNU_SOURCE
#include "port/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define REQUEST_BYTES 512u
#define ANSWER_BYTES  32768u
/* IFLA_GRO_IPV4_MAX_SIZE, of Linux 6.3: newer than some headers that we build with. */
#define IFLA_GRO_IPV4_MAX 64

/* ---- Requests -------------------------------------------------------------------------------- */

struct request {
	struct nlmsghdr h;
	char body[REQUEST_BYTES];
};

static void put(struct request *r, const void *data, size_t bytes)
{
	char *at = (char *)r + NLMSG_ALIGN(r->h.nlmsg_len);

	if (bytes)
		memcpy(at, data, bytes);
	r->h.nlmsg_len = NLMSG_ALIGN(r->h.nlmsg_len) + (uint32_t)bytes;
}

/* Starts an attribute; what is put until attr_end is in it. */
static uint32_t attr_begin(struct request *r, unsigned short type)
{
	struct rtattr a = {.rta_type = type};
	uint32_t at = NLMSG_ALIGN(r->h.nlmsg_len);

	put(r, &a, sizeof(a));
	return at;
}

static void attr_end(struct request *r, uint32_t at)
{
	unsigned short len = (unsigned short)(r->h.nlmsg_len - at);

	memcpy((char *)r + at, &len, sizeof(len));
}

static void attr_text(struct request *r, unsigned short type, const char *text)
{
	uint32_t at = attr_begin(r, type);

	put(r, text, strlen(text) + 1);
	attr_end(r, at);
}

static void request_begin(struct request *r, unsigned short type, unsigned short flags)
{
	struct ifinfomsg i = {.ifi_family = AF_UNSPEC};

	memset(r, 0, sizeof(*r));
	r->h.nlmsg_len = NLMSG_HDRLEN;
	r->h.nlmsg_type = type;
	r->h.nlmsg_flags = (unsigned short)(NLM_F_REQUEST | flags);
	r->h.nlmsg_seq = 1;
	put(r, &i, sizeof(i));
}

/* Sends the request; returns the bytes of the answer, -1. */
static ssize_t ask(const void *request, size_t bytes, void *answer, size_t cap)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), saved;
	ssize_t n = -1;

	if (fd < 0)
		return -1;
	if (sendto(fd, request, bytes, 0, (struct sockaddr *)&kernel, sizeof(kernel)) >= 0) {
		do
			n = recv(fd, answer, cap, 0);
		while (n < 0 && errno == EINTR);
	}
	saved = errno;
	close(fd);
	errno = saved;
	return n;
}

int sys_rtnl(const void *request, size_t bytes)
{
	union {
		struct nlmsghdr h;
		char b[4096];
	} a;
	struct nlmsgerr e;
	ssize_t n = ask(request, bytes, &a, sizeof(a));

	if (n < 0)
		return -1;
	if ((size_t)n < NLMSG_LENGTH(sizeof(e)) || a.h.nlmsg_type != NLMSG_ERROR) {
		errno = EPROTO;
		return -1;
	}
	memcpy(&e, a.b + NLMSG_HDRLEN, sizeof(e));
	errno = -e.error;
	return e.error ? -1 : 0;
}

int netlink_make_veth(const struct sys_ops *ops, const char *name, const char *peer)
{
	struct ifinfomsg i = {.ifi_family = AF_UNSPEC};
	struct request r;
	uint32_t info, data, end;

	request_begin(&r, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK);
	attr_text(&r, IFLA_IFNAME, name);
	info = attr_begin(&r, IFLA_LINKINFO);
	attr_text(&r, IFLA_INFO_KIND, "veth");
	data = attr_begin(&r, IFLA_INFO_DATA);
	end = attr_begin(&r, VETH_INFO_PEER);
	put(&r, &i, sizeof(i));
	attr_text(&r, IFLA_IFNAME, peer);
	attr_end(&r, end);
	attr_end(&r, data);
	attr_end(&r, info);
	return ops->rtnl(&r, r.h.nlmsg_len);
}

int netlink_set_big(const struct sys_ops *ops, const char *name, uint32_t bytes)
{
	struct request r;
	uint32_t at;

	request_begin(&r, RTM_NEWLINK, NLM_F_ACK);
	attr_text(&r, IFLA_IFNAME, name);
	at = attr_begin(&r, IFLA_GRO_IPV4_MAX);
	put(&r, &bytes, sizeof(bytes));
	attr_end(&r, at);
	return ops->rtnl(&r, r.h.nlmsg_len);
}

/* ---- What a TAP is --------------------------------------------------------------------------- */

struct attrs {
	const char *at;
	size_t left;
};

/* The attributes from *w on, one at a time. */
static bool attr_next(struct attrs *w, unsigned *type, const char **data, size_t *bytes)
{
	struct rtattr a;
	size_t step;

	if (w->left < sizeof(a))
		return false;
	memcpy(&a, w->at, sizeof(a));
	if (a.rta_len < sizeof(a) || a.rta_len > w->left)
		return false;
	*type = a.rta_type & 0x3fffu; /* without the nested and byte-order flags */
	*data = w->at + sizeof(a);
	*bytes = a.rta_len - sizeof(a);
	step = RTA_ALIGN((size_t)a.rta_len);
	step = step < w->left ? step : w->left;
	w->at += step;
	w->left -= step;
	return true;
}

static bool attr_find(struct attrs w, unsigned wanted, struct attrs *out)
{
	unsigned type;

	while (attr_next(&w, &type, &out->at, &out->left)) {
		if (type == wanted)
			return true;
	}
	return false;
}

static uint32_t attr_number(struct attrs w, unsigned wanted, uint32_t otherwise)
{
	struct attrs a;
	uint32_t v = otherwise;
	uint8_t byte;

	if (!attr_find(w, wanted, &a))
		return otherwise;
	if (a.left == 1) {
		memcpy(&byte, a.at, 1);
		return byte;
	}
	if (a.left >= sizeof(v))
		memcpy(&v, a.at, sizeof(v));
	return v;
}

static void read_tun(struct attrs data, struct tg_tap_info *out)
{
	uint32_t none = UINT32_MAX;
	uint32_t owner = attr_number(data, IFLA_TUN_OWNER, none);
	uint32_t group = attr_number(data, IFLA_TUN_GROUP, none);

	out->is_tap = true;
	out->owner = owner == none ? -1 : (int64_t)owner;
	out->group = group == none ? -1 : (int64_t)group;
	out->persistent = attr_number(data, IFLA_TUN_PERSIST, 0) != 0;
	out->multi_queue = attr_number(data, IFLA_TUN_MULTI_QUEUE, 0) != 0;
	out->queues = attr_number(data, IFLA_TUN_NUM_QUEUES, 0);
}

static void read_address(const char *name, struct tg_tap_info *out)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in a;
	struct ifreq r;

	if (fd < 0)
		return;
	memset(&r, 0, sizeof(r));
	memcpy(r.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
	if (ioctl(fd, SIOCGIFADDR, &r) == 0) {
		memcpy(&a, &r.ifr_addr, sizeof(a));
		out->addr = tg_ip4_of(ntohl(a.sin_addr.s_addr));
		out->has_addr = true;
	}
	if (out->has_addr && ioctl(fd, SIOCGIFNETMASK, &r) == 0) {
		memcpy(&a, &r.ifr_netmask, sizeof(a));
		out->prefix_len = (unsigned)__builtin_popcount(a.sin_addr.s_addr);
	}
	close(fd);
}

bool sys_tap_info(const char *name, struct tg_tap_info *out)
{
	union {
		struct nlmsghdr h;
		char b[ANSWER_BYTES];
	} a;
	struct request r;
	struct attrs all, info, kind, data;
	ssize_t n;

	memset(out, 0, sizeof(*out));
	out->owner = out->group = -1;
	request_begin(&r, RTM_GETLINK, 0);
	attr_text(&r, IFLA_IFNAME, name);
	n = ask(&r, r.h.nlmsg_len, &a, sizeof(a));
	if (n < (ssize_t)NLMSG_LENGTH(sizeof(struct ifinfomsg)) || a.h.nlmsg_type != RTM_NEWLINK)
		return false;
	all.at = a.b + NLMSG_SPACE(sizeof(struct ifinfomsg));
	all.left = (size_t)n - NLMSG_SPACE(sizeof(struct ifinfomsg));
	if (attr_find(all, IFLA_LINKINFO, &info) && attr_find(info, IFLA_INFO_KIND, &kind) &&
		kind.left >= 3 && memcmp(kind.at, "tun", 3) == 0 &&
		attr_find(info, IFLA_INFO_DATA, &data))
		read_tun(data, out);
	out->big_bytes = attr_number(all, IFLA_GRO_IPV4_MAX, 0);
	read_address(name, out);
	return true;
}
