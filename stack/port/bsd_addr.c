/* Socket addresses: struct sockaddr_in and the stack's, with Linux's checks. */
#define _GNU_SOURCE
#include "port/bsd_port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

int bsd_addr_in(const struct sockaddr *sa, socklen_t len, struct tg_addr *a, bool *none)
{
	struct sockaddr_in in;
	uint32_t ip;

	*none = false;
	memset(a, 0, sizeof(*a));
	if (len > (socklen_t)sizeof(struct sockaddr_storage))
		return -EINVAL;
	if (!sa)
		return len ? -EFAULT : -EINVAL;
	if (len < (socklen_t)sizeof(sa->sa_family))
		return -EINVAL;
	memset(&in, 0, sizeof(in));
	memcpy(&in, sa, len < sizeof(in) ? len : sizeof(in));
	*none = in.sin_family == AF_UNSPEC;
	if (len < sizeof(in) || in.sin_family != AF_INET) {
		if (*none)
			return 0;
		return len < sizeof(in) ? -EINVAL : -EAFNOSUPPORT;
	}
	a->port = ntohs(in.sin_port);
	ip = ntohl(in.sin_addr.s_addr);
	if (ip)
		a->ip = tg_ip4_of(ip);
	return 0;
}

int bsd_addr_raw(const struct sockaddr *sa, struct tg_addr *a)
{
	struct sockaddr_in in;
	uint32_t ip;

	memcpy(&in, sa, sizeof(in));
	ip = ntohl(in.sin_addr.s_addr);
	memset(a, 0, sizeof(*a));
	if (ip)
		a->ip = tg_ip4_of(ip);
	return 0;
}

int bsd_addr_out(const struct tg_addr *a, struct sockaddr *sa, socklen_t *len)
{
	struct sockaddr_in in;

	if (!len)
		return -EFAULT;
	if (*len > INT32_MAX)
		return -EINVAL;
	memset(&in, 0, sizeof(in));
	in.sin_family = AF_INET;
	in.sin_port = htons(a->port);
	in.sin_addr.s_addr = htonl(tg_ip4_value(&a->ip));
	if (sa)
		memcpy(sa, &in, *len < sizeof(in) ? *len : sizeof(in));
	else if (*len)
		return -EFAULT;
	*len = sizeof(in);
	return 0;
}
