/* rtnetlink, as little of it as links need. */
#ifndef TG_PORT_NETLINK_H
#define TG_PORT_NETLINK_H

#include "port/sys.h"

/* Makes a pair of virtual Ethernet interfaces in the current network namespace. 0 or -1 with errno.
 */
int netlink_make_veth(const struct sys_ops *ops, const char *name, const char *peer);
/* How large a TCP/IPv4 packet the host is to take from the interface as one (ip link's
 * gro_ipv4_max_size). 0 or -1 with errno. */
int netlink_set_big(const struct sys_ops *ops, const char *name, uint32_t bytes);

#endif
