/* Choice of the IPv4 network (RFC 5737 blocks, which no real network uses): what the kernel already
 * routes elsewhere is not taken. */
#define _GNU_SOURCE 1
#include "net_choice.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "util.h"

static uint32_t mask_of(unsigned len)
{
	return len == 0 ? 0 : ~UINT32_C(0) << (32 - len);
}

bool net_routed(
	const char *routes_path, uint32_t net, unsigned len, const char *except, char ifname[16])
{
	FILE *f = fopen(routes_path, "re");
	char line[256], name[17];
	unsigned dest, mask;
	bool found = false;

	if (f == NULL) {
		return false;
	}
	while (!found && fgets(line, sizeof line, f) != NULL) {
		uint32_t d, m;

		if (sscanf(line, "%16s %8x %*x %*x %*d %*d %*d %8x", name, &dest, &mask) != 3) {
			continue; /* the heading */
		}
		d = ntohl(dest);
		m = ntohl(mask);
		if (m == 0 || (except != NULL && strcmp(name, except) == 0)) {
			continue; /* a default route leads everywhere */
		}
		m &= mask_of(len);
		found = ((d ^ net) & m) == 0;
	}
	fclose(f);
	if (found) {
		snprintf(ifname, 16, "%.15s", name);
	}
	return found;
}

bool net_choose(
	const char *routes_path, uint32_t *net, unsigned len, const char *except, char why[160])
{
	static const uint32_t blocks[] = {0xc0000200, 0xc6336400, 0xcb007100}; /* [5737 3] */
	char dotted[16], ifname[16] = "", first[16] = "";
	struct tg_ip ip;

	why[0] = '\0';
	for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
		if (net_routed(routes_path, blocks[i], len, except, ifname)) {
			snprintf(first, sizeof first, "%s", first[0] != '\0' ? first : ifname);
			continue;
		}
		*net = blocks[i];
		if (i > 0) {
			char using[16];
			struct tg_ip now = tg_ip4_of(*net);

			ip = tg_ip4_of(blocks[0]);
			snprintf(why, 160, "%s/%u is already routed via %s; using %s/%u",
				tg_ip_format(&ip, dotted), len, first, tg_ip_format(&now, using),
				len);
		}
		return true;
	}
	snprintf(why, 160,
		"192.0.2.0/24, 198.51.100.0/24 and 203.0.113.0/24 are all routed already");
	return false;
}
