/* Choice of the IPv4 network, so that it does not cover one that the machine really reaches. */
#ifndef TAPGLASS_APPS_NET_CHOICE_H
#define TAPGLASS_APPS_NET_CHOICE_H

#include <stdbool.h>
#include <stdint.h>

#define NET_ROUTES_PATH "/proc/net/route"

/* Does a route other than the default one, and not via the interface `except` (may be NULL),
 * overlap net/len (host order)? Writes the interface. A missing table counts as empty. */
bool net_routed(
	const char *routes_path, uint32_t net, unsigned len, const char *except, char ifname[16]);
/* The first free block of RFC 5737; why: one line if it is not the first, or if there is none
 * (false). */
bool net_choose(
	const char *routes_path, uint32_t *net, unsigned len, const char *except, char why[160]);

#endif
