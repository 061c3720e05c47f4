/* Makes the TAP for those programs of the benchmarks that are not Tapglass: by ioctl alone, in the
 * network namespace they run in, with the same address, MTU and queue as `tapglass up` makes it. */
#define _GNU_SOURCE
#include "bench_tap.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "bench.h"

static bool set_address(int sock, unsigned long request, uint32_t value)
{
	struct ifreq r;
	struct sockaddr_in a = {.sin_family = AF_INET};

	memset(&r, 0, sizeof(r));
	memcpy(r.ifr_name, TAP_NAME, sizeof(TAP_NAME));
	a.sin_addr.s_addr = htonl(value);
	memcpy(&r.ifr_addr, &a, sizeof(a));
	return ioctl(sock, request, &r) == 0;
}

static bool bring_up(void)
{
	int sock = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq r;
	bool good;

	memset(&r, 0, sizeof(r));
	memcpy(r.ifr_name, TAP_NAME, sizeof(TAP_NAME));
	r.ifr_flags = IFF_UP | IFF_RUNNING | IFF_BROADCAST | IFF_MULTICAST;
	good = sock >= 0 && set_address(sock, SIOCSIFADDR, TAP_HOST) &&
	       set_address(sock, SIOCSIFNETMASK, 0xffffff00u) && ioctl(sock, SIOCSIFFLAGS, &r) == 0;
	if (sock >= 0)
		close(sock);
	return good;
}

int tap_open(bool offloads)
{
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	unsigned long granted = offloads ? TUN_F_CSUM | TUN_F_TSO4 : 0;
	struct ifreq r;

	memset(&r, 0, sizeof(r));
	memcpy(r.ifr_name, TAP_NAME, sizeof(TAP_NAME));
	r.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | (offloads ? IFF_VNET_HDR : 0));
	if (fd < 0 || ioctl(fd, TUNSETIFF, &r) || (offloads && ioctl(fd, TUNSETOFFLOAD, granted)) ||
		!bring_up()) {
		perror(TAP_NAME);
		return -1;
	}
	return fd;
}

bool tap_wait(int fd, uint64_t busy_us, uint64_t active_ns, int timeout_ms)
{
	bool spin = busy_us && now_ns() - active_ns < busy_us * 1000u;
	struct pollfd p = {fd, POLLIN, 0};

	return poll(&p, 1, spin ? 0 : timeout_ms) > 0;
}

bool tap_options(int argc, char **argv, bool *plain, uint64_t *busy_us)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--plain") == 0)
			*plain = true;
		else if (strcmp(argv[i], "--busy") == 0 && i + 1 < argc)
			*busy_us = strtoull(argv[++i], NULL, 10);
		else
			return false;
	}
	return true;
}
